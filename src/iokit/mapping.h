/*
 * Memory of a connection mapped into this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_MAPPING_H
#define DEXTLINK_IOKIT_MAPPING_H

#include <IOKit/IOTypes.h>
#include <bsd/sys/queue.h>
#include <mach/mach.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct io_connection;
struct trap_region;
struct wire_message;

struct io_mapping {
    TAILQ_ENTRY(io_mapping) link;
    struct io_connection *connection; /* borrowed: a mapping dies with its connection */
    uint32_t type;
    uint32_t cache_mode;
    uint8_t *address;
    size_t mapped_bytes; /* whole pages */
    uint64_t bytes;      /* exact */
    bool has_file;       /* the next two name what is mapped */
    dev_t device;
    ino_t inode;
    struct trap_region *trap; /* NULL: nothing is trapped */
};

/** Unmap everything of a connection; exclusive lock held, or the last reference. */
void mapping_remove_all(struct io_connection *connection);

#endif
