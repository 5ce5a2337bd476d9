/*
 * Time for deadlines: monotonic, in milliseconds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { MS_PER_S = 1000, NS_PER_MS = 1000000, WAIT_SLICE_MS = 50, PATIENCE_MOST_S = 86400 };

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS;
}

uint64_t client_clock_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t client_clock_coarse_ms(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    return clock_ms(CLOCK_MONOTONIC_COARSE);
#else
    return clock_ms(CLOCK_MONOTONIC);
#endif
}

void client_sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / MS_PER_S),
                            .tv_nsec = (long)(ms % MS_PER_S) * NS_PER_MS};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

unsigned client_patience_ms(unsigned usual_ms)
{
    const char *wanted = getenv("DEXTLINK_PATIENCE");
    char *end = NULL;
    long seconds = wanted != NULL ? strtol(wanted, &end, 10) : 0;

    return seconds < 1 || seconds > PATIENCE_MOST_S || *end != 0 ? usual_ms
                                                                 : (unsigned)seconds * MS_PER_S;
}

bool client_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t deadline_ms)
{
    struct timespec slice;

    if (client_clock_ms() >= deadline_ms) {
        return true;
    }
    /* Condition waits count by the wall clock, which may be set: wait in short slices of it. */
    clock_gettime(CLOCK_REALTIME, &slice);
    slice.tv_nsec += (long)WAIT_SLICE_MS * NS_PER_MS;
    if (slice.tv_nsec >= (long)MS_PER_S * NS_PER_MS) {
        slice.tv_nsec -= (long)MS_PER_S * NS_PER_MS;
        slice.tv_sec++;
    }
    pthread_cond_timedwait(condition, lock, &slice);
    return client_clock_ms() >= deadline_ms;
}
