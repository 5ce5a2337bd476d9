/*
 * Names of vendors, devices and classes, from pci.ids where libpci is there (names_pci.c), else the
 * few classes that dextctl knows itself (names_none.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_NAMES_H
#define DEXTLINK_DEXTCTL_NAMES_H

#include <stdint.h>

#define NAME_BYTES 128

/** "Advanced Micro Devices, Inc. [AMD/ATI] Fiji …"; NULL when it has no name. Returns text. */
const char *names_device(uint16_t vendor_id, uint16_t device_id, char text[NAME_BYTES]);

/** "VGA compatible controller"; never NULL: text, or static storage. */
const char *names_class(uint32_t class_code, char text[NAME_BYTES]);

/** Forget what was loaded. */
void names_close(void);

#endif
