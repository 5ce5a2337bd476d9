/*
 * The blocks that Write Uncorrectable marked: a sorted set of ranges.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_NVME_BAD_BLOCKS_H
#define DEXTLINK_MODEL_NVME_BAD_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#define NVME_BAD_RANGES 1024 /* ranges a namespace remembers */

struct nvme_bad_range {
    uint64_t first, end; /* blocks, end excluded */
};

struct nvme_bad_blocks {
    unsigned count;
    struct nvme_bad_range ranges[NVME_BAD_RANGES]; /* ascending, apart from each other */
};

/** Whether a block of [first, end) is marked; *where is the first of them. */
bool nvme_bad_find(const struct nvme_bad_blocks *bad, uint64_t first, uint64_t end,
                   uint64_t *where);

/** Mark or clear [first, end). False, and nothing changed, when that would need more than
 * NVME_BAD_RANGES ranges. */
bool nvme_bad_mark(struct nvme_bad_blocks *bad, uint64_t first, uint64_t end);
bool nvme_bad_clear(struct nvme_bad_blocks *bad, uint64_t first, uint64_t end);

#endif
