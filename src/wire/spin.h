/*
 * Waiting without sleeping: how to, how many may at once, and on how many processors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_SPIN_H
#define DEXTLINK_WIRE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/** What a loop does that waits for another processor's store. */
static inline void wire_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** Processors this process may run on, as they were at the first call. At least 1. Any thread. */
unsigned wire_processor_count(void);

/**
 * Permission for one thread to poll: a process gives out one less than it has processors, so that
 * those it polls for find one to run on, and none at all where there is only one. false: sleep.
 */
bool wire_poll_begin(void);
void wire_poll_end(void);

/** Requests for permission that were refused since the process began. A thread that has polled
 * for long and sees the number grow ends it, so that others have their turn. */
uint32_t wire_poll_refusals(void);

#endif
