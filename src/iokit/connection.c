/*
 * Opening and closing user clients.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/connection.h"

#include <IOKit/IOKitLib.h>
#include <errno.h>
#include <stdlib.h>

#include "base/trace.h"
#include "iokit/session.h"

/* Either lock held. */
static bool connection_is_gone(const struct io_connection *connection)
{
    return connection->is_closed || io_session_is_gone(connection->object.session);
}

/* A dead one's handle may live on as that of its mappings. */
static kern_return_t connection_status(const struct io_connection *connection, kern_return_t status)
{
    return status == MACH_SEND_INVALID_DEST && !TAILQ_EMPTY(&connection->mappings)
               ? kIOReturnBadArgument
               : status;
}

kern_return_t io_connection_request(struct io_connection *connection, struct wire_message *request,
                                    struct wire_message *reply)
{
    kern_return_t status = MACH_SEND_INVALID_DEST;
    if (!connection_is_gone(connection)) {
        request->header.call_id = trace_current_call();
        int error = connection->link->ops->call(connection->link, request, reply);
        status = error ? io_status_of_link(error) : reply->header.status;
    }
    return connection_status(connection, status);
}

bool io_connection_request_small(struct io_connection *connection, struct wire_words *words,
                                 kern_return_t *status)
{
    const struct wire_link_ops *ops = connection->link->ops;
    int error = -ENOTCONN;
    words->call_id = trace_current_call();
    pthread_rwlock_rdlock(&connection->lock);
    if (!connection_is_gone(connection)) {
        error = ops->call_small ? ops->call_small(connection->link, words) : -EAGAIN;
    }
    *status = connection_status(connection, error ? io_status_of_link(error) : words->status);
    pthread_rwlock_unlock(&connection->lock);
    return error != -EAGAIN;
}

/* Tell the driver and cut the channel; exclusive lock held. Idempotent. */
static void connection_shut(struct io_connection *connection)
{
    struct wire_message request;
    struct wire_message reply;
    if (connection->is_closed) {
        return;
    }
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_CLOSE);
    /* Waiting for the answer makes what the connection held free when close returns. */
    io_connection_request(connection, &request, &reply);
    connection->is_closed = true;
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

static void connection_released(struct io_object *object)
{
    struct io_connection *connection = (struct io_connection *)object;
    pthread_rwlock_wrlock(&connection->lock);
    connection_shut(connection);
    mapping_remove_all(connection);
    pthread_rwlock_unlock(&connection->lock);
}

static void connection_free(struct io_object *object)
{
    struct io_connection *connection = (struct io_connection *)object;
    mapping_remove_all(connection);
    connection->link->ops->close(connection->link);
    pthread_rwlock_destroy(&connection->lock);
    io_object_fini(object);
    free(connection);
}

static const struct io_class connection_class = {
    .kind = IO_KIND_CONNECTION,
    .released = connection_released,
    .destroy = connection_free,
};

static struct io_connection *connection_create(struct io_object *service, struct wire_link *link)
{
    pthread_rwlockattr_t attributes;
    struct io_connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        link->ops->close(link);
        return NULL;
    }
    io_object_init(&connection->object, &connection_class, service->session, service->entry_id);
    connection->link = link;
    TAILQ_INIT(&connection->mappings);
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&connection->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return connection;
}

kern_return_t IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type,
                            io_connect_t *connect)
{
    kern_return_t status;
    struct wire_link *link = NULL;
    if (!connect || owningTask != mach_task_self()) {
        return kIOReturnBadArgument;
    }
    *connect = IO_OBJECT_NULL;
    struct io_object *object = io_name_find(service, IO_KIND_SERVICE, &status);
    if (!object) {
        return status;
    }
    uint64_t outer = trace_begin_call();
    trace_hop("iokit", "IOServiceOpen type=%u", type);
    status = io_session_open(object->session, object->entry_id, type, &link);
    if (status == KERN_SUCCESS) {
        struct io_connection *connection = connection_create(object, link);
        *connect = connection ? io_name_add(&connection->object) : IO_OBJECT_NULL;
        if (!*connect) {
            io_object_put(connection ? &connection->object : NULL);
            status = kIOReturnNoMemory;
        }
    }
    io_object_put(object);
    trace_hop("iokit", "IOServiceOpen -> 0x%x", (unsigned)status);
    trace_end_call(outer);
    return status;
}

struct io_connection *connection_find(io_connect_t connect, kern_return_t *status)
{
    struct io_object *object = io_name_find(connect, IO_KIND_CONNECTION, status);
    if (object || *status != MACH_SEND_INVALID_DEST) {
        return (struct io_connection *)object;
    }
    /* The handle of a terminated connection lives on as that of its mappings: calls then reach the
     * wrong kind of object. */
    kern_return_t ignored;
    object = io_name_find_dead_too(connect, IO_KIND_CONNECTION, &ignored);
    if (object) {
        struct io_connection *connection = (struct io_connection *)object;
        pthread_rwlock_rdlock(&connection->lock);
        if (!TAILQ_EMPTY(&connection->mappings)) {
            *status = kIOReturnBadArgument;
        }
        pthread_rwlock_unlock(&connection->lock);
        io_object_put(object);
    }
    return NULL;
}

void connection_release(struct io_connection *connection)
{
    io_object_put(&connection->object);
}

kern_return_t IOServiceClose(io_connect_t connect)
{
    kern_return_t status;
    struct io_object *object = io_name_find_dead_too(connect, IO_KIND_CONNECTION, &status);
    if (!object) {
        return status;
    }
    struct io_connection *connection = (struct io_connection *)object;
    uint64_t outer = trace_begin_call();
    trace_hop("iokit", "IOServiceClose");
    pthread_rwlock_wrlock(&connection->lock);
    bool is_dead = (io_name_is_dead(connect) || io_session_is_gone(object->session)) &&
                   TAILQ_EMPTY(&connection->mappings);
    connection_shut(connection);
    pthread_rwlock_unlock(&connection->lock);
    io_name_die(connect); /* further references keep the mappings, not the connection */
    io_name_release(connect);
    io_object_put(object);
    trace_end_call(outer);
    return is_dead ? MACH_SEND_INVALID_DEST : KERN_SUCCESS;
}

kern_return_t IOConnectAddRef(io_connect_t connect)
{
    return IOObjectRetain(connect);
}

kern_return_t IOConnectRelease(io_connect_t connect)
{
    return IOObjectRelease(connect);
}

/* Two that clients of drivers outside the kernel cannot use. */

static kern_return_t connection_unsupported(io_connect_t connect)
{
    kern_return_t status;
    struct io_connection *connection = connection_find(connect, &status);
    if (!connection) {
        return status;
    }
    connection_release(connection);
    return kIOReturnUnsupported;
}

kern_return_t IOConnectGetService(io_connect_t connect, io_service_t *service)
{
    *service = IO_OBJECT_NULL;
    return connection_unsupported(connect);
}

kern_return_t IOConnectSetNotificationPort(io_connect_t connect, uint32_t type, mach_port_t port,
                                           uintptr_t reference)
{
    (void)type;
    (void)port;
    (void)reference;
    return connection_unsupported(connect);
}
