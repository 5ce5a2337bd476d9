/*
 * Both ends of call slots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slot_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pause.h"

int pair_set_up(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    *state = pair;
    return wire_slot_host_create(&pair->host, &pair->fd) ||
           !(pair->client = wire_slot_client_create(pair->fd)) ||
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair->ends);
}

int pair_tear_down(void **state)
{
    struct pair *pair = *state;
    wire_slot_host_end(&pair->host);
    wire_slot_client_destroy(pair->client);
    close(pair->fd);
    for (int i = 0; i < 2; i++) {
        if (pair->ends[i] >= 0) {
            close(pair->ends[i]);
        }
    }
    free(pair);
    return 0;
}

void put_call(struct wire_message *request, uint32_t selector, const uint64_t *scalars,
              uint32_t count, uint32_t room)
{
    static const uint64_t nothing[11]; /* structures, wake port, reference */
    wire_message_reset(request, WIRE_CALL);
    wire_put_u32(request, selector);
    wire_put_u32(request, 0);
    wire_put_u32(request, count);
    wire_put_u32(request, room);
    wire_put_bytes(request, nothing, sizeof(nothing));
    wire_put_bytes(request, scalars, count * sizeof(*scalars));
}

/* As many scalars back as came, each with ANSWER added; the selector is the status. */
static void host_answer(struct wire_message *request, struct wire_message *reply)
{
    uint64_t scalars[WIRE_MAX_SCALARS];
    wire_message_answer(reply, request);
    if (request->header.type == WIRE_ACCESS) {
        wire_get_bytes(request, 24);
        wire_put_u64(reply, wire_get_u64(request) + ANSWER);
        return;
    }
    uint32_t selector = wire_get_u32(request);
    wire_get_u32(request);
    uint32_t count = wire_get_u32(request);
    wire_get_bytes(request, 4 + 11 * 8);
    const void *given = wire_get_bytes(request, count * sizeof(uint64_t));
    if (!wire_is_consumed(request)) {
        reply->header.status = -1;
        return;
    }
    reply->header.status = (int32_t)selector;
    if (selector == 0) {
        memcpy(scalars, given, count * sizeof(uint64_t));
        wire_put_u32(reply, count);
        wire_put_u32(reply, 0);
        wire_put_u64(reply, 0);
        for (uint32_t i = 0; i < count; i++) {
            wire_put_u64(reply, scalars[i] + ANSWER);
        }
    }
}

unsigned host_serve(struct pair *pair)
{
    unsigned served = 0;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        if (!wire_slot_host_take(&pair->host, i, &request)) {
            continue;
        }
        served++;
        if (pair->hangs_up) {
            close(pair->ends[1]);
            pair->ends[1] = -1;
            break;
        }
        host_answer(&request, &reply);
        pair->woken += wire_slot_host_answer(&pair->host, i, &reply);
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return served;
}

/* Sleeps on the socket as a host does; ends with it. */
static void *host_main(void *opaque)
{
    struct pair *pair = opaque;
    char byte;
    while (pair->ends[1] >= 0) {
        wire_slot_host_set_awake(&pair->host, false);
        if (host_serve(pair) == 0 && read(pair->ends[1], &byte, 1) <= 0) {
            break;
        }
        wire_slot_host_set_awake(&pair->host, true);
        for (unsigned i = 0; i <= pair->polls && pair->ends[1] >= 0; i++) {
            i = host_serve(pair) ? 0 : i;
            pause_processor();
        }
    }
    return NULL;
}

static int kick(void *context)
{
    struct pair *pair = context;
    if (pair->kick_error) {
        return pair->kick_error;
    }
    pair->kicks++;
    return write(pair->ends[0], "k", 1) == 1 ? 0 : -errno;
}

int pair_call(struct pair *pair, struct wire_message *request, struct wire_message *reply)
{
    return wire_slot_client_call(pair->client, pair->ends[0], kick, pair, request, reply);
}

void *call_in_thread(void *opaque)
{
    struct caller *caller = opaque;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    put_call(&request, 0, NULL, 0, 0);
    caller->error = pair_call(caller->pair, &request, &reply);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return NULL;
}

pthread_t start_call(struct caller *caller)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_in_thread, caller), 0);
    return thread;
}

pthread_t start_host(struct pair *pair)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, host_main, pair), 0);
    return thread;
}

void stop_host(struct pair *pair, pthread_t thread)
{
    shutdown(pair->ends[0], SHUT_WR);
    assert_int_equal(pthread_join(thread, NULL), 0);
}
