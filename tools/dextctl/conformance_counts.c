/*
 * Conformance of argument counts: too few, too little room, more than there are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "bar.h"
#include "conformance.h"

/* Arguments that change nothing, also in a driver that does not look at their count. */
static void harmless(struct conformance *run, uint64_t in[16])
{
    static const struct {
        uint32_t selector;
        uint64_t in[4];
    } rows[] = {
        {SEL_REGISTER_REGION, {CONFORMANCE_IOVA, 0, 0}},
        {SEL_UNREGISTER_REGION, {CONFORMANCE_IOVA}},
        {SEL_PROBE_REGION, {CONFORMANCE_IOVA, 0}},
        {SEL_CONFIG_READ, {0, 4}},
        {SEL_CONFIG_WRITE, {0, 2, 0}}, /* the vendor id */
        {SEL_MMIO_READ, {CONFORMANCE_NO_INDEX, 0, 4}},
        {SEL_MMIO_WRITE, {CONFORMANCE_NO_INDEX, 0, 4, 0}},
        {SEL_REGISTER_SEGMENTS, {CONFORMANCE_IOVA, 0, 0}},
    };
    memset(in, 0, 16 * sizeof(*in));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].selector == run->test->selector) {
            memcpy(in, rows[i].in, sizeof(rows[i].in));
        }
    }
}

/* Of selectors that would refuse a call without one. Entries that are refused, each for itself. */
static void add_structures(struct conformance_call *call)
{
    static const uint64_t entry[] = {CONFORMANCE_IOVA, 0, 0};
    static uint64_t answer[3];

    switch (call->selector) {
    case SEL_REGISTER_REGIONS:
        call->in_structure = entry;
        call->in_bytes = sizeof(entry);
        break;
    case SEL_UNREGISTER_REGIONS:
        call->in_structure = entry;
        call->in_bytes = sizeof(*entry);
        break;
    case SEL_REGISTER_SEGMENTS:
        break;
    default:
        return;
    }
    call->out_structure = answer;
    call->out_bytes = sizeof(answer);
}

/* A client for which nothing but the count is wrong. */
static io_connect_t client_for(struct conformance *run)
{
    uint32_t selector = run->test->selector;

    if (run->test->level == LEVEL_READ_ONLY) {
        return run->session.connection;
    }
    io_connect_t client = conformance_claim_own(run);
    if (client != IO_OBJECT_NULL &&
        (selector == SEL_CHECK_INTERRUPT || selector == SEL_SET_IRQ_MASK)) {
        struct conformance_call setup = conformance_ask(client, SEL_SETUP_INTERRUPTS, NULL);
        if (!want_code(run, setup.code, KERN_SUCCESS, "SetupInterrupts")) {
            return IO_OBJECT_NULL;
        }
    }
    return client;
}

static void few_inputs(struct conformance *run)
{
    const struct conformance_selector *row = &conformance_selectors[run->test->selector];
    struct conformance_call call = {.selector = run->test->selector};
    io_connect_t client = client_for(run);

    harmless(run, call.in);
    for (uint32_t count = 0; client != IO_OBJECT_NULL && count < row->in; count++) {
        call.in_count = count;
        call.out_count = row->out;
        add_structures(&call);
        conformance_call(client, &call);
        if (!conformance_has(run, &call)) {
            return;
        }
        want_code(run, call.code, kIOReturnBadArgument, "%" PRIu32 " inputs of %" PRIu32, count,
                  row->in);
    }
}

static void little_room(struct conformance *run)
{
    const struct conformance_selector *row = &conformance_selectors[run->test->selector];
    struct conformance_call call = {.selector = run->test->selector, .in_count = row->in};
    io_connect_t client = client_for(run);

    harmless(run, call.in);
    for (uint32_t room = 0; client != IO_OBJECT_NULL && room < row->out; room++) {
        call.out_count = room;
        add_structures(&call);
        conformance_call(client, &call);
        if (!conformance_has(run, &call)) {
            return;
        }
        want_code(run, call.code, kIOReturnBadArgument, "room for %" PRIu32 " outputs of %" PRIu32,
                  room, row->out);
    }
}

/* What must have been done before, for a selector to succeed; false when the test ends by it. */
static bool prepare(struct conformance *run, io_connect_t client, uint64_t in[16])
{
    uint8_t *memory = run->test->level >= LEVEL_DMA ? conformance_memory(run) : NULL;
    const uint64_t region[] = {CONFORMANCE_IOVA, (uintptr_t)memory, 4096};

    switch (run->test->selector) {
    case SEL_GET_BAR_INFO:
    case SEL_GET_BAR_RANGES:
        while (in[0] < BAR_COUNT &&
               conformance_ask(client, SEL_GET_BAR_INFO, in).code != KERN_SUCCESS) {
            in[0]++;
        }
        if (in[0] == BAR_COUNT) {
            skip(run, "the device has no BAR");
        }
        return in[0] < BAR_COUNT;
    case SEL_ALLOCATE_BUFFER:
        in[0] = 4096;
        return true;
    case SEL_REGISTER_REGION:
    case SEL_REGISTER_SEGMENTS:
        memcpy(in, region, sizeof(region));
        return memory != NULL;
    case SEL_UNREGISTER_REGION:
    case SEL_PROBE_REGION:
        return want_code(run, conformance_ask(client, SEL_REGISTER_REGION, region).code,
                         KERN_SUCCESS, "RegisterDMARegion");
    case SEL_MMIO_READ:
    case SEL_MMIO_WRITE:
        if (!run->registers.exist) {
            skip(run, "its registers are not known: --device-is-safe");
            return false;
        }
        if (run->test->selector == SEL_MMIO_WRITE && !run->registers.has_scratch) {
            skip(run, "no register of it is known that takes any value");
            return false;
        }
        in[0] = run->registers.memory_index;
        in[1] = run->test->selector == SEL_MMIO_READ ? run->registers.read_offset
                                                     : run->registers.write_offset;
        return true;
    default:
        return true;
    }
}

static void more_arguments(struct conformance *run)
{
    struct conformance_call call = {
        .selector = run->test->selector, .in_count = 16, .out_count = 16};
    io_connect_t client = client_for(run);

    harmless(run, call.in);
    if (client != IO_OBJECT_NULL && prepare(run, client, call.in)) {
        add_structures(&call);
        conformance_call(client, &call);
        if (conformance_has(run, &call)) {
            want_reply(run, &call);
        }
    }
}

#define FEW  "kIOReturnBadArgument for fewer inputs"
#define ROOM "kIOReturnBadArgument for room for fewer outputs"
#define MORE "success with 16 inputs and room for 16 outputs, of which the row's are set"

#define FEW_INPUTS(name, level, number)                                                            \
    {                                                                                              \
        name ".few-inputs", level, "sel." #number, FEW, few_inputs, NULL, number                   \
    }
#define LITTLE_ROOM(name, level, number)                                                           \
    {                                                                                              \
        name ".little-room", level, "sel." #number, ROOM, little_room, NULL, number                \
    }
#define MORE_ARGUMENTS(name, level, number)                                                        \
    {                                                                                              \
        name ".more-arguments", level, "call.more", MORE, more_arguments, NULL, number             \
    }

static const struct conformance_test tests[] = {
    LITTLE_ROOM("GetIdentity", LEVEL_READ_ONLY, 0),
    MORE_ARGUMENTS("GetIdentity", LEVEL_READ_ONLY, 0),
    FEW_INPUTS("GetBARInfo", LEVEL_READ_ONLY, 10),
    LITTLE_ROOM("GetBARInfo", LEVEL_READ_ONLY, 10),
    MORE_ARGUMENTS("GetBARInfo", LEVEL_READ_ONLY, 10),
    FEW_INPUTS("ReadCalls", LEVEL_READ_ONLY, 70),
    LITTLE_ROOM("ReadCalls", LEVEL_READ_ONLY, 70),
    MORE_ARGUMENTS("ReadCalls", LEVEL_READ_ONLY, 70),
    FEW_INPUTS("ListDMARegions", LEVEL_READ_ONLY, 71),
    LITTLE_ROOM("ListDMARegions", LEVEL_READ_ONLY, 71),
    MORE_ARGUMENTS("ListDMARegions", LEVEL_READ_ONLY, 71),
    MORE_ARGUMENTS("Claim", LEVEL_CLAIMED, 1),
    FEW_INPUTS("ConfigRead", LEVEL_CLAIMED, 8),
    LITTLE_ROOM("ConfigRead", LEVEL_CLAIMED, 8),
    MORE_ARGUMENTS("ConfigRead", LEVEL_CLAIMED, 8),
    FEW_INPUTS("ConfigWrite", LEVEL_CLAIMED, 9),
    MORE_ARGUMENTS("ConfigWrite", LEVEL_CLAIMED, 9),
    FEW_INPUTS("MMIORead", LEVEL_CLAIMED, 11),
    LITTLE_ROOM("MMIORead", LEVEL_CLAIMED, 11),
    MORE_ARGUMENTS("MMIORead", LEVEL_CLAIMED, 11),
    FEW_INPUTS("MMIOWrite", LEVEL_CLAIMED, 12),
    MORE_ARGUMENTS("MMIOWrite", LEVEL_CLAIMED, 12),
    FEW_INPUTS("GetBARRanges", LEVEL_CLAIMED, 72),
    LITTLE_ROOM("GetBARRanges", LEVEL_CLAIMED, 72),
    MORE_ARGUMENTS("GetBARRanges", LEVEL_CLAIMED, 72),
    FEW_INPUTS("AllocateDMABuffer", LEVEL_DMA, 3),
    LITTLE_ROOM("AllocateDMABuffer", LEVEL_DMA, 3),
    MORE_ARGUMENTS("AllocateDMABuffer", LEVEL_DMA, 3),
    MORE_ARGUMENTS("FreeDMABuffer", LEVEL_DMA, 4),
    FEW_INPUTS("RegisterDMARegion", LEVEL_DMA, 5),
    LITTLE_ROOM("RegisterDMARegion", LEVEL_DMA, 5),
    MORE_ARGUMENTS("RegisterDMARegion", LEVEL_DMA, 5),
    FEW_INPUTS("UnregisterDMARegion", LEVEL_DMA, 6),
    MORE_ARGUMENTS("UnregisterDMARegion", LEVEL_DMA, 6),
    FEW_INPUTS("ProbeDMARegion", LEVEL_DMA, 7),
    LITTLE_ROOM("ProbeDMARegion", LEVEL_DMA, 7),
    MORE_ARGUMENTS("ProbeDMARegion", LEVEL_DMA, 7),
    FEW_INPUTS("RegisterDMARegions", LEVEL_DMA, 65),
    LITTLE_ROOM("RegisterDMARegions", LEVEL_DMA, 65),
    MORE_ARGUMENTS("RegisterDMARegions", LEVEL_DMA, 65),
    LITTLE_ROOM("UnregisterDMARegions", LEVEL_DMA, 66),
    MORE_ARGUMENTS("UnregisterDMARegions", LEVEL_DMA, 66),
    FEW_INPUTS("RegisterDMASegments", LEVEL_DMA, 74),
    LITTLE_ROOM("RegisterDMASegments", LEVEL_DMA, 74),
    MORE_ARGUMENTS("RegisterDMASegments", LEVEL_DMA, 74),
    LITTLE_ROOM("SetupInterrupts", LEVEL_INTERRUPTS, 13),
    MORE_ARGUMENTS("SetupInterrupts", LEVEL_INTERRUPTS, 13),
    LITTLE_ROOM("CheckInterrupt", LEVEL_INTERRUPTS, 14),
    MORE_ARGUMENTS("CheckInterrupt", LEVEL_INTERRUPTS, 14),
    FEW_INPUTS("SetIRQMask", LEVEL_INTERRUPTS, 16),
    MORE_ARGUMENTS("SetIRQMask", LEVEL_INTERRUPTS, 16),
};

const struct conformance_group conformance_counts = {tests, sizeof(tests) / sizeof(*tests)};
