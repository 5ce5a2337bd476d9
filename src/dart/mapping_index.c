/*
 * Finding mappings: a table by granule, or a tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dart/mapping_index.h"

#include <errno.h>
#include <stdlib.h>

/* Ranges that overlap compare equal, so a lookup of one address finds the mapping around it. */
static int mapping_compare(const struct mapping *a, const struct mapping *b)
{
    if (a->last < b->public.bus_address) {
        return -1;
    }
    return a->public.bus_address > b->last;
}

/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(mapping_tree, mapping, entry, mapping_compare, __attribute__((unused)) static)

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

bool mapping_index_insert(struct mapping_index *index, struct mapping *mapping)
{
    if (!index->granules) {
        return RB_INSERT(mapping_tree, &index->tree, mapping) == NULL;
    }
    for (uint64_t i = 0; i < mapping->granule_count; i++) {
        index->by_granule[mapping->first_granule + i] = mapping;
    }
    return true;
}

void mapping_index_remove(struct mapping_index *index, struct mapping *mapping)
{
    if (!index->granules) {
        RB_REMOVE(mapping_tree, &index->tree, mapping);
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
    if (mapping->last < address) {
        granule =
            granules_next_taken(index->granules, mapping->first_granule + mapping->granule_count);
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
    if (mapping->last >= address) {
        granule = mapping->first_granule == 0
                      ? GRANULES_NONE
                      : granules_previous_taken(index->granules, mapping->first_granule - 1);
        mapping = granule == GRANULES_NONE ? NULL : index->by_granule[granule];
    }
    return mapping;
}

struct mapping *mapping_index_at_or_above(const struct mapping_index *index, iova_t address)
{
    if (index->granules) {
        return granule_at_or_above(index, address);
    }
    struct mapping key = {.public = {.bus_address = address}, .last = address};
    return RB_NFIND(mapping_tree, (struct mapping_tree *)(uintptr_t)&index->tree, &key);
}

struct mapping *mapping_index_below(const struct mapping_index *index, iova_t address)
{
    if (index->granules) {
        return granule_below(index, address);
    }
    struct mapping *above = mapping_index_at_or_above(index, address);
    return above ? RB_PREV(mapping_tree, &index->tree, above)
                 : RB_MAX(mapping_tree, (struct mapping_tree *)(uintptr_t)&index->tree);
}
