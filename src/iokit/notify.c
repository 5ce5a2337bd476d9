/*
 * Who hears of arrivals, departures and terminations.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/notify.h"

#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "iokit/port.h"
#include "iokit/value.h"

#define NOTIFY_MAX_PENDING 1024 /* services remembered while nobody drains; more are lost */

struct notification {
    struct io_object object;         /* matching and interest alike */
    uint32_t serial;                 /* tells it from others that had its name before */
    struct IONotificationPort *port; /* counted */
    IOServiceMatchingCallback on_match;
    IOServiceInterestCallback on_interest;
    void *refcon;
    uint64_t service_id; /* interest: the service's entry */
    _Atomic bool is_released;
    pthread_mutex_t lock; /* matching only; the three below */
    uint64_t *pending;    /* newest last: handed out last in, first out */
    size_t pending_count;
    bool is_armed;
};

static _Atomic uint32_t notify_next_serial;

static struct notification *notification_of(struct io_object *object)
{
    return (struct notification *)object;
}

/* What the host calls it by: leads back to its name without a search. */
static uint64_t notification_token(const struct notification *self)
{
    return (uint64_t)self->serial << 32 | self->object.name;
}

static void notification_free(struct io_object *object)
{
    struct notification *self = notification_of(object);
    io_object_put(self->port ? port_object(self->port) : NULL);
    free(self->pending);
    pthread_mutex_destroy(&self->lock);
    io_object_fini(object);
    free(self);
}

static void notification_unregister(struct notification *self)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_NOTIFY_REMOVE);
    wire_put_u64(&request, notification_token(self));
    io_session_request(self->object.session, &request, &reply);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

/* Queued messages that nobody has seen yet are dropped when their turn comes. */
static void notification_released(struct io_object *object)
{
    struct notification *self = notification_of(object);
    self->is_released = true;
    notification_unregister(self);
}

static const struct io_class matching_class = {
    .kind = IO_KIND_NOTIFICATION,
    .released = notification_released,
    .destroy = notification_free,
};

static const struct io_class interest_class = {
    .kind = IO_KIND_INTEREST,
    .released = notification_released,
    .destroy = notification_free,
};

static struct notification *notification_create(const struct io_class *class,
                                                struct io_session *session,
                                                struct IONotificationPort *port, void *refcon)
{
    struct notification *self = calloc(1, sizeof(*self));
    if (!self) {
        return NULL;
    }
    io_object_init(&self->object, class, session, 0);
    pthread_mutex_init(&self->lock, NULL);
    self->serial = atomic_fetch_add(&notify_next_serial, 1) + 1;
    self->port = port;
    io_object_get(port_object(port));
    self->refcon = refcon;
    return self;
}

/* Delivery, on the port's queue. */

static void notify_deliver_match(struct port_message *message)
{
    struct notification *self = notification_of(message->notification);
    if (!self->is_released) {
        self->on_match(self->refcon, self->object.name);
    }
}

static void notify_deliver_interest(struct port_message *message)
{
    struct notification *self = notification_of(message->notification);
    if (self->is_released) {
        return;
    }
    /* The service's old name is dead: the message comes with a fresh one, good for the call. */
    mach_port_t service = io_name_of_service(self->object.session, self->service_id);
    self->on_interest(self->refcon, service, message->type,
                      (void *)(uintptr_t)message->arguments[0]);
    if (service) {
        io_name_release(service);
    }
}

static void notify_post(struct notification *self, port_deliver_fn deliver, uint32_t type,
                        uint64_t argument)
{
    struct port_message *message = port_message_create(deliver);
    if (!message) {
        return;
    }
    io_object_get(&self->object);
    message->notification = &self->object;
    message->type = type;
    message->arguments[0] = argument;
    port_enqueue(self->port, message);
}

/* Events. All of this runs under the lock of the table of names, which keeps the notification: the
 * last reference is never dropped here, where a host inside the process may hold its locks. */

struct notify_event {
    struct io_session *session;
    uint64_t token;
    uint64_t entry_id;
    uint32_t type;
    uint64_t argument;
};

/* A token that the host made up, or of a notification that has gone, is nobody's. */
static bool notify_is_for(const struct notification *self, const struct notify_event *event)
{
    return self->object.session == event->session && notification_token(self) == event->token;
}

static bool notification_push(struct notification *self, uint64_t entry_id)
{
    if (self->pending_count == NOTIFY_MAX_PENDING) {
        return false;
    }
    self->pending[self->pending_count++] = entry_id;
    return true;
}

static void notify_match_one(struct io_object *object, void *context)
{
    struct notification *self = notification_of(object);
    const struct notify_event *event = context;
    if (!notify_is_for(self, event)) {
        return;
    }
    pthread_mutex_lock(&self->lock);
    bool must_tell = notification_push(self, event->entry_id) && self->is_armed;
    if (must_tell) {
        self->is_armed = false;
    }
    pthread_mutex_unlock(&self->lock);
    if (must_tell) {
        notify_post(self, notify_deliver_match, 0, 0);
    }
}

void notify_matched(struct io_session *session, uint64_t token, uint64_t entry_id)
{
    struct notify_event event = {.session = session, .token = token, .entry_id = entry_id};
    io_name_visit((mach_port_t)token, IO_KIND_NOTIFICATION, notify_match_one, &event);
}

static void notify_interest_one(struct io_object *object, void *context)
{
    const struct notify_event *event = context;
    if (notify_is_for(notification_of(object), event)) {
        notify_post(notification_of(object), notify_deliver_interest, event->type, event->argument);
    }
}

void notify_interest(struct io_session *session, uint64_t token, uint32_t type, uint64_t argument)
{
    struct notify_event event = {
        .session = session, .token = token, .type = type, .argument = argument};
    io_name_visit((mach_port_t)token, IO_KIND_INTEREST, notify_interest_one, &event);
}

static void notify_one_terminated(struct io_object *object, void *context)
{
    (void)context;
    notify_post(notification_of(object), notify_deliver_interest, kIOMessageServiceIsTerminated, 0);
}

void notify_all_terminated(struct io_session *session)
{
    io_names_each(session, IO_KIND_INTEREST, notify_one_terminated, NULL);
}

uint64_t notify_next(struct io_object *notification)
{
    struct notification *self = notification_of(notification);
    pthread_mutex_lock(&self->lock);
    uint64_t entry_id = self->pending_count ? self->pending[--self->pending_count] : 0;
    self->is_armed = entry_id == 0;
    pthread_mutex_unlock(&self->lock);
    return entry_id;
}

/* The calls. */

static uint32_t notify_kind(const char *type)
{
    if (strcmp(type, kIOTerminatedNotification) == 0) {
        return WIRE_NOTIFY_TERMINATED;
    }
    return strcmp(type, kIOPublishNotification) == 0 ||
                   strcmp(type, kIOFirstPublishNotification) == 0 ||
                   strcmp(type, kIOMatchedNotification) == 0 ||
                   strcmp(type, kIOFirstMatchNotification) == 0
               ? WIRE_NOTIFY_PUBLISH
               : 0;
}

/* The host has been told: take what matches already. Arrivals may have come in before: they stay
 * on top, where newer ones belong. */
static kern_return_t notification_take_existing(struct notification *self,
                                                struct wire_message *reply)
{
    uint32_t count = wire_get_u32(reply);
    pthread_mutex_lock(&self->lock);
    for (uint32_t i = 0; i < count && !reply->is_bad; i++) {
        uint64_t entry_id = wire_get_u64(reply);
        if (!reply->is_bad && notification_push(self, entry_id)) {
            memmove(self->pending + 1, self->pending,
                    (self->pending_count - 1) * sizeof(*self->pending));
            self->pending[0] = entry_id;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return wire_is_consumed(reply) ? KERN_SUCCESS : kIOReturnIPCError;
}

static kern_return_t notification_register(struct notification *self, uint32_t kind,
                                           const struct wire_value *matching)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_NOTIFY_ADD);
    wire_put_u64(&request, notification_token(self));
    wire_put_u32(&request, kind);
    wire_put_value(&request, matching);
    kern_return_t status = io_session_request(self->object.session, &request, &reply);
    if (status == KERN_SUCCESS) {
        status = notification_take_existing(self, &reply);
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return status;
}

/* Named before the host is told: an arrival may come in before the reply. */
static kern_return_t notify_add_matching(struct notification *self, uint32_t kind,
                                         const struct wire_value *matching, io_iterator_t *out)
{
    mach_port_t name = io_name_add(&self->object);
    if (!name) {
        io_object_put(&self->object);
        return kIOReturnNoMemory;
    }
    kern_return_t status = notification_register(self, kind, matching);
    if (status != KERN_SUCCESS) {
        io_name_release(name);
        return status;
    }
    *out = name;
    return KERN_SUCCESS;
}

static kern_return_t notify_matching(struct IONotificationPort *port, uint32_t kind,
                                     const struct wire_value *matching,
                                     IOServiceMatchingCallback callback, void *refcon,
                                     io_iterator_t *out)
{
    kern_return_t why;
    struct io_session *session = io_session_current(&why);
    if (!session) {
        return why;
    }
    struct notification *self = notification_create(&matching_class, session, port, refcon);
    io_session_put(session);
    if (!self) {
        return kIOReturnNoMemory;
    }
    self->on_match = callback;
    self->pending = calloc(NOTIFY_MAX_PENDING, sizeof(*self->pending));
    if (!self->pending) {
        io_object_put(&self->object);
        return kIOReturnNoMemory;
    }
    return notify_add_matching(self, kind, matching, out);
}

kern_return_t IOServiceAddMatchingNotification(IONotificationPortRef notifyPort,
                                               const io_name_t notificationType,
                                               CFDictionaryRef matching,
                                               IOServiceMatchingCallback callback, void *refCon,
                                               io_iterator_t *notification)
{
    if (!matching) {
        return kIOReturnBadArgument;
    }
    struct wire_value *value = value_from_cf(matching);
    CFRelease(matching);
    uint32_t kind = notificationType ? notify_kind(notificationType) : 0;
    kern_return_t status = kIOReturnUnsupported;
    if (!notifyPort || !callback || !notification) {
        status = kIOReturnBadArgument;
    } else if (value && kind) {
        status = notify_matching(notifyPort, kind, value, callback, refCon, notification);
    }
    wire_value_free(value);
    return status;
}

static kern_return_t notify_register_interest(struct notification *self)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_INTEREST_ADD);
    wire_put_u64(&request, notification_token(self));
    wire_put_u64(&request, self->service_id);
    kern_return_t status = io_session_request(self->object.session, &request, &reply);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return status;
}

kern_return_t IOServiceAddInterestNotification(IONotificationPortRef notifyPort,
                                               io_service_t service, const io_name_t interestType,
                                               IOServiceInterestCallback callback, void *refCon,
                                               io_object_t *notification)
{
    kern_return_t status;
    mach_port_t name = MACH_PORT_NULL;
    if (!notifyPort || !interestType || !callback || !notification) {
        return kIOReturnBadArgument;
    }
    if (strcmp(interestType, kIOGeneralInterest) != 0 &&
        strcmp(interestType, kIOBusyInterest) != 0) {
        return kIOReturnUnsupported;
    }
    struct io_object *object = io_name_find(service, IO_KIND_SERVICE, &status);
    if (!object) {
        return status;
    }
    struct notification *self =
        notification_create(&interest_class, object->session, notifyPort, refCon);
    if (self) {
        self->on_interest = callback;
        self->service_id = object->entry_id;
        name = io_name_add(&self->object);
    }
    io_object_put(object);
    if (!name) {
        io_object_put(self ? &self->object : NULL);
        return kIOReturnNoMemory;
    }
    status = notify_register_interest(self);
    if (status != KERN_SUCCESS) {
        io_name_release(name);
        return status;
    }
    *notification = name;
    return KERN_SUCCESS;
}
