/*
 * Which granules of an aperture are taken: a bitmap with runs handed out next-fit, so that a freed
 * address is not given again at once and a late access of the device still meets nothing.
 *
 * No locks: the owner serialises.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DART_GRANULES_H
#define DEXTLINK_DART_GRANULES_H

#include <stdint.h>

struct granules {
    uint64_t *words; /* bit set: taken; bits past count are set for good */
    uint64_t count;
    uint64_t used;
    uint64_t next; /* where the next search starts */
};

#define GRANULES_NONE UINT64_MAX

/** All free. count > 0. 0, -ENOMEM. */
int granules_create(struct granules *granules, uint64_t count);
/** Takes a zeroed struct too. */
void granules_destroy(struct granules *granules);

/**
 * Take a run of length (> 0) granules that does not start at avoid (GRANULES_NONE: anywhere),
 * unless only that one is left. Returns its first granule, GRANULES_NONE when there is no such run.
 */
uint64_t granules_take(struct granules *granules, uint64_t length, uint64_t avoid);

/** Begin the next search a granule further on. */
void granules_pass(struct granules *granules);

/** The first taken granule at or after (at or before) granule; GRANULES_NONE when there is none. A
 * granule past the aperture is allowed. */
uint64_t granules_next_taken(const struct granules *granules, uint64_t granule);
uint64_t granules_previous_taken(const struct granules *granules, uint64_t granule);

/** Give a run back that granules_take gave. */
void granules_give(struct granules *granules, uint64_t first, uint64_t length);

#endif
