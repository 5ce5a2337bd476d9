/*
 * A sorted set of block ranges with find, mark and clear.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/nvme/nvme_bad_blocks.h"

#include <string.h>

/* The first range that ends at or behind block. */
static unsigned find_end(const struct nvme_bad_blocks *bad, uint64_t block)
{
    unsigned low = 0, high = bad->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bad->ranges[middle].end < block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool nvme_bad_find(const struct nvme_bad_blocks *bad, uint64_t first, uint64_t end, uint64_t *where)
{
    unsigned at = first == end ? bad->count : find_end(bad, first + 1);
    if (at == bad->count || bad->ranges[at].first >= end)
        return false;
    *where = bad->ranges[at].first > first ? bad->ranges[at].first : first;
    return true;
}

/* Put count (0 to 2) ranges in the place of [from, to). */
static bool replace(struct nvme_bad_blocks *bad, unsigned from, unsigned to,
                    const struct nvme_bad_range *ranges, unsigned count)
{
    if (bad->count - (to - from) + count > NVME_BAD_RANGES)
        return false;
    memmove(bad->ranges + from + count, bad->ranges + to,
            (bad->count - to) * sizeof(bad->ranges[0]));
    memcpy(bad->ranges + from, ranges, count * sizeof(ranges[0]));
    bad->count = bad->count - (to - from) + count;
    return true;
}

bool nvme_bad_mark(struct nvme_bad_blocks *bad, uint64_t first, uint64_t end)
{
    struct nvme_bad_range merged = {first, end};
    unsigned from = find_end(bad, first);
    unsigned to = from;

    if (first == end)
        return true;
    for (; to < bad->count && bad->ranges[to].first <= end; to++) {
        if (bad->ranges[to].first < merged.first)
            merged.first = bad->ranges[to].first;
        if (bad->ranges[to].end > merged.end)
            merged.end = bad->ranges[to].end;
    }
    return replace(bad, from, to, &merged, 1);
}

bool nvme_bad_clear(struct nvme_bad_blocks *bad, uint64_t first, uint64_t end)
{
    struct nvme_bad_range kept[2];
    unsigned count = 0;

    if (first == end)
        return true;
    unsigned from = find_end(bad, first + 1);
    unsigned to = from;
    for (; to < bad->count && bad->ranges[to].first < end; to++) {
        if (bad->ranges[to].first < first)
            kept[count++] = (struct nvme_bad_range){bad->ranges[to].first, first};
        if (bad->ranges[to].end > end)
            kept[count++] = (struct nvme_bad_range){end, bad->ranges[to].end};
    }
    return replace(bad, from, to, kept, count);
}
