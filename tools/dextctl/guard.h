/*
 * Writes that would hurt: registers that belong to the host, or to whoever looks for errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_GUARD_H
#define DEXTLINK_DEXTCTL_GUARD_H

#include <stdint.h>

#include "capability.h"

/* Why a write is refused. */
struct guard_finding {
    const char *what; /* "the MSI address" */
    const char *why;  /* a sentence without a full stop */
};

/**
 * Whether writing the low width bytes of value at offset would hurt, given what config space
 * holds now. true with *finding set.
 */
bool guard_config_write(const struct config_image *image, uint16_t offset, uint8_t width,
                        uint32_t value, struct guard_finding *finding);

/** Read what guard_bar_write needs to know: the first 256 bytes, as an image of that length. */
kern_return_t guard_image_read(const struct session *session, struct config_image *image);

/** Whether bytes at an offset of a BAR are the MSI-X table or its pending bits. */
bool guard_bar_write(const struct config_image *image, uint8_t bar, uint64_t offset, uint64_t bytes,
                     struct guard_finding *finding);

#endif
