/*
 * Dispatch times. A positive number is nanoseconds of the monotonic clock; a negative one is, with
 * its sign turned, nanoseconds of the time of day.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/dispatch_internal.h"

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * (int64_t)NSEC_PER_SEC + now.tv_nsec;
}

/* a + b, neither below 1 nor above the last point in time; base is not negative. */
static int64_t add_saturated(int64_t base, int64_t delta)
{
    int64_t sum;
    if (__builtin_add_overflow(base, delta, &sum)) {
        return INT64_MAX;
    }
    return sum < 1 ? 1 : sum;
}

static dispatch_time_t wall_time(int64_t ns)
{
    /* -1 is DISPATCH_TIME_FOREVER: the first nanoseconds of 1970 are not told apart. */
    return ns == INT64_MAX ? DISPATCH_TIME_FOREVER : (dispatch_time_t)(ns < 2 ? -2 : -ns);
}

/* Nanoseconds of the time of day that a negative number means. */
static int64_t wall_ns(int64_t when)
{
    return when == INT64_MIN ? INT64_MAX : -when;
}

dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta)
{
    if (when == DISPATCH_TIME_FOREVER) {
        return DISPATCH_TIME_FOREVER;
    }
    if ((int64_t)when < 0) {
        return wall_time(add_saturated(wall_ns((int64_t)when), delta));
    }
    int64_t base = when == DISPATCH_TIME_NOW ? clock_ns(CLOCK_MONOTONIC) : (int64_t)when;
    int64_t sum = add_saturated(base, delta);
    return sum == INT64_MAX ? DISPATCH_TIME_FOREVER : (dispatch_time_t)sum;
}

dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta)
{
    int64_t base;
    if (when == NULL) {
        base = clock_ns(CLOCK_REALTIME);
    } else if (__builtin_mul_overflow((int64_t)when->tv_sec, (int64_t)NSEC_PER_SEC, &base) ||
               __builtin_add_overflow(base, (int64_t)when->tv_nsec, &base)) {
        base = when->tv_sec < 0 ? 0 : INT64_MAX;
    }
    return wall_time(add_saturated(base < 0 ? 0 : base, delta));
}

struct timespec dispatch_deadline(dispatch_time_t when)
{
    int64_t ns = (int64_t)when;
    if (ns < 0) {
        /* A deadline far out stays one when it is moved to the other clock. */
        int64_t left = wall_ns(ns) - clock_ns(CLOCK_REALTIME);
        ns = add_saturated(clock_ns(CLOCK_MONOTONIC), left);
    }
    return (struct timespec){.tv_sec = ns / (int64_t)NSEC_PER_SEC,
                             .tv_nsec = ns % (int64_t)NSEC_PER_SEC};
}
