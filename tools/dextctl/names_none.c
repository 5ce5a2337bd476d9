/*
 * Stands in for names_pci.c where there is no libpci: numbers say it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>

#include "capability.h"
#include "names.h"

const char *names_device(uint16_t vendor_id, uint16_t device_id, char text[NAME_BYTES])
{
    (void)vendor_id;
    (void)device_id;
    (void)text;
    return NULL;
}

const char *names_class(uint32_t class_code, char text[NAME_BYTES])
{
    (void)text;
    return class_text(class_code);
}

void names_close(void)
{
}
