/*
 * The host's threads: a counted thread starter, and one worker for what must happen on another
 * thread than the one that asks for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_WORKER_H
#define DEXTLINK_HOST_WORKER_H

#include <pthread.h>
#include <stddef.h>

typedef void (*worker_fn)(void *argument);

/* Threads that a host has started and that have not ended. */
struct thread_group {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t running;
};

void thread_group_init(struct thread_group *group);
/** Run fn(argument) on a thread of its own, all signals blocked. 0; -errno: fn will not run. */
int thread_group_start(struct thread_group *group, worker_fn fn, void *argument);
/** Block until every thread of the group has ended. */
void thread_group_wait(struct thread_group *group);
void thread_group_destroy(struct thread_group *group);

struct worker;

/** A worker thread; NULL when it cannot be had. */
struct worker *worker_create(void);
/** Queue fn(argument); runs in order. 0, -ENOMEM: fn will not run. Any thread, never blocks. */
int worker_queue(struct worker *worker, worker_fn fn, void *argument);
/** Run what is queued, then end. NULL is fine. */
void worker_destroy(struct worker *worker);

#endif
