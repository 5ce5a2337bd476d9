/*
 * Memory a device may be allowed to reach, whoever owns it: a client's pages, a host buffer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DART_DMA_MEMORY_H
#define DEXTLINK_DART_DMA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dma_memory;

/* Called by the DART while a device accesses a live mapping, on any thread, several at once. */
struct dma_memory_ops {
    /* Copy length bytes at offset to or from buffer. The caller has checked offset + length against
     * bytes. 0, or -EFAULT when the owner's pages are not there (any more). May block shortly, and
     * for seconds where the owner must be asked for every access.
     * write: the last 8 bytes, if aligned in the owner's memory, are seen after the others. */
    int (*read)(struct dma_memory *memory, uint64_t offset, void *buffer, size_t length);
    int (*write)(struct dma_memory *memory, uint64_t offset, const void *buffer, size_t length);

    /* Where length bytes at offset (checked as above) can be used as plain memory while a mapping
     * lives: read by the device, or written. NULL when there is no such place. Optional. */
    void *(*point)(struct dma_memory *memory, uint64_t offset, size_t length, bool is_write);

    /* Free the object. Called once, by its owner (never by the DART), after dart_unmap of its last
     * mapping returned. */
    void (*release)(struct dma_memory *memory);
};

struct dma_memory {
    const struct dma_memory_ops *ops;
    uint64_t bytes; /* > 0 */
    uint64_t
        page_offset; /* offset of the first byte in its page, < 16 KiB: bus addresses keep it */
};

#endif
