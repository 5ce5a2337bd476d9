/*
 * The DART alone, with 1,000 mappings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdint.h>
#include <string.h>

#include "dart/dart.h"
#include "paths.h"
#include "unit/dart/byte_memory.h"

#define LIVE  1000
#define BYTES UINT64_C(4096)

static struct dart *dart;
static struct dart_mapping *mappings[LIVE];
static unsigned char bytes[BYTES];
static struct byte_memory memory;
static unsigned next;

static struct dart_mapping *map(uint64_t wanted)
{
    struct dart_mapping *mapping = NULL;
    must(dart_map(dart, &memory.memory, 0, BYTES, wanted, DART_BOTH, 1, &mapping) == 0, "mapping");
    return mapping;
}

static void begin(void)
{
    memory = byte_memory_over(bytes, BYTES, 0);
    next = 0;
    must(dart_create(NULL, NULL, NULL, &dart) == 0, "making a DART");
    for (unsigned i = 0; i < LIVE; i++) {
        mappings[i] = map(UINT64_C(0x100000000) + i * BYTES);
    }
}

static void end(void)
{
    dart_destroy(dart);
}

static void map_unmap(void)
{
    dart_unmap(dart, map(UINT64_C(0x200000000)));
}

/* Different mappings, as a device's queues and data are: no cache of one entry serves them all. */
static void translate(void)
{
    unsigned char word[8];
    next = (next + 37) % LIVE;
    must(dart_device_read(dart, mappings[next]->bus_address + 64, word, sizeof(word)) == 0,
         "a device's read");
}

const struct path dart_paths[] = {
    {"dart-map-unmap", begin, NULL, map_unmap, end},
    {"dart-translate", begin, NULL, translate, end},
    {NULL, NULL, NULL, NULL, NULL},
};
