/*
 * Times of what happens all the time: a counter of the processor, which costs less to read than the
 * system's clock where there is one that runs at one rate; and what its values are in nanoseconds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_TICKS_H
#define DEXTLINK_BASE_TICKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Ticks and CLOCK_MONOTONIC at one moment, and how the two run. */
struct ticks_scale {
    uint64_t ticks, ns;
    double ns_per_tick;
};

/* Decided by ticks_prepare; false, before it and where there is no such counter: ticks are ns. */
extern bool ticks_are_of_processor;

/** Choose what to count by, before the first value is kept. Again: nothing. Any thread. */
void ticks_prepare(void);

static inline uint64_t ticks_of_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** A counter that goes forward, on every processor alike to within some nanoseconds. */
static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    if (ticks_are_of_processor) {
        return __builtin_ia32_rdtsc();
    }
#elif defined(__aarch64__)
    if (ticks_are_of_processor) {
        uint64_t ticks;
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
        return ticks;
    }
#endif
    return ticks_of_clock();
}

/** The scale as of now. The first time it measures for two milliseconds. Any thread. */
void ticks_scale_now(struct ticks_scale *scale);

/** When a value was counted, in CLOCK_MONOTONIC's ns. The nearer to the scale the more exact. */
uint64_t ticks_to_ns(const struct ticks_scale *scale, uint64_t ticks);

/** How long so many ticks are. */
uint64_t ticks_length_ns(const struct ticks_scale *scale, uint64_t ticks);

#endif
