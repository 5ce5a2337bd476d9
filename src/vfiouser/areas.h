/*
 * Parts of a BAR that are plain memory with a descriptor, where the host below has such.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_AREAS_H
#define DEXTLINK_VFIOUSER_AREAS_H

#include <IOKit/IOKitLib.h>
#include <stddef.h>
#include <stdint.h>

#define VU_MAX_AREAS 8

struct vu_area {
    uint64_t offset, bytes; /* in the BAR */
    uint64_t fd_offset;     /* where it starts in its file */
    int fd;
};

/**
 * Find a BAR's plain memory. Returns how many areas there are, at most VU_MAX_AREAS, in areas;
 * their descriptors are the caller's to close. 0: none, or this host cannot tell.
 */
size_t vu_areas_find(io_connect_t connection, unsigned bar, struct vu_area areas[VU_MAX_AREAS]);

#endif
