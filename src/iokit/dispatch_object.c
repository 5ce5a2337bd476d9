/*
 * What dispatch objects share: reference counts, running work, waiting for scarce resources.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/dispatch_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "iokit/misuse.h"

static _Thread_local struct dispatch_frame *innermost;

void(dispatch_retain)(dispatch_object_t object)
{
    if (object._do == NULL) {
        misuse(__func__, "called with NULL");
    }
    if (object._do->dispose == NULL) {
        return;
    }
    if (atomic_fetch_add_explicit(&object._do->references, 1, memory_order_relaxed) < 1) {
        misuse(__func__, "the object was released already");
    }
}

void(dispatch_release)(dispatch_object_t object)
{
    if (object._do == NULL) {
        misuse(__func__, "called with NULL");
    }
    if (object._do->dispose == NULL) {
        return;
    }
    long before = atomic_fetch_sub_explicit(&object._do->references, 1, memory_order_acq_rel);
    if (before < 1) {
        misuse(__func__, "the object was released already");
    }
    if (before == 1) {
        object._do->dispose(object._do);
    }
}

void dispatch_run(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
    struct dispatch_frame frame = {.queue = queue, .outer = innermost};
    innermost = &frame;
    work(context);
    innermost = frame.outer;
}

bool dispatch_is_running(dispatch_queue_t queue)
{
    const struct dispatch_frame *frame = innermost;
    while (frame != NULL && frame->queue != queue) {
        frame = frame->outer;
    }
    return frame != NULL;
}

void *dispatch_get_specific(const void *key)
{
    if (innermost == NULL || key == NULL) {
        return NULL;
    }
    return innermost->queue->ops->get_specific(innermost->queue, key);
}

const char *dispatch_queue_get_label(dispatch_queue_t queue)
{
    if (queue == NULL) {
        queue = innermost != NULL ? innermost->queue : NULL;
    }
    return queue != NULL && queue->label != NULL ? queue->label : "";
}

void dispatch_assert_queue(dispatch_queue_t queue)
{
    if (!dispatch_is_running(queue)) {
        misuse(__func__, "the calling thread does not run work of the queue");
    }
}

void dispatch_assert_queue_not(dispatch_queue_t queue)
{
    if (dispatch_is_running(queue)) {
        misuse(__func__, "the calling thread runs work of the queue");
    }
}

static void pause_for_resources(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
}

void *dispatch_allocate(size_t bytes)
{
    void *memory;
    while ((memory = calloc(1, bytes)) == NULL) {
        pause_for_resources();
    }
    return memory;
}

void dispatch_start_thread(void *(*body)(void *), void *context)
{
    /* Signals go to the program's own threads. Faults stay open: work may touch trapped memory. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sigdelset(&blocked, faults[i]);
    }
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    while (pthread_create(&thread, NULL, body, context) != 0) {
        pause_for_resources();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_detach(thread);
}
