/*
 * Regions in a table with open addressing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/region_table.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_FIRST 64

/* Fibonacci hashing: IOVAs are multiples of a page, their low bits say nothing. */
static uint32_t home_of(const struct dext_region_table *table, iova_t iova)
{
    unsigned bits = (unsigned)__builtin_ctz(table->room);
    return (uint32_t)((iova * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - bits));
}

static uint32_t next_of(const struct dext_region_table *table, uint32_t slot)
{
    return (slot + 1) & (table->room - 1);
}

/* The slot of the region that starts at iova, or the free one where it would lie. */
static uint32_t slot_of(const struct dext_region_table *table, iova_t iova)
{
    uint32_t slot = home_of(table, iova);
    while (region_exists(table->slots[slot]) && region_iova(table->slots[slot]) != iova) {
        slot = next_of(table, slot);
    }
    return slot;
}

/* At most three quarters are taken: runs stay short. */
int region_table_prepare(struct dext_region_table *table)
{
    if (table->slots && (uint64_t)(table->count + 1) * 4 <= (uint64_t)table->room * 3) {
        return 0;
    }
    struct dext_region_table larger = {.room = table->room ? table->room * 2 : ROOM_FIRST};
    larger.slots = calloc(larger.room, sizeof(*larger.slots));
    if (!larger.slots) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < table->room; i++) {
        if (region_exists(table->slots[i])) {
            region_table_insert(&larger, table->slots[i]);
        }
    }
    free(table->slots);
    *table = larger;
    return 0;
}

void region_table_clear(struct dext_region_table *table)
{
    free(table->slots);
    *table = (struct dext_region_table){0};
}

struct dext_region region_table_find(const struct dext_region_table *table, iova_t iova)
{
    return table->slots ? table->slots[slot_of(table, iova)] : (struct dext_region){0};
}

void region_table_insert(struct dext_region_table *table, struct dext_region region)
{
    table->slots[slot_of(table, region_iova(region))] = region;
    table->count++;
}

/* Close the gap: a region behind it that the gap would hide moves up. */
static void gap_close(struct dext_region_table *table, uint32_t gap)
{
    uint32_t mask = table->room - 1;
    for (uint32_t slot = next_of(table, gap); region_exists(table->slots[slot]);
         slot = next_of(table, slot)) {
        uint32_t home = home_of(table, region_iova(table->slots[slot]));
        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
            table->slots[gap] = table->slots[slot];
            gap = slot;
        }
    }
    table->slots[gap] = (struct dext_region){0};
}

struct dext_region region_table_remove(struct dext_region_table *table, iova_t iova)
{
    if (!table->slots) {
        return (struct dext_region){0};
    }
    uint32_t slot = slot_of(table, iova);
    struct dext_region region = table->slots[slot];
    if (region_exists(region)) {
        gap_close(table, slot);
        table->count--;
    }
    return region;
}

void region_table_each(const struct dext_region_table *table,
                       void (*fn)(struct dext_region region, void *context), void *context)
{
    for (uint32_t i = 0; i < table->room; i++) {
        if (region_exists(table->slots[i])) {
            fn(table->slots[i], context);
        }
    }
}
