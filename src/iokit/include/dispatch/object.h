/*
 * What all dispatch objects have in common: reference counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DISPATCH_OBJECT_H
#define DEXTLINK_DISPATCH_OBJECT_H

#include <dispatch/base.h>

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

#ifdef __cplusplus
extern "C" {
#endif

/* Not NULL. No effect on global queues. */
void dispatch_retain(dispatch_object_t object);
void dispatch_release(dispatch_object_t object);

/* gcc -Wpedantic warns of the conversion to the union at each call unless told not to. */
#if !defined(__cplusplus) && !defined(__clang__)
#define dispatch_retain(object)  (__extension__ dispatch_retain(object))
#define dispatch_release(object) (__extension__ dispatch_release(object))
#endif

#ifdef __cplusplus
}
#endif

#endif
