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

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pause.h"
#include "wire/spin.h"

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
    wire_slot_host_destroy(&pair->host);
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

void put_call(struct wire_words *words, uint32_t selector, const uint64_t *scalars, unsigned count)
{
    *words = (struct wire_words){.type = WIRE_CALL, .count = (uint16_t)(1 + count)};
    words->words[0] = wire_call_word(selector, count, WIRE_MAX_SCALARS);
    for (unsigned i = 0; i < count; i++) {
        words->words[1 + i] = scalars[i];
    }
}

bool slot_has_request(struct pair *pair, unsigned index)
{
    return slot_of(pair, index)->request.number != slot_of(pair, index)->taken;
}

/* As many scalars back as came, each with ANSWER added; the selector is the status. */
static void host_answer(struct wire_words *words)
{
    if (words->type == WIRE_ACCESS) {
        words->words[0] = words->words[3] + ANSWER;
        words->count = 1;
        return;
    }
    words->status = (int32_t)wire_call_word_selector(words->words[0]);
    words->count = words->status == 0 ? (uint16_t)(words->count - 1) : 0;
    for (unsigned i = 0; i < words->count; i++) {
        words->words[i] = words->words[1 + i] + ANSWER;
    }
}

unsigned host_serve(struct pair *pair)
{
    unsigned served = 0;
    struct wire_words words;
    unsigned where;
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        if (!wire_slot_host_take(&pair->host, i, &words, &where)) {
            continue;
        }
        served++;
        if (pair->hangs_up) {
            close(pair->ends[1]);
            pair->ends[1] = -1;
            break;
        }
        host_answer(&words);
        if (wire_slot_host_answer(&pair->host, i, &words)) {
            wire_slot_host_wake(&pair->host, i);
            pair->woken++;
        }
    }
    return served;
}

/* Ends with is_ending, or when it has hung up. */
static void *host_main(void *opaque)
{
    struct pair *pair = opaque;
    while (!pair->is_ending && pair->ends[1] >= 0) {
        wire_slot_host_set_awake(&pair->host, WIRE_HOST_ASLEEP);
        if (host_serve(pair) == 0 && !pair->is_ending) {
            wire_slot_host_sleep(&pair->host);
        }
        wire_slot_host_set_awake(&pair->host, wire_processor_here());
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
    pair->kicks++;
    return 0;
}

int pair_call(struct pair *pair, struct wire_words *words)
{
    return wire_slot_client_call(pair->client, pair->ends[0], kick, pair, words);
}

void *call_in_thread(void *opaque)
{
    struct caller *caller = opaque;
    struct wire_words words;
    put_call(&words, 0, NULL, 0);
    caller->error = pair_call(caller->pair, &words);
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
    pair->is_ending = false;
    assert_int_equal(pthread_create(&thread, NULL, host_main, pair), 0);
    return thread;
}

void stop_host(struct pair *pair, pthread_t thread)
{
    pair->is_ending = true;
    wire_slot_host_ring(&pair->host);
    assert_int_equal(pthread_join(thread, NULL), 0);
}
