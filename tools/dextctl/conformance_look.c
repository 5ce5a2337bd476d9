/*
 * Conformance without a claim: the registry, opening, identity, BAR information, and what a client
 * that has not claimed is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <inttypes.h>
#include <mach/mach.h>
#include <string.h>

#include "bar.h"
#include "conformance.h"

#define USER_CLASS "VFIOUserPCIDriver"

static const io_name_t service_class = "IOUserService";

static io_service_t find_service(struct conformance *run)
{
    CFMutableDictionaryRef matching = IORegistryEntryIDMatching(run->instance.entry_id);
    io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, matching);

    want(run, service != IO_OBJECT_NULL, "its registry entry is not there");
    return service;
}

static void registry_class(struct conformance *run)
{
    io_service_t service = find_service(run);
    if (service == IO_OBJECT_NULL) {
        return;
    }
    want(run, IOObjectConformsTo(service, service_class), "the service is no IOUserService");
    CFTypeRef name =
        IORegistryEntryCreateCFProperty(service, CFSTR("IOUserClass"), kCFAllocatorDefault, 0);
    want(run, name && CFGetTypeID(name) == CFStringGetTypeID() && CFEqual(name, CFSTR(USER_CLASS)),
         "its property IOUserClass is not " USER_CLASS);
    if (name) {
        CFRelease(name);
    }
    IOObjectRelease(service);
}

static void registry_ids(struct conformance *run)
{
    const AppleDextInstance *instance = &run->instance;
    if (want(run, instance->has_ids, "the entry of the device says no ids")) {
        want(run, instance->vendor_id != 0xffff && instance->vendor_id != 0,
             "its vendor id is %04x", instance->vendor_id);
    }
}

static void registry_address(struct conformance *run)
{
    const AppleDextInstance *instance = &run->instance;
    const struct address *at = &run->session.address;

    if (want(run, instance->has_address, "the entry of the device says no address")) {
        want(run,
             instance->bus == at->bus && instance->device == at->device &&
                 instance->function == at->function,
             "it is at %02x:%02x.%x", instance->bus, instance->device, instance->function);
    }
}

static void open_other_type(struct conformance *run)
{
    static const uint32_t types[] = {1, 2, 0x100, UINT32_MAX};
    io_service_t service = find_service(run);

    for (size_t i = 0; service != IO_OBJECT_NULL && i < 4; i++) {
        io_connect_t connection = IO_OBJECT_NULL;
        kern_return_t code = IOServiceOpen(service, mach_task_self(), types[i], &connection);
        want_code(run, code, kIOReturnUnsupported, "type %" PRIu32, types[i]);
        if (code == KERN_SUCCESS) {
            IOServiceClose(connection);
        }
    }
    if (service != IO_OBJECT_NULL) {
        IOObjectRelease(service);
    }
}

static void open_several(struct conformance *run)
{
    io_connect_t one = conformance_look_on(run);
    io_connect_t two = conformance_look_on(run);

    if (one == IO_OBJECT_NULL || two == IO_OBJECT_NULL ||
        !want(run, one != two, "two clients have one handle")) {
        return;
    }
    conformance_leave(run, one);
    struct conformance_call call = conformance_ask(two, SEL_GET_IDENTITY, NULL);
    want_code(run, call.code, KERN_SUCCESS, "GetIdentity after another client has gone");
}

/* Whether somebody else holds a claim is not always to be known: then either is right. */
static void identity(struct conformance *run)
{
    const AppleDextInstance *at = &run->instance;
    struct conformance_call call = conformance_ask(run->session.connection, SEL_GET_IDENTITY, NULL);

    if (!want_reply(run, &call)) {
        return;
    }
    want(run, call.out[0] == at->bus && call.out[1] == at->device && call.out[2] == at->function,
         "it says %02" PRIx64 ":%02" PRIx64 ".%" PRIx64, call.out[0], call.out[1], call.out[2]);
    bool ones = call.out[3] == 0xffff && call.out[4] == 0xffff && call.out[5] == 0xffffff;
    bool ids = call.out[3] == at->vendor_id && call.out[4] == at->device_id &&
               call.out[5] == at->class_code;
    want(run, ones || ids, "ids %04" PRIx64 ":%04" PRIx64 ", class %06" PRIx64, call.out[3],
         call.out[4], call.out[5]);
}

static void identity_claimed(struct conformance *run)
{
    const AppleDextInstance *at = &run->instance;
    if (conformance_hold(run) == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = conformance_ask(run->session.connection, SEL_GET_IDENTITY, NULL);
    if (want_reply(run, &call)) {
        want(run,
             call.out[3] == at->vendor_id && call.out[4] == at->device_id &&
                 call.out[5] == at->class_code,
             "ids %04" PRIx64 ":%04" PRIx64 ", class %06" PRIx64, call.out[3], call.out[4],
             call.out[5]);
    }
}

/* Number of address bits of a BAR's type: whether it takes the next one too. */
static bool is_wide(uint64_t type)
{
    return !(type & BAR_TYPE_IO) && (type & 0x6) == 0x4;
}

static bool type_is_valid(uint64_t type)
{
    return type == 0x0 || type == BAR_TYPE_IO || type == 0x4 || type == 0x8 || type == 0xc;
}

static bool check_bar(struct conformance *run, uint64_t bar, const struct conformance_call *call,
                      uint64_t *next_index)
{
    uint64_t index = call->out[0];
    uint64_t size = call->out[1];

    bool go_on = want(run, index >= *next_index && index < BAR_COUNT,
                      "BAR %" PRIu64 " has memory index %" PRIu64, bar, index) &&
                 want(run, size > 0 && (size & (size - 1)) == 0,
                      "BAR %" PRIu64 " has 0x%" PRIx64 " bytes", bar, size) &&
                 want(run, type_is_valid(call->out[2]), "BAR %" PRIu64 " has type 0x%" PRIx64, bar,
                      call->out[2]);
    *next_index = index + 1;
    return go_on;
}

static void bar_info(struct conformance *run)
{
    uint64_t next_index = 0;
    bool is_upper = false;

    for (uint64_t bar = 0; bar < BAR_COUNT; bar++) {
        struct conformance_call call =
            conformance_ask(run->session.connection, SEL_GET_BAR_INFO, &bar);
        if (is_upper) {
            is_upper = false;
            if (!want(run, call.code != KERN_SUCCESS, "the upper half %" PRIu64 " has a size",
                      bar)) {
                return;
            }
        } else if (call.code == KERN_SUCCESS) {
            if (!want_reply(run, &call) || !check_bar(run, bar, &call, &next_index)) {
                return;
            }
            is_upper = is_wide(call.out[2]);
        }
    }
}

/* That such a BAR is an error is known of the real dext; which one is not. */
static void refused_somehow(struct conformance *run, kern_return_t code, kern_return_t wanted,
                            const char *what)
{
    if (want(run, code != KERN_SUCCESS, "%s: success, want an error", what) && code != wanted) {
        differs(run);
    }
}

static void bar_unused(struct conformance *run)
{
    unsigned int unused = 0;
    bool is_upper = false;

    for (uint64_t bar = 0; bar < BAR_COUNT; bar++) {
        struct conformance_call call =
            conformance_ask(run->session.connection, SEL_GET_BAR_INFO, &bar);
        if (is_upper || call.code != KERN_SUCCESS) {
            unused++;
            refused_somehow(run, call.code, kIOReturnNotFound,
                            is_upper ? "an upper half" : "an unused BAR");
        }
        is_upper = !is_upper && call.code == KERN_SUCCESS && is_wide(call.out[2]);
    }
    if (unused == 0) {
        skip(run, "the device uses all six BARs");
    }
}

static void bar_range(struct conformance *run)
{
    static const uint64_t bars[] = {6, 7, 255, UINT64_C(1) << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bars) / sizeof(*bars); i++) {
        struct conformance_call call =
            conformance_ask(run->session.connection, SEL_GET_BAR_INFO, &bars[i]);
        refused_somehow(run, call.code, kIOReturnBadArgument, "a BAR above 5");
    }
}

/* Without a claim: ours and the real dext's answer. Nothing here changes anything. */
static const struct {
    uint32_t selector;
    kern_return_t real;
    uint64_t in[4];
} unclaimed_rows[] = {
    {SEL_ALLOCATE_BUFFER, kIOReturnNotOpen, {4096, 0}},
    {SEL_FREE_BUFFER, KERN_SUCCESS, {0}},
    {SEL_REGISTER_REGION, kIOReturnNotOpen, {CONFORMANCE_IOVA, 0, 4096}},
    {SEL_UNREGISTER_REGION, kIOReturnNotFound, {CONFORMANCE_IOVA}},
    {SEL_PROBE_REGION, kIOReturnNotFound, {CONFORMANCE_IOVA, 0}},
    {SEL_CONFIG_READ, KERN_SUCCESS, {0, 4}},
    {SEL_CONFIG_WRITE, KERN_SUCCESS, {0, 2, 0}}, /* the vendor id, which nobody can write */
    {SEL_SETUP_INTERRUPTS, kIOReturnNotOpen, {0}},
    {SEL_CHECK_INTERRUPT, kIOReturnNotReady, {0}},
    {SEL_SET_IRQ_MASK, kIOReturnNotReady, {0}},
    {SEL_RESET_DEVICE, kIOReturnNotOpen, {0}},
};

static void unclaimed(struct conformance *run)
{
    size_t row = 0;
    while (unclaimed_rows[row].selector != run->test->selector) {
        row++;
    }
    uint64_t in[4];
    memcpy(in, unclaimed_rows[row].in, sizeof(in));
    if (run->test->selector == SEL_REGISTER_REGION) {
        in[1] = (uintptr_t)conformance_memory(run);
    }
    io_connect_t client = conformance_look_on(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = conformance_ask(client, run->test->selector, in);
    if (call.code == KERN_SUCCESS && run->test->selector == SEL_CONFIG_READ) {
        uint64_t ids = (uint64_t)run->instance.device_id << 16 | run->instance.vendor_id;
        want(run, call.out[0] == UINT32_MAX || call.out[0] == ids,
             "success with 0x%" PRIx64 ", neither ones nor the ids", call.out[0]);
    }
    if (run->test->known && call.code == unclaimed_rows[row].real) {
        differs(run);
    } else {
        want_code(run, call.code, kIOReturnNotOpen, "without a claim");
    }
}

static void unclaimed_wait(struct conformance *run)
{
    io_connect_t client = conformance_look_on(run);
    struct conformance_wait *wait = conformance_wait_create();

    if (client != IO_OBJECT_NULL && want(run, wait != NULL, "no memory")) {
        kern_return_t code = conformance_wait_arm(wait, client);
        if (code == kIOReturnNotReady) {
            differs(run);
        } else {
            want_code(run, code, kIOReturnNotOpen, "without a claim");
        }
    }
    conformance_wait_destroy(wait);
}

static void unclaimed_mmio(struct conformance *run)
{
    const struct conformance_registers *registers = &run->registers;
    if (!registers->exist) {
        skip(run, "its registers are not known: --device-is-safe");
        return;
    }
    const uint64_t in[] = {registers->memory_index, registers->read_offset, 4, 0};
    bool is_write = run->test->selector == SEL_MMIO_WRITE;
    if (is_write && !registers->has_scratch) {
        skip(run, "no register of it is known that takes any value");
        return;
    }
    const uint64_t write[] = {registers->memory_index, registers->write_offset, 4, 0};
    struct conformance_call call =
        conformance_ask(run->session.connection, run->test->selector, is_write ? write : in);
    if (call.code == KERN_SUCCESS) {
        differs(run);
    } else {
        want_code(run, call.code, kIOReturnNotOpen, "without a claim");
    }
}

static void map_type(struct conformance *run, io_connect_t connection, uint32_t type)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    kern_return_t code =
        IOConnectMapMemory64(connection, type, mach_task_self(), &address, &size, kIOMapAnywhere);
    if (!want(run, code != KERN_SUCCESS, "memory type %" PRIu32 " can be mapped", type)) {
        IOConnectUnmapMemory64(connection, type, mach_task_self(), address);
    }
}

static void unclaimed_memory(struct conformance *run)
{
    io_connect_t client = conformance_look_on(run);
    for (uint32_t type = 1; client != IO_OBJECT_NULL && type <= BAR_COUNT; type++) {
        map_type(run, client, type);
    }
}

static void memory_other(struct conformance *run)
{
    static const uint32_t types[] = {8, 9, 255, 256, UINT32_MAX};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        map_type(run, run->session.connection, types[i]);
    }
}

static void unknown_selectors(struct conformance *run)
{
    static const uint32_t unknown[] = {18, 19, 31, 63, 1000, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        struct conformance_call call = {.selector = unknown[i]};
        conformance_call(run->session.connection, &call);
        want_code(run, call.code, kIOReturnUnsupported, "selector %" PRIu32, unknown[i]);
        call.in_count = call.out_count = 16;
        conformance_call(run->session.connection, &call);
        want_code(run, call.code, kIOReturnUnsupported, "selector %" PRIu32 " with arguments",
                  unknown[i]);
    }
}

static void counts_before_claim(struct conformance *run)
{
    struct conformance_call call = {.selector = SEL_CONFIG_READ, .in_count = 1, .out_count = 1};
    conformance_call(run->session.connection, &call);
    want_code(run, call.code, kIOReturnBadArgument, "ConfigRead without width or claim");
}

/* Selectors 64 and above: answered as a whole, or the real dext's Unsupported. */
static void extension(struct conformance *run)
{
    struct conformance_call call = {.selector = run->test->selector, .out_count = 16};
    call.in_count = run->test->selector == 69 ? 1 : 0;
    uint32_t outputs = run->test->selector == 67 ? 10 : run->test->selector == 69 ? 16 : 6;

    conformance_call(run->session.connection, &call);
    if (call.code == kIOReturnUnsupported) {
        differs(run);
    } else if (want_code(run, call.code, KERN_SUCCESS, "selector %" PRIu32, call.selector)) {
        want(run, call.out_count == outputs, "%u outputs, want %u", call.out_count, outputs);
    }
}

#define NOT_OPEN "kIOReturnNotOpen for a client without a claim"
#define NONE     CONFORMANCE_NO_EXTENSION

static const struct conformance_test tests[] = {
    {"Registry.class", LEVEL_READ_ONLY, "open.class",
     "an IOUserService whose IOUserClass is " USER_CLASS, registry_class, NULL, 0},
    {"Registry.ids", LEVEL_READ_ONLY, "open.properties", "the device's entry has its ids",
     registry_ids, NULL, 0},
    {"Registry.address", LEVEL_READ_ONLY, "open.properties", "the device's entry has its address",
     registry_address, NULL, 0},
    {"Open.other-type", LEVEL_READ_ONLY, "open.type", "kIOReturnUnsupported for types but 0",
     open_other_type, NULL, 0},
    {"Open.several-clients", LEVEL_READ_ONLY, "open.clients",
     "several clients, each with a handle of its own", open_several, NULL, 0},
    {"GetIdentity.good", LEVEL_READ_ONLY, "sel.0",
     "the address; ids are ones until somebody has a claim", identity, NULL, 0},
    {"GetBARInfo.good", LEVEL_READ_ONLY, "sel.10",
     "rising memory indices, sizes that are powers of two, types of BARs; none for upper halves",
     bar_info, NULL, 0},
    {"GetBARInfo.unused", LEVEL_READ_ONLY, "bar.unused",
     "kIOReturnNotFound for unused BARs and upper halves", bar_unused, "another error code", 0},
    {"GetBARInfo.range", LEVEL_READ_ONLY, "bar.range", "kIOReturnBadArgument above 5", bar_range,
     "another error code", 0},
    {"Selectors.unknown", LEVEL_READ_ONLY, "call.unknown",
     "kIOReturnUnsupported for 18 to 63 and beyond what there is", unknown_selectors, NULL, 0},
    {"Selectors.order", LEVEL_READ_ONLY, "call.order",
     "kIOReturnBadArgument: counts are looked at before the claim", counts_before_claim, NULL, 0},
    {"FreeDMABuffer.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "success: it looks at no claim", SEL_FREE_BUFFER},
    {"UnregisterDMARegion.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "kIOReturnNotFound: it looks at no claim", SEL_UNREGISTER_REGION},
    {"ProbeDMARegion.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "kIOReturnNotFound: it looks at no claim", SEL_PROBE_REGION},
    {"ConfigRead.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "success: ones, or the value while somebody has a claim", SEL_CONFIG_READ},
    {"ConfigWrite.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "success: the write vanishes, or arrives while somebody has a claim", SEL_CONFIG_WRITE},
    {"MMIORead.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed_mmio,
     "success: ones, or the value while somebody has a claim", SEL_MMIO_READ},
    {"MMIOWrite.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed_mmio,
     "success: the write vanishes, or arrives while somebody has a claim", SEL_MMIO_WRITE},
    {"CheckInterrupt.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "kIOReturnNotReady: it looks at no claim", SEL_CHECK_INTERRUPT},
    {"WaitInterrupt.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed_wait,
     "kIOReturnNotReady: it looks at no claim", 0},
    {"SetIRQMask.unclaimed", LEVEL_READ_ONLY, "claim.needed", NOT_OPEN, unclaimed,
     "kIOReturnNotReady: it looks at no claim", SEL_SET_IRQ_MASK},
    {"Memory.unclaimed", LEVEL_READ_ONLY, "mem.1-6", "no BAR can be mapped without a claim",
     unclaimed_memory, NULL, 0},
    {"Memory.other-type", LEVEL_READ_ONLY, "mem.other", "types above 7 cannot be mapped",
     memory_other, NULL, 0},
    {"GetCapabilities.extension", LEVEL_READ_ONLY, "sel.64", "success with 6 outputs", extension,
     NONE, 64},
    {"GetStatistics.extension", LEVEL_READ_ONLY, "sel.67", "success with 10 outputs", extension,
     NONE, 67},
    {"GetDeviceState.extension", LEVEL_READ_ONLY, "sel.68", "success with 6 outputs", extension,
     NONE, 68},
    {"GetCallCounts.extension", LEVEL_READ_ONLY, "sel.69", "success with 16 outputs", extension,
     NONE, 69},
    {"GetIdentity.claimed", LEVEL_CLAIMED, "sel.0",
     "the ids, to every client, once one has a claim", identity_claimed, NULL, 0},
    {"AllocateDMABuffer.unclaimed", LEVEL_DMA, "claim.needed", NOT_OPEN, unclaimed, NULL,
     SEL_ALLOCATE_BUFFER},
    {"RegisterDMARegion.unclaimed", LEVEL_DMA, "claim.needed", NOT_OPEN, unclaimed, NULL,
     SEL_REGISTER_REGION},
    {"SetupInterrupts.unclaimed", LEVEL_INTERRUPTS, "claim.needed", NOT_OPEN, unclaimed, NULL,
     SEL_SETUP_INTERRUPTS},
    {"ResetDevice.unclaimed", LEVEL_RESET, "claim.needed", NOT_OPEN, unclaimed, NULL,
     SEL_RESET_DEVICE},
};

const struct conformance_group conformance_look = {tests, sizeof(tests) / sizeof(*tests)};
