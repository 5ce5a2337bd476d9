/*
 * dispatch_after_f: one thread that hands work to queues when its time has come, and that ends when
 * nothing is left to wait for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/dispatch_internal.h"

#include <pthread.h>
#include <stdlib.h>

#include <bsd/sys/queue.h>

#include "iokit/misuse.h"

struct timer {
    LIST_ENTRY(timer) link;
    struct timespec deadline;
    dispatch_queue_t queue; /* holds a reference */
    void *context;
    dispatch_function_t work;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* counts by the monotonic clock */
static LIST_HEAD(, timer) timers = LIST_HEAD_INITIALIZER(timers); /* soonest first */
static bool has_thread;

static void make_condition(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void fire(struct timer *timer)
{
    dispatch_async_f(timer->queue, timer->context, timer->work);
    dispatch_release(timer->queue);
    free(timer);
}

static void *timer_thread(void *context)
{
    (void)context;
    pthread_mutex_lock(&lock);
    struct timer *next;
    while ((next = LIST_FIRST(&timers)) != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (is_before(&now, &next->deadline)) {
            struct timespec deadline = next->deadline;
            pthread_cond_timedwait(&changed, &lock, &deadline);
            continue;
        }
        LIST_REMOVE(next, link);
        pthread_mutex_unlock(&lock);
        fire(next);
        pthread_mutex_lock(&lock);
    }
    has_thread = false;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Behind those of the same time: work is handed in in the order of its calls. Locked. */
static void insert_sorted(struct timer *timer)
{
    struct timer *before = NULL, *at;
    LIST_FOREACH (at, &timers, link) {
        if (is_before(&timer->deadline, &at->deadline)) {
            break;
        }
        before = at;
    }
    if (before == NULL) {
        LIST_INSERT_HEAD(&timers, timer, link);
    } else {
        LIST_INSERT_AFTER(before, timer, link);
    }
}

void dispatch_after_f(dispatch_time_t when, dispatch_queue_t queue, void *context,
                      dispatch_function_t work)
{
    if (queue == NULL) {
        misuse(__func__, "called with NULL as queue");
    }
    if (when == DISPATCH_TIME_FOREVER) {
        return;
    }
    if (when == DISPATCH_TIME_NOW) {
        dispatch_async_f(queue, context, work);
        return;
    }
    struct timer *timer = dispatch_allocate(sizeof(*timer));
    *timer = (struct timer){
        .deadline = dispatch_deadline(when), .queue = queue, .context = context, .work = work};
    dispatch_retain(queue);
    pthread_once(&once, make_condition);
    pthread_mutex_lock(&lock);
    insert_sorted(timer);
    bool needs_thread = !has_thread;
    has_thread = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    if (needs_thread) {
        dispatch_start_thread(timer_thread, NULL);
    }
}
