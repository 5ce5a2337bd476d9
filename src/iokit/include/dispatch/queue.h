/*
 * Queues of functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_QUEUE_H
#define DEXTLINK_DISPATCH_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include <dispatch/base.h>
#include <dispatch/object.h>
#include <dispatch/time.h>

DISPATCH_DECL(dispatch_queue);
DISPATCH_DECL(dispatch_queue_attr);

#ifdef __cplusplus
extern "C" {
#endif

#define DISPATCH_QUEUE_SERIAL              NULL

#define DISPATCH_QUEUE_PRIORITY_HIGH       2
#define DISPATCH_QUEUE_PRIORITY_DEFAULT    0
#define DISPATCH_QUEUE_PRIORITY_LOW        (-2)
#define DISPATCH_QUEUE_PRIORITY_BACKGROUND INT16_MIN

/* A serial queue; attr is DISPATCH_QUEUE_SERIAL. The label is copied; NULL is fine. Owned by the
 * caller. NULL: no memory. */
dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attr);

/* Never NULL. queue NULL: the queue whose work the calling thread runs, "" if there is none. */
const char *dispatch_queue_get_label(dispatch_queue_t queue);

/* The concurrent queue of the process, shared by all priorities. Borrowed. NULL: flags are not 0,
 * or there is no such priority. */
dispatch_queue_t dispatch_get_global_queue(intptr_t identifier, uintptr_t flags);

/* Run work(context) in its turn. The queue lives until it is done. */
void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work);

/* As before, and wait; runs on the calling thread. From work of the same serial queue: fatal. */
void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work);

/* dispatch_async_f at or soon after a time; never for DISPATCH_TIME_FOREVER. */
void dispatch_after_f(dispatch_time_t when, dispatch_queue_t queue, void *context,
                      dispatch_function_t work);

/* Values kept with a queue, by the address key; key NULL is ignored, context NULL removes. The
 * destructor runs on the global queue after replacement and after the queue's end. Fatal on a
 * global queue. */
void dispatch_queue_set_specific(dispatch_queue_t queue, const void *key, void *context,
                                 dispatch_function_t destructor);

/* The value of that queue; says nothing about which queue is running. */
void *dispatch_queue_get_specific(dispatch_queue_t queue, const void *key);

/* The value of the queue whose work the calling thread runs; NULL off queue. */
void *dispatch_get_specific(const void *key);

/* Fatal unless, or if, the calling thread runs work of that queue. */
void dispatch_assert_queue(dispatch_queue_t queue);
void dispatch_assert_queue_not(dispatch_queue_t queue);

#ifdef __cplusplus
}
#endif

#endif
