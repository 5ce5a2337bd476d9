/*
 * Lines of lspci -v about BARs, and which register each belongs to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/replay_region.h"

#include <string.h>

#include "abi/dext_abi.h"
#include "model/replay_dump.h"

static bool skip(const char **at, const char *end, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

/* Hexadecimal, as lspci prints addresses; false for "<unassigned>" and its like. */
static bool read_address(const char *at, const char *end, uint64_t *out)
{
    uint64_t value = 0;
    unsigned digits = 0;
    for (; at < end && *at != ' '; at++, digits++) {
        char c = *at >= 'A' && *at <= 'F' ? (char)(*at | 0x20) : *at;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return digits > 0 && digits <= 16;
}

/* The number behind "[size=" with its letter for powers of 1024; 0 when it is none. */
static uint64_t read_size(const char *at, const char *end)
{
    static const char letters[] = "KMGT";
    uint64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (value > UINT64_MAX / 10 - 1)
            return 0;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    const char *letter = at < end && *at != '\0' ? strchr(letters, *at) : NULL;
    unsigned shift = letter != NULL ? 10 * (unsigned)(letter - letters + 1) : 0;
    at += letter != NULL;
    if (at == end || *at != ']' || value > UINT64_MAX >> shift)
        return 0;
    return value << shift;
}

static const char *find(const char *at, const char *end, const char *word)
{
    for (; at < end; at++) {
        const char *behind = at;
        if (skip(&behind, end, word))
            return behind;
    }
    return NULL;
}

bool replay_region_read(struct replay_regions *regions, const char *at, const char *end)
{
    struct replay_region region = {0};

    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    if (skip(&at, end, "Region ")) {
        if (end - at < 3 || at[0] < '0' || at[0] > '9' || at[1] != ':' || at[2] != ' ')
            return true;
        region.has_index = true;
        region.index = (unsigned)(at[0] - '0');
        at += 3;
    }
    region.is_io = skip(&at, end, "I/O ports at ");
    if (!region.is_io && !skip(&at, end, "Memory at "))
        return true;
    const char *size = find(at, end, "[size=");
    if (size == NULL)
        return true;
    region.has_address = read_address(at, end, &region.address);
    region.bytes = read_size(size, end);
    if (region.bytes == 0 || (region.bytes & (region.bytes - 1)) != 0)
        return false;
    if (regions->count < MODEL_BAR_COUNT)
        regions->list[regions->count++] = region;
    return true;
}

static bool belongs(const struct replay_region *region, const struct replay_function *function,
                    unsigned bar)
{
    struct replay_bar found = replay_bar_at(function->config, bar);
    if (found.is_upper || function->bar_bytes[bar] != 0 ||
        DEXT_BAR_IS_IO(found.type) != region->is_io)
        return false;
    return region->has_index ? region->index == bar
                             : found.address == (region->has_address ? region->address : 0);
}

void replay_regions_settle(const struct replay_regions *regions, struct replay_function *function)
{
    for (unsigned i = 0; i < regions->count; i++) {
        const struct replay_region *region = &regions->list[i];
        for (unsigned bar = 0; bar < replay_bar_count(function->config); bar++) {
            if (belongs(region, function, bar)) {
                function->bar_bytes[bar] = region->bytes;
                break;
            }
        }
    }
}
