/*
 * The host's end of call slots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/mman.h>

#include "base/shared_memory.h"
#include "wire/slots.h"

/* How long a host sleeps without a look of its own: a client can move its sleepers to another word,
 * where nobody of ours wakes them. */
#define SLEEP_NS UINT64_C(2000000000)

int wire_slot_host_create(struct wire_slot_host *host, int *fd)
{
    struct shared_memory memory;
    int error = shared_memory_create("dextlink-slots", sizeof(struct wire_slots), &memory);
    if (error) {
        return error;
    }
    *fd = memory.fd;
    *host = (struct wire_slot_host){.shared = memory.address, .bytes = memory.bytes};
    return 0;
}

void wire_slot_host_destroy(struct wire_slot_host *host)
{
    if (host->shared) {
        munmap(host->shared, host->bytes);
        host->shared = NULL;
    }
}

void wire_slot_host_set_awake(struct wire_slot_host *host, uint32_t awake)
{
    atomic_store(&host->awake, awake);
    atomic_store(&host->shared->awake, awake);
}

bool wire_slot_host_sleep(struct wire_slot_host *host)
{
    return wire_slot_sleep(&host->shared->awake, atomic_load(&host->awake), SLEEP_NS) == 0;
}

void wire_slot_host_ring(struct wire_slot_host *host)
{
    uint32_t asleep = WIRE_HOST_ASLEEP;
    atomic_compare_exchange_strong(&host->shared->awake, &asleep, WIRE_HOST_RUNG);
    wire_slot_wake(&host->shared->awake, INT_MAX);
}

bool wire_slot_host_take(struct wire_slot_host *host, unsigned index, struct wire_words *call,
                         unsigned *where)
{
    struct wire_slot *slot = &host->shared->slots[index];
    uint32_t number = atomic_load(&slot->request.number);
    if (number == atomic_load_explicit(&host->taken[index], memory_order_relaxed)) {
        return false;
    }
    atomic_store_explicit(&host->taken[index], number, memory_order_relaxed);
    atomic_store_explicit(&slot->taken, number, memory_order_release);
    *where = atomic_load_explicit(&slot->request.where, memory_order_relaxed);
    call->type = atomic_load_explicit(&slot->request.type, memory_order_relaxed);
    call->count = atomic_load_explicit(&slot->request.count, memory_order_relaxed);
    call->call_id = atomic_load_explicit(&slot->request.call_id, memory_order_relaxed);
    call->status = 0;
    if (call->count > WIRE_WORDS_MAX) {
        call->count = 0;
        call->type = 0;
    }
    for (unsigned i = 0; i < call->count; i++) {
        call->words[i] = atomic_load_explicit(&slot->request.words[i], memory_order_relaxed);
    }
    return true;
}

bool wire_slot_host_answer(struct wire_slot_host *host, unsigned index,
                           const struct wire_words *call)
{
    struct wire_slot_reply *reply = &host->shared->slots[index].reply;
    for (unsigned i = 0; i < call->count; i++) {
        atomic_store_explicit(&reply->words[i], call->words[i], memory_order_relaxed);
    }
    atomic_store_explicit(&reply->count, call->count, memory_order_relaxed);
    atomic_store_explicit(&reply->status, (uint32_t)call->status, memory_order_relaxed);
    uint32_t number = atomic_load_explicit(&host->taken[index], memory_order_relaxed);
    return atomic_exchange(&reply->mark, wire_slot_mark(number)) & WIRE_SLOT_WAITING;
}

void wire_slot_host_wake(struct wire_slot_host *host, unsigned index)
{
    wire_slot_wake(&host->shared->slots[index].reply.mark, INT_MAX);
}

void wire_slot_host_end(struct wire_slot_host *host)
{
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        struct wire_slot_reply *reply = &host->shared->slots[i].reply;
        if (atomic_fetch_or(&reply->mark, WIRE_SLOT_ENDED) & WIRE_SLOT_WAITING) {
            wire_slot_wake(&reply->mark, INT_MAX);
        }
    }
}
