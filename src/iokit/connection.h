/*
 * Open user clients on this side.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_CONNECTION_H
#define DEXTLINK_IOKIT_CONNECTION_H

#include <bsd/sys/queue.h>
#include <mach/mach.h>
#include <pthread.h>
#include <stdbool.h>

#include "iokit/mapping.h"
#include "iokit/object.h"
#include "wire/words.h"
#include "wire/link.h"

struct io_connection {
    struct io_object object;
    struct wire_link *link;
    /* Shared: calls. Exclusive: mapping, unmapping, closing, as the kernel's lock of a user client;
     * whoever waits for exclusive use goes before later calls. Never held while memory of the
     * caller is touched: that may be a trapped mapping, whose access comes back here. */
    pthread_rwlock_t lock;
    _Atomic bool fetches_nothing;      /* the host cannot get at structures of this process */
    bool is_closed;                    /* under lock */
    TAILQ_HEAD(, io_mapping) mappings; /* under lock */
};

/**
 * One request on the call channel; either lock held. Returns the link's failure as a code, else the
 * host's status. A dead channel is MACH_SEND_INVALID_DEST, or kIOReturnBadArgument while there are
 * mappings: the handle then lives on as theirs, and a call reaches the wrong kind of object.
 */
kern_return_t io_connection_request(struct io_connection *connection, struct wire_message *request,
                                    struct wire_message *reply);

/** The same for a small request, whose reply takes its place; takes the shared lock. false:
 * it must go as a frame, nothing was done. */
bool io_connection_request_small(struct io_connection *connection, struct wire_words *words,
                                 kern_return_t *status);

/** The live connection behind a handle, counted; else NULL and *status: MACH_SEND_INVALID_DEST, or
 * kIOReturnBadArgument for other kinds, and for a dead one that still has mappings. */
struct io_connection *connection_find(io_connect_t connect, kern_return_t *status);
void connection_release(struct io_connection *connection);

/* A request and its reply for the calling thread, buffers kept from call to call. Two, because a
 * trapped access may happen while the arguments of a call are gathered. */
enum io_exchange_use {
    IO_EXCHANGE_CALL,
    IO_EXCHANGE_TRAP,
    IO_EXCHANGE_USES,
};
struct io_exchange {
    struct wire_message request;
    struct wire_message reply;
};

/** NULL when out of memory. Valid until the thread's next use of the same kind. */
struct io_exchange *io_exchange_begin(enum io_exchange_use use, uint16_t type);

/** io_connection_request under the shared lock, which it takes. */
kern_return_t io_exchange_send(struct io_connection *connection, struct io_exchange *exchange);

#endif
