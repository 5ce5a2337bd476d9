/*
 * Data that no block has by chance: output number n of SplitMix64 (Steele, Lea and Flood, 2014) is
 * the n-th 8 bytes of a namespace, so that every byte is a function of the seed and of its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef EXAMPLES_NVME_PATTERN_H
#define EXAMPLES_NVME_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t nvme_pattern_word(uint64_t seed, uint64_t number)
{
    uint64_t word = seed + (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

/* @offset: bytes into the namespace; it and bytes are multiples of 8 */
static inline void nvme_pattern_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = nvme_pattern_word(seed, (offset + i) / 8);
        memcpy(out + i, &word, sizeof(word));
    }
}

static inline bool nvme_pattern_is(uint64_t seed, uint64_t offset, const uint8_t *data,
                                   size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = nvme_pattern_word(seed, (offset + i) / 8);
        if (memcmp(data + i, &word, sizeof(word)) != 0)
            return false;
    }
    return true;
}

#endif
