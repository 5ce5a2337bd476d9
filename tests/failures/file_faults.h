/*
 * Calls on files that fail, or do less than they were asked for, wherever the program makes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FAILURES_FILE_FAULTS_H
#define TESTS_FAILURES_FILE_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>

struct fault {
    _Atomic int calls_left; /* that still work; then all fail with error */
    _Atomic int error;      /* 0: none fails */
    _Atomic bool is_short;  /* half of what was asked for is done, each time */
};

/* preadv, pwritev, fdatasync, fallocate. */
extern struct fault reading, writing, syncing, punching;

void fail_after(struct fault *fault, int calls, int error);

/** None fails any more. */
void heal(void);

#endif
