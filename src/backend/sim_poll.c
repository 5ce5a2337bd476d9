/*
 * The thread of a model that watches its direct memory. It takes the device's lock only when there
 * is something to do: an idle look is ops->peek, without it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "backend/sim_internal.h"

#include <sched.h>
#include <sys/prctl.h>

#include "base/pause.h"

#define LOOKS          48   /* between two looks at the clock: about MODEL_POLL_SPIN_NS */
#define TIMER_SLACK_NS 1000 /* the default would double short sleeps */

static void spin(struct sim *sim)
{
    const struct model *model = sim->model;
    for (unsigned i = 0; i < LOOKS; i++) {
        if (model->ops->peek(model) ||
            atomic_load_explicit(&sim->poll.is_woken, memory_order_relaxed)) {
            return;
        }
        pause_processor();
    }
    /* Who waits for a processor is more likely to have work for us than another look. */
    sched_yield();
}

static void sleep_locked(struct sim *sim, uint64_t wait_ns)
{
    struct sim_poll *poll = &sim->poll;
    uint64_t deadline_ns = wait_ns == MODEL_POLL_NEVER ? UINT64_MAX : sim_now_ns() + wait_ns;
    while (!atomic_load(&poll->is_woken) && !poll->is_stopping) {
        if (wait_ns == MODEL_POLL_NEVER) {
            pthread_cond_wait(&poll->changed, &sim->lock);
        } else if (!sim_condition_wait_locked(sim, &poll->changed, deadline_ns)) {
            break;
        }
    }
}

static void *poll_thread(void *context)
{
    struct sim *sim = context;
    struct sim_poll *poll = &sim->poll;
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    sim_lock(sim);
    while (!poll->is_stopping) {
        uint64_t wait_ns = MODEL_POLL_NEVER;
        atomic_store(&poll->is_woken, false);
        if (!sim_is_removed(sim)) {
            sim->storage.is_polling = true;
            wait_ns = sim->model->ops->poll(sim->model);
            if (sim_storage_polled_locked(sim)) {
                continue;
            }
        }
        if (wait_ns > MODEL_POLL_SPIN_NS) {
            sleep_locked(sim, wait_ns);
            continue;
        }
        sim_unlock(sim);
        if (wait_ns > 0) {
            spin(sim);
        }
        sim_lock(sim);
    }
    sim_unlock(sim);
    return NULL;
}

void sim_poll_wake_locked(struct sim *sim)
{
    struct sim_poll *poll = &sim->poll;
    if (poll->is_started && !atomic_exchange(&poll->is_woken, true)) {
        pthread_cond_signal(&poll->changed);
    }
}

int sim_poll_start(struct sim *sim)
{
    struct sim_poll *poll = &sim->poll;
    if (!sim->model->ops->poll) {
        return 0;
    }
    int result = sim_condition_init(&poll->changed);
    if (result < 0) {
        return result;
    }
    pthread_mutex_lock(&sim->lock); /* the thread looks at is_started */
    result = sim_thread_start(sim, &poll->thread, poll_thread);
    poll->is_started = result == 0;
    pthread_mutex_unlock(&sim->lock);
    if (result < 0) {
        pthread_cond_destroy(&poll->changed);
    }
    return result;
}

void sim_poll_stop(struct sim *sim)
{
    struct sim_poll *poll = &sim->poll;
    if (!poll->is_started) {
        return;
    }
    sim_lock(sim);
    poll->is_stopping = true;
    pthread_cond_signal(&poll->changed);
    sim_unlock(sim);
    pthread_join(poll->thread, NULL);
    pthread_cond_destroy(&poll->changed);
    poll->is_started = false;
}
