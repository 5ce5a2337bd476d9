/*
 * A client's DMA regions by the IOVA they start at: finding one costs the same however many live,
 * and a word of the table is most of what each takes here.
 *
 * No locks: the dext's lock guards it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_REGION_TABLE_H
#define DEXTLINK_DEXT_REGION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dart/dart.h"

/* A region that became several mappings of the DART; it has its memory counted once. */
struct dext_long_region {
    iova_t iova;
    uint64_t bytes;
    struct dma_memory *memory;
    uint64_t offset;
    unsigned chunk_count;
    struct dart_mapping *chunks[];
};

/* A registered region: a mapping of the DART that tells all there is, or a long one. Told apart by
 * the lowest bit, which no pointer has. */
struct dext_region {
    uintptr_t word; /* 0: no region */
};

static inline struct dext_region region_of_mapping(struct dart_mapping *mapping)
{
    return (struct dext_region){(uintptr_t)mapping};
}

static inline struct dext_region region_of_long(struct dext_long_region *region)
{
    return (struct dext_region){(uintptr_t)region | 1};
}

static inline bool region_exists(struct dext_region region)
{
    return region.word != 0;
}

static inline bool region_is_long(struct dext_region region)
{
    return (region.word & 1) != 0;
}

/** Of a long one. */
static inline struct dext_long_region *region_long(struct dext_region region)
{
    return (struct dext_long_region *)(region.word - 1);
}

/** Its first mapping, or its only one. */
static inline struct dart_mapping *region_first(struct dext_region region)
{
    return region_is_long(region) ? region_long(region)->chunks[0]
                                  : (struct dart_mapping *)region.word;
}

static inline iova_t region_iova(struct dext_region region)
{
    return region_first(region)->wanted;
}

static inline uint64_t region_bytes(struct dext_region region)
{
    return region_is_long(region) ? region_long(region)->bytes : region_first(region)->bytes;
}

/* Zeroed: empty. Does not own the regions. */
struct dext_region_table {
    struct dext_region *slots; /* NULL before the first region */
    uint32_t room;             /* a power of two */
    uint32_t count;
};

/** Make room for one region more. 0, -ENOMEM. */
int region_table_prepare(struct dext_region_table *table);

/** Forget every region and free the room. */
void region_table_clear(struct dext_region_table *table);

/** The region that starts at iova, if it exists. */
struct dext_region region_table_find(const struct dext_region_table *table, iova_t iova);

/** Add a region whose iova no other has; the table was prepared for it. */
void region_table_insert(struct dext_region_table *table, struct dext_region region);

/** Take the region that starts at iova out and return it, if it exists. */
struct dext_region region_table_remove(struct dext_region_table *table, iova_t iova);

/** Call fn for every region. It may free them when the table is cleared next. */
void region_table_each(const struct dext_region_table *table,
                       void (*fn)(struct dext_region region, void *context), void *context);

#endif
