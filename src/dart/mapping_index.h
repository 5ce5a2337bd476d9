/*
 * Live mappings of a DART by bus address.
 *
 * Where the DART places mappings itself, each granule belongs to one mapping and a table by granule
 * finds it: the cost does not grow with what lives. With identity mappings lie anywhere, byte by
 * byte, and a tree keeps them in order.
 *
 * No locks: the DART serialises changes against look-ups.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DART_MAPPING_INDEX_H
#define DEXTLINK_DART_MAPPING_INDEX_H

#include <bsd/sys/tree.h>
#include <stdbool.h>

#include "dart/dart.h"
#include "dart/granules.h"

struct mapping {
    struct dart_mapping public; /* first: callers of the DART hold a pointer to it */
    RB_ENTRY(mapping) entry;    /* identity only */
    iova_t last;                /* included: a mapping may end at 2^64 */
    struct dma_memory *memory;
    uint64_t memory_offset;
    enum dart_direction direction;
    iova_t wanted;
    uint64_t owner;
    uint64_t first_granule; /* GRANULES_NONE with identity */
    uint64_t granule_count;
    uint64_t charged_bytes; /* against the aperture */
    _Atomic unsigned pins;  /* none is added once it is out of the index */
};

RB_HEAD(mapping_tree, mapping);

struct mapping_index {
    iova_t base;
    const struct granules *granules; /* NULL: identity */
    struct mapping **by_granule;     /* valid where the granule is taken */
    struct mapping_tree tree;        /* identity only */
};

/** granules: who has which granule, borrowed; NULL for identity. 0, -ENOMEM. */
int mapping_index_create(struct mapping_index *index, iova_t base, const struct granules *granules);
/** Takes a zeroed one. Does not free mappings. */
void mapping_index_destroy(struct mapping_index *index);

/** Add a mapping (its granules are taken before). false: it overlaps one that lives (identity). */
bool mapping_index_insert(struct mapping_index *index, struct mapping *mapping);
/** Its granules are given back after. */
void mapping_index_remove(struct mapping_index *index, struct mapping *mapping);

/** The mapping that contains address, else the next above, else NULL. */
struct mapping *mapping_index_at_or_above(const struct mapping_index *index, iova_t address);
/** The next one that ends before address, NULL when there is none. */
struct mapping *mapping_index_below(const struct mapping_index *index, iova_t address);

#endif
