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

/* Kept small: there may be 65,536. What follows from these fields is worked out when it is asked.
 */
struct mapping {
    struct dart_mapping public; /* first: callers of the DART hold a pointer to it */
    uint64_t owner;
    _Atomic uint32_t pins; /* none is added once it is out of the index */
    uint8_t direction;     /* enum dart_direction */
};

/* With identity. */
struct tree_mapping {
    struct mapping mapping; /* first */
    RB_ENTRY(tree_mapping) entry;
};

/* Its last byte: a mapping may end at 2^64. */
static inline iova_t mapping_last(const struct mapping *mapping)
{
    return mapping->public.bus_address + (mapping->public.bytes - 1);
}

/* Granules that a range touches whose first byte lies so far into its granule. */
static inline uint64_t mapping_granules(uint64_t page_offset, uint64_t bytes)
{
    return (page_offset + bytes - 1) / DART_GRANULE_BYTES + 1;
}

RB_HEAD(mapping_tree, tree_mapping);

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

/** Room for a mapping of this index, not zeroed, for free(); NULL when out of memory. */
struct mapping *mapping_index_allocate(const struct mapping_index *index);

/** Where a mapping lies; not with identity. */
uint64_t mapping_index_first_granule(const struct mapping_index *index,
                                     const struct mapping *mapping);
uint64_t mapping_index_granule_count(const struct mapping *mapping);

/** Add a mapping (its granules are taken before). false: it overlaps one that lives (identity). */
bool mapping_index_insert(struct mapping_index *index, struct mapping *mapping);
/** Its granules are given back after. */
void mapping_index_remove(struct mapping_index *index, struct mapping *mapping);

/** The mapping that contains address, else the next above, else NULL. */
struct mapping *mapping_index_at_or_above(const struct mapping_index *index, iova_t address);
/** The next one that ends before address, NULL when there is none. */
struct mapping *mapping_index_below(const struct mapping_index *index, iova_t address);

#endif
