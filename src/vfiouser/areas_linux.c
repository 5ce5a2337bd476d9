/*
 * Direct ranges of BARs as dextlink's own IOKit has them: shared files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/direct.h"
#include "vfiouser/areas.h"

#define MEMORY_OF_BAR(bar) (1 + (bar)) /* the driver's memory type */

size_t vu_areas_find(io_connect_t connection, unsigned bar, struct vu_area areas[VU_MAX_AREAS])
{
    struct iokit_direct_range ranges[VU_MAX_AREAS];
    size_t count = iokit_direct_ranges(connection, MEMORY_OF_BAR(bar), ranges, VU_MAX_AREAS);
    for (size_t i = 0; i < count; i++) {
        areas[i] = (struct vu_area){.offset = ranges[i].offset,
                                    .bytes = ranges[i].bytes,
                                    .fd_offset = ranges[i].fd_offset,
                                    .fd = ranges[i].fd};
    }
    return count;
}
