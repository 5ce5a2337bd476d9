/*
 * Records of calls in a ring of slots, each with a stamp that says which record it holds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/call_ring.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(struct dext_call_record) % sizeof(uint64_t) == 0, "whole words");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words as the fields lie");
_Static_assert(offsetof(struct dext_call_record, sequence) == 0, "the stamp stands for it");

static uint64_t stamp_begun(uint64_t sequence)
{
    return 2 * sequence + 1;
}

static uint64_t stamp_done(uint64_t sequence)
{
    return 2 * sequence + 2;
}

static void advance(struct call_ring *ring, uint64_t sequence)
{
    atomic_compare_exchange_strong_explicit(&ring->next, &sequence, sequence + 1,
                                            memory_order_acq_rel, memory_order_relaxed);
}

/* A slot is stamped before the number is given on, so a number below ring->next has its slot: a
 * reader can tell a record that is being written from one that is not there. */
static struct call_slot *claim_slot(struct call_ring *ring, uint64_t *sequence)
{
    for (;;) {
        *sequence = atomic_load_explicit(&ring->next, memory_order_acquire);
        struct call_slot *slot = &ring->slots[*sequence % DEXT_CALLS_KEPT];
        uint64_t stamp = atomic_load_explicit(&slot->stamp, memory_order_acquire);
        bool is_free = stamp < stamp_begun(*sequence) && stamp % 2 == 0;
        bool is_ours = is_free && atomic_compare_exchange_strong_explicit(
                                      &slot->stamp, &stamp, stamp_begun(*sequence),
                                      memory_order_acq_rel, memory_order_relaxed);
        /* Also for another thread that has the slot, and past one whose thread was stopped in the
         * middle of its record a whole round ago. */
        advance(ring, *sequence);
        if (is_ours) {
            return slot;
        }
    }
}

static uint64_t word_of(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

/* No store may be seen before the stamp that begins the record: hence release for each word. The
 * words are put together here, for a load that spans two stores just made is a slow one. */
void call_ring_add(struct call_ring *ring, const struct dext_call_record *record)
{
    uint64_t sequence;
    struct call_slot *slot = claim_slot(ring, &sequence);
    const uint64_t words[] = {
        record->start_ns,
        record->duration_ns,
        record->inputs[0],
        record->inputs[1],
        record->inputs[2],
        record->inputs[3],
        word_of(record->selector, record->code),
        word_of(record->client, record->process),
        record->kind | (uint64_t)record->input_count << 8 | (uint64_t)record->hidden << 16,
    };
    _Static_assert(sizeof(words) == CALL_RING_WORDS * sizeof(uint64_t), "a word for each");
    for (size_t i = 0; i < CALL_RING_WORDS; i++) {
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&slot->stamp, stamp_done(sequence), memory_order_release);
}

enum slot_state { SLOT_READ, SLOT_BEING_WRITTEN, SLOT_LOST };

static enum slot_state read_slot(const struct call_slot *slot, uint64_t sequence,
                                 struct dext_call_record *record)
{
    uint64_t words[CALL_RING_WORDS];
    uint64_t stamp = atomic_load_explicit(&slot->stamp, memory_order_acquire);
    if (stamp == stamp_begun(sequence)) {
        return SLOT_BEING_WRITTEN;
    }
    for (size_t i = 0; i < CALL_RING_WORDS; i++) {
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
    }
    if (stamp != stamp_done(sequence) ||
        atomic_load_explicit(&slot->stamp, memory_order_relaxed) != stamp) {
        return SLOT_LOST;
    }
    record->sequence = sequence;
    memcpy((uint64_t *)record + 1, words, sizeof(words));
    return SLOT_READ;
}

size_t call_ring_read(const struct call_ring *ring, uint64_t *cursor,
                      struct dext_call_record *records, size_t room, uint64_t *lost)
{
    uint64_t next = atomic_load_explicit(&ring->next, memory_order_acquire);
    uint64_t at = *cursor < next ? *cursor : next;
    size_t count = 0;
    *lost = 0;
    if (next - at > DEXT_CALLS_KEPT) {
        *lost = next - at - DEXT_CALLS_KEPT;
        at = next - DEXT_CALLS_KEPT;
    }
    while (at < next && count < room) {
        enum slot_state state = read_slot(&ring->slots[at % DEXT_CALLS_KEPT], at, &records[count]);
        if (state == SLOT_BEING_WRITTEN) {
            break;
        }
        count += state == SLOT_READ;
        *lost += state == SLOT_LOST;
        at++;
    }
    *cursor = at;
    return count;
}
