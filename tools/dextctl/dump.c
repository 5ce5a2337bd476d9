/*
 * Config space in the text form of lspci -xxxx.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dump.h"

#include <stdio.h>

void dump_write(FILE *file, const AppleDextInstance *instance, const struct config_image *image)
{
    char address[INSTANCE_TEXT_BYTES];

    fprintf(file, "%s %s: %04x:%04x\n", instance_address_text(instance, address),
            class_text(config_u32(image, 0x08) >> 8), config_u16(image, 0x00),
            config_u16(image, 0x02));
    for (size_t row = 0; row < image->length; row += 16) {
        fprintf(file, "%02zx:", row);
        for (size_t i = 0; i < 16; i++) {
            fprintf(file, " %02x", image->bytes[row + i]);
        }
        fputc('\n', file);
    }
}

void dump_print(const AppleDextInstance *instance, const struct config_image *image)
{
    dump_write(stdout, instance, image);
}
