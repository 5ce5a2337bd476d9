/*
 * What a conformance test runs in: connections, calls, verdicts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "conformance.h"

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bar.h"
#include "edu.h"
#include "output.h"

#define POISON               UINT64_C(0xa5a5a5a5a5a5a5a5)
#define TESTDEV_DEVICE_ID    0x7e57
#define TESTDEV_SCRATCH_WORD 0x44

double conformance_patience = 10.0;

const char *const conformance_level_names[LEVEL_COUNT] = {"read-only",  "claimed", "dma",
                                                          "interrupts", "reset",   "terminate"};

const struct conformance_selector conformance_selectors[CONFORMANCE_SELECTORS] = {
    [SEL_GET_IDENTITY] = {"GetIdentity", 0, 6},
    [SEL_CLAIM] = {"Claim", 0, 0},
    [SEL_TERMINATE] = {"Terminate", 0, 0},
    [SEL_ALLOCATE_BUFFER] = {"AllocateDMABuffer", 2, 6},
    [SEL_FREE_BUFFER] = {"FreeDMABuffer", 0, 0},
    [SEL_REGISTER_REGION] = {"RegisterDMARegion", 3, 3},
    [SEL_UNREGISTER_REGION] = {"UnregisterDMARegion", 1, 0},
    [SEL_PROBE_REGION] = {"ProbeDMARegion", 2, 1},
    [SEL_CONFIG_READ] = {"ConfigRead", 2, 1},
    [SEL_CONFIG_WRITE] = {"ConfigWrite", 3, 0},
    [SEL_GET_BAR_INFO] = {"GetBARInfo", 1, 3},
    [SEL_MMIO_READ] = {"MMIORead", 3, 1},
    [SEL_MMIO_WRITE] = {"MMIOWrite", 4, 0},
    [SEL_SETUP_INTERRUPTS] = {"SetupInterrupts", 0, 1},
    [SEL_CHECK_INTERRUPT] = {"CheckInterrupt", 0, 4},
    [SEL_WAIT_INTERRUPT] = {"WaitInterrupt", 0, 0},
    [SEL_SET_IRQ_MASK] = {"SetIRQMask", 4, 0},
    [SEL_RESET_DEVICE] = {"ResetDevice", 0, 0},
    [SEL_REGISTER_REGIONS] = {"RegisterDMARegions", 1, 1},
    [SEL_UNREGISTER_REGIONS] = {"UnregisterDMARegions", 0, 1},
    [SEL_READ_CALLS] = {"ReadCalls", 1, 3},
    [SEL_LIST_REGIONS] = {"ListDMARegions", 1, 2},
    [SEL_GET_BAR_RANGES] = {"GetBARRanges", 1, 9},
    [SEL_REGISTER_SEGMENTS] = {"RegisterDMASegments", 3, 1},
};

/* Verdicts */

static void conclude(struct conformance *run, enum outcome outcome, const char *format,
                     va_list arguments)
{
    if (run->outcome == OUTCOME_OK) {
        run->outcome = outcome;
        vsnprintf(run->seen, sizeof(run->seen), format, arguments);
    }
}

bool want(struct conformance *run, bool is_so, const char *format, ...)
{
    if (!is_so) {
        va_list arguments;
        va_start(arguments, format);
        conclude(run, OUTCOME_FAILED, format, arguments);
        va_end(arguments);
    }
    return run->outcome == OUTCOME_OK;
}

bool want_code(struct conformance *run, kern_return_t code, kern_return_t wanted,
               const char *format, ...)
{
    char what[CONFORMANCE_TEXT_BYTES / 2];
    char seen[CODE_TEXT_BYTES];
    char name[CODE_TEXT_BYTES];
    va_list arguments;

    if (code == wanted) {
        return run->outcome == OUTCOME_OK;
    }
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return want(run, false, "%s: %s, want %s", what, code_name(code, seen),
                code_name(wanted, name));
}

bool want_reply(struct conformance *run, const struct conformance_call *call)
{
    const struct conformance_selector *selector = &conformance_selectors[call->selector];

    if (!want_code(run, call->code, KERN_SUCCESS, "%s", selector->name)) {
        return false;
    }
    if (call->out_count < selector->out) {
        if (run->outcome == OUTCOME_OK) {
            run->outcome = OUTCOME_KNOWN;
            snprintf(run->seen, sizeof(run->seen),
                     "short reply: success with %u outputs of %u, the rest is unset",
                     call->out_count, selector->out);
        }
        return false;
    }
    return want(run, call->out_count == selector->out, "%s gave %u outputs, want %u",
                selector->name, call->out_count, selector->out);
}

void skip(struct conformance *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    conclude(run, OUTCOME_SKIPPED, format, arguments);
    va_end(arguments);
}

bool may_risk(struct conformance *run)
{
    if (!run->may_be_risky) {
        skip(run, "a driver that checks nothing would hand it to the hardware: --device-is-safe");
    }
    return run->may_be_risky;
}

void differs(struct conformance *run)
{
    if (run->outcome == OUTCOME_OK) {
        run->outcome = OUTCOME_KNOWN;
        snprintf(run->seen, sizeof(run->seen), "%s", run->test->known);
    }
}

bool conformance_has(struct conformance *run, const struct conformance_call *call)
{
    if (call->selector >= SEL_EXTENSIONS && call->code == kIOReturnUnsupported) {
        skip(run, "the driver has no %s, which is an extension",
             conformance_selectors[call->selector].name);
        return false;
    }
    return true;
}

bool conformance_extends(struct conformance *run, const struct conformance_call *call)
{
    if (call->code == kIOReturnUnsupported) {
        differs(run);
        return false;
    }
    return want_reply(run, call);
}

void conformance_refuses_unclaimed(struct conformance *run, struct conformance_call *call)
{
    io_connect_t client = conformance_look_on(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    conformance_call(client, call);
    if (run->test->known && call->code == KERN_SUCCESS) {
        differs(run);
    } else if (conformance_has(run, call)) {
        want_code(run, call->code, kIOReturnNotOpen, "without a claim");
    }
}

#define PATIENCE_LOST 0.3
#define LOOK_EVERY_NS 100000

bool conformance_eventually(bool (*is_true)(void *opaque), void *opaque)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_NS};
    double deadline = now_ms() + conformance_patience * 1e3;

    while (!is_true(opaque)) {
        if (now_ms() > deadline) {
            conformance_patience = PATIENCE_LOST;
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Calls */

kern_return_t conformance_call(io_connect_t connection, struct conformance_call *call)
{
    uint64_t *out = call->out_count ? call->out : NULL;
    uint32_t *out_count = call->out_count ? &call->out_count : NULL;

    for (size_t i = 0; i < sizeof(call->out) / sizeof(*call->out); i++) {
        call->out[i] = POISON;
    }
    if (call->in_structure || call->out_structure) {
        if (call->out_structure) {
            memset(call->out_structure, (uint8_t)POISON, call->out_bytes);
        }
        call->code =
            IOConnectCallMethod(connection, call->selector, call->in, call->in_count,
                                call->in_structure, call->in_bytes, out, out_count,
                                call->out_structure, call->out_structure ? &call->out_bytes : NULL);
    } else {
        call->code =
            IOConnectCallScalarMethod(connection, call->selector, call->in_count ? call->in : NULL,
                                      call->in_count, out, out_count);
    }
    return call->code;
}

struct conformance_call conformance_ask(io_connect_t connection, uint32_t selector,
                                        const uint64_t *in)
{
    const struct conformance_selector *row = &conformance_selectors[selector];
    struct conformance_call call = {
        .selector = selector, .in_count = row->in, .out_count = row->out};

    if (row->in) {
        memcpy(call.in, in, row->in * sizeof(*in));
    }
    conformance_call(connection, &call);
    return call;
}

/* Connections */

static io_connect_t connect_to(const struct conformance *run)
{
    const struct address *at = &run->session.address;
    return apple_dext_connect_with_root(at->bus, at->device, at->function,
                                        at->root[0] ? at->root : NULL, NULL);
}

io_connect_t conformance_look_on(struct conformance *run)
{
    if (!want(run, run->opened_count < CONFORMANCE_CONNECTIONS, "too many connections")) {
        return IO_OBJECT_NULL;
    }
    io_connect_t connection = connect_to(run);
    if (want(run, connection != IO_OBJECT_NULL, "the driver cannot be opened again")) {
        run->opened[run->opened_count++] = connection;
    }
    return connection;
}

static bool claim(struct conformance *run, io_connect_t connection)
{
    return want_code(run, apple_dext_claim(connection), KERN_SUCCESS, "Claim");
}

io_connect_t conformance_claim_own(struct conformance *run)
{
    io_connect_t connection = conformance_look_on(run);
    return connection != IO_OBJECT_NULL && claim(run, connection) ? connection : IO_OBJECT_NULL;
}

/* By two bytes: words would show no addresses in the BARs. */
static void keep_header(struct conformance *run)
{
    run->has_header = true;
    for (uint64_t at = 0; at < CONFORMANCE_HEADER && run->has_header; at += 2) {
        const uint64_t in[] = {at, 2};
        struct conformance_call call = conformance_ask(run->holder, SEL_CONFIG_READ, in);
        run->has_header = call.code == KERN_SUCCESS && call.out_count == 1;
        run->header[at] = (uint8_t)call.out[0];
        run->header[at + 1] = (uint8_t)(call.out[0] >> 8);
    }
}

io_connect_t conformance_hold(struct conformance *run)
{
    if (run->holder != IO_OBJECT_NULL) {
        return run->holder;
    }
    io_connect_t connection = connect_to(run);
    if (!want(run, connection != IO_OBJECT_NULL, "the driver cannot be opened again") ||
        !claim(run, connection)) {
        apple_dext_disconnect(connection);
        return IO_OBJECT_NULL;
    }
    run->holder = connection;
    if (!run->has_header) {
        keep_header(run);
    }
    return connection;
}

void conformance_let_go(struct conformance *run)
{
    apple_dext_disconnect(run->holder);
    run->holder = IO_OBJECT_NULL;
}

void conformance_leave(struct conformance *run, io_connect_t connection)
{
    for (size_t i = 0; i < run->opened_count; i++) {
        if (run->opened[i] == connection) {
            apple_dext_disconnect(connection);
            run->opened[i] = IO_OBJECT_NULL;
        }
    }
}

uint8_t *conformance_memory(struct conformance *run)
{
    if (run->memory) {
        return run->memory;
    }
    uintptr_t page = (uintptr_t)vm_page_size;
    run->mapping_bytes = CONFORMANCE_MEMORY + page; /* the host's pages may be the larger ones */
    void *mapping =
        mmap(NULL, run->mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (!want(run, mapping != MAP_FAILED, "no memory")) {
        return NULL;
    }
    run->mapping = mapping;
    run->memory = (uint8_t *)(((uintptr_t)mapping + page - 1) / page * page);
    memset(run->memory, 0x5a, CONFORMANCE_MEMORY);
    return run->memory;
}

bool conformance_engine(struct conformance *run, struct engine *engine, struct session *session,
                        io_connect_t connection)
{
    mach_vm_size_t size;
    uint8_t type;

    if (!run->ops) {
        skip(run, "only %s can be told to copy memory and to fire", engine_names());
        return false;
    }
    *session = run->session;
    session->connection = connection;
    *engine = (struct engine){.ops = run->ops, .session = session};
    kern_return_t code =
        apple_dext_map_bar(connection, run->ops->bar, &engine->registers, &size, &type);
    return want_code(run, code, KERN_SUCCESS, "mapping BAR %u", run->ops->bar);
}

/* Runs */

/* The first BAR in memory. */
static void find_registers(struct conformance *run)
{
    for (uint8_t i = 0; i < BAR_COUNT && !run->registers.exist; i++) {
        struct bar bar;
        if (bar_get(&run->session, i, &bar) == KERN_SUCCESS && bar.exists &&
            !(bar.type & BAR_TYPE_IO)) {
            run->registers = (struct conformance_registers){
                .exist = true, .bar = i, .memory_index = bar.memory_index, .bytes = bar.size};
        }
    }
}

static void learn_device(struct conformance *run, bool device_is_safe)
{
    const AppleDextInstance *instance = &run->instance;

    run->ops = instance->has_ids ? engine_find(instance->vendor_id, instance->device_id) : NULL;
    run->may_be_risky = run->ops || device_is_safe;
    if (run->may_be_risky) {
        find_registers(run);
    }
    if (run->ops == &engine_edu) {
        run->registers.write_offset = EDU_LIVENESS;
        run->registers.has_scratch = true;
        run->registers.flips = UINT32_MAX;
    } else if (run->ops == &engine_testdev) {
        run->registers.write_offset = TESTDEV_SCRATCH_WORD;
        run->registers.has_scratch = true;
    }
}

int conformance_begin(struct conformance *run, const char *address, bool device_is_safe)
{
    *run = (struct conformance){.outcome = OUTCOME_OK};
    int status = session_open(&run->session, address, SESSION_LOOK);
    if (status != STATUS_OK) {
        return status;
    }
    kern_return_t code = apple_dext_get_identity(run->session.connection, &run->instance);
    if (code != KERN_SUCCESS) {
        status = session_failure(&run->session, code, "cannot tell which device it is");
        session_close(&run->session);
        return status;
    }
    learn_device(run, device_is_safe);
    return STATUS_OK;
}

void conformance_end(struct conformance *run)
{
    conformance_let_go(run);
    session_close(&run->session);
    if (run->mapping) {
        munmap(run->mapping, run->mapping_bytes);
    }
    *run = (struct conformance){.outcome = OUTCOME_OK};
}

void conformance_run(struct conformance *run, const struct conformance_test *test)
{
    run->test = test;
    run->outcome = OUTCOME_OK;
    run->seen[0] = '\0';
    test->run(run);
    while (run->opened_count > 0) {
        apple_dext_disconnect(run->opened[--run->opened_count]);
    }
}
