/*
 * Doing something again and again: at an interval, so often, for so long, until a signal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_TICKER_H
#define DEXTLINK_DEXTCTL_TICKER_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

struct ticker {
    double start_ms;
    double interval_ms; /* 0: no pause */
    double end_ms;      /* of now_ms(); 0: no end */
    uint64_t left;      /* ticks; 0 with has_count: none */
    uint64_t ticks;     /* so far */
    bool has_count;
};

/**
 * Begin, as --count, --seconds and --interval (default_interval seconds without it) say. SIGINT
 * and SIGTERM end the waits until ticker_end; a second one ends the process, for calls that hang.
 * One at a time in a process.
 */
void ticker_begin(struct ticker *ticker, const struct options *options, double default_interval);

/** Wait for the next tick, the first one at once. false when it is over, or when what is printed
 * cannot be written any more. */
bool ticker_next(struct ticker *ticker);

/** Milliseconds since the beginning. */
double ticker_time_ms(const struct ticker *ticker);

void ticker_end(struct ticker *ticker);

#endif
