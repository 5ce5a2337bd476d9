/*
 * The device's lock, and the threads and conditions that work under it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

__attribute__((hot)) uint64_t sim_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

__attribute__((hot)) void sim_lock(struct sim *sim)
{
    pthread_mutex_lock(&sim->turn);
    pthread_mutex_lock(&sim->lock);
    pthread_mutex_unlock(&sim->turn);
}

void sim_unlock(struct sim *sim)
{
    pthread_mutex_unlock(&sim->lock);
}

int sim_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error) {
        return -error;
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return -error;
}

bool sim_condition_wait_locked(struct sim *sim, pthread_cond_t *condition, uint64_t deadline_ns)
{
    /* Far enough for any model, near enough for any time_t. */
    uint64_t seconds = deadline_ns / NS_PER_S;
    struct timespec when = {.tv_sec = (time_t)(seconds < INT32_MAX ? seconds : INT32_MAX),
                            .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    return pthread_cond_timedwait(condition, &sim->lock, &when) == 0;
}

/* Signals are for the threads of the program, not for ours. */
int sim_thread_start(void *context, pthread_t *thread, void *(*run)(void *))
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}
