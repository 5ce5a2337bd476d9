/*
 * Whether to look for the next message again and again, or to sleep until it comes: a sleeper costs
 * the peer a wake-up, which is most of what a short request costs. Looking pays while messages come
 * closely, and where a processor is free for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_LOOKOUT_H
#define DEXTLINK_VFIOUSER_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

/* A wait that is longer was not worth looking. */
#define VU_LOOKOUT_NS UINT64_C(100000)
/* Whoever comes back to look after longer had lost the processor meanwhile. */
#define VU_LOOKOUT_AWAY_NS UINT64_C(50000)
/* So many short waits in a row begin the next attempt at most, however often it was in vain. */
#define VU_LOOKOUT_MOST_WANTED 1024

/* Of one reader; zeroed at first. All times are of one clock. */
struct vu_lookout {
    uint64_t begin_ns, last_ns; /* of this wait: when it began, and the last look */
    bool is_looking, was_in_vain;
    unsigned shorts; /* waits in a row that were short */
    unsigned wanted; /* this many, for looking to begin; 0 counts as 1 */
};

/** A wait begins. Whether to look; false: sleep. */
bool vu_lookout_begin(struct vu_lookout *lookout, uint64_t now_ns);

/** Nothing was there. Whether to look again; false: sleep. */
bool vu_lookout_again(struct vu_lookout *lookout, uint64_t now_ns);

/** What was waited for has come, to one who looked or one who slept. */
void vu_lookout_end(struct vu_lookout *lookout, uint64_t now_ns);

#endif
