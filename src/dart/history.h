/*
 * Which bus addresses were mapped lately, and who let them go: the answer to a fault report's "who
 * freed it, and when". Bounded: the oldest entry makes room for the newest.
 *
 * No locks: the owner serialises.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DART_HISTORY_H
#define DEXTLINK_DART_HISTORY_H

#include <stdint.h>

#include "dart/dart.h"

#define HISTORY_ENTRIES 4096

struct history_entry {
    iova_t first, last; /* both included: a range may end at 2^64 */
    uint64_t owner;
    uint64_t freed; /* ticks_now */
};

struct history {
    struct history_entry entries[HISTORY_ENTRIES];
    uint64_t added; /* ever; the newest is at (added - 1) % HISTORY_ENTRIES */
};

void history_add(struct history *history, iova_t first, iova_t last, uint64_t owner,
                 uint64_t freed);

/** The latest entry that contains address, or NULL. Borrowed until the next history_add. */
const struct history_entry *history_find(const struct history *history, iova_t address);

#endif
