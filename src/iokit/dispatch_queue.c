/*
 * Serial queues. The right to run work of a queue is handed along the line of those who wait for
 * it: work handed in with async is run by the queue's one thread, work handed in with sync by the
 * thread that waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/dispatch_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/sys/queue.h>

#include "iokit/misuse.h"

/* A place in the line: on the heap for async, on the waiting thread's stack for sync. */
struct item {
    STAILQ_ENTRY(item) link;
    void *context;
    dispatch_function_t work;
    bool is_sync;
    bool is_turn;        /* sync: the right was handed over */
    pthread_cond_t turn; /* sync: signalled then */
};

struct specific {
    SLIST_ENTRY(specific) link;
    const void *key;
    void *context;
    dispatch_function_t destructor;
};

struct serial_queue {
    struct dispatch_queue_s queue;
    pthread_mutex_t lock;
    STAILQ_HEAD(, item) line;
    bool is_busy;          /* somebody runs work */
    bool is_released;      /* no references of users any more */
    bool has_thread;       /* the thread runs; it counts as a holder */
    unsigned holders;      /* users together, the thread, each sync call: the last one frees */
    struct wire_bell bell; /* the thread sleeps on it, or on that of the inlet */
    struct dispatch_inlet *inlet; /* counted; or NULL */
    SLIST_HEAD(, specific) specifics;
    char label[];
};

static struct serial_queue *serial(dispatch_queue_t queue)
{
    return (struct serial_queue *)queue;
}

static void run_destructor(const struct specific *specific)
{
    if (specific->destructor != NULL && specific->context != NULL) {
        dispatch_async_f(dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0),
                         specific->context, specific->destructor);
    }
}

static void serial_free(struct serial_queue *queue)
{
    struct specific *specific;
    while ((specific = SLIST_FIRST(&queue->specifics)) != NULL) {
        SLIST_REMOVE_HEAD(&queue->specifics, link);
        run_destructor(specific);
        free(specific);
    }
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* Unlock and stop holding the queue. */
static void unlock_and_let_go(struct serial_queue *queue)
{
    bool is_last = --queue->holders == 0;
    pthread_mutex_unlock(&queue->lock);
    if (is_last) {
        serial_free(queue);
    }
}

/* Tell the thread that something has changed; returns what to wake it by, or NULL. Locked: woken
 * without the lock it does not run into it. */
static struct wire_bell *advance_bell(struct serial_queue *queue)
{
    struct wire_bell *bell = queue->inlet != NULL ? queue->inlet->bell : &queue->bell;
    return wire_bell_advance(bell) ? bell : NULL;
}

/* The queue itself may be gone by now: its address tells its own bell from another. */
static void wake_by(const struct serial_queue *queue, const struct wire_bell *bell)
{
    if (bell != NULL) {
        wire_bell_wake(bell, bell != &queue->bell);
    }
}

/* Give the right to run, which nobody has, to who is next in line. Locked. */
static void hand_over(struct serial_queue *queue)
{
    struct item *next = STAILQ_FIRST(&queue->line);
    if (next != NULL && next->is_sync) {
        STAILQ_REMOVE_HEAD(&queue->line, link);
        queue->is_busy = true;
        next->is_turn = true;
        pthread_cond_signal(&next->turn);
    } else {
        wake_by(queue, advance_bell(queue));
    }
}

/* Run one piece of work with the right to run, then pass that on. Locked before and after. */
static void run_locked(struct serial_queue *queue, void *context, dispatch_function_t work)
{
    pthread_mutex_unlock(&queue->lock);
    dispatch_run(&queue->queue, context, work);
    pthread_mutex_lock(&queue->lock);
    queue->is_busy = false;
    hand_over(queue);
}

/* Take what came by the inlet; false: nothing. Locked before and after. */
static bool take_from_inlet(struct serial_queue *queue)
{
    struct dispatch_inlet *inlet = queue->inlet;
    if (inlet == NULL || !inlet->has_work(inlet)) {
        return false;
    }
    inlet->get(inlet);
    pthread_mutex_unlock(&queue->lock);
    inlet->take(inlet);
    inlet->put(inlet);
    pthread_mutex_lock(&queue->lock);
    return true;
}

/* Sleep until something has changed. Locked before and after. */
static void wait_for_change(struct serial_queue *queue)
{
    struct dispatch_inlet *inlet = queue->inlet;
    struct wire_bell *bell = inlet != NULL ? inlet->bell : &queue->bell;
    uint32_t listened = wire_bell_listen(bell);
    if (take_from_inlet(queue)) {
        return;
    }
    if (inlet != NULL) {
        inlet->get(inlet);
    }
    pthread_mutex_unlock(&queue->lock);
    wire_bell_sleep(bell, listened, inlet != NULL);
    if (inlet != NULL) {
        inlet->put(inlet);
    }
    pthread_mutex_lock(&queue->lock);
}

static void *serial_thread(void *context)
{
    struct serial_queue *queue = context;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        struct item *next = STAILQ_FIRST(&queue->line);
        if (!queue->is_busy && next != NULL && !next->is_sync) {
            STAILQ_REMOVE_HEAD(&queue->line, link);
            queue->is_busy = true;
            void *item_context = next->context;
            dispatch_function_t work = next->work;
            free(next);
            run_locked(queue, item_context, work);
            take_from_inlet(queue); /* however much work there is by other ways */
        } else if (queue->is_released && !queue->is_busy && next == NULL) {
            break;
        } else {
            wait_for_change(queue);
        }
    }
    queue->has_thread = false;
    unlock_and_let_go(queue);
    return NULL;
}

/* Whether the caller must start the thread, which counts from now on. Locked. */
static bool claim_thread(struct serial_queue *queue)
{
    if (queue->has_thread) {
        return false;
    }
    queue->has_thread = true;
    queue->holders++;
    return true;
}

static void serial_async(dispatch_queue_t base, void *context, dispatch_function_t work)
{
    struct serial_queue *queue = serial(base);
    struct item *item = dispatch_allocate(sizeof(*item));
    item->context = context;
    item->work = work;
    pthread_mutex_lock(&queue->lock);
    STAILQ_INSERT_TAIL(&queue->line, item, link);
    bool needs_thread = claim_thread(queue);
    struct wire_bell *bell = needs_thread || queue->is_busy ? NULL : advance_bell(queue);
    pthread_mutex_unlock(&queue->lock);
    wake_by(queue, bell);
    /* Not under the lock: it may have to wait for a thread, and sync calls need none. */
    if (needs_thread) {
        dispatch_start_thread(serial_thread, queue);
    }
}

static bool serial_attach(dispatch_queue_t base, struct dispatch_inlet *inlet)
{
    struct serial_queue *queue = serial(base);
    pthread_mutex_lock(&queue->lock);
    bool is_free = queue->inlet == NULL;
    bool needs_thread = is_free && claim_thread(queue);
    struct wire_bell *bell = is_free ? advance_bell(queue) : NULL; /* to the other one */
    if (is_free) {
        inlet->get(inlet);
        queue->inlet = inlet;
    }
    pthread_mutex_unlock(&queue->lock);
    wake_by(queue, bell);
    if (needs_thread) {
        dispatch_start_thread(serial_thread, queue);
    }
    return is_free;
}

void dispatch_queue_detach(dispatch_queue_t base, struct dispatch_inlet *inlet)
{
    struct serial_queue *queue = serial(base);
    pthread_mutex_lock(&queue->lock);
    struct wire_bell *bell = advance_bell(queue);
    queue->inlet = NULL;
    pthread_mutex_unlock(&queue->lock);
    wake_by(queue, bell);
    inlet->put(inlet);
}

static void serial_sync(dispatch_queue_t base, void *context, dispatch_function_t work)
{
    struct serial_queue *queue = serial(base);
    if (dispatch_is_running(base)) {
        misuse("dispatch_sync_f", "called on a queue already owned by the current thread");
    }
    pthread_mutex_lock(&queue->lock);
    queue->holders++;
    if (!queue->is_busy && STAILQ_EMPTY(&queue->line)) {
        queue->is_busy = true;
    } else {
        struct item self = {.is_sync = true, .turn = PTHREAD_COND_INITIALIZER};
        STAILQ_INSERT_TAIL(&queue->line, &self, link);
        if (!queue->is_busy) {
            hand_over(queue);
        }
        while (!self.is_turn) {
            pthread_cond_wait(&self.turn, &queue->lock);
        }
        pthread_cond_destroy(&self.turn);
    }
    run_locked(queue, context, work);
    unlock_and_let_go(queue);
}

static struct specific *find_specific(struct serial_queue *queue, const void *key)
{
    struct specific *specific;
    SLIST_FOREACH(specific, &queue->specifics, link)
    {
        if (specific->key == key) {
            return specific;
        }
    }
    return NULL;
}

static void *serial_get_specific(dispatch_queue_t base, const void *key)
{
    struct serial_queue *queue = serial(base);
    pthread_mutex_lock(&queue->lock);
    const struct specific *specific = find_specific(queue, key);
    void *context = specific != NULL ? specific->context : NULL;
    pthread_mutex_unlock(&queue->lock);
    return context;
}

static void serial_set_specific(dispatch_queue_t base, const void *key, void *context,
                                dispatch_function_t destructor)
{
    struct serial_queue *queue = serial(base);
    struct specific *added = context != NULL ? dispatch_allocate(sizeof(*added)) : NULL;
    pthread_mutex_lock(&queue->lock);
    struct specific *old = find_specific(queue, key);
    if (old != NULL) {
        SLIST_REMOVE(&queue->specifics, old, specific, link);
    }
    if (added != NULL) {
        *added = (struct specific){.key = key, .context = context, .destructor = destructor};
        SLIST_INSERT_HEAD(&queue->specifics, added, link);
    }
    pthread_mutex_unlock(&queue->lock);
    if (old != NULL) {
        run_destructor(old);
        free(old);
    }
}

static const struct dispatch_queue_ops serial_ops = {
    .async = serial_async,
    .sync = serial_sync,
    .get_specific = serial_get_specific,
    .set_specific = serial_set_specific,
    .attach = serial_attach,
};

static void serial_dispose(struct dispatch_object_s *object)
{
    struct serial_queue *queue = (struct serial_queue *)object;
    pthread_mutex_lock(&queue->lock);
    queue->is_released = true;
    wake_by(queue, advance_bell(queue));
    unlock_and_let_go(queue);
}

dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attr)
{
    if (attr != DISPATCH_QUEUE_SERIAL) {
        misuse(__func__, "called with an attribute other than DISPATCH_QUEUE_SERIAL");
    }
    size_t label_bytes = label != NULL ? strlen(label) + 1 : 0;
    struct serial_queue *queue = calloc(1, sizeof(*queue) + label_bytes);
    if (queue == NULL) {
        return NULL;
    }
    atomic_init(&queue->queue.object.references, 1);
    queue->queue.object.dispose = serial_dispose;
    queue->queue.ops = &serial_ops;
    if (label != NULL) {
        memcpy(queue->label, label, label_bytes);
        queue->queue.label = queue->label;
    }
    pthread_mutex_init(&queue->lock, NULL);
    STAILQ_INIT(&queue->line);
    SLIST_INIT(&queue->specifics);
    queue->holders = 1;
    return &queue->queue;
}

/* ---- What works on every kind of queue ---- */

static void check_queue(dispatch_queue_t queue, const char *function)
{
    if (queue == NULL) {
        misuse(function, "called with NULL as queue");
    }
}

bool dispatch_queue_attach(dispatch_queue_t queue, struct dispatch_inlet *inlet)
{
    return queue->ops->attach != NULL && queue->ops->attach(queue, inlet);
}

void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
    check_queue(queue, __func__);
    queue->ops->async(queue, context, work);
}

void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
    check_queue(queue, __func__);
    queue->ops->sync(queue, context, work);
}

void *dispatch_queue_get_specific(dispatch_queue_t queue, const void *key)
{
    check_queue(queue, __func__);
    return key != NULL ? queue->ops->get_specific(queue, key) : NULL;
}

void dispatch_queue_set_specific(dispatch_queue_t queue, const void *key, void *context,
                                 dispatch_function_t destructor)
{
    check_queue(queue, __func__);
    if (key != NULL) {
        queue->ops->set_specific(queue, key, context, destructor);
    }
}
