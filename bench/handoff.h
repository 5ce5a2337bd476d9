/*
 * The floor of a call: a store that another process, which spins, sees and answers by a store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_HANDOFF_H
#define DEXTLINK_BENCH_HANDOFF_H

#include <stdbool.h>
#include <sys/types.h>

struct handoff_memory;

struct handoff {
    struct handoff_memory *shared;
    int fd; /* wakes the other process */
    pid_t child;
};

/** Start the other process, asleep. Call it before any thread exists. false with errno set. */
bool handoff_open(struct handoff *handoff);
void handoff_close(struct handoff *handoff);

/** Wake the other process: it spins until handoff_end, so that it is in nobody's way after. */
bool handoff_begin(struct handoff *handoff);
void handoff_end(struct handoff *handoff);

/** There and back, between the two. false when the other process does not answer for seconds. */
bool handoff_once(struct handoff *handoff);

#endif
