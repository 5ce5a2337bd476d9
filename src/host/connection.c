/*
 * User clients of a host: life, and the requests of their call channel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/status.h"
#include "base/trace.h"
#include "host/client_memory.h"
#include "host/host.h"
#include "host/session.h"

/* A connection whose service has terminated answers as the kernel does for a dead port name. */
#define CONNECTION_DEAD_STATUS ((IOReturn)0x10000003) /* MACH_SEND_INVALID_DEST */

static void connection_free(struct connection *connection)
{
    service_put(connection->service);
    session_put(connection->session);
    pthread_rwlock_destroy(&connection->lock);
    pthread_mutex_destroy(&connection->async_lock);
    free(connection->structures.bytes);
    free(connection);
}

struct connection *connection_get(struct connection *connection)
{
    connection->references++;
    return connection;
}

void connection_put(struct connection *connection)
{
    if (connection && --connection->references == 0) {
        connection_free(connection);
    }
}

static bool connection_join_service(struct connection *connection)
{
    struct service *service = connection->service;
    pthread_mutex_lock(&service->lock);
    bool is_joined = !service->is_terminated;
    if (is_joined) {
        TAILQ_INSERT_TAIL(&service->connections, connection, service_link);
    }
    pthread_mutex_unlock(&service->lock);
    return is_joined;
}

static void connection_leave_service(struct connection *connection, struct service *service)
{
    pthread_mutex_lock(&service->lock);
    TAILQ_REMOVE(&service->connections, connection, service_link);
    pthread_mutex_unlock(&service->lock);
}

static bool connection_join_session(struct connection *connection)
{
    struct session *session = connection->session;
    pthread_mutex_lock(&session->lock);
    bool is_joined = !session->is_gone;
    if (is_joined) {
        TAILQ_INSERT_TAIL(&session->connections, connection, session_link);
    }
    pthread_mutex_unlock(&session->lock);
    return is_joined;
}

IOReturn connection_open(struct session *session, struct service *service, uint32_t type,
                         struct connection **out)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        return kIOReturnNoMemory;
    }
    connection->id = host_new_connection_id(session->host);
    connection->session = session_get(session);
    connection->service = service_get(service);
    connection->references = 1;
    connection->socket = -1;
    pthread_rwlock_init(&connection->lock, NULL);
    pthread_mutex_init(&connection->async_lock, NULL);

    IOReturn status = dext_client_open(service->dext, type, connection, &connection->client);
    if (status != kIOReturnSuccess) {
        goto put;
    }
    if (!connection_join_service(connection)) {
        status = kIOReturnNoDevice;
        goto stop;
    }
    if (!connection_join_session(connection)) {
        status = kIOReturnAborted;
        goto leave;
    }
    *out = connection;
    return kIOReturnSuccess;

leave:
    connection_leave_service(connection, service);
stop:
    connection_stop(connection);
put:
    connection_put(connection);
    return status;
}

void connection_stop(struct connection *connection)
{
    pthread_rwlock_wrlock(&connection->lock);
    connection->is_dead = true;
    dext_client_stop(connection->client);
    connection->client = NULL;
    pthread_rwlock_unlock(&connection->lock);
}

void connection_give_share(struct connection *connection, struct quota_share *share)
{
    pthread_mutex_lock(&connection->session->lock);
    bool is_closed = !connection->service; /* the host ends */
    connection->share = is_closed ? NULL : share;
    pthread_mutex_unlock(&connection->session->lock);
    if (is_closed) {
        quota_give(&connection->session->host->quota, share);
    }
}

void connection_close(struct connection *connection)
{
    connection_stop(connection);
    struct session *session = connection->session;
    pthread_mutex_lock(&session->lock);
    struct service *service = connection->service;
    struct quota_share *share = connection->share;
    connection->service = NULL;
    connection->share = NULL;
    if (service) {
        TAILQ_REMOVE(&session->connections, connection, session_link);
    }
    pthread_mutex_unlock(&session->lock);
    if (service) {
        service_set_claimed(service, connection, false);
        connection_leave_service(connection, service);
        service_put(service);
    }
    quota_give(&session->host->quota, share); /* before CLOSE is answered: the next OPEN has room */
}

/* Asynchronous calls: the token that travels through the dext stands for where to complete. */

/* The wake that an asynchronous call names; 0: none. */
static uint32_t call_wake(const struct wire_call_head *head)
{
    return (head->flags & WIRE_CALL_WAKE_MASK) >> WIRE_CALL_WAKE_SHIFT;
}

static uint64_t connection_async_add(struct connection *connection,
                                     const struct wire_call_head *call)
{
    pthread_mutex_lock(&connection->async_lock);
    uint64_t token = ++connection->next_token;
    struct async_reference *slot = &connection->async[token % CONNECTION_ASYNC_MAX];
    slot->token = token;
    slot->wake = call_wake(call);
    slot->wake_port = call->wake_port;
    memcpy(slot->reference, call->reference, sizeof(slot->reference));
    pthread_mutex_unlock(&connection->async_lock);
    return token;
}

static bool connection_async_find(struct connection *connection, uint64_t token,
                                  struct async_reference *out)
{
    pthread_mutex_lock(&connection->async_lock);
    *out = connection->async[token % CONNECTION_ASYNC_MAX];
    pthread_mutex_unlock(&connection->async_lock);
    return out->token == token && token != 0;
}

static void connection_async_forget(struct connection *connection, uint64_t token)
{
    pthread_mutex_lock(&connection->async_lock);
    struct async_reference *slot = &connection->async[token % CONNECTION_ASYNC_MAX];
    if (slot->token == token) {
        slot->token = 0;
    }
    pthread_mutex_unlock(&connection->async_lock);
}

static void connection_async_complete(void *client_context, uint64_t token, IOReturn status,
                                      const uint64_t *arguments, unsigned count)
{
    struct connection *connection = client_context;
    struct async_reference reference;
    if (!connection_async_find(connection, token, &reference) || count > WIRE_MAX_ARGUMENTS) {
        return;
    }
    struct wire_completion completion;
    completion.wake_port = reference.wake_port;
    memcpy(completion.reference, reference.reference, sizeof(completion.reference));
    completion.status = (uint32_t)status;
    completion.count = count;
    for (unsigned i = 0; i < count; i++) {
        completion.arguments[i] = arguments[i];
    }
    session_complete(connection->session, reference.wake, &completion);
}

static int connection_client_memory(void *client_context, uint64_t address, uint64_t bytes,
                                    struct dma_memory **out, uint64_t *offset)
{
    struct connection *connection = client_context;
    return client_memory_create(connection->session->process, &connection->hold, address, bytes,
                                out, offset);
}

static void connection_client_hold(void *client_context, const void *requests, size_t count)
{
    struct connection *connection = client_context;
    connection->hold = (struct client_hold){.requests = requests, .count = count};
}

static void connection_dext_terminate(void *dext_context)
{
    struct service *service = dext_context;
    service->owner->wants_termination(service->owner->context, service_get(service));
}

/* The host itself asks without a connection. */
static uint32_t connection_client_process(void *client_context)
{
    const struct connection *connection = client_context;
    return connection ? (uint32_t)connection->session->process->pid : 0;
}

const struct dext_host_ops connection_dext_ops = {
    .client_memory = connection_client_memory,
    .client_hold = connection_client_hold,
    .async_complete = connection_async_complete,
    .terminate = connection_dext_terminate,
    .client_process = connection_client_process,
};

/* The call channel. */

static bool call_head_get(struct wire_message *request, struct wire_call_head *head)
{
    const void *given = wire_get_bytes(request, sizeof(*head));
    if (!given) {
        return false;
    }
    memcpy(head, given, sizeof(*head));
    return !(head->flags & ~(WIRE_CALL_ASYNC | WIRE_CALL_WAKE_MASK)) &&
           (call_wake(head) == 0 || (head->flags & WIRE_CALL_ASYNC)) &&
           head->scalars_in <= WIRE_MAX_SCALARS && head->scalars_out <= WIRE_MAX_SCALARS &&
           head->struct_in <= WIRE_MAX_STRUCT && head->struct_out <= WIRE_MAX_STRUCT;
}

static void call_put_results(const struct dext_arguments *results, struct wire_message *reply)
{
    const struct wire_call_reply head = {.scalars = results->scalar_out_count,
                                         .struct_bytes = results->struct_out_bytes};
    wire_put_bytes(reply, &head, sizeof(head));
    wire_put_bytes(reply, results->scalar_out, head.scalars * sizeof(uint64_t));
    wire_put_bytes(reply, results->struct_out, head.struct_bytes);
}

static IOReturn connection_external_method(struct connection *connection, uint32_t selector,
                                           struct dext_arguments *arguments)
{
    IOReturn status = dext_client_external_method(connection->client, selector, arguments);
    if (status == kIOReturnSuccess && selector == DEXT_SEL_CLAIM) {
        service_set_claimed(connection->service, connection, true);
    }
    return status;
}

static IOReturn connection_call(struct connection *connection, struct wire_message *request,
                                struct wire_message *reply)
{
    struct wire_call_head call;
    uint64_t scalars_in[WIRE_MAX_SCALARS] = {0};
    uint64_t scalars_out[WIRE_MAX_SCALARS] = {0};
    if (!call_head_get(request, &call)) {
        return kIOReturnIPCError;
    }
    if (call_wake(&call) && !session_has_wake(connection->session, call_wake(&call))) {
        return kIOReturnIPCError;
    }
    const void *scalars = wire_get_bytes(request, call.scalars_in * sizeof(uint64_t));
    const void *structure = wire_get_bytes(request, call.struct_in);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    memcpy(scalars_in, scalars, call.scalars_in * sizeof(uint64_t));
    void *struct_out = NULL;
    if (call.struct_out && !(struct_out = calloc(1, call.struct_out))) {
        return kIOReturnNoMemory;
    }
    struct dext_arguments arguments = {
        .scalar_in = scalars_in,
        .scalar_in_count = call.scalars_in,
        .struct_in = call.struct_in ? structure : NULL,
        .struct_in_bytes = call.struct_in,
        .scalar_out = scalars_out,
        .scalar_out_count = call.scalars_out,
        .struct_out = struct_out,
        .struct_out_bytes = call.struct_out,
        .has_completion = (call.flags & WIRE_CALL_ASYNC) != 0,
    };
    if (arguments.has_completion) {
        /* Before the call: it may complete before it returns. */
        arguments.completion_token = connection_async_add(connection, &call);
    }
    IOReturn status = connection_external_method(connection, call.selector, &arguments);
    if (status != kIOReturnSuccess && arguments.has_completion) {
        connection_async_forget(connection, arguments.completion_token);
    }
    if (status == kIOReturnSuccess) {
        call_put_results(&arguments, reply);
    }
    free(struct_out);
    return status;
}

static IOReturn connection_map(struct connection *connection, struct wire_message *request,
                               struct wire_message *reply)
{
    struct dext_memory memory = {0};
    uint64_t type = wire_get_u64(request);
    if (!wire_is_consumed(request)) {
        return kIOReturnIPCError;
    }
    IOReturn status = dext_client_memory_for_type(connection->client, type, &memory);
    if (status != kIOReturnSuccess) {
        return status;
    }
    wire_put_u64(reply, memory.bytes);
    wire_put_u32(reply, memory.is_read_only);
    wire_put_u32(reply, memory.range_count);
    for (unsigned i = 0; i < memory.range_count; i++) {
        const struct pci_direct_range *range = &memory.ranges[i];
        wire_put_u64(reply, range->offset);
        wire_put_u64(reply, range->bytes);
        wire_put_u64(reply, range->fd_offset);
        wire_put_u32(reply, i);
        wire_put_u32(reply, 0);
        wire_put_fd(reply, fcntl(range->fd, F_DUPFD_CLOEXEC, 0));
    }
    return kIOReturnSuccess;
}

static IOReturn connection_access(struct connection *connection, struct wire_message *request,
                                  struct wire_message *reply)
{
    uint64_t type = wire_get_u64(request);
    uint64_t offset = wire_get_u64(request);
    uint32_t width = wire_get_u32(request);
    uint32_t is_write = wire_get_u32(request);
    uint64_t value = wire_get_u64(request);
    if (!wire_is_consumed(request) || is_write > 1) {
        return kIOReturnIPCError;
    }
    IOReturn status =
        dext_client_memory_access(connection->client, type, offset, width, is_write != 0, &value);
    wire_put_u64(reply, value);
    return status;
}

static IOReturn connection_answer(struct connection *connection, struct wire_message *request,
                                  struct wire_message *reply)
{
    if (connection->is_dead || !connection->client) {
        return CONNECTION_DEAD_STATUS;
    }
    switch (request->header.type) {
    case WIRE_CALL:
        return connection_call(connection, request, reply);
    case WIRE_MAP:
        return connection_map(connection, request, reply);
    case WIRE_ACCESS:
        return connection_access(connection, request, reply);
    default:
        return kIOReturnIPCError;
    }
}

bool connection_request(struct connection *connection, struct wire_message *request,
                        struct wire_message *reply)
{
    wire_message_answer(reply, request);
    trace_set_current_call(request->header.call_id);
    if (request->header.type == WIRE_CLOSE && request->length == 0 && request->fd_count == 0) {
        connection_close(connection);
        return false;
    }
    /* Mapping is exclusive against calls, as in the kernel: what it hands out cannot be freed by a
     * call of another thread before it has been duplicated. */
    if (request->header.type == WIRE_MAP) {
        pthread_rwlock_wrlock(&connection->lock);
    } else {
        pthread_rwlock_rdlock(&connection->lock);
    }
    IOReturn status =
        request->fd_count ? kIOReturnIPCError : connection_answer(connection, request, reply);
    pthread_rwlock_unlock(&connection->lock);
    if (reply->is_bad) {
        wire_message_answer(reply, request);
        status = kIOReturnNoMemory;
    }
    reply->header.status = status;
    return true;
}

/* Small requests. */

static IOReturn connection_call_small(struct connection *connection, struct wire_words *words)
{
    uint64_t scalars_out[WIRE_MAX_SCALARS] = {0};
    const unsigned count = words->count;
    const uint64_t first = words->words[0];
    words->count = 0;
    if (count < 1 || wire_call_word_in(first) != count - 1 ||
        wire_call_word_room(first) > WIRE_MAX_SCALARS) {
        return kIOReturnIPCError;
    }
    struct dext_arguments arguments = {
        .scalar_in = words->words + 1,
        .scalar_in_count = count - 1,
        .scalar_out = scalars_out,
        .scalar_out_count = wire_call_word_room(first),
    };
    IOReturn status =
        connection_external_method(connection, wire_call_word_selector(first), &arguments);
    if (status == kIOReturnSuccess) {
        words->count = (uint16_t)arguments.scalar_out_count;
        memcpy(words->words, scalars_out, words->count * sizeof(*scalars_out));
    }
    return status;
}

/* A buffer that one huge call has grown is given back. */
#define CALL_BUFFER_KEEP_BYTES 65536

static uint8_t *call_buffer_get(struct call_buffer *buffer, size_t bytes)
{
    if (buffer->room < bytes || buffer->room > CALL_BUFFER_KEEP_BYTES) {
        free(buffer->bytes);
        buffer->bytes = malloc(bytes);
        buffer->room = buffer->bytes ? bytes : 0;
    }
    return buffer->bytes;
}

/* The structures of a CALL_AT: copies, which the client cannot change any more. */
struct call_structures {
    uint64_t from, to; /* in the client's memory */
    uint32_t bytes, room;
    uint8_t *in, *out;
};

/* kIOReturnIPCError: it does not make sense, or is not to be had this way. */
static IOReturn call_at_fetch(struct connection *connection, const struct wire_words *words,
                              struct call_structures *structures)
{
    const uint64_t sizes = words->words[2];
    *structures = (struct call_structures){.from = words->words[1],
                                           .to = words->words[3],
                                           .bytes = (uint32_t)sizes,
                                           .room = sizes >> WIRE_CALL_AT_ROOM_SHIFT};
    if (structures->bytes > WIRE_MAX_STRUCT || structures->room > WIRE_MAX_STRUCT ||
        range_wraps(structures->from, structures->bytes) ||
        range_wraps(structures->to, structures->room)) {
        return kIOReturnIPCError;
    }
    const size_t in_bytes = (size_t)align_up(structures->bytes, sizeof(uint64_t));
    structures->in = call_buffer_get(&connection->structures, in_bytes + structures->room + 1);
    if (!structures->in) {
        return kIOReturnNoMemory;
    }
    structures->out = structures->in + in_bytes;
    memset(structures->out, 0, structures->room);
    return structures->bytes > 0 &&
                   client_process_copy(connection->session->process, structures->from,
                                       structures->in, structures->bytes, false) != 0
               ? kIOReturnIPCError
               : kIOReturnSuccess;
}

static IOReturn call_at_carry_out(struct connection *connection, struct wire_words *words,
                                  unsigned scalars, const struct call_structures *structures)
{
    uint64_t scalars_out[WIRE_MAX_SCALARS] = {0};
    struct dext_arguments arguments = {
        .scalar_in = words->words + WIRE_CALL_AT_WORDS,
        .scalar_in_count = scalars,
        .struct_in = structures->bytes > 0 ? structures->in : NULL,
        .struct_in_bytes = structures->bytes,
        .scalar_out = scalars_out,
        .scalar_out_count = wire_call_word_room(words->words[0]),
        .struct_out = structures->room > 0 ? structures->out : NULL,
        .struct_out_bytes = structures->room,
    };
    IOReturn status = connection_external_method(
        connection, wire_call_word_selector(words->words[0]), &arguments);
    words->count = 1;
    words->words[0] = 0;
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (arguments.struct_out_bytes > 0 &&
        client_process_copy(connection->session->process, structures->to, structures->out,
                            arguments.struct_out_bytes, true) != 0) {
        return kIOReturnVMError; /* it was there when the client asked: it has been taken away */
    }
    words->count = (uint16_t)(1 + arguments.scalar_out_count);
    words->words[0] = arguments.struct_out_bytes;
    memcpy(words->words + 1, scalars_out, arguments.scalar_out_count * sizeof(*scalars_out));
    return status;
}

static IOReturn connection_call_at(struct connection *connection, struct wire_words *words)
{
    struct call_structures structures = {0};
    const unsigned count = words->count;
    const uint64_t first = words->words[0];
    words->count = 0;
    if (count < WIRE_CALL_AT_WORDS || wire_call_word_in(first) != count - WIRE_CALL_AT_WORDS ||
        wire_call_word_room(first) > WIRE_CALL_AT_SCALARS_OUT) {
        return kIOReturnIPCError;
    }
    IOReturn status = call_at_fetch(connection, words, &structures);
    if (status == kIOReturnSuccess) {
        status = call_at_carry_out(connection, words, count - WIRE_CALL_AT_WORDS, &structures);
    }
    return status;
}

static IOReturn connection_access_small(struct connection *connection, struct wire_words *words)
{
    const uint32_t width = (uint32_t)words->words[2];
    const uint32_t is_write = (uint32_t)(words->words[2] >> WIRE_ACCESS_WRITE_SHIFT);
    uint64_t value = words->words[3];
    if (words->count != WIRE_ACCESS_WORDS || is_write > 1) {
        words->count = 0;
        return kIOReturnIPCError;
    }
    IOReturn status = dext_client_memory_access(connection->client, words->words[0],
                                                words->words[1], width, is_write != 0, &value);
    words->count = 1;
    words->words[0] = value;
    return status;
}

void connection_request_small(struct connection *connection, struct wire_words *words)
{
    trace_set_current_call(words->call_id);
    pthread_rwlock_rdlock(&connection->lock);
    if (connection->is_dead || !connection->client) {
        words->status = CONNECTION_DEAD_STATUS;
        words->count = 0;
    } else if (words->type == WIRE_CALL) {
        words->status = connection_call_small(connection, words);
    } else if (words->type == WIRE_CALL_AT) {
        words->status = connection_call_at(connection, words);
    } else if (words->type == WIRE_ACCESS) {
        words->status = connection_access_small(connection, words);
    } else {
        words->status = kIOReturnIPCError;
        words->count = 0;
    }
    pthread_rwlock_unlock(&connection->lock);
}
