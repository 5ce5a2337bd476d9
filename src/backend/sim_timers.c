/*
 * A model's timers: one thread a device, started only for models that have timers. All state is
 * under the device's lock, and the thread fires with it held, so after a cancel nothing fires.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <stdlib.h>

/* The armed timer with the earliest deadline; count when none is armed. */
static unsigned earliest_locked(const struct sim_timers *timers)
{
    unsigned best = timers->count;
    for (unsigned i = 0; i < timers->count; i++) {
        if (timers->timers[i].is_armed &&
            (best == timers->count ||
             timers->timers[i].deadline_ns < timers->timers[best].deadline_ns)) {
            best = i;
        }
    }
    return best;
}

__attribute__((hot)) static void *timer_thread(void *context)
{
    struct sim *sim = context;
    struct sim_timers *timers = &sim->timers;
    sim_lock(sim);
    while (!timers->is_stopping) {
        if (sim_is_removed(sim)) {
            sim_timers_cancel_all_locked(sim);
        }
        unsigned due = earliest_locked(timers);
        if (due == timers->count) {
            pthread_cond_wait(&timers->changed, &sim->lock);
        } else if (timers->timers[due].deadline_ns > sim_now_ns()) {
            sim_condition_wait_locked(sim, &timers->changed, timers->timers[due].deadline_ns);
        } else {
            timers->timers[due].is_armed = false;
            sim->model->ops->timer(sim->model, due);
            /* A timer that is always due must not keep everybody else from the device: who waits
             * for the lock has the turn. */
            sim_unlock(sim);
            sim_lock(sim);
        }
    }
    sim_unlock(sim);
    return NULL;
}

int sim_timers_start(struct sim *sim)
{
    struct sim_timers *timers = &sim->timers;
    unsigned count = sim->model->shape.timer_count;
    if (count == 0) {
        return 0;
    }
    timers->timers = calloc(count, sizeof(*timers->timers));
    if (!timers->timers) {
        return -ENOMEM;
    }
    int result = sim_condition_init(&timers->changed);
    if (result < 0) {
        goto free_timers;
    }
    timers->count = count;
    result = sim_thread_start(sim, &timers->thread, timer_thread);
    if (result < 0) {
        goto destroy_condition;
    }
    timers->is_started = true;
    return 0;

destroy_condition:
    pthread_cond_destroy(&timers->changed);
free_timers:
    free(timers->timers);
    *timers = (struct sim_timers){0};
    return result;
}

void sim_timers_stop(struct sim *sim)
{
    struct sim_timers *timers = &sim->timers;
    if (!timers->is_started) {
        return;
    }
    sim_lock(sim);
    timers->is_stopping = true;
    pthread_cond_signal(&timers->changed);
    sim_unlock(sim);
    pthread_join(timers->thread, NULL);
    pthread_cond_destroy(&timers->changed);
    free(timers->timers);
    *timers = (struct sim_timers){0};
}

void sim_timer_arm_locked(struct sim *sim, unsigned timer, uint64_t deadline_ns)
{
    struct sim_timers *timers = &sim->timers;
    if (timer < timers->count && !sim_is_removed(sim)) {
        timers->timers[timer] = (struct sim_timer){.is_armed = true, .deadline_ns = deadline_ns};
        pthread_cond_signal(&timers->changed);
    }
}

void sim_timer_cancel_locked(struct sim *sim, unsigned timer)
{
    if (timer < sim->timers.count) {
        sim->timers.timers[timer].is_armed = false;
    }
}

void sim_timers_cancel_all_locked(struct sim *sim)
{
    for (unsigned i = 0; i < sim->timers.count; i++) {
        sim->timers.timers[i].is_armed = false;
    }
}
