/*
 * Notification ports: what arrives, in order, handed to callbacks on the owner's dispatch queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_PORT_H
#define DEXTLINK_IOKIT_PORT_H

#include <IOKit/IOKitLib.h>
#include <bsd/sys/queue.h>
#include <stdint.h>

#include "iokit/object.h"

#define PORT_MAX_ARGUMENTS 16
#define PORT_MAX_QUEUED    65534 /* what the kernel keeps before it drops */

struct port_message;

/* Hands one message to its callback; on the port's queue, without locks. */
typedef void (*port_deliver_fn)(struct port_message *message);

struct port_message {
    STAILQ_ENTRY(port_message) link;
    port_deliver_fn deliver;
    struct io_object *notification; /* counted; NULL for completions */
    uint64_t reference[8];
    int32_t status;
    uint32_t count;
    uint64_t entry_id;
    uint32_t type;
    uint64_t arguments[PORT_MAX_ARGUMENTS];
};

/** A zeroed message; NULL when out of memory. */
struct port_message *port_message_create(port_deliver_fn deliver);
void port_message_destroy(struct port_message *message);

/** Queue a message; takes it over. Dropped when the port is destroyed or full. Never blocks. */
void port_enqueue(struct IONotificationPort *port, struct port_message *message);

/** The wake channel by which completions of session get to the port's queue, for
 * WIRE_CALL_WAKE_MASK; 0: none, they come as events. May ask the host. */
uint32_t port_wake(struct IONotificationPort *port, struct io_session *session);

/** The port behind an object of kind IO_KIND_PORT. */
struct IONotificationPort *port_of_object(struct io_object *object);
struct io_object *port_object(struct IONotificationPort *port);

#endif
