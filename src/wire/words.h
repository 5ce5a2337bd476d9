/*
 * A small request and its reply, as the words they consist of: what goes by call slot, or to a host
 * inside the process, without becoming a frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_WORDS_H
#define DEXTLINK_WIRE_WORDS_H

#include <stdint.h>

#include "wire/protocol.h"

#define WIRE_WORDS_MAX (1 + WIRE_MAX_SCALARS)

/* A request, whose place its reply takes. */
struct wire_words {
    uint16_t type; /* WIRE_CALL, WIRE_CALL_AT or WIRE_ACCESS */
    uint16_t count;
    int32_t status; /* of a reply: an IOReturn */
    uint64_t call_id;
    /* CALL: what wire_call_word makes, then the scalars; its reply: the scalars. ACCESS: type,
     * offset, width and (from bit 32) is-write, value; its reply: the value. */
    uint64_t words[WIRE_WORDS_MAX];
};

/* CALL_AT: a CALL with structures, which the host reads and writes where they are, in the client's
 * memory. The word of the call, address of the one in, its bytes and (from bit 32) room for the one
 * out, address of that, then the scalars. Its reply: bytes of the one out, then the scalars. A
 * reply without a word and kIOReturnIPCError: the host cannot get at them, nothing was done. */
#define WIRE_CALL_AT_WORDS       4
#define WIRE_CALL_AT_ROOM_SHIFT  32
#define WIRE_CALL_AT_SCALARS     (WIRE_WORDS_MAX - WIRE_CALL_AT_WORDS)
#define WIRE_CALL_AT_SCALARS_OUT (WIRE_MAX_SCALARS - 1)

#define WIRE_ACCESS_WORDS        4
#define WIRE_ACCESS_WRITE_SHIFT  32

/** The first word of a synchronous CALL without structures. */
static inline uint64_t wire_call_word(uint32_t selector, unsigned scalars_in, unsigned scalars_out)
{
    return selector | (uint64_t)scalars_in << 32 | (uint64_t)scalars_out << 48;
}
static inline uint32_t wire_call_word_selector(uint64_t word)
{
    return (uint32_t)word;
}
static inline unsigned wire_call_word_in(uint64_t word)
{
    return (uint16_t)(word >> 32);
}
static inline unsigned wire_call_word_room(uint64_t word)
{
    return (uint16_t)(word >> 48);
}

#endif
