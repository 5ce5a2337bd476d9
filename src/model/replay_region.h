/*
 * What lspci -v says of a function's BARs: "Memory at f7c00000 (64-bit, …) [size=4M]", from -vv on
 * with "Region N: " before it. Kept until the registers are known, which come after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_REPLAY_REGION_H
#define DEXTLINK_MODEL_REPLAY_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"

struct replay_function;

struct replay_region {
    bool has_index, has_address, is_io;
    unsigned index;
    uint64_t address;
    uint64_t bytes;
};

struct replay_regions {
    unsigned count;
    struct replay_region list[MODEL_BAR_COUNT]; /* more than there are BARs mean nothing */
};

/** Take [at, end), a line, if it is about a BAR's size. False when that is no power of two. */
bool replay_region_read(struct replay_regions *regions, const char *at, const char *end);

/** Give the sizes to the BARs of function they belong to: by number, else by address, else, where
 * none was assigned, in order. What fits nowhere is dropped. */
void replay_regions_settle(const struct replay_regions *regions, struct replay_function *function);

#endif
