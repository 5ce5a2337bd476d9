/*
 * Conformance of the extensions that tell what the driver keeps: the last calls, the mapped
 * segments, the direct ranges of a BAR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <mach/mach.h>

#include "bar.h"
#include "conformance.h"

/* As docs/dext.md and the client's header have them. */
struct record {
    uint64_t sequence, start_ns, duration_ns;
    uint64_t inputs[4];
    uint32_t selector, code, client, process;
    uint8_t kind, input_count, hidden, reserved[5];
};

struct listed {
    uint64_t iova, bus_address, bytes;
    uint32_t client, flags;
};

/* Other clients' calls may lie between. Of more than 4,096 bytes IOKit does not tell how many came.
 */
#define RECORDS     48
#define KEPT        1024
#define CALLS_NEW   UINT64_MAX
#define STRANGE     UINT64_C(0x5ca1ab1e0ddba11) /* a BAR that nobody else asks for */
#define FLAG_BUFFER 1u
#define LISTED      256 /* segments a call here */
#define RANGES      4
#define RANGE_UNIT  4096
#define SECOND_IOVA (CONFORMANCE_IOVA + 0x100000)

/* Calls */

static struct conformance_call read_calls(io_connect_t client, uint64_t cursor,
                                          struct record *records, size_t room)
{
    struct conformance_call call = {.selector = SEL_READ_CALLS,
                                    .in_count = 1,
                                    .in = {cursor},
                                    .out_count = 3,
                                    .out_structure = records,
                                    .out_bytes = room * sizeof(*records)};
    conformance_call(client, &call);
    return call;
}

static bool want_records(struct conformance *run, const struct conformance_call *call, size_t room)
{
    return conformance_has(run, call) && want_reply(run, call) &&
           want(run,
                call->out[0] <= room && call->out_bytes == call->out[0] * sizeof(struct record),
                "%" PRIu64 " records in %zu bytes", call->out[0], call->out_bytes);
}

/* A call that is told from every other; its code is what it is. */
static struct conformance_call strange_call(io_connect_t client)
{
    const uint64_t bar = STRANGE;
    return conformance_ask(client, SEL_GET_BAR_INFO, &bar);
}

static const struct record *find_record(const struct record *records, uint64_t count,
                                        uint32_t selector, uint64_t input)
{
    for (uint64_t i = 0; i < count; i++) {
        if (records[i].selector == selector && records[i].inputs[0] == input) {
            return &records[i];
        }
    }
    return NULL;
}

static void calls_good(struct conformance *run)
{
    struct record records[RECORDS];
    io_connect_t client = run->session.connection;
    struct conformance_call from = read_calls(client, CALLS_NEW, records, RECORDS);

    if (!conformance_extends(run, &from) || !want_records(run, &from, 0)) {
        return;
    }
    struct conformance_call strange = strange_call(client);
    struct conformance_call call = read_calls(client, from.out[1], records, RECORDS);
    if (!want_records(run, &call, RECORDS)) {
        return;
    }
    const struct record *record = find_record(records, call.out[0], SEL_GET_BAR_INFO, STRANGE);
    if (!want(run, record != NULL, "a call is not among the last %" PRIu64, call.out[0])) {
        return;
    }
    want(run, record->input_count == 1 && record->hidden == 0 && record->kind == 0,
         "%u inputs, hidden 0x%x, kind %u", record->input_count, record->hidden, record->kind);
    want_code(run, (kern_return_t)record->code, strange.code, "the code of a call");
    want(run, record->client != 0 && record->start_ns != 0, "client %" PRIu32 " at %" PRIu64 " ns",
         record->client, record->start_ns);
    want(run, call.out[1] == from.out[1] + call.out[0] && call.out[2] == 0,
         "%" PRIu64 " records from %" PRIu64 " on: go on with %" PRIu64 ", %" PRIu64 " lost",
         call.out[0], from.out[1], call.out[1], call.out[2]);
}

static void calls_of_its_own(struct conformance *run)
{
    struct record records[RECORDS];
    io_connect_t client = run->session.connection;
    struct conformance_call from = read_calls(client, CALLS_NEW, records, RECORDS);

    for (int i = 0; i < 3; i++) {
        strange_call(client);
        struct conformance_call call = read_calls(client, from.out[1], records, RECORDS);
        if (!want_records(run, &call, RECORDS)) {
            return;
        }
        for (uint64_t j = 0; j < call.out[0]; j++) {
            want(run, records[j].selector != SEL_READ_CALLS, "ReadCalls is among the calls");
        }
    }
}

/* A number that is yet to come stands for the next call. */
static void calls_ahead(struct conformance *run)
{
    struct record records[RECORDS];
    io_connect_t client = run->session.connection;
    struct conformance_call from = read_calls(client, UINT64_C(1) << 60, records, RECORDS);

    if (!want_records(run, &from, 0)) {
        return;
    }
    strange_call(client);
    struct conformance_call call = read_calls(client, from.out[1], records, RECORDS);
    if (want_records(run, &call, RECORDS)) {
        want(run, find_record(records, call.out[0], SEL_GET_BAR_INFO, STRANGE) != NULL,
             "the next call is not told");
    }
}

static void calls_overwritten(struct conformance *run)
{
    struct record record;
    io_connect_t client = run->session.connection;

    for (int i = 0; i <= KEPT; i++) {
        strange_call(client);
    }
    struct conformance_call call = read_calls(client, 0, &record, 1);
    if (want_records(run, &call, 1) && want(run, call.out[0] == 1, "no record")) {
        want(run, call.out[2] > 0 && record.sequence == call.out[2],
             "number %" PRIu64 " is the first, %" PRIu64 " lost", record.sequence, call.out[2]);
        want(run, call.out[1] == record.sequence + 1, "go on with %" PRIu64 " after %" PRIu64,
             call.out[1], record.sequence);
    }
}

static void calls_hidden(struct conformance *run)
{
    struct record records[RECORDS];
    io_connect_t client = conformance_claim_own(run);
    uint8_t *memory = client == IO_OBJECT_NULL ? NULL : conformance_memory(run);

    if (!memory) {
        return;
    }
    const uint64_t in[] = {CONFORMANCE_IOVA, (uintptr_t)memory, 4096};
    struct conformance_call from = read_calls(client, CALLS_NEW, records, RECORDS);
    if (!want_records(run, &from, 0) ||
        !want_code(run, conformance_ask(client, SEL_REGISTER_REGION, in).code, KERN_SUCCESS,
                   "RegisterDMARegion")) {
        return;
    }
    struct conformance_call call = read_calls(client, from.out[1], records, RECORDS);
    if (!want_records(run, &call, RECORDS)) {
        return;
    }
    const struct record *record =
        find_record(records, call.out[0], SEL_REGISTER_REGION, CONFORMANCE_IOVA);
    if (want(run, record != NULL, "RegisterDMARegion is not among the calls")) {
        want(run, record->hidden == 1u << 1 && record->inputs[1] == 0 && record->inputs[2] == 4096,
             "hidden 0x%x, inputs 0x%" PRIx64 " and 0x%" PRIx64, record->hidden, record->inputs[1],
             record->inputs[2]);
    }
}

/* Segments */

static struct conformance_call list_from(io_connect_t client, uint64_t bus_address,
                                         struct listed *segments, size_t room)
{
    struct conformance_call call = {.selector = SEL_LIST_REGIONS,
                                    .in_count = 1,
                                    .in = {bus_address},
                                    .out_count = 2,
                                    .out_structure = segments,
                                    .out_bytes = room * sizeof(*segments)};
    conformance_call(client, &call);
    return call;
}

static bool want_listed(struct conformance *run, const struct conformance_call *call, size_t room)
{
    return conformance_has(run, call) && want_reply(run, call) &&
           want(run,
                call->out[0] <= room && call->out_bytes == call->out[0] * sizeof(struct listed),
                "%" PRIu64 " segments in %zu bytes", call->out[0], call->out_bytes);
}

static io_connect_t begin_region(struct conformance *run, uint64_t iova, size_t at,
                                 io_connect_t client, uint64_t *bus_address)
{
    uint8_t *memory = client == IO_OBJECT_NULL ? NULL : conformance_memory(run);

    if (!memory) {
        return IO_OBJECT_NULL;
    }
    const uint64_t in[] = {iova, (uintptr_t)memory + at, 4096};
    struct conformance_call call = conformance_ask(client, SEL_REGISTER_REGION, in);
    *bus_address = call.out[1];
    return want_reply(run, &call) ? client : IO_OBJECT_NULL;
}

static void list_good(struct conformance *run)
{
    struct listed listed;
    uint64_t bus_address;
    io_connect_t client = conformance_claim_own(run);

    if (begin_region(run, CONFORMANCE_IOVA, 0, client, &bus_address) == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = list_from(client, bus_address, &listed, 1);
    if (!conformance_extends(run, &call) || !want_listed(run, &call, 1)) {
        return;
    }
    want(run,
         call.out[0] == 1 && listed.iova == CONFORMANCE_IOVA && listed.bus_address == bus_address &&
             listed.bytes >= 4096 && listed.client != 0 && listed.flags == 0,
         "0x%" PRIx64 " bytes at 0x%" PRIx64 " for iova 0x%" PRIx64 ", flags 0x%" PRIx32,
         listed.bytes, listed.bus_address, listed.iova, listed.flags);
    const uint64_t iova = CONFORMANCE_IOVA;
    want_code(run, conformance_ask(client, SEL_UNREGISTER_REGION, &iova).code, KERN_SUCCESS,
              "UnregisterDMARegion");
    call = list_from(client, bus_address, &listed, 1);
    if (want_listed(run, &call, 1)) {
        want(run, call.out[0] == 0 || listed.bus_address != bus_address,
             "it is listed after it was unregistered");
    }
}

/* From 0 on in calls with room for one, which must meet both regions. */
static void list_goes_on(struct conformance *run)
{
    struct listed listed;
    uint64_t one, two;
    uint64_t from = 0;
    unsigned int met = 0;
    io_connect_t client = conformance_claim_own(run);

    if (begin_region(run, CONFORMANCE_IOVA, 0, client, &one) == IO_OBJECT_NULL ||
        begin_region(run, SECOND_IOVA, 16384, client, &two) == IO_OBJECT_NULL) {
        return;
    }
    for (int i = 0; i < LISTED && (i == 0 || from != 0); i++) {
        struct conformance_call call = list_from(client, from, &listed, 1);
        if (!want_listed(run, &call, 1)) {
            return;
        }
        met += call.out[0] == 1 && (listed.bus_address == one || listed.bus_address == two);
        if (!want(run, call.out[1] == 0 || call.out[1] > from,
                  "from 0x%" PRIx64 " on: go on with 0x%" PRIx64, from, call.out[1])) {
            return;
        }
        from = call.out[1];
    }
    want(run, met == 2 && from == 0, "%u of 2 regions, then 0x%" PRIx64, met, from);
}

static void list_buffer(struct conformance *run)
{
    struct listed listed;
    const uint64_t in[] = {20000, 0};
    io_connect_t client = conformance_claim_own(run);

    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call buffer = conformance_ask(client, SEL_ALLOCATE_BUFFER, in);
    if (!want_reply(run, &buffer)) {
        return;
    }
    struct conformance_call call = list_from(client, buffer.out[3], &listed, 1);
    if (want_listed(run, &call, 1)) {
        want(run,
             call.out[0] == 1 && listed.bus_address == buffer.out[3] && listed.iova == 0 &&
                 listed.flags == FLAG_BUFFER,
             "0x%" PRIx64 " for iova 0x%" PRIx64 ", flags 0x%" PRIx32, listed.bus_address,
             listed.iova, listed.flags);
    }
}

/* Ranges */

static void check_ranges(struct conformance *run, uint64_t bar, uint64_t bar_bytes,
                         const uint64_t *out)
{
    uint64_t end = 0;

    if (!want(run, out[0] <= RANGES, "BAR %" PRIu64 " has %" PRIu64 " ranges", bar, out[0])) {
        return;
    }
    for (uint64_t i = 0; i < RANGES; i++) {
        uint64_t offset = out[1 + 2 * i];
        uint64_t bytes = out[2 + 2 * i];
        bool is_there = i < out[0];
        bool is_good = is_there ? bytes > 0 && offset % RANGE_UNIT == 0 &&
                                      bytes % RANGE_UNIT == 0 && (i == 0 || offset >= end) &&
                                      offset < bar_bytes && bytes <= bar_bytes - offset
                                : offset == 0 && bytes == 0;
        want(run, is_good, "range %" PRIu64 " of BAR %" PRIu64 " is 0x%" PRIx64 "+0x%" PRIx64, i,
             bar, offset, bytes);
        end = offset + bytes;
    }
}

/* What either selector says of a BAR there is not is the same. */
static void ranges_good(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);

    for (uint64_t bar = 0; client != IO_OBJECT_NULL && bar <= BAR_COUNT; bar++) {
        struct conformance_call info = conformance_ask(client, SEL_GET_BAR_INFO, &bar);
        struct conformance_call call = conformance_ask(client, SEL_GET_BAR_RANGES, &bar);
        if (call.code == kIOReturnUnsupported) {
            differs(run);
            return;
        }
        if (info.code != KERN_SUCCESS) {
            want_code(run, call.code, bar == BAR_COUNT ? kIOReturnBadArgument : kIOReturnNotFound,
                      "BAR %" PRIu64, bar);
        } else if (want_reply(run, &call)) {
            check_ranges(run, bar, info.out[1], call.out);
        }
    }
}

static void ranges_unclaimed(struct conformance *run)
{
    struct conformance_call call = {
        .selector = SEL_GET_BAR_RANGES, .in_count = 1, .in = {0}, .out_count = 9};
    conformance_refuses_unclaimed(run, &call);
}

static const struct conformance_test tests[] = {
    {"ReadCalls.extension", LEVEL_READ_ONLY, "sel.70",
     "a call is told with its selector, input, code and client", calls_good,
     CONFORMANCE_NO_EXTENSION, 0},
    {"ReadCalls.itself", LEVEL_READ_ONLY, "calls.itself", "ReadCalls is not among the calls",
     calls_of_its_own, NULL, 0},
    {"ReadCalls.ahead", LEVEL_READ_ONLY, "calls.ahead",
     "a number that is yet to come stands for the next call", calls_ahead, NULL, 0},
    {"ReadCalls.overwritten", LEVEL_READ_ONLY, "calls.overwritten",
     "from 0 on the first that is kept, and how many were before it", calls_overwritten, NULL, 0},
    {"GetBARRanges.extension", LEVEL_CLAIMED, "sel.72",
     "ascending ranges of whole 4,096 bytes in the BAR; the errors of GetBARInfo", ranges_good,
     CONFORMANCE_NO_EXTENSION, 0},
    {"GetBARRanges.unclaimed", LEVEL_READ_ONLY, "claim.needed",
     "kIOReturnNotOpen for a client without a claim", ranges_unclaimed, NULL, 0},
    {"ReadCalls.hidden", LEVEL_DMA, "calls.hidden", "an address in a client's process is not told",
     calls_hidden, NULL, 0},
    {"ListDMARegions.extension", LEVEL_DMA, "sel.71",
     "a region's iova, bus address, bytes and client, until it is unregistered", list_good,
     CONFORMANCE_NO_EXTENSION, 0},
    {"ListDMARegions.goes-on", LEVEL_DMA, "list.goes-on",
     "ascending bus addresses, call by call, until 0 says that was all", list_goes_on, NULL, 0},
    {"ListDMARegions.buffer", LEVEL_DMA, "list.buffer", "a DMA buffer is marked, and has no iova",
     list_buffer, NULL, 0},
};

const struct conformance_group conformance_records = {tests, sizeof(tests) / sizeof(*tests)};
