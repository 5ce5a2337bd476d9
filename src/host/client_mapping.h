/*
 * What a client has mapped at an address: the files behind its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CLIENT_MAPPING_H
#define DEXTLINK_HOST_CLIENT_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/client_owner.h"

/* /proc/PID/maps of one process, opened when it is first asked. Not locked: the caller does. */
struct client_maps {
    struct client_owner owner;
    int fd; /* -1: not open. It names that process for ever, not the next one of the pid */
    bool is_text_only; /* a kernel before 6.11: no PROCMAP_QUERY */
};

/* A range of a client that is one stretch of one file, mapped shared. */
struct client_mapping {
    dev_t device; /* as the kernel names the file in /proc/PID/maps */
    ino_t inode;
    uint64_t file_offset;        /* of the first byte of the range */
    uint64_t map_start, map_end; /* the first mapping of the range */
    bool is_writable;            /* the client may write all of it; else none of it */
};

/* Below this, a kernel that can only print its whole list is not asked: formatting and reading it
 * takes longer than describing a small region any other way, and guest RAM is never that small. */
#define CLIENT_MAPS_TEXT_MIN_BYTES 65536

void client_maps_init(struct client_maps *maps, const struct client_owner *owner);
void client_maps_close(struct client_maps *maps);

/**
 * What lies behind [address, address + bytes), which must not wrap. Several adjacent mappings are
 * one range when they are of one file, contiguous in it, and of the same protection.
 *
 * 0 and *out; -ENOENT when any part is private, not mapped, not readable, or not of one file; where
 * it is the first mapping already, *out tells how far that goes, else map_end is 0;
 * -ESRCH the process has gone; -EOPNOTSUPP the range is too small to ask an older kernel; or the
 * -errno of opening or reading the list (-EACCES: ptrace policy).
 */
int client_maps_find(struct client_maps *maps, uint64_t address, uint64_t bytes,
                     struct client_mapping *out);

/**
 * Whether the process itself may read (is_write: write) all of [address, address + bytes), which
 * must not wrap. 0; -EFAULT not all of it is mapped, or allows that; else as above.
 */
int client_maps_allow(struct client_maps *maps, uint64_t address, uint64_t bytes, bool is_write);

#endif
