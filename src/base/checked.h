/*
 * Overflow-safe range arithmetic on untrusted numbers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_CHECKED_H
#define DEXTLINK_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/** Whether [offset, offset + length) lies inside [0, total), without overflow. */
static inline bool range_is_within(uint64_t offset, uint64_t length, uint64_t total)
{
    return length <= total && offset <= total - length;
}

/** Whether start + length passes 2^64 (a range that ends exactly at 2^64 does not). */
static inline bool range_wraps(uint64_t start, uint64_t length)
{
    return length != 0 && start + (length - 1) < start;
}

/** Whether width is 1, 2, 4 or 8 and at most widest. */
static inline bool width_is_valid(uint64_t width, uint64_t widest)
{
    return width != 0 && width <= widest && (width & (width - 1)) == 0;
}

static inline bool is_aligned(uint64_t value, uint64_t power_of_two)
{
    return (value & (power_of_two - 1)) == 0;
}

static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/** All ones in the low width bytes: what a read of a dead device gives. */
static inline uint64_t ones_of_width(uint64_t width)
{
    return width >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
}

#endif
