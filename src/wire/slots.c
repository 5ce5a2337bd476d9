/*
 * Requests and replies in call slots, and sleeping on a slot's mark.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/slots.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "wire/protocol.h"

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
               "what two processes share must not have a lock of one of them");

#define ACCESS_WORDS 4

bool wire_slots_are_wanted(void)
{
    const char *wanted = getenv("DEXTLINK_SLOTS");
    return !wanted || strcmp(wanted, "off") != 0;
}

static void slot_load(const struct wire_slot *slot, unsigned first, uint64_t *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        words[i] = atomic_load_explicit(&slot->words[first + i], memory_order_relaxed);
    }
}

static void slot_store(struct wire_slot *slot, unsigned first, const void *from, size_t count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + i * sizeof(word), sizeof(word));
        atomic_store_explicit(&slot->words[first + i], word, memory_order_relaxed);
    }
}

static void slot_store_head(struct wire_slot *slot, const struct wire_message *message,
                            unsigned count)
{
    atomic_store_explicit(&slot->type, message->header.type, memory_order_relaxed);
    atomic_store_explicit(&slot->count, (uint16_t)count, memory_order_relaxed);
    atomic_store_explicit(&slot->status, (uint32_t)message->header.status, memory_order_relaxed);
    atomic_store_explicit(&slot->call_id, message->header.call_id, memory_order_relaxed);
}

bool wire_slot_takes(const struct wire_message *request)
{
    struct wire_call_head head;
    if (request->is_bad || request->fd_count) {
        return false;
    }
    if (request->header.type == WIRE_ACCESS) {
        return request->length == ACCESS_WORDS * sizeof(uint64_t);
    }
    if (request->header.type != WIRE_CALL || request->length < sizeof(head)) {
        return false;
    }
    memcpy(&head, request->payload, sizeof(head));
    return head.flags == 0 && head.scalars_in <= WIRE_MAX_SCALARS &&
           head.scalars_out <= WIRE_MAX_SCALARS && head.struct_in == 0 && head.struct_out == 0 &&
           request->length == sizeof(head) + head.scalars_in * sizeof(uint64_t);
}

void wire_slot_put_request(struct wire_slot *slot, const struct wire_message *request)
{
    struct wire_call_head head;
    if (request->header.type == WIRE_ACCESS) {
        slot_store(slot, 0, request->payload, ACCESS_WORDS);
        slot_store_head(slot, request, ACCESS_WORDS);
        return;
    }
    memcpy(&head, request->payload, sizeof(head));
    uint64_t first =
        head.selector | (uint64_t)head.scalars_in << 32 | (uint64_t)head.scalars_out << 48;
    slot_store(slot, 0, &first, 1);
    slot_store(slot, 1, request->payload + sizeof(head), head.scalars_in);
    slot_store_head(slot, request, 1 + head.scalars_in);
}

/* A CALL whose counts are wrong keeps an empty payload, which is malformed. */
static void slot_get_call(const struct wire_slot *slot, unsigned count,
                          struct wire_message *request)
{
    uint64_t words[1 + WIRE_MAX_SCALARS];
    if (count < 1 || count > 1 + WIRE_MAX_SCALARS) {
        return;
    }
    slot_load(slot, 0, words, count);
    const struct wire_call_head head = {.selector = (uint32_t)words[0],
                                        .scalars_in = (uint16_t)(words[0] >> 32),
                                        .scalars_out = (uint16_t)(words[0] >> 48)};
    if (head.scalars_in == count - 1) {
        wire_put_bytes(request, &head, sizeof(head));
        wire_put_bytes(request, words + 1, head.scalars_in * sizeof(*words));
    }
}

void wire_slot_get_request(const struct wire_slot *slot, struct wire_message *request)
{
    uint64_t words[ACCESS_WORDS];
    unsigned type = atomic_load_explicit(&slot->type, memory_order_relaxed);
    unsigned count = atomic_load_explicit(&slot->count, memory_order_relaxed);
    wire_message_reset(request, 0); /* 0 is no type: refused */
    request->header.call_id = atomic_load_explicit(&slot->call_id, memory_order_relaxed);
    if (type == WIRE_CALL) {
        request->header.type = WIRE_CALL;
        slot_get_call(slot, count, request);
    } else if (type == WIRE_ACCESS && count == ACCESS_WORDS) {
        request->header.type = WIRE_ACCESS;
        slot_load(slot, 0, words, ACCESS_WORDS);
        wire_put_bytes(request, words, sizeof(words));
    }
}

void wire_slot_put_reply(struct wire_slot *slot, const struct wire_message *reply)
{
    /* Without structures the count of words says what the head of a CALL's reply does. */
    const size_t head = reply->header.type == WIRE_CALL ? sizeof(struct wire_call_reply) : 0;
    size_t count = reply->length > head ? (reply->length - head) / sizeof(uint64_t) : 0;
    if (count > WIRE_SLOT_WORDS) {
        count = 0; /* more than was asked for: cannot be */
    }
    if (count > 0) {
        slot_store(slot, 0, reply->payload + head, count);
    }
    slot_store_head(slot, reply, (unsigned)count);
}

void wire_slot_get_reply(const struct wire_slot *slot, const struct wire_message *request,
                         struct wire_message *reply)
{
    uint64_t words[WIRE_MAX_SCALARS];
    unsigned count = atomic_load_explicit(&slot->count, memory_order_relaxed);
    wire_message_answer(reply, request);
    reply->header.status = (int32_t)atomic_load_explicit(&slot->status, memory_order_relaxed);
    if (count > WIRE_MAX_SCALARS) {
        return; /* no payload: it cannot be read */
    }
    slot_load(slot, 0, words, count);
    if (reply->header.type == WIRE_CALL && reply->header.status == 0) {
        const struct wire_call_reply head = {.scalars = count};
        wire_put_bytes(reply, &head, sizeof(head));
    }
    wire_put_bytes(reply, words, count * sizeof(*words));
}

int wire_slot_sleep(_Atomic uint32_t *mark, uint32_t expected, uint64_t timeout_ns)
{
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                                     .tv_nsec = (long)(timeout_ns % 1000000000)};
    return syscall(SYS_futex, mark, FUTEX_WAIT, expected, &timeout, NULL, 0) < 0 ? -errno : 0;
}

void wire_slot_wake(_Atomic uint32_t *mark)
{
    syscall(SYS_futex, mark, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
