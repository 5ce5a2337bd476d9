/*
 * Counted threads and the work queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/worker.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct thread_start {
    struct thread_group *group;
    worker_fn fn;
    void *argument;
};

void thread_group_init(struct thread_group *group)
{
    pthread_mutex_init(&group->lock, NULL);
    pthread_cond_init(&group->changed, NULL);
    group->running = 0;
}

static void thread_group_leave(struct thread_group *group)
{
    pthread_mutex_lock(&group->lock);
    group->running--;
    pthread_cond_broadcast(&group->changed);
    pthread_mutex_unlock(&group->lock);
}

static void *thread_group_main(void *opaque)
{
    struct thread_start start = *(struct thread_start *)opaque;
    free(opaque);
    start.fn(start.argument);
    thread_group_leave(start.group);
    return NULL;
}

/* Signals belong to the program's own threads: ours never run its handlers. */
static int thread_create_quiet(pthread_t *thread, void *(*main)(void *), void *argument)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int thread_group_start(struct thread_group *group, worker_fn fn, void *argument)
{
    struct thread_start *start = malloc(sizeof(*start));
    if (!start) {
        return -ENOMEM;
    }
    *start = (struct thread_start){.group = group, .fn = fn, .argument = argument};
    pthread_mutex_lock(&group->lock);
    group->running++;
    pthread_mutex_unlock(&group->lock);
    pthread_t thread;
    int error = thread_create_quiet(&thread, thread_group_main, start);
    if (error) {
        free(start);
        thread_group_leave(group);
        return error;
    }
    pthread_detach(thread);
    return 0;
}

void thread_group_wait(struct thread_group *group)
{
    pthread_mutex_lock(&group->lock);
    while (group->running > 0) {
        pthread_cond_wait(&group->changed, &group->lock);
    }
    pthread_mutex_unlock(&group->lock);
}

void thread_group_destroy(struct thread_group *group)
{
    pthread_cond_destroy(&group->changed);
    pthread_mutex_destroy(&group->lock);
}

struct work_item {
    STAILQ_ENTRY(work_item) link;
    worker_fn fn;
    void *argument;
};

struct worker {
    pthread_t thread;
    pthread_mutex_t lock; /* the two below */
    STAILQ_HEAD(, work_item) items;
    bool is_ending;
    pthread_cond_t changed;
};

static void *worker_main(void *opaque)
{
    struct worker *worker = opaque;
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        struct work_item *item = STAILQ_FIRST(&worker->items);
        if (item) {
            STAILQ_REMOVE_HEAD(&worker->items, link);
            pthread_mutex_unlock(&worker->lock);
            item->fn(item->argument);
            free(item);
            pthread_mutex_lock(&worker->lock);
        } else if (worker->is_ending) {
            break;
        } else {
            pthread_cond_wait(&worker->changed, &worker->lock);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static void worker_free(struct worker *worker)
{
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

struct worker *worker_create(void)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker) {
        return NULL;
    }
    STAILQ_INIT(&worker->items);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    if (thread_create_quiet(&worker->thread, worker_main, worker)) {
        worker_free(worker);
        return NULL;
    }
    return worker;
}

int worker_queue(struct worker *worker, worker_fn fn, void *argument)
{
    struct work_item *item = malloc(sizeof(*item));
    if (!item) {
        return -ENOMEM;
    }
    item->fn = fn;
    item->argument = argument;
    pthread_mutex_lock(&worker->lock);
    STAILQ_INSERT_TAIL(&worker->items, item, link);
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    return 0;
}

void worker_destroy(struct worker *worker)
{
    if (!worker) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->is_ending = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    worker_free(worker);
}
