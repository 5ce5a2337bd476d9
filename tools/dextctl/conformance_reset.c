/*
 * Conformance of reset and, last of all, of ending the driver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <mach/mach.h>

#include "conformance.h"

#define COMMAND_BITS 0x6u
#define BAR_FIRST    0x10
#define BAR_END      0x28

static struct conformance_call config(io_connect_t client, uint64_t offset, uint64_t width)
{
    const uint64_t in[] = {offset, width};
    return conformance_ask(client, SEL_CONFIG_READ, in);
}

/* Reset by a client; false when the test ends by it. */
static bool reset(struct conformance *run, io_connect_t client)
{
    struct conformance_call call = conformance_ask(client, SEL_RESET_DEVICE, NULL);
    if (call.code == kIOReturnUnsupported) {
        skip(run, "the device has no reset that the host can do");
        return false;
    }
    return want_reply(run, &call);
}

/* Ones, or the 0x0001 of a device that asks for a retry: it is not back. */
static bool has_answered(const struct conformance_call *ids)
{
    uint64_t vendor = ids->out[0] & 0xffff;
    return ids->code == KERN_SUCCESS && vendor != 0xffff && vendor != 0x0001 && vendor != 0;
}

static void reset_good(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL || !reset(run, client)) {
        return;
    }
    struct conformance_call ids = config(client, 0, 4);
    if (!has_answered(&ids)) {
        differs(run);
        return;
    }
    uint64_t wanted = (uint64_t)run->instance.device_id << 16 | run->instance.vendor_id;
    want(run, !run->instance.has_ids || ids.out[0] == wanted, "ids are 0x%08" PRIx64, ids.out[0]);
}

static void reset_command(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL || !reset(run, client)) {
        return;
    }
    struct conformance_call command = config(client, 4, 2);
    if (want_reply(run, &command)) {
        want(run, (command.out[0] & COMMAND_BITS) == COMMAND_BITS,
             "the command register is 0x%04" PRIx64, command.out[0]);
    }
}

static void reset_bars(struct conformance *run)
{
    uint64_t before[BAR_END / 2] = {0};
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    for (uint64_t at = BAR_FIRST; at < BAR_END; at += 2) {
        before[at / 2] = config(client, at, 2).out[0];
    }
    if (!reset(run, client)) {
        return;
    }
    for (uint64_t at = BAR_FIRST; at < BAR_END; at += 2) {
        uint64_t now = config(client, at, 2).out[0];
        want(run, now == before[at / 2], "0x%02" PRIx64 " was 0x%04" PRIx64 ", is 0x%04" PRIx64, at,
             before[at / 2], now);
    }
}

static void reset_regions(struct conformance *run)
{
    uint8_t *memory = conformance_memory(run);
    io_connect_t client = memory ? conformance_claim_own(run) : IO_OBJECT_NULL;
    const uint64_t region[] = {CONFORMANCE_IOVA, (uintptr_t)memory, 4096};
    const uint64_t start[] = {CONFORMANCE_IOVA, 0};

    if (client == IO_OBJECT_NULL ||
        !want_code(run, conformance_ask(client, SEL_REGISTER_REGION, region).code, KERN_SUCCESS,
                   "RegisterDMARegion") ||
        !reset(run, client)) {
        return;
    }
    want_code(run, conformance_ask(client, SEL_PROBE_REGION, start).code, KERN_SUCCESS,
              "ProbeDMARegion after the reset");
    want_code(run, conformance_ask(client, SEL_UNREGISTER_REGION, start).code, KERN_SUCCESS,
              "UnregisterDMARegion after the reset");
}

static void reset_interrupts(struct conformance *run)
{
    io_connect_t client = conformance_claim_own(run);
    if (client == IO_OBJECT_NULL ||
        !want_code(run, conformance_ask(client, SEL_SETUP_INTERRUPTS, NULL).code, KERN_SUCCESS,
                   "SetupInterrupts") ||
        !reset(run, client)) {
        return;
    }
    want_code(run, conformance_ask(client, SEL_SETUP_INTERRUPTS, NULL).code, kIOReturnStillOpen,
              "SetupInterrupts after the reset");
    struct conformance_call call = conformance_ask(client, SEL_CHECK_INTERRUPT, NULL);
    want_reply(run, &call);
}

static void reset_clients(struct conformance *run)
{
    io_connect_t one = conformance_claim_own(run);
    io_connect_t two = one == IO_OBJECT_NULL ? one : conformance_claim_own(run);
    if (two == IO_OBJECT_NULL || !reset(run, one)) {
        return;
    }
    struct conformance_call call = config(two, 0, 2);
    if (want_reply(run, &call)) {
        want(run, call.out[0] == run->instance.vendor_id, "the other client reads 0x%04" PRIx64,
             call.out[0]);
    }
}

static void reset_generation(struct conformance *run)
{
    struct conformance_call before = {.selector = 68, .out_count = 6};
    struct conformance_call after = before;
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    if (conformance_call(client, &before) == kIOReturnUnsupported) {
        differs(run);
    } else if (reset(run, client)) {
        conformance_call(client, &after);
        want_code(run, after.code, KERN_SUCCESS, "GetDeviceState");
        want(run, after.out[1] > before.out[1], "generation %" PRIu64 ", then %" PRIu64,
             before.out[1], after.out[1]);
    }
}

static bool is_dead(void *opaque)
{
    const io_connect_t *client = opaque;
    return conformance_ask(*client, SEL_GET_IDENTITY, NULL).code == MACH_SEND_INVALID_DEST;
}

static bool has_ended(io_connect_t client)
{
    return conformance_eventually(is_dead, &client);
}

static void terminate_unclaimed(struct conformance *run)
{
    io_connect_t client = conformance_look_on(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    struct conformance_call call = conformance_ask(client, SEL_TERMINATE, NULL);
    if (call.code == KERN_SUCCESS) {
        differs(run);
        has_ended(run->session.connection); /* before the next test looks */
    } else {
        want_code(run, call.code, kIOReturnNotOpen, "without a claim");
    }
}

/* What terminate_unclaimed has ended already needs no second end. */
static void terminate_good(struct conformance *run)
{
    if (!is_dead(&run->session.connection)) {
        io_connect_t client = conformance_hold(run);
        if (client == IO_OBJECT_NULL ||
            !want_code(run, conformance_ask(client, SEL_TERMINATE, NULL).code, KERN_SUCCESS,
                       "Terminate")) {
            return;
        }
    }
    want(run, run->holder == IO_OBJECT_NULL || has_ended(run->holder),
         "its own client is still answered");
    want(run, has_ended(run->session.connection), "another client is still answered");
}

static void terminated_open(struct conformance *run)
{
    if (!has_ended(run->session.connection)) {
        skip(run, "the driver has not ended");
        return;
    }
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    kern_return_t code = IOConnectMapMemory64(run->session.connection, 1, mach_task_self(),
                                              &address, &size, kIOMapAnywhere);
    want(run, code != KERN_SUCCESS, "a BAR can be mapped through a dead client");
    struct conformance_call call = conformance_ask(run->session.connection, SEL_CLAIM, NULL);
    want_code(run, call.code, MACH_SEND_INVALID_DEST, "Claim");
}

static const struct conformance_test tests[] = {
    {"ResetDevice.good", LEVEL_RESET, "sel.17", "success, and the device answers with its ids",
     reset_good, "success without a look whether the device came back", 0},
    {"ResetDevice.command", LEVEL_RESET, "reset.command",
     "memory space and bus master are on as before", reset_command, NULL, 0},
    {"ResetDevice.bars", LEVEL_RESET, "reset.bars", "the base addresses are as before", reset_bars,
     NULL, 0},
    {"ResetDevice.regions", LEVEL_RESET, "reset.keeps", "DMA regions stay", reset_regions, NULL, 0},
    {"ResetDevice.interrupts", LEVEL_RESET, "reset.keeps", "interrupts stay set up",
     reset_interrupts, NULL, 0},
    {"ResetDevice.clients", LEVEL_RESET, "reset.keeps", "other clients' claims stay", reset_clients,
     NULL, 0},
    {"ResetDevice.generation", LEVEL_RESET, "reset.generation",
     "the generation of GetDeviceState goes up", reset_generation,
     "kIOReturnUnsupported: it has no extensions", 0},
    {"Terminate.unclaimed", LEVEL_TERMINATE, "claim.needed",
     "kIOReturnNotOpen for a client without a claim", terminate_unclaimed,
     "success: it looks at no claim", 0},
    {"Terminate.good", LEVEL_TERMINATE, "sel.2",
     "success; then MACH_SEND_INVALID_DEST for every client", terminate_good, NULL, 0},
    {"Terminate.dead", LEVEL_TERMINATE, "terminate.dead",
     "nothing can be claimed or mapped through a dead client", terminated_open, NULL, 0},
};

const struct conformance_group conformance_reset = {tests, sizeof(tests) / sizeof(*tests)};
