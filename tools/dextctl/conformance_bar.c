/*
 * Conformance of MMIO by calls and of BAR mappings. Registers are touched only where that is known
 * to do no harm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bar.h"

#include <IOKit/IOKitLib.h>
#include <inttypes.h>
#include <mach/mach.h>

#include "conformance.h"

/* A claimed client, for a device whose registers are known; else the test is skipped. */
static io_connect_t registers_of(struct conformance *run)
{
    if (!run->registers.exist) {
        skip(run, "its registers are not known: --device-is-safe");
        return IO_OBJECT_NULL;
    }
    return conformance_hold(run);
}

static struct conformance_call mmio(io_connect_t client, uint32_t selector, uint64_t index,
                                    uint64_t offset, uint64_t width, uint64_t value)
{
    const uint64_t in[] = {index, offset, width, value};
    return conformance_ask(client, selector, in);
}

static void read_good(struct conformance *run)
{
    const struct conformance_registers *registers = &run->registers;
    io_connect_t client = registers_of(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call one =
        mmio(client, SEL_MMIO_READ, registers->memory_index, registers->read_offset, 4, 0);
    if (want_reply(run, &one)) {
        want(run, one.out[0] <= UINT32_MAX, "4 bytes are 0x%" PRIx64, one.out[0]);
        want(run, !run->ops || one.out[0] != UINT32_MAX, "a device that is there reads ones");
    }
}

static void write_good(struct conformance *run)
{
    const struct conformance_registers *registers = &run->registers;
    io_connect_t client = registers_of(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    uint64_t index = registers->memory_index;
    uint64_t offset = registers->write_offset;
    struct conformance_call before = mmio(client, SEL_MMIO_READ, index, offset, 4, 0);
    if (!want_reply(run, &before)) {
        return;
    }
    uint64_t value = registers->has_scratch ? 0x600d1dea : before.out[0];
    struct conformance_call write = mmio(client, SEL_MMIO_WRITE, index, offset, 4, value);
    if (!want_reply(run, &write)) {
        return;
    }
    struct conformance_call after = mmio(client, SEL_MMIO_READ, index, offset, 4, 0);
    if (want_reply(run, &after) && registers->has_scratch) {
        want(run, after.out[0] == (value ^ registers->flips),
             "wrote 0x%" PRIx64 ", read 0x%" PRIx64, value, after.out[0]);
    }
    if (registers->has_scratch) {
        mmio(client, SEL_MMIO_WRITE, index, offset, 4, before.out[0] ^ registers->flips);
    }
}

/* Codes of the known differences: a read may be ones with success, a write may vanish. */
static void refused(struct conformance *run, const struct conformance_call *call,
                    kern_return_t wanted, const char *what)
{
    if (call->code == KERN_SUCCESS) {
        differs(run);
    } else {
        want_code(run, call->code, wanted, "%s", what);
    }
}

/* No device has these; none is reached, so this needs no knowledge of it. */
static void no_such_index(struct conformance *run)
{
    static const uint64_t indices[] = {BAR_COUNT, CONFORMANCE_NO_INDEX, UINT64_MAX};
    io_connect_t client = conformance_hold(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < 3; i++) {
        struct conformance_call call = mmio(client, run->test->selector, indices[i], 0, 4, 0);
        refused(run, &call, kIOReturnNotFound, "a memory index there is not");
    }
}

static void bad_width(struct conformance *run)
{
    static const uint64_t widths[] = {0, 3, 5, 16, UINT64_MAX};
    const struct conformance_registers *registers = &run->registers;
    io_connect_t client = registers_of(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < sizeof(widths) / sizeof(*widths); i++) {
        struct conformance_call call =
            mmio(client, run->test->selector, registers->memory_index, 0, widths[i], 0);
        refused(run, &call, kIOReturnBadArgument, "an odd width");
    }
}

static void bad_alignment(struct conformance *run)
{
    const struct conformance_registers *registers = &run->registers;
    io_connect_t client = registers_of(run);
    for (uint64_t width = 2; client != IO_OBJECT_NULL && width <= 8; width *= 2) {
        struct conformance_call call =
            mmio(client, run->test->selector, registers->memory_index, 1, width, 0);
        refused(run, &call, kIOReturnBadArgument, "an odd offset");
    }
}

static void bad_range(struct conformance *run)
{
    const struct conformance_registers *registers = &run->registers;
    const uint64_t offsets[] = {registers->bytes, registers->bytes + 4, UINT64_MAX - 3};
    io_connect_t client = registers_of(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < 3; i++) {
        struct conformance_call call =
            mmio(client, run->test->selector, registers->memory_index, offsets[i], 4, 0);
        refused(run, &call, kIOReturnBadArgument, "past the end of the BAR");
    }
}

/* What a BAR's memory type must give. */
static void map_one(struct conformance *run, io_connect_t client, uint8_t index)
{
    const uint64_t in[] = {index};
    struct conformance_call info = conformance_ask(client, SEL_GET_BAR_INFO, in);
    bool is_memory = info.code == KERN_SUCCESS && !(info.out[2] & BAR_TYPE_IO);
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    uint32_t type = 1u + index;

    kern_return_t code =
        IOConnectMapMemory64(client, type, mach_task_self(), &address, &size, kIOMapAnywhere);
    if (code != KERN_SUCCESS) {
        want_code(run, is_memory ? code : KERN_SUCCESS, KERN_SUCCESS, "memory type %" PRIu32, type);
        return;
    }
    want(run, is_memory, "memory type %" PRIu32 " can be mapped, but its BAR is %s", type,
         info.code == KERN_SUCCESS ? "one of ports" : "not there");
    want(run, !is_memory || size == info.out[1],
         "memory type %" PRIu32 " has 0x%" PRIx64 " bytes, its BAR 0x%" PRIx64, type,
         (uint64_t)size, info.out[1]);
    want_code(run, IOConnectUnmapMemory64(client, type, mach_task_self(), address), KERN_SUCCESS,
              "unmapping");
}

static void map_each(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    for (uint8_t i = 0; client != IO_OBJECT_NULL && i < BAR_COUNT; i++) {
        map_one(run, client, i);
    }
}

static void map_value(struct conformance *run)
{
    const struct conformance_registers *registers = &run->registers;
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;
    if (!registers->exist) {
        skip(run, "its registers are not known: --device-is-safe");
        return;
    }
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL ||
        !want_code(run, apple_dext_map_bar(client, registers->bar, &address, &size, &type),
                   KERN_SUCCESS, "mapping BAR %u", registers->bar)) {
        return;
    }
    uint64_t loaded = bar_load(address + registers->read_offset, 4);
    struct conformance_call call =
        mmio(client, SEL_MMIO_READ, registers->memory_index, registers->read_offset, 4, 0);
    if (want_reply(run, &call)) {
        want(run, loaded == call.out[0], "a load gives 0x%" PRIx64 ", a call 0x%" PRIx64, loaded,
             call.out[0]);
    }
    if (registers->has_scratch) {
        bar_store(address + registers->write_offset, 4, 0x0ddba11);
        call = mmio(client, SEL_MMIO_READ, registers->memory_index, registers->write_offset, 4, 0);
        want(run, call.out[0] == (0x0ddba11 ^ registers->flips),
             "after a store a call gives 0x%" PRIx64, call.out[0]);
        bar_store(address + registers->write_offset, 4, registers->flips);
    }
}

#define ONES     "success: ones, whatever was asked for"
#define VANISHED "success: the write vanishes"

static const struct conformance_test tests[] = {
    {"MMIORead.good", LEVEL_CLAIMED, "sel.11", "4 bytes of a register", read_good, NULL, 0},
    {"MMIORead.index", LEVEL_CLAIMED, "mmio.index", "kIOReturnNotFound for one there is not",
     no_such_index, ONES, SEL_MMIO_READ},
    {"MMIORead.width", LEVEL_CLAIMED, "mmio.width", "kIOReturnBadArgument but for 1, 2, 4, 8",
     bad_width, ONES, SEL_MMIO_READ},
    {"MMIORead.alignment", LEVEL_CLAIMED, "mmio.alignment",
     "kIOReturnBadArgument where it is not natural", bad_alignment, ONES, SEL_MMIO_READ},
    {"MMIORead.range", LEVEL_CLAIMED, "mmio.range", "kIOReturnBadArgument past the BAR's end",
     bad_range, ONES, SEL_MMIO_READ},
    {"MMIOWrite.good", LEVEL_CLAIMED, "sel.12", "what is written reaches the register", write_good,
     NULL, 0},
    {"MMIOWrite.index", LEVEL_CLAIMED, "mmio.index", "kIOReturnNotFound for one there is not",
     no_such_index, VANISHED, SEL_MMIO_WRITE},
    {"MMIOWrite.width", LEVEL_CLAIMED, "mmio.width", "kIOReturnBadArgument but for 1, 2, 4, 8",
     bad_width, VANISHED, SEL_MMIO_WRITE},
    {"MMIOWrite.alignment", LEVEL_CLAIMED, "mmio.alignment",
     "kIOReturnBadArgument where it is not natural", bad_alignment, VANISHED, SEL_MMIO_WRITE},
    {"MMIOWrite.range", LEVEL_CLAIMED, "mmio.range", "kIOReturnBadArgument past the BAR's end",
     bad_range, VANISHED, SEL_MMIO_WRITE},
    {"Memory.bars", LEVEL_CLAIMED, "mem.1-6",
     "each BAR in memory can be mapped, all of it; no other", map_each, NULL, 0},
    {"Memory.bar-value", LEVEL_CLAIMED, "bar.mapping",
     "loads and stores through a mapping are those of the device", map_value, NULL, 0},
};

const struct conformance_group conformance_bar = {tests, sizeof(tests) / sizeof(*tests)};
