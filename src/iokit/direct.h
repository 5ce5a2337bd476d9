/*
 * Between the installed libraries only: the files behind a connection's memory, for whoever hands
 * parts of a BAR on to another process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_DIRECT_H
#define DEXTLINK_IOKIT_DIRECT_H

#include <IOKit/IOKitLib.h>
#include <stddef.h>
#include <stdint.h>

struct iokit_direct_range {
    uint64_t offset, bytes; /* in the memory; whole pages of vm_page_size */
    uint64_t fd_offset;     /* where it starts in its file */
    int fd;                 /* the caller's to close */
};

/**
 * The parts of a memory type that are shared files, in the driver's order.
 *
 * Returns how many were stored, at most maximum; 0 when there are none, or the driver refuses.
 */
size_t iokit_direct_ranges(io_connect_t connect, uint32_t memory_type,
                           struct iokit_direct_range *ranges, size_t maximum);

#endif
