/*
 * A dma_memory over plain bytes, for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TEST_BYTE_MEMORY_H
#define DEXTLINK_TEST_BYTE_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "dart/dma_memory.h"

struct byte_memory {
    struct dma_memory memory; /* first */
    unsigned char *bytes;
    bool is_gone; /* accesses give -EFAULT */
};

static inline int byte_memory_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                                   size_t length)
{
    struct byte_memory *self = (struct byte_memory *)memory;
    if (self->is_gone) {
        return -EFAULT;
    }
    memcpy(buffer, self->bytes + offset, length);
    return 0;
}

static inline int byte_memory_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                                    size_t length)
{
    struct byte_memory *self = (struct byte_memory *)memory;
    if (self->is_gone) {
        return -EFAULT;
    }
    memcpy(self->bytes + offset, buffer, length);
    return 0;
}

static inline struct byte_memory byte_memory_over(void *bytes, uint64_t count, uint64_t page_offset)
{
    static const struct dma_memory_ops ops = {.read = byte_memory_read, .write = byte_memory_write};
    return (struct byte_memory){.memory = {.ops = &ops, .bytes = count, .page_offset = page_offset},
                                .bytes = bytes};
}

#endif
