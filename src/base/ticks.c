/*
 * Whether the processor has a counter fit for times, and its rate.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/ticks.h"

#include <pthread.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define MEASURE_NS   2000000
#define SAMPLE_TRIES 8

bool ticks_are_of_processor;

static pthread_once_t prepare_once = PTHREAD_ONCE_INIT;
static pthread_once_t measure_once = PTHREAD_ONCE_INIT;
static double measured_ns_per_tick = 1; /* of the processor's counter */

/* AMD64 Architecture Programmer's Manual, volume 3, E.4.5; Intel SDM, volume 3B, 17.17.1. */
static bool processor_has_counter(void)
{
#if defined(__x86_64__)
    const unsigned invariant_tsc = 1u << 8;
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx & invariant_tsc) != 0;
#elif defined(__aarch64__)
    return true; /* the generic timer is part of the architecture, and runs at one rate */
#else
    return false;
#endif
}

static void prepare(void)
{
    ticks_are_of_processor = processor_has_counter();
}

void ticks_prepare(void)
{
    pthread_once(&prepare_once, prepare);
}

/* The pair that was read in the shortest time: a thread may be stopped between two reads. */
static void sample(struct ticks_scale *scale)
{
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = ticks_now();
        uint64_t ns = ticks_of_clock();
        uint64_t took = ticks_now() - before;
        if (took < shortest) {
            shortest = took;
            scale->ticks = before + took / 2;
            scale->ns = ns;
        }
    }
}

static void measure(void)
{
    const struct timespec pause = {.tv_nsec = MEASURE_NS};
    struct ticks_scale first, last;
    sample(&first);
    nanosleep(&pause, NULL);
    sample(&last);
    if (last.ticks > first.ticks && last.ns > first.ns) {
        measured_ns_per_tick = (double)(last.ns - first.ns) / (double)(last.ticks - first.ticks);
    }
}

void ticks_scale_now(struct ticks_scale *scale)
{
    if (ticks_are_of_processor) {
        pthread_once(&measure_once, measure);
    }
    sample(scale);
    scale->ns_per_tick = ticks_are_of_processor ? measured_ns_per_tick : 1;
}

uint64_t ticks_to_ns(const struct ticks_scale *scale, uint64_t ticks)
{
    double away = (double)(int64_t)(ticks - scale->ticks) * scale->ns_per_tick;
    return scale->ns + (uint64_t)(int64_t)away;
}

uint64_t ticks_length_ns(const struct ticks_scale *scale, uint64_t ticks)
{
    return (uint64_t)((double)ticks * scale->ns_per_tick);
}
