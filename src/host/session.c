/*
 * Client processes of a host: registry requests, opening, events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"
#include "base/trace.h"
#include "host/host.h"

/* kIOMessageServiceIsTerminated, as interested clients receive it. */
#define MESSAGE_SERVICE_IS_TERMINATED UINT32_C(0xe0000010)

struct session *session_create(struct DextHost *host, const struct client_owner *owner,
                               const struct session_sink *sink, void *sink_context)
{
    struct session *session = calloc(1, sizeof(*session));
    struct client_process *process = client_process_create(owner);
    if (!session || !process) {
        client_process_put(process);
        free(session);
        return NULL;
    }
    session->host = host;
    session->process = process;
    session->sink = sink;
    session->sink_context = sink_context;
    session->references = 1;
    TAILQ_INIT(&session->connections);
    TAILQ_INIT(&session->interests);
    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_lock(&host->lock);
    TAILQ_INSERT_TAIL(&host->sessions, session, link);
    pthread_mutex_unlock(&host->lock);
    log_debug("host", "client %d: connected", (int)owner->pid);
    return session;
}

struct session *session_get(struct session *session)
{
    session->references++;
    return session;
}

static void session_free_interests(struct session *session)
{
    struct interest *interest;
    struct interest *next;
    TAILQ_FOREACH_SAFE (interest, &session->interests, link, next) {
        TAILQ_REMOVE(&session->interests, interest, link);
        session->interest_count--;
        free(interest);
    }
}

void session_put(struct session *session)
{
    if (session && --session->references == 0) {
        session_free_interests(session);
        for (uint32_t i = 0; i < session->wake_count; i++) {
            wire_wake_host_destroy(session->wakes[i]);
        }
        client_process_put(session->process);
        pthread_mutex_destroy(&session->lock);
        free(session);
    }
}

/* One counted connection that is still listed; its channel is shut, so that its thread ends. */
static struct connection *session_first_connection(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    struct connection *connection = TAILQ_FIRST(&session->connections);
    if (connection) {
        connection_get(connection);
        if (connection->socket >= 0) {
            shutdown(connection->socket, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&session->lock);
    return connection;
}

void session_end(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    bool is_first = !session->is_gone;
    session->is_gone = true;
    session_free_interests(session);
    pthread_mutex_unlock(&session->lock);
    if (!is_first) {
        return;
    }
    client_process_cut(session->process); /* first: an access that waits holds up what follows */
    registry_unwatch_all(session->host->registry, session);
    struct connection *connection;
    while ((connection = session_first_connection(session)) != NULL) {
        connection_close(connection);
        connection_put(connection);
    }
    session->process->is_gone = true;
    pthread_mutex_lock(&session->host->lock);
    TAILQ_REMOVE(&session->host->sessions, session, link);
    pthread_mutex_unlock(&session->host->lock);
    log_debug("host", "client %d: gone, everything of it is released", (int)session->process->pid);
}

void session_dismiss(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    if (!session->is_gone) {
        session->sink->gone(session);
    }
    pthread_mutex_unlock(&session->lock);
    session_end(session);
}

void session_send(struct session *session, struct wire_message *event)
{
    pthread_mutex_lock(&session->lock);
    if (!session->is_gone) {
        session->sink->send(session, event);
    }
    pthread_mutex_unlock(&session->lock);
}

bool session_has_wake(struct session *session, uint32_t wake)
{
    pthread_mutex_lock(&session->lock);
    bool has_wake = wake > 0 && wake <= session->wake_count;
    pthread_mutex_unlock(&session->lock);
    return has_wake;
}

void session_complete(struct session *session, uint32_t wake,
                      const struct wire_completion *completion)
{
    struct wire_message event = wire_message_borrowing(
        WIRE_EVENT_COMPLETION, (void *)(uintptr_t)completion, wire_completion_bytes(completion));
    uint32_t unseen[2] = {wake, 0};
    pthread_mutex_lock(&session->lock);
    enum wire_wake_result result = WIRE_WAKE_FULL;
    if (!session->is_gone && wake) {
        result = wire_wake_put(session->wakes[wake - 1], completion);
    }
    if (result == WIRE_WAKE_UNSEEN) {
        event = wire_message_borrowing(WIRE_EVENT_WAKE, unseen, sizeof(unseen));
    }
    if (!session->is_gone && result != WIRE_WAKE_PUT) {
        session->sink->send(session, &event);
    }
    pthread_mutex_unlock(&session->lock);
}

void session_service_terminated(struct session *session, uint64_t entry_id)
{
    struct wire_message event;
    wire_message_init(&event);
    pthread_mutex_lock(&session->lock);
    if (!session->is_gone) {
        wire_message_reset(&event, WIRE_EVENT_DEAD);
        wire_put_u64(&event, entry_id);
        session->sink->send(session, &event);
        struct interest *interest;
        TAILQ_FOREACH (interest, &session->interests, link) {
            if (interest->entry_id != entry_id) {
                continue;
            }
            wire_message_reset(&event, WIRE_EVENT_INTEREST);
            wire_put_u64(&event, interest->token);
            wire_put_u64(&event, entry_id);
            wire_put_u32(&event, MESSAGE_SERVICE_IS_TERMINATED);
            wire_put_u32(&event, 0);
            wire_put_u64(&event, 0);
            session->sink->send(session, &event);
        }
    }
    pthread_mutex_unlock(&session->lock);
    wire_message_destroy(&event);
}

/* Requests of the control channel. */

static void session_put_ids(struct wire_message *reply, const uint64_t *ids, size_t count)
{
    wire_put_u32(reply, (uint32_t)count);
    wire_put_bytes(reply, ids, count * sizeof(*ids));
}

static IOReturn session_match(struct session *session, struct wire_message *request,
                              struct wire_message *reply)
{
    uint64_t *ids = NULL;
    size_t count = 0;
    struct wire_value *matching = wire_get_value(request);
    if (!matching || !wire_is_consumed(request)) {
        wire_value_free(matching);
        return kIOReturnIPCError;
    }
    int error = registry_match(session->host->registry, matching, &ids, &count);
    wire_value_free(matching);
    session_put_ids(reply, ids, count);
    free(ids);
    return status_from_errno(error);
}

static IOReturn session_entry(struct session *session, struct wire_message *request,
                              struct wire_message *reply)
{
    uint64_t id = wire_get_u64(request);
    int error = 0;
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    struct wire_value *entry = registry_describe(session->host->registry, id, &error);
    if (entry) {
        wire_put_value(reply, entry);
    }
    wire_value_free(entry);
    return status_from_errno(error);
}

static IOReturn session_open(struct session *session, struct wire_message *request,
                             struct wire_message *reply, struct connection **opened)
{
    uint64_t id = wire_get_u64(request);
    uint32_t type = wire_get_u32(request);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    struct service *service = host_find_service(session->host, id);
    if (!service) {
        /* An entry without a driver that takes clients; a departed one has a dead name. */
        return registry_is_active(session->host->registry, id) ? kIOReturnUnsupported
                                                               : kIOReturnNoDevice;
    }
    IOReturn status = connection_open(session, service, type, opened);
    service_put(service);
    if (status == kIOReturnSuccess) {
        wire_put_u64(reply, (*opened)->id);
    }
    return status;
}

static void session_tell_match(void *owner, uint64_t token, uint64_t entry_id)
{
    struct session *session = owner;
    struct wire_message event;
    wire_message_init(&event);
    wire_message_reset(&event, WIRE_EVENT_MATCH);
    wire_put_u64(&event, token);
    wire_put_u64(&event, entry_id);
    session_send(session, &event);
    wire_message_destroy(&event);
}

static IOReturn session_notify_add(struct session *session, struct wire_message *request,
                                   struct wire_message *reply)
{
    uint64_t *ids = NULL;
    size_t count = 0;
    uint64_t token = wire_get_u64(request);
    uint32_t kind = wire_get_u32(request);
    struct wire_value *matching = wire_get_value(request);
    if (!matching || !wire_is_consumed(request) ||
        (kind != WIRE_NOTIFY_PUBLISH && kind != WIRE_NOTIFY_TERMINATED)) {
        wire_value_free(matching);
        return kIOReturnIPCError;
    }
    if (request->length > WIRE_MAX_MATCHING) { /* the host keeps it */
        wire_value_free(matching);
        return kIOReturnNoResources;
    }
    int error = registry_watch(session->host->registry,
                               kind == WIRE_NOTIFY_PUBLISH ? REGISTRY_ARRIVED : REGISTRY_DEPARTED,
                               matching, session, token, session_tell_match, &ids, &count);
    session_put_ids(reply, ids, count);
    free(ids);
    return status_from_errno(error);
}

static void session_forget_interest(struct session *session, uint64_t token)
{
    pthread_mutex_lock(&session->lock);
    struct interest *interest;
    struct interest *next;
    TAILQ_FOREACH_SAFE (interest, &session->interests, link, next) {
        if (interest->token == token) {
            TAILQ_REMOVE(&session->interests, interest, link);
            session->interest_count--;
            free(interest);
        }
    }
    pthread_mutex_unlock(&session->lock);
}

static IOReturn session_notify_remove(struct session *session, struct wire_message *request)
{
    uint64_t token = wire_get_u64(request);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    registry_unwatch(session->host->registry, session, token);
    session_forget_interest(session, token);
    return kIOReturnSuccess;
}

static IOReturn session_interest_add(struct session *session, struct wire_message *request)
{
    uint64_t token = wire_get_u64(request);
    uint64_t entry_id = wire_get_u64(request);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    struct interest *interest = calloc(1, sizeof(*interest));
    if (!interest) {
        return kIOReturnNoMemory;
    }
    interest->token = token;
    interest->entry_id = entry_id;
    pthread_mutex_lock(&session->lock);
    if (session->interest_count == WIRE_MAX_INTERESTS) {
        pthread_mutex_unlock(&session->lock);
        free(interest);
        return kIOReturnNoResources;
    }
    TAILQ_INSERT_TAIL(&session->interests, interest, link);
    session->interest_count++;
    pthread_mutex_unlock(&session->lock);
    /* Looked at after it is listed: a service that ends in between is told or refused, or both. */
    if (!registry_is_active(session->host->registry, entry_id)) {
        session_forget_interest(session, token);
        return kIOReturnUnsupported;
    }
    return kIOReturnSuccess;
}

static IOReturn session_memory_open(struct session *session, struct wire_message *request,
                                    struct wire_message *reply)
{
    uint64_t id = 0;
    int fd = -1;
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    int error = served_channel_open(&session->process->served, &id, &fd);
    if (!error) {
        wire_put_u64(reply, id);
        wire_put_fd(reply, fd);
    }
    if (!error && reply->is_bad) {
        served_channel_close(&session->process->served, id);
    }
    return status_from_errno(error);
}

static IOReturn session_memory_serve(struct session *session, struct wire_message *request)
{
    uint64_t id = wire_get_u64(request);
    uint64_t address = wire_get_u64(request);
    uint64_t bytes = wire_get_u64(request);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    return status_from_errno(served_range_add(&session->process->served, id, address, bytes));
}

static IOReturn session_memory_end(struct session *session, struct wire_message *request)
{
    uint64_t which = wire_get_u64(request);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    return status_from_errno(request->header.type == WIRE_MEMORY_CLOSE
                                 ? served_channel_close(&session->process->served, which)
                                 : served_range_withdraw(&session->process->served, which));
}

static IOReturn session_wake_open(struct session *session, struct wire_message *request,
                                  struct wire_message *reply)
{
    struct wire_wake_host *wake = NULL;
    int fd = -1;
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    int error = wire_wake_host_create(&wake, &fd);
    if (error) {
        return status_from_errno(error);
    }
    pthread_mutex_lock(&session->lock);
    bool has_room = session->wake_count < WIRE_MAX_WAKES;
    if (has_room) {
        session->wakes[session->wake_count++] = wake;
        wire_put_u64(reply, session->wake_count);
    }
    pthread_mutex_unlock(&session->lock);
    if (!has_room) {
        wire_wake_host_destroy(wake);
        close(fd);
        return kIOReturnNoResources;
    }
    wire_put_fd(reply, fd);
    return kIOReturnSuccess;
}

static IOReturn session_answer(struct session *session, struct wire_message *request,
                               struct wire_message *reply, struct connection **opened)
{
    switch (request->header.type) {
    case WIRE_MATCH:
        return session_match(session, request, reply);
    case WIRE_ENTRY:
        return session_entry(session, request, reply);
    case WIRE_OPEN:
        return session_open(session, request, reply, opened);
    case WIRE_NOTIFY_ADD:
        return session_notify_add(session, request, reply);
    case WIRE_NOTIFY_REMOVE:
        return session_notify_remove(session, request);
    case WIRE_INTEREST_ADD:
        return session_interest_add(session, request);
    case WIRE_WAKE_OPEN:
        return session_wake_open(session, request, reply);
    case WIRE_MEMORY_OPEN:
        return session_memory_open(session, request, reply);
    case WIRE_MEMORY_SERVE:
        return session_memory_serve(session, request);
    case WIRE_MEMORY_WITHDRAW:
    case WIRE_MEMORY_CLOSE:
        return session_memory_end(session, request);
    default:
        return kIOReturnIPCError;
    }
}

void session_request(struct session *session, struct wire_message *request,
                     struct wire_message *reply, struct connection **opened)
{
    *opened = NULL;
    wire_message_answer(reply, request);
    trace_set_current_call(request->header.call_id);
    IOReturn status =
        request->fd_count ? kIOReturnIPCError : session_answer(session, request, reply, opened);
    if (reply->is_bad && !*opened) {
        wire_message_answer(reply, request);
        status = kIOReturnNoMemory;
    }
    reply->header.status = status;
}
