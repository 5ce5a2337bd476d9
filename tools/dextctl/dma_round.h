/*
 * One round of a DMA test: two regions, patterns copied from one to the other by the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_DMA_ROUND_H
#define DEXTLINK_DEXTCTL_DMA_ROUND_H

#include "engine.h"
#include "region.h"

#define IOVA_SOURCE        UINT64_C(0x10000000)
#define IOVA_TARGET        UINT64_C(0x80000000)
#define ROUND_PATTERNS_MAX (UINT64_C(1) << 20) /* larger rounds are copied with one pattern */

struct round {
    uint64_t bytes;
    bool edges_only; /* first and last 4 KiB only: for regions that fill the budget */
    uint32_t seed;
    uint64_t source_bus;
    uint64_t target_bus;
    double register_ms;
    double copy_ms;        /* of all patterns */
    unsigned int patterns; /* copied and found equal; 0: no engine */
    uint64_t copied_bytes;
};

/**
 * Register two regions, see that the driver sees what is in them, have the engine (none when its
 * ops are NULL) copy and compare each pattern, unregister. Prints one line on failure.
 */
int round_run(struct round *round, const struct session *session, struct engine *engine);

#endif
