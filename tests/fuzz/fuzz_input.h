/*
 * A fuzzer's bytes, taken from front to back. Behind the end everything is 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_FUZZ_INPUT_H
#define DEXTLINK_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
};

/** The next count bytes, 1 to 8, as a little-endian number. */
static inline uint64_t fuzz_take(struct fuzz_input *input, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count && input->left > 0; i++, input->left--) {
        value |= (uint64_t)*input->bytes++ << (8 * i);
    }
    return value;
}

/** A number below limit (1 to 65536), of one or two bytes. */
static inline unsigned fuzz_below(struct fuzz_input *input, unsigned limit)
{
    return (unsigned)(fuzz_take(input, limit > 256 ? 2 : 1) % limit);
}

/** What libFuzzer and replay.c call: the function each target defines. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#endif
