/*
 * Memory that can be handed to another process as a file descriptor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_SHARED_MEMORY_H
#define DEXTLINK_BASE_SHARED_MEMORY_H

#include <stdint.h>

/** One anonymous shared file, zero-filled, mapped read-write here for its whole life. */
struct shared_memory {
    int fd;         /* -1 when there is none */
    void *address;  /* page-aligned; NULL when there is none */
    uint64_t bytes; /* file and mapping length: bytes asked for, rounded up to 16 KiB */
};

#define SHARED_MEMORY_NONE                                                                         \
    (struct shared_memory)                                                                         \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/**
 * Make one of at least bytes bytes; name shows in /proc. The size is sealed: nobody who is handed
 * the fd can truncate it under us.
 *
 * 0, -EINVAL (bytes 0), -ENOMEM, or the -errno of memfd_create, ftruncate or mmap. On failure
 * *out is SHARED_MEMORY_NONE.
 */
int shared_memory_create(const char *name, uint64_t bytes, struct shared_memory *out);

/** Unmap and close; takes SHARED_MEMORY_NONE. Other processes' mappings stay valid. */
void shared_memory_destroy(struct shared_memory *memory);

#endif
