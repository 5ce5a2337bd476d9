/*
 * Base address registers: information, and access through a mapping or by calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_BAR_H
#define DEXTLINK_DEXTCTL_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "output.h"
#include "session.h"

#define BAR_COUNT   6
#define BAR_TYPE_IO 0x1 /* of the type bits */

/* What a mapping of a BAR is made of. */
enum bar_mapping {
    BAR_MAPPING_UNASKED,
    BAR_MAPPING_PORTS,   /* an I/O BAR: there is none */
    BAR_MAPPING_WHOLE,   /* the driver tells no ranges: all of it, device or memory alike */
    BAR_MAPPING_RANGES,  /* the ranges are direct, the rest is trapped */
    BAR_MAPPING_REFUSED, /* mapping_code says why */
};

struct bar {
    uint8_t index;
    bool exists; /* false: unused, or the upper half of the one before */
    uint8_t memory_index;
    uint8_t type;
    uint64_t size;
    enum bar_mapping mapping;
    kern_return_t mapping_code;
    uint32_t range_count;
    AppleDextBarRange ranges[APPLE_DEXT_BAR_RANGES];
};

/** Ask about a BAR; one that is not there is success with exists false. */
kern_return_t bar_get(const struct session *session, uint8_t index, struct bar *bar);

/** Ask what a mapping of it is made of, which needs a claim; nothing for one that is not there. */
void bar_get_mapping(const struct session *session, struct bar *bar);

/** With what a mapping of each is made of, for those that were asked about it. */
void bar_print_table(const struct bar *bars, size_t count);
json_object *bar_table_json(const struct bar *bars, size_t count);

/** The mapping alone: a line below the BAR's, or the keys "mapping", "direct" and "trapped". */
void bar_print_mapping(const struct bar *bar);
void bar_add_mapping_json(json_object *object, const struct bar *bar);

/** One load or store of 1, 2, 4 or 8 bytes at a naturally aligned address. */
uint64_t bar_load(mach_vm_address_t address, uint64_t width);
void bar_store(mach_vm_address_t address, uint64_t width, uint64_t value);

#endif
