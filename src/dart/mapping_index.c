/*
 * Finding mappings: a table by granule, or a tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dart/mapping_index.h"

#include <errno.h>
#include <stdlib.h>

/* Ranges that overlap compare equal, so a lookup of one address finds the mapping around it. */
static int mapping_compare(const struct tree_mapping *a, const struct tree_mapping *b)
{
    if (mapping_last(&a->mapping) < b->mapping.public.bus_address) {
        return -1;
    }
    return a->mapping.public.bus_address > mapping_last(&b->mapping);
}

/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(mapping_tree, tree_mapping, entry, mapping_compare,
                     __attribute__((unused)) static)

int mapping_index_create(struct mapping_index *index, iova_t base, const struct granules *granules)
{
    *index = (struct mapping_index){.base = base, .granules = granules};
    RB_INIT(&index->tree);
    if (granules) {
        /* Touched as granules are used. */
        index->by_granule = calloc(granules->count, sizeof(struct mapping *));
    }
    return granules && !index->by_granule ? -ENOMEM : 0;
}

void mapping_index_destroy(struct mapping_index *index)
{
    free(index->by_granule);
    *index = (struct mapping_index){0};
}

struct mapping *mapping_index_allocate(const struct mapping_index *index)
{
    /* All fields are set by who fills it: zeroing costs more than that. */
    return malloc(index->granules ? sizeof(struct mapping) : sizeof(struct tree_mapping));
}

uint64_t mapping_index_first_granule(const struct mapping_index *index,
                                     const struct mapping *mapping)
{
    return (mapping->public.bus_address - index->base) / DART_GRANULE_BYTES;
}

uint64_t mapping_index_granule_count(const struct mapping *mapping)
{
    return mapping_granules(mapping->public.bus_address % DART_GRANULE_BYTES,
                            mapping->public.bytes);
}

/* The mapping as the tree has it: they are allocated so. */
static struct tree_mapping *tree_of(struct mapping *mapping)
{
    return (struct tree_mapping *)mapping;
}

static struct mapping *mapping_of(struct tree_mapping *found)
{
    return found ? &found->mapping : NULL;
}

bool mapping_index_insert(struct mapping_index *index, struct mapping *mapping)
{
    if (!index->granules) {
        return RB_INSERT(mapping_tree, &index->tree, tree_of(mapping)) == NULL;
    }
    uint64_t first = mapping_index_first_granule(index, mapping);
    uint64_t count = mapping_index_granule_count(mapping);
    for (uint64_t i = 0; i < count; i++) {
        index->by_granule[first + i] = mapping;
    }
    return true;
}

void mapping_index_remove(struct mapping_index *index, struct mapping *mapping)
{
    if (!index->granules) {
        RB_REMOVE(mapping_tree, &index->tree, tree_of(mapping));
    }
}

static struct mapping *granule_at_or_above(const struct mapping_index *index, iova_t address)
{
    uint64_t granule = address < index->base ? 0 : (address - index->base) / DART_GRANULE_BYTES;
    granule = granules_next_taken(index->granules, granule);
    if (granule == GRANULES_NONE) {
        return NULL;
    }
    /* The address may lie in the last granule of a mapping, behind its end. */
    struct mapping *mapping = index->by_granule[granule];
    if (mapping_last(mapping) < address) {
        granule = granules_next_taken(index->granules, mapping_index_first_granule(index, mapping) +
                                                           mapping_index_granule_count(mapping));
        mapping = granule == GRANULES_NONE ? NULL : index->by_granule[granule];
    }
    return mapping;
}

static struct mapping *granule_below(const struct mapping_index *index, iova_t address)
{
    if (address <= index->base) {
        return NULL;
    }
    uint64_t granule = (address - 1 - index->base) / DART_GRANULE_BYTES;
    granule = granules_previous_taken(index->granules, granule);
    if (granule == GRANULES_NONE) {
        return NULL;
    }
    struct mapping *mapping = index->by_granule[granule];
    if (mapping_last(mapping) >= address) {
        uint64_t first = mapping_index_first_granule(index, mapping);
        granule = first == 0 ? GRANULES_NONE : granules_previous_taken(index->granules, first - 1);
        mapping = granule == GRANULES_NONE ? NULL : index->by_granule[granule];
    }
    return mapping;
}

struct mapping *mapping_index_at_or_above(const struct mapping_index *index, iova_t address)
{
    if (index->granules) {
        return granule_at_or_above(index, address);
    }
    struct tree_mapping key = {.mapping.public = {.bus_address = address, .bytes = 1}};
    return mapping_of(RB_NFIND(mapping_tree, (struct mapping_tree *)(uintptr_t)&index->tree, &key));
}

struct mapping *mapping_index_below(const struct mapping_index *index, iova_t address)
{
    if (index->granules) {
        return granule_below(index, address);
    }
    struct mapping *above = mapping_index_at_or_above(index, address);
    return mapping_of(above ? RB_PREV(mapping_tree, &index->tree, tree_of(above))
                            : RB_MAX(mapping_tree, (struct mapping_tree *)(uintptr_t)&index->tree));
}
