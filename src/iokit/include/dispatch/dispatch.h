/*
 * libdispatch for plain C: queues, semaphores, time.
 *
 * Objects are counted; releasing the last reference frees them later, once the work that was handed
 * in is done. Misuse that is fatal on macOS ends the process here too, with a line on standard
 * error. Every function may be called from any thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_DISPATCH_H
#define DEXTLINK_DISPATCH_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * dispatch_object_t takes every kind of dispatch object without a cast: in C as a transparent
 * union, in C++ by inheritance. Nobody makes or copies the objects themselves.
 */
#ifdef __cplusplus
typedef struct dispatch_object_s {
    dispatch_object_s() = delete;
    dispatch_object_s(const dispatch_object_s &) = delete;
    void operator=(const dispatch_object_s &) = delete;
} * dispatch_object_t;
#define DISPATCH_DECL(name) typedef struct name##_s : public dispatch_object_s{} * name##_t
#else
typedef union {
    struct dispatch_object_s *_do;
    struct dispatch_queue_s *_dq;
    struct dispatch_queue_attr_s *_dqa;
    struct dispatch_semaphore_s *_dsema;
} dispatch_object_t __attribute__((__transparent_union__));
#define DISPATCH_DECL(name) typedef struct name##_s *name##_t
#endif

DISPATCH_DECL(dispatch_queue);
DISPATCH_DECL(dispatch_queue_attr);
DISPATCH_DECL(dispatch_semaphore);

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Objects ---- */

/* Not NULL. No effect on global queues. */
void dispatch_retain(dispatch_object_t object);
void dispatch_release(dispatch_object_t object);

/* gcc -Wpedantic warns of the conversion to the union at each call unless told not to. */
#if !defined(__cplusplus) && !defined(__clang__)
#define dispatch_retain(object)  (__extension__ dispatch_retain(object))
#define dispatch_release(object) (__extension__ dispatch_release(object))
#endif

/* ---- Time ---- */

#undef NSEC_PER_SEC
#undef USEC_PER_SEC
#undef NSEC_PER_USEC
#undef NSEC_PER_MSEC
#undef MSEC_PER_SEC
#define MSEC_PER_SEC  1000ull
#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define USEC_PER_SEC  1000000ull
#define NSEC_PER_USEC 1000ull

struct timespec;

/* Opaque but for the two values below. */
typedef uint64_t dispatch_time_t;

#define DISPATCH_TIME_NOW     (0ull)
#define DISPATCH_TIME_FOREVER (~0ull)

/* delta nanoseconds after when, by the clock that when counts. Saturates at both ends. */
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);

/* delta nanoseconds after a time of day (NULL: now), as the clock stands when the wait begins. */
dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta);

/* ---- Queues ---- */

typedef void (*dispatch_function_t)(void *);

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

/* ---- Semaphores ---- */

/* NULL: value is negative, no memory. Freeing it with a count below value is fatal. */
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);

/* 0, or non-zero when the time is over. */
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t dsema, dispatch_time_t timeout);

/* Non-zero when it woke a thread. */
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t dsema);

#ifdef __cplusplus
}
#endif

#endif
