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
#include "iokit/wake.h"

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
    struct io_wake *wake; /* attached to queue; or NULL */
    bool has_no_wake;     /* queue, or the host, takes none */
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

/* On queue, for a port of that generation. Without the port's lock, which who takes the turn needs
 * at once. */
static void port_give_turn(struct IONotificationPort *port, dispatch_queue_t queue,
                           uint64_t generation)
{
    struct port_turn *turn = malloc(sizeof(*turn));
    if (!turn) {
        log_error("iokit", "out of memory: a notification waits for the next one");
        return;
    }
    io_object_get(&port->object);
    *turn = (struct port_turn){.port = port, .generation = generation};
    dispatch_async_f(queue, turn, port_take_turn);
}

void port_enqueue(struct IONotificationPort *port, struct port_message *message)
{
    pthread_mutex_lock(&port->lock);
    bool is_taken = !port->is_destroyed && port->queued < PORT_MAX_QUEUED;
    dispatch_queue_t queue = is_taken ? port->queue : NULL;
    uint64_t generation = port->generation;
    if (is_taken) {
        STAILQ_INSERT_TAIL(&port->messages, message, link);
        port->queued++;
    }
    if (queue) {
        dispatch_retain(queue);
    }
    pthread_mutex_unlock(&port->lock);
    if (queue) {
        port_give_turn(port, queue, generation);
        dispatch_release(queue);
    }
    if (!is_taken) {
        port_message_destroy(message);
    }
}

/* What was attached to the queue that the port leaves, or NULL: for io_wake_end, unlocked. Locked.
 */
static struct io_wake *port_detach(struct IONotificationPort *port, dispatch_queue_t queue)
{
    struct io_wake *wake = port->wake;
    if (wake) {
        io_wake_detach(wake, queue);
    }
    port->wake = NULL;
    port->has_no_wake = false;
    return wake;
}

/* Attach a channel just opened, if nothing has changed meanwhile. */
static bool port_attach(struct IONotificationPort *port, uint64_t generation, struct io_wake *wake)
{
    pthread_mutex_lock(&port->lock);
    bool is_same = !port->is_destroyed && port->generation == generation && !port->wake;
    bool is_attached = is_same && wake && io_wake_attach(wake, port->queue);
    if (is_attached) {
        port->wake = wake;
    } else if (is_same) {
        port->has_no_wake = true;
    }
    pthread_mutex_unlock(&port->lock);
    return is_attached;
}

uint32_t port_wake(struct IONotificationPort *port, struct io_session *session)
{
    struct io_wake *ended = NULL;
    uint32_t number = 0;
    pthread_mutex_lock(&port->lock);
    if (port->wake && io_wake_session(port->wake) != session) {
        ended = port_detach(port, port->queue);
    }
    if (port->wake) {
        number = io_wake_number(port->wake);
    }
    bool wants_one = !port->wake && !port->has_no_wake && port->queue && !port->is_destroyed;
    uint64_t generation = port->generation;
    pthread_mutex_unlock(&port->lock);
    io_wake_end(ended);
    if (!wants_one) {
        return number;
    }
    struct io_wake *wake = io_wake_open(session);
    if (port_attach(port, generation, wake)) {
        return io_wake_number(wake);
    }
    io_wake_put(wake);
    return 0;
}

void IONotificationPortSetDispatchQueue(IONotificationPortRef notify, dispatch_queue_t queue)
{
    if (queue) {
        dispatch_retain(queue);
    }
    pthread_mutex_lock(&notify->lock);
    dispatch_queue_t before = notify->queue;
    struct io_wake *ended = port_detach(notify, before);
    notify->queue = queue;
    uint64_t generation = ++notify->generation;
    size_t queued = queue ? notify->queued : 0;
    io_object_get(&notify->object); /* a message delivered meanwhile may destroy the port */
    pthread_mutex_unlock(&notify->lock);
    for (size_t i = 0; i < queued; i++) {
        port_give_turn(notify, queue, generation);
    }
    io_object_put(&notify->object);
    io_wake_end(ended);
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
    struct io_wake *ended = port_detach(notify, queue);
    notify->queue = NULL;
    notify->is_destroyed = true;
    STAILQ_CONCAT(&unseen, &notify->messages);
    notify->queued = 0;
    pthread_mutex_unlock(&notify->lock);
    port_messages_destroy(&unseen);
    io_wake_end(ended);
    if (queue) {
        dispatch_release(queue);
    }
    io_name_release(notify->name);
    io_object_put(&notify->object);
}
