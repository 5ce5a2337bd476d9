/*
 * Points in time for timeouts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_TIME_H
#define DEXTLINK_DISPATCH_TIME_H

#include <stdint.h>

#undef NSEC_PER_SEC
#undef USEC_PER_SEC
#undef NSEC_PER_USEC
#undef NSEC_PER_MSEC
#undef MSEC_PER_SEC
#define MSEC_PER_SEC  1000ull
#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define USEC_PER_SEC  1000000ull
#define NSEC_PER_USEC 1000ull

#ifdef __cplusplus
extern "C" {
#endif

struct timespec;

/* Opaque but for the two values below. */
typedef uint64_t dispatch_time_t;

#define DISPATCH_TIME_NOW     (0ull)
#define DISPATCH_TIME_FOREVER (~0ull)

/* delta nanoseconds after when, by the clock that when counts. Saturates at both ends. */
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);

/* delta nanoseconds after a time of day (NULL: now), as the clock stands when the wait begins. */
dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta);

#ifdef __cplusplus
}
#endif

#endif
