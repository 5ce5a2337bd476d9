/*
 * The last calls of a dext. Any number of threads add records and read them, without a lock: an
 * adder never waits for a reader nor for another adder.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_CALL_RING_H
#define DEXTLINK_DEXT_CALL_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/dext_abi.h"

#define CALL_RING_WORDS (sizeof(struct dext_call_record) / sizeof(uint64_t) - 1)

/* stamp: of record n, 2n + 1 while it is written and 2n + 2 from then on; 0 before the first. */
struct call_slot {
    _Atomic uint64_t stamp;
    _Atomic uint64_t words[CALL_RING_WORDS]; /* a record behind its sequence number */
};

/* Zeroed: empty. */
struct call_ring {
    _Atomic uint64_t next; /* sequence number */
    struct call_slot slots[DEXT_CALLS_KEPT];
};

/** Add a record; its sequence number is given here. Times are kept as they are. */
void call_ring_add(struct call_ring *ring, const struct dext_call_record *record);

/**
 * Copy up to room records from *cursor on, which moves behind the last of them. A cursor ahead of
 * the ring is taken back to its end. *lost: how many of those that it passed were overwritten.
 * Returns how many were copied.
 */
size_t call_ring_read(const struct call_ring *ring, uint64_t *cursor,
                      struct dext_call_record *records, size_t room, uint64_t *lost);

#endif
