/*
 * The global concurrent queue: a pool of threads that grows with the work and shrinks when idle.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/dispatch_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <bsd/sys/queue.h>

#include "iokit/misuse.h"

enum {
    MOST_THREADS = 64,   /* as many as blocked work may occupy */
    IDLE_NS = 100000000, /* how long a thread without work stays */
};

struct item {
    STAILQ_ENTRY(item) link;
    void *context;
    dispatch_function_t work;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wakeup;
    STAILQ_HEAD(items, item) line;
    unsigned waiting; /* items in line */
    unsigned idle;    /* threads that wait for items */
    unsigned threads;
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .wakeup = PTHREAD_COND_INITIALIZER,
    .line = STAILQ_HEAD_INITIALIZER(pool.line),
};

static struct dispatch_queue_s global_queue;

/* Wait for an item; false when none came for a while. Locked. */
static bool wait_for_item(void)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += IDLE_NS;
    if (deadline.tv_nsec >= (long)NSEC_PER_SEC) {
        deadline.tv_nsec -= (long)NSEC_PER_SEC;
        deadline.tv_sec++;
    }
    pool.idle++;
    int error = 0;
    while (STAILQ_EMPTY(&pool.line) && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&pool.wakeup, &pool.lock, &deadline);
    }
    pool.idle--;
    return !STAILQ_EMPTY(&pool.line);
}

static void *pool_thread(void *context)
{
    (void)context;
    pthread_mutex_lock(&pool.lock);
    while (!STAILQ_EMPTY(&pool.line) || wait_for_item()) {
        struct item *item = STAILQ_FIRST(&pool.line);
        STAILQ_REMOVE_HEAD(&pool.line, link);
        pool.waiting--;
        pthread_mutex_unlock(&pool.lock);
        void *item_context = item->context;
        dispatch_function_t work = item->work;
        free(item);
        dispatch_run(&global_queue, item_context, work);
        pthread_mutex_lock(&pool.lock);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

static void global_async(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
    (void)queue;
    struct item *item = dispatch_allocate(sizeof(*item));
    item->context = context;
    item->work = work;
    pthread_mutex_lock(&pool.lock);
    STAILQ_INSERT_TAIL(&pool.line, item, link);
    pool.waiting++;
    bool needs_thread = pool.waiting > pool.idle && pool.threads < MOST_THREADS;
    if (needs_thread) {
        pool.threads++;
    } else {
        pthread_cond_signal(&pool.wakeup);
    }
    pthread_mutex_unlock(&pool.lock);
    if (needs_thread) {
        dispatch_start_thread(pool_thread, NULL);
    }
}

static void global_sync(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
    dispatch_run(queue, context, work);
}

static void *global_get_specific(dispatch_queue_t queue, const void *key)
{
    (void)queue;
    (void)key;
    return NULL;
}

static void global_set_specific(dispatch_queue_t queue, const void *key, void *context,
                                dispatch_function_t destructor)
{
    (void)queue;
    (void)key;
    (void)context;
    (void)destructor;
    misuse("dispatch_queue_set_specific", "called on a global queue");
}

static const struct dispatch_queue_ops global_ops = {
    .async = global_async,
    .sync = global_sync,
    .get_specific = global_get_specific,
    .set_specific = global_set_specific,
};

static struct dispatch_queue_s global_queue = {.ops = &global_ops, .label = "global"};

dispatch_queue_t dispatch_get_global_queue(intptr_t identifier, uintptr_t flags)
{
    /* Priorities, then classes of service as in <sys/qos.h>. */
    static const intptr_t known[] = {DISPATCH_QUEUE_PRIORITY_HIGH,
                                     DISPATCH_QUEUE_PRIORITY_DEFAULT,
                                     DISPATCH_QUEUE_PRIORITY_LOW,
                                     DISPATCH_QUEUE_PRIORITY_BACKGROUND,
                                     0x21,
                                     0x19,
                                     0x15,
                                     0x11,
                                     0x09};
    for (size_t i = 0; flags == 0 && i < sizeof(known) / sizeof(known[0]); i++) {
        if (identifier == known[i]) {
            return &global_queue;
        }
    }
    return NULL;
}
