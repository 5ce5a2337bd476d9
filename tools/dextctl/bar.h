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

struct bar {
    uint8_t index;
    bool exists; /* false: unused, or the upper half of the one before */
    uint8_t memory_index;
    uint8_t type;
    uint64_t size;
};

/** Ask about a BAR; one that is not there is success with exists false. */
kern_return_t bar_get(const struct session *session, uint8_t index, struct bar *bar);

void bar_print_table(const struct bar *bars, size_t count);
json_object *bar_table_json(const struct bar *bars, size_t count);

/** One load or store of 1, 2, 4 or 8 bytes at a naturally aligned address. */
uint64_t bar_load(mach_vm_address_t address, uint64_t width);
void bar_store(mach_vm_address_t address, uint64_t width, uint64_t value);

#endif
