/*
 * Dispatch objects inside.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_DISPATCH_INTERNAL_H
#define DEXTLINK_IOKIT_DISPATCH_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <dispatch/dispatch.h>

#include "wire/bell.h"

struct dispatch_inlet;

/* Head of each object. */
struct dispatch_object_s {
    atomic_long references;
    /* The last reference is gone. NULL: the object is global and not counted. */
    void (*dispose)(struct dispatch_object_s *object);
};

/* What kinds of queue do differently. */
struct dispatch_queue_ops {
    void (*async)(dispatch_queue_t queue, void *context, dispatch_function_t work);
    void (*sync)(dispatch_queue_t queue, void *context, dispatch_function_t work);
    void *(*get_specific)(dispatch_queue_t queue, const void *key);
    void (*set_specific)(dispatch_queue_t queue, const void *key, void *context,
                         dispatch_function_t destructor);
    bool (*attach)(dispatch_queue_t queue, struct dispatch_inlet *inlet); /* NULL: never */
};

/*
 * Something besides async calls that brings a serial queue work, on a bell of its own: the queue's
 * thread sleeps on that bell then, so that whoever rings it wakes nobody else first.
 */
struct dispatch_inlet {
    struct wire_bell *bell;
    /* Whether there is work. The queue's thread, with the queue locked: must not block. */
    bool (*has_work)(struct dispatch_inlet *inlet);
    /* Hand in some of it by async calls. The queue's thread, without locks. */
    void (*take)(struct dispatch_inlet *inlet);
    /* References; the first, the caller's, is there already. */
    void (*get)(struct dispatch_inlet *inlet);
    void (*put)(struct dispatch_inlet *inlet);
};

/* Let queue have an inlet, and take a reference; false: it is no serial queue, or has one. */
bool dispatch_queue_attach(dispatch_queue_t queue, struct dispatch_inlet *inlet);

/* End that. The queue's thread may be in take a last time; its reference goes when it is through.
 */
void dispatch_queue_detach(dispatch_queue_t queue, struct dispatch_inlet *inlet);

struct dispatch_queue_s {
    struct dispatch_object_s object;
    const struct dispatch_queue_ops *ops;
    const char *label;
};

/* Work of a queue that a thread is in; frames of one thread nest. Lives on the stack. */
struct dispatch_frame {
    dispatch_queue_t queue;
    struct dispatch_frame *outer;
};

/* Run work as the queue's: dispatch_get_specific and the assertions see the queue. */
void dispatch_run(dispatch_queue_t queue, void *context, dispatch_function_t work);

/* Whether the calling thread is in work of the queue, at whatever depth. */
bool dispatch_is_running(dispatch_queue_t queue);

/* calloc that waits for memory instead of failing: dispatch calls have no way to report it. */
void *dispatch_allocate(size_t bytes);

/* Start a detached thread, waiting while the system has none to give. It takes no signals but
 * those of its own faults. */
void dispatch_start_thread(void *(*body)(void *), void *context);

/* The point of CLOCK_MONOTONIC that a dispatch time, not FOREVER, means. */
struct timespec dispatch_deadline(dispatch_time_t when);

#endif
