/*
 * Granule bitmap, searched a word at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dart/granules.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define WORD_BITS UINT64_C(64)

int granules_create(struct granules *granules, uint64_t count)
{
    uint64_t words = count / WORD_BITS + (count % WORD_BITS != 0);
    *granules = (struct granules){.count = count};
    granules->words = calloc(words, sizeof(*granules->words));
    if (!granules->words) {
        return -ENOMEM;
    }
    if (count % WORD_BITS != 0) {
        granules->words[words - 1] = UINT64_MAX << (count % WORD_BITS);
    }
    return 0;
}

void granules_destroy(struct granules *granules)
{
    free(granules->words);
    *granules = (struct granules){0};
}

/* First granule at or after from whose bit equals taken; limit when there is none before limit. */
static uint64_t next_with(const struct granules *granules, uint64_t from, uint64_t limit,
                          bool taken)
{
    while (from < limit) {
        uint64_t word = granules->words[from / WORD_BITS];
        word = (taken ? word : ~word) >> (from % WORD_BITS);
        if (word != 0) {
            uint64_t found = from + (uint64_t)__builtin_ctzll(word);
            return found < limit ? found : limit;
        }
        from += WORD_BITS - from % WORD_BITS;
    }
    return limit;
}

/* First run of length free granules that starts in [from, limit) and ends before the aperture. */
static uint64_t find_run(const struct granules *granules, uint64_t from, uint64_t limit,
                         uint64_t length)
{
    while (from < limit) {
        uint64_t start = next_with(granules, from, limit, false);
        if (start == limit || granules->count - start < length) {
            return GRANULES_NONE;
        }
        uint64_t end = next_with(granules, start, start + length, true);
        if (end == start + length) {
            return start;
        }
        from = end;
    }
    return GRANULES_NONE;
}

static uint64_t find_next_fit(const struct granules *granules, uint64_t from, uint64_t length)
{
    uint64_t first = find_run(granules, from, granules->count, length);
    return first != GRANULES_NONE ? first : find_run(granules, 0, from, length);
}

/* Set or clear the bits of a run. */
static void mark_run(struct granules *granules, uint64_t first, uint64_t length, bool taken)
{
    while (length > 0) {
        uint64_t bit = first % WORD_BITS;
        uint64_t here = length < WORD_BITS - bit ? length : WORD_BITS - bit;
        uint64_t mask = (here == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << here) - 1) << bit;
        if (taken) {
            granules->words[first / WORD_BITS] |= mask;
        } else {
            granules->words[first / WORD_BITS] &= ~mask;
        }
        first += here;
        length -= here;
    }
}

static bool is_taken(const struct granules *granules, uint64_t granule)
{
    return (granules->words[granule / WORD_BITS] >> (granule % WORD_BITS) & 1) != 0;
}

uint64_t granules_take(struct granules *granules, uint64_t length, uint64_t avoid)
{
    if (length > granules->count - granules->used) {
        return GRANULES_NONE;
    }
    /* As a rule the next one is free, and is enough. */
    uint64_t first = length == 1 && !is_taken(granules, granules->next)
                         ? granules->next
                         : find_next_fit(granules, granules->next, length);
    if (first == avoid && first != GRANULES_NONE) {
        uint64_t other = find_next_fit(granules, first + 1, length);
        first = other != GRANULES_NONE ? other : first;
    }
    if (first == GRANULES_NONE) {
        return GRANULES_NONE;
    }
    mark_run(granules, first, length, true);
    granules->used += length;
    granules->next = first + length < granules->count ? first + length : 0;
    return first;
}

void granules_pass(struct granules *granules)
{
    granules->next = granules->next + 1 < granules->count ? granules->next + 1 : 0;
}

void granules_give(struct granules *granules, uint64_t first, uint64_t length)
{
    mark_run(granules, first, length, false);
    granules->used -= length;
}

uint64_t granules_next_taken(const struct granules *granules, uint64_t granule)
{
    uint64_t found = next_with(granules, granule, granules->count, true);
    return found < granules->count ? found : GRANULES_NONE;
}

uint64_t granules_previous_taken(const struct granules *granules, uint64_t granule)
{
    uint64_t at = granule < granules->count ? granule : granules->count - 1;
    for (;;) {
        uint64_t bit = at % WORD_BITS;
        uint64_t word = granules->words[at / WORD_BITS] << (WORD_BITS - 1 - bit);
        if (word != 0) {
            return at - (uint64_t)__builtin_clzll(word);
        }
        if (at < WORD_BITS) {
            return GRANULES_NONE;
        }
        at -= bit + 1;
    }
}
