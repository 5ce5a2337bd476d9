/*
 * Counting semaphores.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_SEMAPHORE_H
#define DEXTLINK_DISPATCH_SEMAPHORE_H

#include <stdint.h>

#include <dispatch/object.h>
#include <dispatch/time.h>

DISPATCH_DECL(dispatch_semaphore);

#ifdef __cplusplus
extern "C" {
#endif

/* NULL: value is negative, no memory. Freeing it with a count below value is fatal. */
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);

/* 0, or non-zero when the time is over. */
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t dsema, dispatch_time_t timeout);

/* Non-zero when it woke a thread. */
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t dsema);

#ifdef __cplusplus
}
#endif

#endif
