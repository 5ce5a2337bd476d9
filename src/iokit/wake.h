/*
 * Wake channels on this side: the queue of a notification port sleeps where the host wakes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_WAKE_H
#define DEXTLINK_IOKIT_WAKE_H

#include <pthread.h>
#include <stdint.h>

#include "iokit/dispatch_internal.h"
#include "iokit/session.h"

struct io_wake;

/** A channel of a session with a host in another process: one that is free, else a new one. One
 * reference. NULL: the host gives none, or is in this process. May ask the host. */
struct io_wake *io_wake_open(struct io_session *session);

/** Attach it to a queue, whose thread waits on it from then on. false: the queue takes none. */
bool io_wake_attach(struct io_wake *wake, dispatch_queue_t queue);

/** End that: first the queue is let go of, perhaps with locks held, then, without, what has come
 * meanwhile is taken and the caller's reference given back. */
void io_wake_detach(struct io_wake *wake, dispatch_queue_t queue);
void io_wake_end(struct io_wake *wake); /* NULL is fine */

/** Give a reference back; with the last one, from whatever thread, the channel is free again. */
void io_wake_put(struct io_wake *wake); /* NULL is fine */

/** The host has put something into a channel that nobody waits on. */
void io_wake_look(struct io_session *session, uint32_t number);

/** What asynchronous calls name it by: WIRE_CALL_WAKE_MASK. */
uint32_t io_wake_number(const struct io_wake *wake);
struct io_session *io_wake_session(const struct io_wake *wake);

/* The channels of one session, by number - 1; made once, used by one port after the other. */
struct io_wake_pool {
    pthread_mutex_t lock;
    struct io_wake *all[WIRE_MAX_WAKES];
};
void io_wake_pool_init(struct io_wake_pool *pool);
void io_wake_pool_fini(struct io_wake_pool *pool);

#endif
