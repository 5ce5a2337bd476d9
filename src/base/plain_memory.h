/*
 * Accesses of one width to memory that others may be using: what was stored before is seen before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_PLAIN_MEMORY_H
#define DEXTLINK_BASE_PLAIN_MEMORY_H

#include <stdint.h>

/** width: 1, 2, 4 or 8 bytes; where is aligned to it. */
static inline uint64_t plain_load(const void *where, unsigned width)
{
    switch (width) {
    case 1:
        return __atomic_load_n((const uint8_t *)where, __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_load_n((const uint16_t *)where, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((const uint32_t *)where, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)where, __ATOMIC_ACQUIRE);
    }
}

/** The low width bytes of value. */
static inline void plain_store(void *where, unsigned width, uint64_t value)
{
    switch (width) {
    case 1:
        __atomic_store_n((uint8_t *)where, (uint8_t)value, __ATOMIC_RELEASE);
        break;
    case 2:
        __atomic_store_n((uint16_t *)where, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)where, (uint32_t)value, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)where, value, __ATOMIC_RELEASE);
        break;
    }
}

#endif
