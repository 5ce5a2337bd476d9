/*
 * What the client knows of each open connection: one record a handle, in a table of the process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_CONNECTION_H
#define DEXTLINK_CLIENT_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "apple-dext-client.h"
#include "client/bar_cache.h"
#include "client/irq_page.h"
#include "client/mapping.h"

struct client_connection {
    /* Under the table's lock. */
    struct client_connection *next;
    unsigned references; /* the table, calls under way, notifies */
    unsigned calls;      /* calls under way: disconnect waits for them */
    bool is_closing;

    /* Fixed while the record is in the table. */
    io_connect_t port;
    bool is_opened_here; /* else made for a handle that was opened elsewhere */
    AppleDextInstance instance;

    atomic_bool is_claimed; /* by this connection */
    atomic_uint max_batch;  /* regions a call; 1: no batches; 0: not asked yet */
    struct client_bar_cache bars;
    struct client_mappings mappings;
    struct client_irq_page irq_page;
};

/**
 * Add a connection that this library opened. instance is copied.
 * kIOReturnNoMemory: port stays the caller's.
 */
kern_return_t client_connection_add(io_connect_t port, const AppleDextInstance *instance);

/**
 * Begin a call on a handle: *out stays valid and open until client_connection_leave.
 * kIOReturnBadArgument port is IO_OBJECT_NULL; MACH_SEND_INVALID_DEST it is being closed;
 * kIOReturnNoMemory.
 */
kern_return_t client_connection_enter(io_connect_t port, struct client_connection **out);

/**
 * client_irq_page_look on a handle, in less than beginning and ending a call takes.
 * CLIENT_IRQ_UNKNOWN also for handles that are not known, or are being closed.
 */
enum client_irq_look client_connection_look(io_connect_t port, uint64_t pending[DEXT_IRQ_WORDS],
                                            uint64_t *asked_ms);

/** client_connection_enter for a record the caller has a reference to; fails once it is closing or
 * closed. */
kern_return_t client_connection_reenter(struct client_connection *connection);

/** End a call. */
void client_connection_leave(struct client_connection *connection);

/** Keep the record (not the connection) beyond the call under way. */
void client_connection_get(struct client_connection *connection);
void client_connection_put(struct client_connection *connection);

/** Wait for calls under way, close the handle, forget the record. */
void client_connection_close(io_connect_t port);

#endif
