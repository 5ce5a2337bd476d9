/*
 * Waiting without sleeping: how many may at once, and on how many processors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_SPIN_H
#define DEXTLINK_WIRE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/** Processors this process may run on, as they were at the first call. At least 1. Any thread. */
unsigned wire_processor_count(void);

/** Where this thread runs at this moment: the processor's number + 1, as call slots have it
 * (WIRE_HOST_SOMEWHERE where that is unknown). A few nanoseconds. */
uint32_t wire_processor_here(void);

/**
 * Move this thread to a processor it may run on and that is none of `busy` (bit n: processor n, n
 * below 64); it may go anywhere it could before from then on. false: there is none.
 */
bool wire_processor_leave(uint64_t busy);

/* A thread's permission to poll. */
struct wire_turn {
    unsigned index;    /* among those that are given out */
    uint64_t stamp_ns; /* the last wire_turn_keep */
    uint64_t begin_ns;
    uint32_t refusals;
};

/**
 * Begin to poll: a process gives out one permission less than it has processors, so that those it
 * polls for find one to run on, and none at all where there is only one. false: sleep.
 */
bool wire_turn_begin(struct wire_turn *turn);

/** To be called now and then while polling. false: the turn has ended, since others want to poll
 * and it has been long, or this one did not come for so long that another has taken it over. */
bool wire_turn_keep(struct wire_turn *turn);

/** End it; also one that has ended. */
void wire_turn_end(struct wire_turn *turn);

#endif
