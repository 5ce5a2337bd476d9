/*
 * Notification ports on dispatch queues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/port.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "iokit/misuse.h"

STAILQ_HEAD(port_messages, port_message);

struct IONotificationPort {
    struct io_object object;
    mach_port_t name;
    pthread_mutex_t lock;   /* everything below */
    dispatch_queue_t queue; /* counted; NULL: messages wait */
    uint64_t generation;    /* of queue: work queued for an earlier one does nothing */
    struct port_messages messages;
    size_t queued;
    bool is_destroyed;
};

/* One message's turn on a queue. */
struct port_turn {
    struct IONotificationPort *port; /* counted */
    uint64_t generation;
};

struct IONotificationPort *port_of_object(struct io_object *object)
{
    return (struct IONotificationPort *)object;
}

struct io_object *port_object(struct IONotificationPort *port)
{
    return &port->object;
}

struct port_message *port_message_create(port_deliver_fn deliver)
{
    struct port_message *message = calloc(1, sizeof(*message));
    if (message) {
        message->deliver = deliver;
    }
    return message;
}

void port_message_destroy(struct port_message *message)
{
    if (message) {
        io_object_put(message->notification);
        free(message);
    }
}

/* Without locks: a message may hold the last reference of its notification. */
static void port_messages_destroy(struct port_messages *messages)
{
    struct port_message *message;
    while ((message = STAILQ_FIRST(messages)) != NULL) {
        STAILQ_REMOVE_HEAD(messages, link);
        port_message_destroy(message);
    }
}

static void port_free(struct io_object *object)
{
    struct IONotificationPort *port = port_of_object(object);
    port_messages_destroy(&port->messages);
    if (port->queue) {
        dispatch_release(port->queue);
    }
    pthread_mutex_destroy(&port->lock);
    io_object_fini(object);
    free(port);
}

static const struct io_class port_class = {
    .kind = IO_KIND_PORT,
    .destroy = port_free,
};

IONotificationPortRef IONotificationPortCreate(mach_port_t mainPort)
{
    (void)mainPort;
    struct IONotificationPort *port = calloc(1, sizeof(*port));
    if (!port) {
        return NULL;
    }
    io_object_init(&port->object, &port_class, NULL, 0);
    pthread_mutex_init(&port->lock, NULL);
    STAILQ_INIT(&port->messages);
    io_object_get(&port->object); /* one for the owner, one for the name */
    port->name = io_name_add(&port->object);
    if (!port->name) {
        io_object_put(&port->object);
        io_object_put(&port->object);
        return NULL;
    }
    return port;
}

mach_port_t IONotificationPortGetMachPort(IONotificationPortRef notify)
{
    return notify->name;
}

static void port_take_turn(void *context)
{
    struct port_turn turn = *(struct port_turn *)context;
    struct IONotificationPort *port = turn.port;
    free(context);
    pthread_mutex_lock(&port->lock);
    struct port_message *message = NULL;
    if (!port->is_destroyed && turn.generation == port->generation) {
        message = STAILQ_FIRST(&port->messages);
    }
    if (message) {
        STAILQ_REMOVE_HEAD(&port->messages, link);
        port->queued--;
    }
    pthread_mutex_unlock(&port->lock);
    if (message) {
        message->deliver(message);
        port_message_destroy(message);
    }
    io_object_put(&port->object);
}

/* Under the port's lock. */
static void port_give_turn(struct IONotificationPort *port)
{
    struct port_turn *turn = malloc(sizeof(*turn));
    if (!turn) {
        log_error("iokit", "out of memory: a notification waits for the next one");
        return;
    }
    io_object_get(&port->object);
    *turn = (struct port_turn){.port = port, .generation = port->generation};
    dispatch_async_f(port->queue, turn, port_take_turn);
}

void port_enqueue(struct IONotificationPort *port, struct port_message *message)
{
    pthread_mutex_lock(&port->lock);
    bool is_taken = !port->is_destroyed && port->queued < PORT_MAX_QUEUED;
    if (is_taken) {
        STAILQ_INSERT_TAIL(&port->messages, message, link);
        port->queued++;
        if (port->queue) {
            port_give_turn(port);
        }
    }
    pthread_mutex_unlock(&port->lock);
    if (!is_taken) {
        port_message_destroy(message);
    }
}

void IONotificationPortSetDispatchQueue(IONotificationPortRef notify, dispatch_queue_t queue)
{
    if (queue) {
        dispatch_retain(queue);
    }
    pthread_mutex_lock(&notify->lock);
    dispatch_queue_t before = notify->queue;
    notify->queue = queue;
    notify->generation++;
    for (size_t i = 0; queue && i < notify->queued; i++) {
        port_give_turn(notify);
    }
    pthread_mutex_unlock(&notify->lock);
    if (before) {
        dispatch_release(before);
    }
}

void IONotificationPortDestroy(IONotificationPortRef notify)
{
    if (!notify) {
        misuse("IONotificationPortDestroy", "called with NULL");
    }
    struct port_messages unseen = STAILQ_HEAD_INITIALIZER(unseen);
    pthread_mutex_lock(&notify->lock);
    dispatch_queue_t queue = notify->queue;
    notify->queue = NULL;
    notify->is_destroyed = true;
    STAILQ_CONCAT(&unseen, &notify->messages);
    notify->queued = 0;
    pthread_mutex_unlock(&notify->lock);
    port_messages_destroy(&unseen);
    if (queue) {
        dispatch_release(queue);
    }
    io_name_release(notify->name);
    io_object_put(&notify->object);
}
