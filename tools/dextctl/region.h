/*
 * Client memory for DMA tests: page-aligned, registered, with a pattern to tell wrong bytes by.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_REGION_H
#define DEXTLINK_DEXTCTL_REGION_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"

struct region {
    uint8_t *memory;
    size_t bytes;  /* registered */
    void *mapping; /* what memory lies in */
    size_t mapping_bytes;
    uint64_t iova;        /* its name */
    uint64_t bus_address; /* what the device must use */
    uint64_t bus_length;
};

/**
 * Allocate pages for bytes, zeroed and not touched, and register exactly that many. KERN_SUCCESS,
 * kIOReturnNoMemory, or what registering said; nothing is held on failure.
 */
kern_return_t region_open(struct region *region, const struct session *session, uint64_t iova,
                          size_t bytes);

/** Unregister and free. Zeroed regions are fine. Returns what unregistering said. */
kern_return_t region_close(struct region *region, const struct session *session);

/** Fill with bytes that differ from their neighbours, pages and with the seed. */
void pattern_fill(uint8_t *memory, size_t bytes, uint32_t seed);

/** Offset of the first byte that is not the pattern's; bytes when all are. */
size_t pattern_compare(const uint8_t *memory, size_t bytes, uint32_t seed);

/** The byte a pattern has at an offset. */
uint8_t pattern_byte(size_t offset, uint32_t seed);

#endif
