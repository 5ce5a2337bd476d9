/*
 * One round of a DMA test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dma_round.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

#define PROBE_BYTES   8
#define EDGE_BYTES    4096
#define UNTOUCHED     0xa5 /* what a target holds before the device writes */
#define PATTERN_COUNT 5

/* Byte of a pattern: mixed, all zero, all one, one bit walking, the offset itself. */
static uint8_t byte_of(unsigned int pattern, uint64_t offset, uint32_t seed)
{
    switch (pattern) {
    case 0:
        return pattern_byte((size_t)offset, seed);
    case 1:
        return 0x00;
    case 2:
        return 0xff;
    case 3:
        return (uint8_t)(1u << (offset % 8));
    default:
        return (uint8_t)((offset & ~UINT64_C(7)) >> 8 * (offset % 8));
    }
}

static int register_failed(const struct session *session, kern_return_t code, uint64_t bytes)
{
    char size[SIZE_TEXT_BYTES];
    return session_failure(session, code, "cannot register %s of memory", size_text(bytes, size));
}

/* The driver's view of the first and last word must be ours. */
static int probe(const struct session *session, const struct region *region)
{
    const uint64_t offsets[] = {0, region->bytes - PROBE_BYTES};

    for (size_t i = 0; i < 2 && region->bytes >= PROBE_BYTES; i++) {
        uint64_t word;
        uint64_t mine;
        kern_return_t code =
            apple_dext_probe_dma(session->connection, region->iova, offsets[i], &word);
        if (code != KERN_SUCCESS) {
            return session_failure(session, code, "cannot probe the region at 0x%" PRIx64,
                                   offsets[i]);
        }
        memcpy(&mine, region->memory + offsets[i], sizeof(mine));
        if (word != mine) {
            return failure(session->name,
                           "the driver sees 0x%016" PRIx64 " at 0x%" PRIx64
                           " of the region, the memory has 0x%016" PRIx64,
                           word, offsets[i], mine);
        }
    }
    return STATUS_OK;
}

static bool holds_only(const uint8_t *memory, uint64_t bytes, uint8_t value)
{
    for (uint64_t i = 0; i < bytes; i++) {
        if (memory[i] != value) {
            return false;
        }
    }
    return true;
}

static unsigned int address_bits(uint64_t address)
{
    unsigned int bits = 0;
    for (; address; address >>= 1) {
        bits++;
    }
    return bits;
}

/* Which way it went wrong, as far as the bytes tell. */
static int differs(const struct session *session, const struct round *round,
                   const struct region *target, uint64_t start, uint64_t bytes, uint64_t at,
                   uint8_t wanted)
{
    char size[SIZE_TEXT_BYTES];
    char hint[160] = "the device's data is wrong";

    if (holds_only(target->memory + start, bytes, UNTOUCHED)) {
        snprintf(hint, sizeof(hint),
                 "nothing landed: is the target mapped for writing, and can the device drive the "
                 "%u bits of its address?",
                 address_bits(target->bus_address + round->bytes - 1));
    } else if (holds_only(target->memory + start, bytes, 0xff)) {
        snprintf(hint, sizeof(hint), "the device read ones: it did not reach the source");
    }
    return failure(session->name,
                   "the copy of %s differs at byte %" PRIu64 ": 0x%02x, want 0x%02x; %s "
                   "(DEXTLINK_LOG=warning names accesses that were refused)",
                   size_text(round->bytes, size), at, target->memory[at], wanted, hint);
}

/* Copy and compare bytes from start on with one pattern. */
static int copy_stretch(const struct session *session, struct engine *engine, struct round *round,
                        const struct region *regions, unsigned int pattern, uint64_t start,
                        uint64_t bytes)
{
    const struct region *source = &regions[0];
    const struct region *target = &regions[1];

    for (uint64_t i = start; i < start + bytes; i++) {
        source->memory[i] = byte_of(pattern, i, round->seed);
    }
    memset(target->memory + start, UNTOUCHED, (size_t)bytes);
    double begin = now_ms();
    const char *cause =
        engine->ops->copy(engine, source->bus_address + start, target->bus_address + start, bytes);
    round->copy_ms += now_ms() - begin;
    if (cause) {
        return failure(session->name, "%s", cause);
    }
    for (uint64_t i = start; i < start + bytes; i++) {
        uint8_t wanted = byte_of(pattern, i, round->seed);
        if (target->memory[i] != wanted) {
            return differs(session, round, target, start, bytes, i, wanted);
        }
    }
    round->copied_bytes += bytes;
    return STATUS_OK;
}

/* Bytes between the target's end and the end of its page: nothing may have been written there. */
static int check_rest(const struct session *session, const struct round *round,
                      const struct region *target)
{
    const uint8_t *end = (const uint8_t *)target->mapping + target->mapping_bytes;
    uint64_t rest = (uint64_t)(end - (target->memory + target->bytes));

    if (holds_only(target->memory + target->bytes, rest < EDGE_BYTES ? rest : EDGE_BYTES, 0)) {
        return STATUS_OK;
    }
    char size[SIZE_TEXT_BYTES];
    return failure(session->name, "the copy of %s wrote on behind its end",
                   size_text(round->bytes, size));
}

static int copy_patterns(const struct session *session, struct engine *engine, struct round *round,
                         const struct region *regions)
{
    unsigned int count = round->bytes <= ROUND_PATTERNS_MAX ? PATTERN_COUNT : 1;
    int status = STATUS_OK;

    for (unsigned int pattern = 0; pattern < count && status == STATUS_OK; pattern++) {
        if (round->edges_only && round->bytes > 2 * EDGE_BYTES) {
            status = copy_stretch(session, engine, round, regions, pattern, 0, EDGE_BYTES);
            if (status == STATUS_OK) {
                status = copy_stretch(session, engine, round, regions, pattern,
                                      round->bytes - EDGE_BYTES, EDGE_BYTES);
            }
        } else {
            status = copy_stretch(session, engine, round, regions, pattern, 0, round->bytes);
        }
        round->patterns += status == STATUS_OK;
    }
    return status == STATUS_OK ? check_rest(session, round, &regions[1]) : status;
}

static int open_regions(const struct session *session, struct round *round, struct region *regions)
{
    double start = now_ms();
    kern_return_t code = region_open(&regions[0], session, IOVA_SOURCE, (size_t)round->bytes);

    if (code == KERN_SUCCESS) {
        /* behind the first, however long that is */
        uint64_t iova = IOVA_SOURCE + round->bytes > IOVA_TARGET
                            ? IOVA_SOURCE + (round->bytes | 0xffff) + 1
                            : IOVA_TARGET;
        code = region_open(&regions[1], session, iova, (size_t)round->bytes);
    }
    round->register_ms = now_ms() - start;
    if (code != KERN_SUCCESS) {
        region_close(&regions[0], session);
        return register_failed(session, code, round->bytes);
    }
    round->source_bus = regions[0].bus_address;
    round->target_bus = regions[1].bus_address;
    return STATUS_OK;
}

int round_run(struct round *round, const struct session *session, struct engine *engine)
{
    struct region regions[2] = {{0}};

    int status = open_regions(session, round, regions);
    if (status != STATUS_OK) {
        return status;
    }
    if (!round->edges_only) {
        pattern_fill(regions[0].memory, regions[0].bytes, round->seed);
    }
    status = probe(session, &regions[0]);
    if (status == STATUS_OK && engine->ops) {
        status = copy_patterns(session, engine, round, regions);
    }
    kern_return_t second = region_close(&regions[1], session);
    kern_return_t first = region_close(&regions[0], session);
    kern_return_t code = second == KERN_SUCCESS ? first : second;
    if (status == STATUS_OK && code != KERN_SUCCESS) {
        status = session_failure(session, code, "cannot unregister the memory");
    }
    return status;
}
