/*
 * Where threads run, so that a wake-up is always one from one processor to another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_PLACE_H
#define DEXTLINK_BENCH_PLACE_H

#include <sys/types.h>

/**
 * Run this thread, and threads and processes it starts from now on, on one processor: of those the
 * process began with, in turn. Without effect where there is only one.
 */
void place_on(unsigned index);

/** The same for all threads that another process has. */
void place_process(pid_t process, unsigned index);

#endif
