/*
 * Conformance of the extensions that register memory: batches, and regions of several segments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance.h"

#define IOVA        CONFORMANCE_IOVA
#define STEP        UINT64_C(0x100000) /* from one iova to the next */
#define PIECE       16384              /* bytes of memory from one entry's to the next */
#define CHUNK_BYTES (UINT64_C(1536) << 20)
#define BATCH_MAX   4096
#define EACH        1 /* the flag */

/* Entries and answers as docs/dext.md has them: 64-bit words. */
struct entry {
    uint64_t iova, address, bytes;
};

struct answer {
    uint64_t status, bus_address, bytes;
};

struct segment {
    uint64_t bus_address, bytes;
};

/* A batch of three at most: enough for one before and one behind a refusal. */
#define ENTRIES 3

struct batch {
    struct entry entries[ENTRIES];
    struct answer answers[ENTRIES];
    struct conformance_call call;
};

/* A claimed client and a batch of registrations that are all in order. */
static io_connect_t begin(struct conformance *run, struct batch *batch)
{
    io_connect_t client = conformance_claim_own(run);
    uint8_t *memory = client == IO_OBJECT_NULL ? NULL : conformance_memory(run);

    *batch = (struct batch){.call = {.selector = SEL_REGISTER_REGIONS,
                                     .in_count = 1,
                                     .out_count = 1,
                                     .in_structure = batch->entries,
                                     .in_bytes = sizeof(batch->entries),
                                     .out_structure = batch->answers,
                                     .out_bytes = sizeof(batch->answers)}};
    for (uint64_t i = 0; i < ENTRIES; i++) {
        batch->entries[i] = (struct entry){IOVA + i * STEP, (uintptr_t)memory + i * PIECE, 4096};
    }
    return memory ? client : IO_OBJECT_NULL;
}

/* Whether a region is the memory that its entry named: the first word of each piece is another. */
static void want_memory(struct conformance *run, io_connect_t client, const struct entry *entry)
{
    const uint64_t in[] = {entry->iova, 0};
    uint64_t word = ~entry->iova;

    memcpy(run->memory + (entry->address - (uintptr_t)run->memory), &word, sizeof(word));
    struct conformance_call call = conformance_ask(client, SEL_PROBE_REGION, in);
    if (want_reply(run, &call)) {
        want(run, call.out[0] == word,
             "iova 0x%" PRIx64 " begins with 0x%" PRIx64 ", want 0x%" PRIx64, entry->iova,
             call.out[0], word);
    }
}

static kern_return_t end_one(io_connect_t client, uint64_t iova)
{
    return conformance_ask(client, SEL_UNREGISTER_REGION, &iova).code;
}

static bool want_structure(struct conformance *run, const struct conformance_call *call,
                           size_t bytes)
{
    return want(run, call->out_bytes == bytes, "a structure of %zu bytes, want %zu",
                call->out_bytes, bytes);
}

static void want_status(struct conformance *run, const struct batch *batch, size_t index,
                        kern_return_t wanted)
{
    want_code(run, (kern_return_t)(uint32_t)batch->answers[index].status, wanted, "entry %zu",
              index);
}

static void want_registered(struct conformance *run, const struct batch *batch, size_t index)
{
    const struct answer *answer = &batch->answers[index];

    want_status(run, batch, index, KERN_SUCCESS);
    want(run, answer->bus_address != 0 && answer->bytes >= batch->entries[index].bytes,
         "entry %zu became 0x%" PRIx64 " bytes at 0x%" PRIx64, index, answer->bytes,
         answer->bus_address);
}

static void register_batch(struct conformance *run)
{
    struct batch batch;
    io_connect_t client = begin(run, &batch);

    if (client == IO_OBJECT_NULL) {
        return;
    }
    conformance_call(client, &batch.call);
    if (!conformance_extends(run, &batch.call) ||
        !want_structure(run, &batch.call, sizeof(batch.answers))) {
        return;
    }
    want(run, batch.call.out[0] == ENTRIES, "%" PRIu64 " regions", batch.call.out[0]);
    for (size_t i = 0; i < ENTRIES; i++) {
        want_registered(run, &batch, i);
        want_memory(run, client, &batch.entries[i]);
        want_code(run, end_one(client, batch.entries[i].iova), KERN_SUCCESS, "UnregisterDMARegion");
    }
}

/* Calls whose structures or flags are wrong; nothing may be registered by them. */
static void register_shape(struct conformance *run)
{
    static struct entry many[BATCH_MAX + 1];
    static struct answer room[BATCH_MAX + 1];
    struct batch batch;
    io_connect_t client = begin(run, &batch);
    const struct {
        const char *what;
        const void *in;
        size_t in_bytes, out_bytes;
        uint64_t flags;
    } rows[] = {
        {"no entry", batch.entries, 0, sizeof(room), EACH},
        {"half an entry", batch.entries, sizeof(struct entry) + 8, sizeof(room), EACH},
        {"4,097 entries", many, sizeof(many), sizeof(room), EACH},
        {"too little room", batch.entries, sizeof(batch.entries), sizeof(batch.answers) - 1, EACH},
        {"unknown flags", batch.entries, sizeof(batch.entries), sizeof(room), 1 << 16 | EACH},
    };
    for (size_t i = 0; client != IO_OBJECT_NULL && i < sizeof(rows) / sizeof(*rows); i++) {
        struct conformance_call call = {.selector = SEL_REGISTER_REGIONS,
                                        .in_count = 1,
                                        .in = {rows[i].flags},
                                        .out_count = 1,
                                        .in_structure = rows[i].in,
                                        .in_bytes = rows[i].in_bytes,
                                        .out_structure = room,
                                        .out_bytes = rows[i].out_bytes};
        conformance_call(client, &call);
        if (!conformance_has(run, &call)) {
            return;
        }
        want_code(run, call.code, kIOReturnBadArgument, "%s", rows[i].what);
        want_code(run, end_one(client, IOVA), kIOReturnNotFound, "a region after %s", rows[i].what);
    }
}

/* A batch whose second entry is refused. */
static io_connect_t refuse_second(struct conformance *run, struct batch *batch, uint64_t flags)
{
    io_connect_t client = begin(run, batch);

    if (client == IO_OBJECT_NULL) {
        return client;
    }
    batch->entries[1].bytes = 0;
    batch->call.in[0] = flags;
    conformance_call(client, &batch->call);
    bool is_answered = conformance_has(run, &batch->call) && want_reply(run, &batch->call) &&
                       want_structure(run, &batch->call, sizeof(batch->answers));
    return is_answered ? client : IO_OBJECT_NULL;
}

static void register_undone(struct conformance *run)
{
    struct batch batch;
    io_connect_t client = refuse_second(run, &batch, 0);

    if (client == IO_OBJECT_NULL) {
        return;
    }
    want(run, batch.call.out[0] == 0, "%" PRIu64 " regions", batch.call.out[0]);
    want_status(run, &batch, 0, kIOReturnAborted);
    want_status(run, &batch, 1, kIOReturnBadArgument);
    want_status(run, &batch, 2, kIOReturnAborted);
    want_code(run, end_one(client, IOVA), kIOReturnNotFound, "the region before the refusal");
    want_code(run, end_one(client, IOVA + 2 * STEP), kIOReturnNotFound, "the one behind it");
}

static void register_each(struct conformance *run)
{
    struct batch batch;
    io_connect_t client = refuse_second(run, &batch, EACH);

    if (client == IO_OBJECT_NULL) {
        return;
    }
    want(run, batch.call.out[0] == 2, "%" PRIu64 " regions", batch.call.out[0]);
    want_registered(run, &batch, 0);
    want_status(run, &batch, 1, kIOReturnBadArgument);
    want_registered(run, &batch, 2);
    want_code(run, end_one(client, IOVA), KERN_SUCCESS, "the region before the refusal");
    want_code(run, end_one(client, IOVA + 2 * STEP), KERN_SUCCESS, "the one behind it");
}

static void register_unclaimed(struct conformance *run)
{
    struct batch batch;

    if (begin(run, &batch) != IO_OBJECT_NULL) {
        conformance_refuses_unclaimed(run, &batch.call);
    }
}

/* Ends of regions, by the batch */

static struct conformance_call end_call(const uint64_t *iovas, uint64_t *codes, size_t count)
{
    return (struct conformance_call){.selector = SEL_UNREGISTER_REGIONS,
                                     .out_count = 1,
                                     .in_structure = iovas,
                                     .in_bytes = count * sizeof(*iovas),
                                     .out_structure = codes,
                                     .out_bytes = count * sizeof(*codes)};
}

/* The first and the last of three are regions: each entry is tried, whatever became of others. */
static void unregister_batch(struct conformance *run)
{
    const uint64_t iovas[] = {IOVA, IOVA + STEP, IOVA + 2 * STEP};
    uint64_t codes[3];
    io_connect_t client = conformance_claim_own(run);
    uint8_t *memory = client == IO_OBJECT_NULL ? NULL : conformance_memory(run);

    for (size_t i = 0; memory && i < 3; i += 2) {
        const uint64_t in[] = {iovas[i], (uintptr_t)memory + i * PIECE, 4096};
        want_code(run, conformance_ask(client, SEL_REGISTER_REGION, in).code, KERN_SUCCESS,
                  "RegisterDMARegion");
    }
    if (!memory || run->outcome != OUTCOME_OK) {
        return;
    }
    struct conformance_call call = end_call(iovas, codes, 3);
    conformance_call(client, &call);
    if (!conformance_extends(run, &call) || !want_structure(run, &call, sizeof(codes))) {
        return;
    }
    want(run, call.out[0] == 2, "%" PRIu64 " regions", call.out[0]);
    for (size_t i = 0; i < 3; i++) {
        want_code(run, (kern_return_t)(uint32_t)codes[i], i == 1 ? kIOReturnNotFound : KERN_SUCCESS,
                  "entry %zu", i);
        want_code(run, end_one(client, iovas[i]), kIOReturnNotFound, "region %zu then", i);
    }
}

static void unregister_shape(struct conformance *run)
{
    static uint64_t many[BATCH_MAX + 1];
    static uint64_t room[BATCH_MAX + 1];
    static const struct {
        const char *what;
        size_t in_bytes, out_bytes;
    } rows[] = {
        {"no entry", 0, sizeof(room)},
        {"half an entry", 12, sizeof(room)},
        {"4,097 entries", sizeof(many), sizeof(room)},
        {"too little room", 16, 15},
    };
    io_connect_t client = conformance_claim_own(run);

    for (size_t i = 0; client != IO_OBJECT_NULL && i < sizeof(rows) / sizeof(*rows); i++) {
        struct conformance_call call = end_call(many, room, 0);
        call.in_bytes = rows[i].in_bytes;
        call.out_bytes = rows[i].out_bytes;
        conformance_call(client, &call);
        if (!conformance_has(run, &call)) {
            return;
        }
        want_code(run, call.code, kIOReturnBadArgument, "%s", rows[i].what);
    }
}

static void unregister_unclaimed(struct conformance *run)
{
    const uint64_t iova = IOVA;
    uint64_t code;
    struct conformance_call call = end_call(&iova, &code, 1);

    conformance_refuses_unclaimed(run, &call);
}

/* Segments */

static struct conformance_call segments_call(uint64_t iova, const void *memory, uint64_t bytes,
                                             struct segment *segments, size_t room)
{
    return (struct conformance_call){.selector = SEL_REGISTER_SEGMENTS,
                                     .in_count = 3,
                                     .in = {iova, (uintptr_t)memory, bytes},
                                     .out_count = 1,
                                     .out_structure = room ? segments : NULL,
                                     .out_bytes = room * sizeof(*segments)};
}

/* As many segments as are told, and all bytes of the region in them. */
static bool want_segments(struct conformance *run, const struct conformance_call *call,
                          const struct segment *segments, size_t room)
{
    uint64_t bytes = 0;

    if (!want(run, call->out[0] >= 1 && call->out[0] <= room, "%" PRIu64 " segments",
              call->out[0]) ||
        !want_structure(run, call, (size_t)call->out[0] * sizeof(*segments))) {
        return false;
    }
    for (uint64_t i = 0; i < call->out[0]; i++) {
        want(run, segments[i].bus_address != 0 && segments[i].bytes != 0,
             "segment %" PRIu64 " is 0x%" PRIx64 " bytes at 0x%" PRIx64, i, segments[i].bytes,
             segments[i].bus_address);
        bytes += segments[i].bytes;
    }
    return want(run, bytes >= call->in[2], "0x%" PRIx64 " bytes in all, want 0x%" PRIx64, bytes,
                call->in[2]);
}

static void segments_good(struct conformance *run)
{
    static const uint64_t sizes[] = {1, 4096, CONFORMANCE_MEMORY};
    struct segment segments[8];
    io_connect_t client = conformance_claim_own(run);
    uint8_t *memory = client == IO_OBJECT_NULL ? NULL : conformance_memory(run);

    for (size_t i = 0; memory && i < 3 && run->outcome == OUTCOME_OK; i++) {
        struct conformance_call call = segments_call(IOVA, memory, sizes[i], segments, 8);
        conformance_call(client, &call);
        if (!conformance_extends(run, &call) || !want_segments(run, &call, segments, 8)) {
            return;
        }
        want_code(run, end_one(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
        want_code(run, end_one(client, IOVA), kIOReturnNotFound, "and again");
    }
}

/* The refusals of RegisterDMARegion, and that of a call without room for any answer. */
static void segments_refused(struct conformance *run)
{
    struct segment segments[8];
    io_connect_t client = conformance_claim_own(run);
    uint8_t *memory = client == IO_OBJECT_NULL ? NULL : conformance_memory(run);
    const struct {
        const char *what;
        uint64_t iova;
        const void *memory;
        uint64_t bytes;
        size_t room;
        kern_return_t wanted;
    } rows[] = {
        {"size 0", IOVA, memory, 0, 8, kIOReturnBadArgument},
        {"address 0", IOVA, NULL, 4096, 8, kIOReturnBadArgument},
        {"an iova that wraps", UINT64_MAX - 10, memory, 4096, 8, kIOReturnBadArgument},
        {"no room for a segment", IOVA, memory, 4096, 0, kIOReturnBadArgument},
        {"the first region", IOVA, memory, 4096, 8, KERN_SUCCESS},
        {"a second region at one iova", IOVA, memory + PIECE, 4096, 8, kIOReturnStillOpen},
    };
    for (size_t i = 0; memory && i < sizeof(rows) / sizeof(*rows); i++) {
        struct conformance_call call =
            segments_call(rows[i].iova, rows[i].memory, rows[i].bytes, segments, rows[i].room);
        conformance_call(client, &call);
        if (!conformance_has(run, &call)) {
            return;
        }
        want_code(run, call.code, rows[i].wanted, "%s", rows[i].what);
    }
}

/* More than one chunk, where the budget allows it; a Mac's does not, and would pin the memory. */
static void with_two_chunks(struct conformance *run,
                            void (*check)(struct conformance *run, io_connect_t client,
                                          const void *memory, uint64_t bytes))
{
    AppleDextCapabilities limits;
    size_t bytes = CHUNK_BYTES + 65536;
    io_connect_t client = conformance_claim_own(run);

    if (client == IO_OBJECT_NULL || apple_dext_get_capabilities(client, &limits) != KERN_SUCCESS ||
        limits.interface_version == 0 || limits.aperture_bytes <= CHUNK_BYTES) {
        skip(run, "more than 1.5 GiB cannot be mapped here");
        return;
    }
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    if (want(run, memory != MAP_FAILED, "no memory")) {
        check(run, client, memory, CHUNK_BYTES + 1);
        conformance_leave(run, client); /* before its memory goes */
        munmap(memory, bytes);
    }
}

static void check_told(struct conformance *run, io_connect_t client, const void *memory,
                       uint64_t bytes)
{
    struct segment segments[8];
    struct conformance_call call = segments_call(IOVA, memory, bytes, segments, 8);

    conformance_call(client, &call);
    if (conformance_has(run, &call) && want_reply(run, &call) &&
        want_segments(run, &call, segments, 8)) {
        want(run, call.out[0] >= 2 && segments[0].bytes <= CHUNK_BYTES,
             "%" PRIu64 " segments, the first of 0x%" PRIx64 " bytes", call.out[0],
             segments[0].bytes);
        want_code(run, end_one(client, IOVA), KERN_SUCCESS, "UnregisterDMARegion");
    }
}

static void check_overrun(struct conformance *run, io_connect_t client, const void *memory,
                          uint64_t bytes)
{
    struct segment segments[1];
    struct conformance_call call = segments_call(IOVA, memory, bytes, segments, 1);

    conformance_call(client, &call);
    if (conformance_has(run, &call)) {
        want_code(run, call.code, kIOReturnOverrun, "room for one segment");
        want_code(run, end_one(client, IOVA), kIOReturnNotFound, "a region then");
    }
}

static void segments_told(struct conformance *run)
{
    with_two_chunks(run, check_told);
}

static void segments_overrun(struct conformance *run)
{
    with_two_chunks(run, check_overrun);
}

static void segments_unclaimed(struct conformance *run)
{
    struct segment segments[8];
    uint8_t *memory = conformance_memory(run);
    struct conformance_call call = segments_call(IOVA, memory, 4096, segments, 8);

    if (memory) {
        conformance_refuses_unclaimed(run, &call);
    }
}

#define SHAPE                                                                                      \
    "kIOReturnBadArgument, and nothing done, for no entry, half of one, more than 4,096, "         \
    "too little room"
#define NOT_OPEN "kIOReturnNotOpen for a client without a claim"

static const struct conformance_test tests[] = {
    {"RegisterDMARegions.extension", LEVEL_DMA, "sel.65",
     "all regions are registered, and each one's segment is told", register_batch,
     CONFORMANCE_NO_EXTENSION, 0},
    {"RegisterDMARegions.shape", LEVEL_DMA, "batch.shape", SHAPE ", unknown flags", register_shape,
     NULL, 0},
    {"RegisterDMARegions.undone", LEVEL_DMA, "batch.undone",
     "the first refusal undoes the rest, which is kIOReturnAborted", register_undone, NULL, 0},
    {"RegisterDMARegions.each", LEVEL_DMA, "batch.each",
     "with flag 1 the others are registered all the same", register_each, NULL, 0},
    {"RegisterDMARegions.unclaimed", LEVEL_DMA, "claim.needed", NOT_OPEN, register_unclaimed, NULL,
     0},
    {"UnregisterDMARegions.extension", LEVEL_DMA, "sel.66",
     "every entry is tried: success for regions, kIOReturnNotFound where none starts",
     unregister_batch, CONFORMANCE_NO_EXTENSION, 0},
    {"UnregisterDMARegions.shape", LEVEL_DMA, "batch.shape", SHAPE, unregister_shape, NULL, 0},
    {"UnregisterDMARegions.unclaimed", LEVEL_DMA, "claim.needed", NOT_OPEN, unregister_unclaimed,
     "success: it looks at no claim", 0},
    {"RegisterDMASegments.extension", LEVEL_DMA, "sel.74",
     "as many segments as are told, of at least the size; one call ends them", segments_good,
     CONFORMANCE_NO_EXTENSION, 0},
    {"RegisterDMASegments.refused", LEVEL_DMA, "segments.refused",
     "the codes of RegisterDMARegion; kIOReturnBadArgument without room for a segment",
     segments_refused, NULL, 0},
    {"RegisterDMASegments.told", LEVEL_DMA, "segments.told",
     "above 1.5 GiB success with all of several segments", segments_told, NULL, 0},
    {"RegisterDMASegments.overrun", LEVEL_DMA, "segments.overrun",
     "kIOReturnOverrun, and no region, where there is room for fewer", segments_overrun, NULL, 0},
    {"RegisterDMASegments.unclaimed", LEVEL_DMA, "claim.needed", NOT_OPEN, segments_unclaimed, NULL,
     0},
};

const struct conformance_group conformance_batch = {tests, sizeof(tests) / sizeof(*tests)};
