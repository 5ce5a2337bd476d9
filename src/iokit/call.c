/*
 * Method calls: arguments out, results back, with the kernel's rules for counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOKitLib.h>
#include <stdio.h>
#include <string.h>

#include "base/trace.h"
#include "iokit/connection.h"
#include "iokit/port.h"
#include "iokit/session.h"

/* Larger structures travel out of line: their size is not reported. */
#define CALL_INLINE_MAX    4096
#define CALL_VARIABLE_SIZE ((size_t)-3) /* kIOConnectMethodVarOutputSize */

struct call {
    uint32_t selector;
    const uint64_t *input;
    uint32_t input_count;
    const void *input_struct;
    size_t input_struct_bytes;
    uint64_t *output;
    uint32_t *output_count;
    void *output_struct;
    size_t *output_struct_bytes;
    bool is_async;
    uint32_t wake; /* asynchronous: the wake channel of the port */
    mach_port_t wake_port;
    uint64_t reference[WIRE_MAX_REFERENCES];
};

static uint32_t call_output_room(const struct call *call)
{
    uint32_t room = call->output_count ? *call->output_count : 0;
    return room > WIRE_MAX_SCALARS ? WIRE_MAX_SCALARS : room;
}

static size_t call_struct_room(const struct call *call)
{
    return call->output_struct_bytes ? *call->output_struct_bytes : 0;
}

/* What the stubs refuse before anything is sent. */
static kern_return_t call_check(const struct call *call)
{
    if (call->input_count > WIRE_MAX_SCALARS) {
        return MIG_ARRAY_TOO_LARGE;
    }
    if ((!call->input && call->input_count) ||
        (!call->output && call->output_count && *call->output_count) ||
        (!call->input_struct && call->input_struct_bytes)) {
        return kIOReturnBadArgument;
    }
    if (call_struct_room(call) == CALL_VARIABLE_SIZE) {
        return kIOReturnUnsupported;
    }
    if (call->input_struct_bytes > WIRE_MAX_STRUCT || call_struct_room(call) > WIRE_MAX_STRUCT) {
        return kIOReturnIPCError;
    }
    return !call->output_struct && call_struct_room(call) ? kIOReturnBadArgument : KERN_SUCCESS;
}

static void call_put(const struct call *call, struct wire_message *request)
{
    struct wire_call_head head = {
        .selector = call->selector,
        .flags = call->is_async ? WIRE_CALL_ASYNC | call->wake << WIRE_CALL_WAKE_SHIFT : 0,
        .scalars_in = call->input_count,
        .scalars_out = call_output_room(call),
        .struct_in = call->input_struct_bytes,
        .struct_out = call_struct_room(call),
        .wake_port = call->wake_port,
    };
    memcpy(head.reference, call->reference, sizeof(head.reference));
    wire_put_bytes(request, &head, sizeof(head));
    wire_put_bytes(request, call->input, call->input_count * sizeof(uint64_t));
    wire_put_bytes(request, call->input_struct, call->input_struct_bytes);
}

/* What a successful call gives; both in the reply. */
struct call_results {
    const uint64_t *scalars;
    uint32_t scalar_count;
    const void *structure;
    uint64_t struct_bytes;
};

/* Results to where the caller wants them. Counts change on success only. */
static kern_return_t call_give(const struct call *call, const struct call_results *results)
{
    const uint32_t count = results->scalar_count;
    const uint32_t room = call_output_room(call);
    const size_t struct_room = call_struct_room(call);
    if (results->struct_bytes > struct_room) {
        return kIOReturnBadArgument;
    }
    if (call->output && count) {
        memcpy(call->output, results->scalars, (count < room ? count : room) * sizeof(uint64_t));
    }
    if (call->output_count) {
        *call->output_count = count;
    }
    if (count > room) {
        return MIG_ARRAY_TOO_LARGE;
    }
    if (results->struct_bytes) {
        memcpy(call->output_struct, results->structure, results->struct_bytes);
    }
    if (call->output_struct_bytes && struct_room <= CALL_INLINE_MAX) {
        *call->output_struct_bytes = results->struct_bytes;
    }
    return KERN_SUCCESS;
}

/* Before anything is stored the reply is checked whole. */
static kern_return_t call_get(const struct call *call, struct wire_message *reply)
{
    struct wire_call_reply head = {0};
    const void *given = wire_get_bytes(reply, sizeof(head));
    if (given) {
        memcpy(&head, given, sizeof(head));
    }
    if (!given || head.scalars > WIRE_MAX_SCALARS || head.struct_bytes > WIRE_MAX_STRUCT) {
        return kIOReturnIPCError;
    }
    struct call_results results = {.scalar_count = head.scalars, .struct_bytes = head.struct_bytes};
    results.scalars = wire_get_bytes(reply, head.scalars * sizeof(uint64_t));
    results.structure = wire_get_bytes(reply, head.struct_bytes);
    return wire_is_consumed(reply) ? call_give(call, &results) : kIOReturnIPCError;
}

/* The way of calls with structures: the host fetches and stores them. What it stores is looked at
 * before the caller gets it, as that of a frame. false: not this way, nothing was done. */
static bool call_at(struct io_connection *connection, const struct call *call,
                    kern_return_t *status)
{
    const size_t room = call_struct_room(call);
    struct wire_words words;
    if (call->is_async || call->input_count > WIRE_CALL_AT_SCALARS ||
        call_output_room(call) > WIRE_CALL_AT_SCALARS_OUT ||
        atomic_load_explicit(&connection->fetches_nothing, memory_order_relaxed)) {
        return false;
    }
    struct io_exchange *exchange = io_exchange_begin(IO_EXCHANGE_CALL, WIRE_CALL_AT);
    const void *out = exchange ? wire_put_space(&exchange->request, room + 1) : NULL;
    if (!out) {
        return false;
    }
    words.type = WIRE_CALL_AT;
    words.count = (uint16_t)(WIRE_CALL_AT_WORDS + call->input_count);
    words.words[0] = wire_call_word(call->selector, call->input_count, call_output_room(call));
    words.words[1] = (uintptr_t)call->input_struct;
    words.words[2] = call->input_struct_bytes | (uint64_t)room << WIRE_CALL_AT_ROOM_SHIFT;
    words.words[3] = (uintptr_t)out;
    for (uint32_t i = 0; i < call->input_count; i++) {
        words.words[WIRE_CALL_AT_WORDS + i] = call->input[i];
    }
    if (!io_connection_request_small(connection, &words, status)) {
        return false;
    }
    if (words.count == 0 && *status == kIOReturnIPCError) {
        atomic_store_explicit(&connection->fetches_nothing, true, memory_order_relaxed);
        return false;
    }
    if (*status == KERN_SUCCESS) {
        const struct call_results results = {.scalars = words.words + 1,
                                             .scalar_count = words.count > 0 ? words.count - 1 : 0,
                                             .structure = out,
                                             .struct_bytes = words.count > 0 ? words.words[0] : 0};
        *status = words.count > 0 ? call_give(call, &results) : kIOReturnIPCError;
    }
    return true;
}

/* The way of most calls: a few scalars there and back. false: not this one, nothing was done. */
static bool call_small(struct io_connection *connection, const struct call *call,
                       kern_return_t *status)
{
    struct wire_words words;
    if (call->input_struct_bytes || call_struct_room(call)) {
        return call_at(connection, call, status);
    }
    if (call->is_async) {
        return false;
    }
    words.type = WIRE_CALL;
    words.count = (uint16_t)(1 + call->input_count);
    words.words[0] = wire_call_word(call->selector, call->input_count, call_output_room(call));
    for (uint32_t i = 0; i < call->input_count; i++) {
        words.words[1 + i] = call->input[i];
    }
    if (!io_connection_request_small(connection, &words, status)) {
        return false;
    }
    if (*status == KERN_SUCCESS) {
        const struct call_results results = {.scalars = words.words, .scalar_count = words.count};
        *status = call_give(call, &results);
    }
    return true;
}

static kern_return_t call_by_frame(struct io_connection *connection, const struct call *call)
{
    struct io_exchange *exchange = io_exchange_begin(IO_EXCHANGE_CALL, WIRE_CALL);
    if (!exchange) {
        return kIOReturnNoMemory;
    }
    call_put(call, &exchange->request);
    kern_return_t status = io_exchange_send(connection, exchange);
    return status == KERN_SUCCESS ? call_get(call, &exchange->reply) : status;
}

/* The wake channel of the port that is to hear of an asynchronous call. */
static uint32_t call_wake(const struct io_connection *connection, const struct call *call)
{
    kern_return_t status;
    uint32_t wake = 0;
    struct io_object *port =
        call->is_async ? io_name_find(call->wake_port, IO_KIND_PORT, &status) : NULL;
    if (port) {
        wake = port_wake(port_of_object(port), connection->object.session);
        io_object_put(port);
    }
    return wake;
}

static kern_return_t call_carry_out(io_connect_t connect, struct call *call)
{
    kern_return_t status;
    struct io_connection *connection = connection_find(connect, &status);
    if (!connection) {
        return status;
    }
    call->wake = call_wake(connection, call);
    if (!call_small(connection, call, &status)) {
        status = call_by_frame(connection, call);
    }
    connection_release(connection);
    return status;
}

/* "(0x1,0x2)", cut where there is no more room. Returns text. */
static const char *call_scalars_text(const uint64_t *scalars, uint32_t count, char *text,
                                     size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "(");
    for (uint32_t i = 0; i < count && used < bytes; i++) {
        used += (size_t)snprintf(text + used, bytes - used, "%s0x%llx", i ? "," : "",
                                 (unsigned long long)scalars[i]);
    }
    if (used < bytes) {
        snprintf(text + used, bytes - used, ")");
    }
    return text;
}

static void call_trace(const struct call *call, const kern_return_t *status)
{
    char text[320]; /* 16 scalars */
    if (!trace_is_on()) {
        return;
    }
    if (status) {
        uint32_t count = *status == KERN_SUCCESS ? call_output_room(call) : 0;
        trace_hop("iokit", "selector=%u -> 0x%x %s", call->selector, (unsigned)*status,
                  call_scalars_text(call->output, count, text, sizeof(text)));
    } else {
        trace_hop("iokit", "IOConnectCallMethod selector=%u %s", call->selector,
                  call_scalars_text(call->input, call->input_count, text, sizeof(text)));
    }
}

static kern_return_t call_perform(io_connect_t connect, struct call *call)
{
    kern_return_t status = call_check(call);
    if (status != KERN_SUCCESS) {
        return status;
    }
    uint64_t outer = trace_begin_call();
    call_trace(call, NULL);
    status = call_carry_out(connect, call);
    call_trace(call, &status);
    trace_end_call(outer);
    return status;
}

kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector, const uint64_t *input,
                                  uint32_t inputCnt, const void *inputStruct, size_t inputStructCnt,
                                  uint64_t *output, uint32_t *outputCnt, void *outputStruct,
                                  size_t *outputStructCnt)
{
    struct call call = {.selector = selector,
                        .input = input,
                        .input_count = inputCnt,
                        .input_struct = inputStruct,
                        .input_struct_bytes = inputStructCnt,
                        .output = output,
                        .output_count = outputCnt,
                        .output_struct = outputStruct,
                        .output_struct_bytes = outputStructCnt};
    return call_perform(connection, &call);
}

kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector,
                                        const uint64_t *input, uint32_t inputCnt, uint64_t *output,
                                        uint32_t *outputCnt)
{
    return IOConnectCallMethod(connection, selector, input, inputCnt, NULL, 0, output, outputCnt,
                               NULL, NULL);
}

kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector,
                                        const void *inputStruct, size_t inputStructCnt,
                                        void *outputStruct, size_t *outputStructCnt)
{
    return IOConnectCallMethod(connection, selector, NULL, 0, inputStruct, inputStructCnt, NULL,
                               NULL, outputStruct, outputStructCnt);
}

kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector,
                                       mach_port_t wake_port, uint64_t *reference,
                                       uint32_t referenceCnt, const uint64_t *input,
                                       uint32_t inputCnt, const void *inputStruct,
                                       size_t inputStructCnt, uint64_t *output, uint32_t *outputCnt,
                                       void *outputStruct, size_t *outputStructCnt)
{
    struct call call = {.selector = selector,
                        .input = input,
                        .input_count = inputCnt,
                        .input_struct = inputStruct,
                        .input_struct_bytes = inputStructCnt,
                        .output = output,
                        .output_count = outputCnt,
                        .output_struct = outputStruct,
                        .output_struct_bytes = outputStructCnt,
                        /* Without a port a driver outside the kernel sees a synchronous call. */
                        .is_async = wake_port != MACH_PORT_NULL,
                        .wake_port = wake_port};
    if (referenceCnt > WIRE_MAX_REFERENCES) {
        return MIG_ARRAY_TOO_LARGE;
    }
    if ((reference != NULL) != (referenceCnt != 0)) {
        return kIOReturnBadArgument;
    }
    if (reference) {
        memcpy(call.reference, reference, referenceCnt * sizeof(uint64_t));
    }
    return call_perform(connection, &call);
}

kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector,
                                             mach_port_t wake_port, uint64_t *reference,
                                             uint32_t referenceCnt, const uint64_t *input,
                                             uint32_t inputCnt, uint64_t *output,
                                             uint32_t *outputCnt)
{
    return IOConnectCallAsyncMethod(connection, selector, wake_port, reference, referenceCnt, input,
                                    inputCnt, NULL, 0, output, outputCnt, NULL, NULL);
}

kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector,
                                             mach_port_t wake_port, uint64_t *reference,
                                             uint32_t referenceCnt, const void *inputStruct,
                                             size_t inputStructCnt, void *outputStruct,
                                             size_t *outputStructCnt)
{
    return IOConnectCallAsyncMethod(connection, selector, wake_port, reference, referenceCnt, NULL,
                                    0, inputStruct, inputStructCnt, NULL, NULL, outputStruct,
                                    outputStructCnt);
}
