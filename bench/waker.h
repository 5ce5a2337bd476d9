/*
 * The yardsticks of interrupts: another process that sleeps until a time, then tells this one by an
 * eventfd, a futex, or by a store that this one spins on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_WAKER_H
#define DEXTLINK_BENCH_WAKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum waker_kind {
    WAKER_EVENTFD, /* write, and a blocked read */
    WAKER_FUTEX,   /* wake, and a wait */
    WAKER_HANDOFF, /* store, and loads until it is seen */
};

struct waker_shared;

struct waker {
    struct waker_shared *shared;
    int event;
    pid_t child;
};

/** Start the other process. Call it before any thread exists. false with errno set. */
bool waker_open(struct waker *waker);
void waker_close(struct waker *waker);

/** Be woken once, delay_ns from now; microseconds from just before the other side acts until this
 * thread goes on. Negative: the other process has gone, or does not answer. Takes SIGALRM. */
double waker_once(struct waker *waker, enum waker_kind kind, uint64_t delay_ns);

/** CLOCK_MONOTONIC, the same in every process. */
uint64_t waker_now_ns(void);

#endif
