/*
 * Ring of freed ranges.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dart/history.h"

#include <stddef.h>

void history_add(struct history *history, iova_t first, iova_t last, uint64_t owner, uint64_t freed)
{
    history->entries[history->added++ % HISTORY_ENTRIES] =
        (struct history_entry){.first = first, .last = last, .owner = owner, .freed = freed};
}

const struct history_entry *history_find(const struct history *history, iova_t address)
{
    uint64_t held = history->added < HISTORY_ENTRIES ? history->added : HISTORY_ENTRIES;
    for (uint64_t back = 1; back <= held; back++) {
        const struct history_entry *entry =
            &history->entries[(history->added - back) % HISTORY_ENTRIES];
        if (address >= entry->first && address <= entry->last) {
            return entry;
        }
    }
    return NULL;
}
