/*
 * The host's end of call slots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "base/shared_memory.h"
#include "wire/slots.h"

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

void wire_slot_host_set_awake(struct wire_slot_host *host, bool is_awake)
{
    atomic_store(&host->shared->awake, is_awake);
}

bool wire_slot_host_take(struct wire_slot_host *host, unsigned index, struct wire_message *request)
{
    struct wire_slot *slot = &host->shared->slots[index];
    uint32_t mark = atomic_load(&slot->mark);
    if ((mark & ~(uint32_t)WIRE_SLOT_WAITING) != WIRE_SLOT_REQUEST) {
        return false;
    }
    /* The client may be adding the flag at this moment. More than that, or more often, would be a
     * client that scribbles: it waits for the next look. */
    if (!atomic_compare_exchange_strong(&slot->mark, &mark,
                                        WIRE_SLOT_TAKEN | (mark & WIRE_SLOT_WAITING)) &&
        (mark != (WIRE_SLOT_REQUEST | WIRE_SLOT_WAITING) ||
         !atomic_compare_exchange_strong(&slot->mark, &mark,
                                         WIRE_SLOT_TAKEN | WIRE_SLOT_WAITING))) {
        return false;
    }
    wire_slot_get_request(slot, request);
    return true;
}

bool wire_slot_host_answer(struct wire_slot_host *host, unsigned index,
                           const struct wire_message *reply)
{
    struct wire_slot *slot = &host->shared->slots[index];
    wire_slot_put_reply(slot, reply);
    if (!(atomic_exchange(&slot->mark, WIRE_SLOT_REPLY) & WIRE_SLOT_WAITING)) {
        return false;
    }
    wire_slot_wake(&slot->mark);
    return true;
}

void wire_slot_host_end(struct wire_slot_host *host)
{
    if (!host->shared) {
        return;
    }
    wire_slot_host_set_awake(host, false); /* first: who comes later kicks, and finds nobody */
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        struct wire_slot *slot = &host->shared->slots[i];
        if (atomic_exchange(&slot->mark, WIRE_SLOT_ENDED) & WIRE_SLOT_WAITING) {
            wire_slot_wake(&slot->mark);
        }
    }
    munmap(host->shared, host->bytes);
    host->shared = NULL;
}
