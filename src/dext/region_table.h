/*
 * A client's DMA regions by the IOVA they start at: finding one costs the same however many live.
 *
 * No locks: the dext's lock guards it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_REGION_TABLE_H
#define DEXTLINK_DEXT_REGION_TABLE_H

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "dart/dart.h"

/* One registered region, cut into DART mappings of at most DEXT_DMA_CHUNK_BYTES. */
struct dext_region {
    LIST_ENTRY(dext_region) link; /* of its bucket */
    iova_t iova;
    uint64_t bytes;
    struct dma_memory *memory; /* owned */
    unsigned chunk_count;
    struct dart_mapping *chunks[];
};

LIST_HEAD(dext_region_bucket, dext_region);

/* Zeroed: empty. Does not own the regions. */
struct dext_region_table {
    struct dext_region_bucket *buckets; /* NULL before the first region */
    uint32_t count;
};

/** Make room for regions; once is enough. 0, -ENOMEM. */
int region_table_prepare(struct dext_region_table *table);

/** Free the room; the table must be empty. */
void region_table_clear(struct dext_region_table *table);

/** The region that starts at iova, NULL when there is none. */
struct dext_region *region_table_find(const struct dext_region_table *table, iova_t iova);

/** Add a region whose iova no other has; the table is prepared. */
void region_table_insert(struct dext_region_table *table, struct dext_region *region);
void region_table_remove(struct dext_region_table *table, struct dext_region *region);

/** Call fn for every region; it may remove and free the one it is given. */
void region_table_each(struct dext_region_table *table,
                       void (*fn)(struct dext_region *region, void *context), void *context);

#endif
