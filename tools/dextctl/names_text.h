/*
 * Looking a few names up in the text of pci.ids: libpci reads all of it first, which takes longer
 * than everything else a listing does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTCTL_NAMES_TEXT_H
#define DEXTCTL_NAMES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file, mapped; what is not found in it has no name. */
struct names_text {
    const char *text; /* NULL: not open */
    size_t bytes;
};

/** false: there is no such file, or it is empty or compressed. */
bool names_text_open(struct names_text *names, const char *path);
void names_text_close(struct names_text *names);

/** "VENDOR DEVICE", or of a device that is not known "VENDOR"; NULL. Written to text, cut to size.
 */
const char *names_text_device(const struct names_text *names, uint16_t vendor_id,
                              uint16_t device_id, char *text, size_t size);

/** The name of class and subclass; of a subclass that is not known "CLASS [ccss]"; NULL. */
const char *names_text_class(const struct names_text *names, uint16_t class_and_subclass,
                             char *text, size_t size);

#endif
