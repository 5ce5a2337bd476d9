/*
 * Regions in buckets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/region_table.h"

#include <errno.h>
#include <stdlib.h>

/* As many buckets as a client may have regions. The memory is touched as it is used. */
#define BUCKET_BITS  16
#define BUCKET_COUNT (1u << BUCKET_BITS)

/* Fibonacci hashing: IOVAs are multiples of a page, their low bits say nothing. */
static struct dext_region_bucket *bucket_of(const struct dext_region_table *table, iova_t iova)
{
    return &table->buckets[(iova * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - BUCKET_BITS)];
}

int region_table_prepare(struct dext_region_table *table)
{
    if (!table->buckets) {
        table->buckets = calloc(BUCKET_COUNT, sizeof(*table->buckets));
    }
    return table->buckets ? 0 : -ENOMEM;
}

void region_table_clear(struct dext_region_table *table)
{
    free(table->buckets);
    *table = (struct dext_region_table){0};
}

struct dext_region *region_table_find(const struct dext_region_table *table, iova_t iova)
{
    struct dext_region *region = table->count ? LIST_FIRST(bucket_of(table, iova)) : NULL;
    while (region && region->iova != iova) {
        region = LIST_NEXT(region, link);
    }
    return region;
}

void region_table_insert(struct dext_region_table *table, struct dext_region *region)
{
    LIST_INSERT_HEAD(bucket_of(table, region->iova), region, link);
    table->count++;
}

void region_table_remove(struct dext_region_table *table, struct dext_region *region)
{
    LIST_REMOVE(region, link);
    table->count--;
}

void region_table_each(struct dext_region_table *table,
                       void (*fn)(struct dext_region *region, void *context), void *context)
{
    for (uint32_t i = 0; table->count && i < BUCKET_COUNT; i++) {
        struct dext_region *region;
        struct dext_region *next;
        LIST_FOREACH_SAFE (region, &table->buckets[i], link, next) {
            fn(region, context);
        }
    }
}
