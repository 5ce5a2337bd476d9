/*
 * Reading configuration space: an image of it, the names of its fields, its capabilities.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_CAPABILITY_H
#define DEXTLINK_DEXTCTL_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session.h"

#define CONFIG_BYTES       4096
#define CONFIG_BYTES_PLAIN 256 /* what a device without the PCIe capability has */

struct config_image {
    uint8_t bytes[CONFIG_BYTES];
    size_t length; /* CONFIG_BYTES or CONFIG_BYTES_PLAIN */
};

/**
 * Read a claimed device's configuration space as it is: base address registers by halves, since
 * the driver answers 4-byte reads there with the type bits alone.
 */
kern_return_t config_image_read(const struct session *session, struct config_image *image);

uint8_t config_u8(const struct config_image *image, size_t offset);
uint16_t config_u16(const struct config_image *image, size_t offset);
uint32_t config_u32(const struct config_image *image, size_t offset);

struct capability {
    uint16_t offset;
    uint16_t id;
    bool extended;
    uint8_t version;  /* extended ones only */
    const char *name; /* never NULL */
    char detail[160]; /* "" when there is nothing to say */
};

/** The capabilities of a device, in list order, at most maximum. A broken list ends where it is. */
size_t capability_list(const struct config_image *image, struct capability *list, size_t maximum);

/** Fill in the detail of an extended capability. */
void capability_describe_extended(const struct config_image *image, struct capability *cap);

/** "16 GT/s" for a generation. Static storage. */
const char *link_speed_text(unsigned int speed);

/** Words for a 24-bit class code ("NVMe controller"); never NULL. */
const char *class_text(uint32_t class_code);

/** Words for a BAR type ("64-bit prefetchable memory"). */
const char *bar_type_text(uint8_t type);

#endif
