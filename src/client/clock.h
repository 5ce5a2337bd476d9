/*
 * Time for deadlines: monotonic, in milliseconds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_CLOCK_H
#define DEXTLINK_CLIENT_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

uint64_t client_clock_ms(void);

/** The same to a few milliseconds, for who asks all the time. Not to be compared with the other. */
uint64_t client_clock_coarse_ms(void);

void client_sleep_ms(unsigned ms);

/** How long another process has to answer: what DEXTLINK_PATIENCE says, whole seconds from 1 to
 * 86,400, in milliseconds; usual_ms where it is not set or says something else. */
unsigned client_patience_ms(unsigned usual_ms);

/**
 * Wait on a condition until it is signalled, at most until deadline_ms of client_clock_ms. May
 * return early, as condition waits do. Returns whether the deadline has passed.
 */
bool client_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t deadline_ms);

#endif
