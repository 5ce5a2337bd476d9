/*
 * Conformance of the claim and of config space. What is written is put back; what must be refused
 * is aimed at registers that nobody can write.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "bar.h"
#include "conformance.h"

#define COMMAND        0x04
#define COMMAND_BITS   0x6u /* memory space, bus master */
#define STATUS         0x06
#define CLASS_REVISION 0x08
#define HEADER_TYPE    0x0e
#define BIST           0x0f
#define BAR_FIRST      0x10
#define INTERRUPT_LINE 0x3c /* a byte for software to keep what it likes in */

struct access {
    uint64_t offset, width;
};

static kern_return_t read_code(io_connect_t client, uint64_t offset, uint64_t width,
                               uint64_t *value)
{
    const uint64_t in[] = {offset, width};
    struct conformance_call call = conformance_ask(client, SEL_CONFIG_READ, in);
    *value = call.out[0];
    return call.code;
}

static uint64_t read_config(struct conformance *run, io_connect_t client, uint64_t offset,
                            uint64_t width)
{
    const uint64_t in[] = {offset, width};
    struct conformance_call call = conformance_ask(client, SEL_CONFIG_READ, in);
    return want_reply(run, &call) ? call.out[0] : 0;
}

static void write_config(struct conformance *run, io_connect_t client, uint64_t offset,
                         uint64_t width, uint64_t value)
{
    const uint64_t in[] = {offset, width, value};
    struct conformance_call call = conformance_ask(client, SEL_CONFIG_WRITE, in);
    want_reply(run, &call);
}

static void claim_good(struct conformance *run)
{
    io_connect_t client = conformance_look_on(run);
    for (int i = 0; client != IO_OBJECT_NULL && i < 3; i++) {
        struct conformance_call call = conformance_ask(client, SEL_CLAIM, NULL);
        if (!want_reply(run, &call)) {
            return;
        }
    }
}

static void claim_command(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client != IO_OBJECT_NULL) {
        uint64_t command = read_config(run, client, COMMAND, 2);
        want(run, (command & COMMAND_BITS) == COMMAND_BITS, "the command register is 0x%04" PRIx64,
             command);
    }
}

static void read_good(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    const AppleDextInstance *instance = &run->instance;
    uint64_t ids = (uint64_t)instance->device_id << 16 | instance->vendor_id;

    if (client == IO_OBJECT_NULL) {
        return;
    }
    uint64_t word = read_config(run, client, 0, 4);
    want(run, !instance->has_ids || word == ids, "ids are 0x%" PRIx64 ", want 0x%" PRIx64, word,
         ids);
    word = read_config(run, client, CLASS_REVISION, 4);
    for (uint64_t at = 0; at < 4 && run->outcome == OUTCOME_OK; at++) {
        uint64_t byte = read_config(run, client, CLASS_REVISION + at, 1);
        want(run, byte == (word >> (8 * at) & 0xff),
             "byte %" PRIu64 " of 0x%" PRIx64 " is 0x%" PRIx64, at, word, byte);
    }
    for (uint64_t at = 0; at < 4 && run->outcome == OUTCOME_OK; at += 2) {
        uint64_t half = read_config(run, client, CLASS_REVISION + at, 2);
        want(run, half == (word >> (8 * at) & 0xffff),
             "half at %" PRIu64 " of 0x%" PRIx64 " is 0x%" PRIx64, at, word, half);
    }
}

static void read_last(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    uint64_t word = read_config(run, client, 4092, 4);
    uint64_t byte = read_config(run, client, 4095, 1);
    want(run, byte == word >> 24 && word <= UINT32_MAX,
         "the last byte is 0x%" PRIx64 " of 0x%" PRIx64, byte, word);
}

/* Each must be kIOReturnBadArgument; the real dext leaves some of them to the kernel. */
static void refuse_reads(struct conformance *run, const struct access *accesses, size_t count)
{
    io_connect_t client = conformance_hold(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < count; i++) {
        uint64_t value;
        kern_return_t code = read_code(client, accesses[i].offset, accesses[i].width, &value);
        if (run->test->known && code == KERN_SUCCESS) {
            differs(run);
        } else {
            want_code(run, code, kIOReturnBadArgument, "%" PRIu64 " bytes at 0x%" PRIx64,
                      accesses[i].width, accesses[i].offset);
        }
    }
}

static void refuse_writes(struct conformance *run, const struct access *accesses, size_t count)
{
    io_connect_t client = conformance_hold(run);
    for (size_t i = 0; client != IO_OBJECT_NULL && i < count; i++) {
        const uint64_t in[] = {accesses[i].offset, accesses[i].width, 0};
        kern_return_t code = conformance_ask(client, SEL_CONFIG_WRITE, in).code;
        if (run->test->known && code == KERN_SUCCESS) {
            differs(run);
        } else {
            want_code(run, code, kIOReturnBadArgument, "%" PRIu64 " bytes at 0x%" PRIx64,
                      accesses[i].width, accesses[i].offset);
        }
    }
}

static const struct access bad_widths[] = {{0, 0}, {0, 3}, {0, 5}, {0, 8}, {0, UINT64_MAX}};
static const struct access bad_alignments[] = {{1, 2}, {2, 4}, {3, 4}, {9, 2}, {9, 4}};
static const struct access bad_ranges[] = {
    {4096, 1}, {4096, 4}, {UINT64_C(1) << 32, 4}, {UINT64_MAX - 3, 4}, {UINT64_MAX, 1}};

static void read_width(struct conformance *run)
{
    refuse_reads(run, bad_widths, sizeof(bad_widths) / sizeof(*bad_widths));
}

static void read_alignment(struct conformance *run)
{
    if (may_risk(run)) {
        refuse_reads(run, bad_alignments, sizeof(bad_alignments) / sizeof(*bad_alignments));
    }
}

static void read_range(struct conformance *run)
{
    if (may_risk(run)) {
        refuse_reads(run, bad_ranges, sizeof(bad_ranges) / sizeof(*bad_ranges));
    }
}

/* Whatever a driver makes of these, they end in ids, class, subsystem ids. */
static void write_width(struct conformance *run)
{
    static const struct access writes[] = {{0, 0}, {0, 3}, {0x28, 5}, {0x28, 8}};
    refuse_writes(run, writes, sizeof(writes) / sizeof(*writes));
}

static void write_alignment(struct conformance *run)
{
    static const struct access writes[] = {{1, 2}, {9, 2}, {0x2d, 2}};
    if (may_risk(run)) {
        refuse_writes(run, writes, sizeof(writes) / sizeof(*writes));
    }
}

static void write_range(struct conformance *run)
{
    static const struct access writes[] = {{4096, 1}, {4096, 4}, {UINT64_C(1) << 32, 4}};
    if (may_risk(run)) {
        refuse_writes(run, writes, sizeof(writes) / sizeof(*writes));
    }
}

static void write_good(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    uint64_t before = read_config(run, client, INTERRUPT_LINE, 1);
    uint64_t beside = read_config(run, client, INTERRUPT_LINE + 1, 1);
    uint64_t value = ~before & 0xff;
    if (run->outcome != OUTCOME_OK) {
        return;
    }
    write_config(run, client, INTERRUPT_LINE, 1, value);
    uint64_t now = read_config(run, client, INTERRUPT_LINE, 1);
    want(run, now == value, "wrote 0x%02" PRIx64 ", read 0x%02" PRIx64, value, now);
    write_config(run, client, INTERRUPT_LINE, 1, before);
    now = read_config(run, client, INTERRUPT_LINE, 1);
    want(run, now == before, "put back 0x%02" PRIx64 ", read 0x%02" PRIx64, before, now);
    now = read_config(run, client, INTERRUPT_LINE + 1, 1);
    want(run, now == beside, "the byte beside it went from 0x%02" PRIx64 " to 0x%02" PRIx64, beside,
         now);
}

static void write_cut(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    uint64_t before = read_config(run, client, INTERRUPT_LINE, 1);
    if (run->outcome != OUTCOME_OK) {
        return;
    }
    write_config(run, client, INTERRUPT_LINE, 1, 0xffffffffffffff00u | 0x5a);
    uint64_t now = read_config(run, client, INTERRUPT_LINE, 1);
    want(run, now == 0x5a, "wrote 0x5a below ones, read 0x%02" PRIx64, now);
    write_config(run, client, INTERRUPT_LINE, 1, before);
}

static void write_read_only(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL) {
        return;
    }
    uint64_t ids = read_config(run, client, 0, 4);
    write_config(run, client, 0, 2, ~ids & 0xffff);
    uint64_t now = read_config(run, client, 0, 4);
    want(run, now == ids, "ids went from 0x%08" PRIx64 " to 0x%08" PRIx64, ids, now);
}

/* The type bits that GetBARInfo tells for each BAR; 0 for those there are not. */
static bool bar_types(struct conformance *run, io_connect_t client, uint64_t types[BAR_COUNT])
{
    if ((read_config(run, client, HEADER_TYPE, 1) & 0x7f) != 0) {
        skip(run, "a bridge has other registers there");
    }
    for (uint64_t bar = 0; bar < BAR_COUNT && run->outcome == OUTCOME_OK; bar++) {
        struct conformance_call call = conformance_ask(client, SEL_GET_BAR_INFO, &bar);
        types[bar] = call.code == KERN_SUCCESS && want_reply(run, &call) ? call.out[2] : 0;
    }
    return run->outcome == OUTCOME_OK;
}

static void bar_words(struct conformance *run)
{
    uint64_t types[BAR_COUNT];
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL || !bar_types(run, client, types)) {
        return;
    }
    for (uint64_t bar = 0; bar < BAR_COUNT && run->outcome == OUTCOME_OK; bar++) {
        uint64_t value = read_config(run, client, BAR_FIRST + 4 * bar, 4);
        want(run, value == types[bar], "BAR %" PRIu64 " reads 0x%" PRIx64 ", want 0x%" PRIx64, bar,
             value, types[bar]);
    }
}

static void bar_halves(struct conformance *run)
{
    uint64_t types[BAR_COUNT];
    bool any = false;
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL || !bar_types(run, client, types)) {
        return;
    }
    for (uint64_t bar = 0; bar < BAR_COUNT && run->outcome == OUTCOME_OK; bar++) {
        uint64_t info[1] = {bar};
        if (conformance_ask(client, SEL_GET_BAR_INFO, info).code != KERN_SUCCESS) {
            continue;
        }
        uint64_t low = read_config(run, client, BAR_FIRST + 4 * bar, 2);
        uint64_t high = read_config(run, client, BAR_FIRST + 4 * bar + 2, 2);
        uint64_t bits = types[bar] & BAR_TYPE_IO ? 0x3 : 0xf;
        any = any || low >> 4 || high;
        want(run, (low & bits) == types[bar], "BAR %" PRIu64 " begins with 0x%" PRIx64, bar, low);
    }
    want(run, any || run->outcome != OUTCOME_OK, "no BAR shows an address in its halves");
}

/* Bits that change by themselves, or that others may write meanwhile, are left out. */
static void as_found(struct conformance *run)
{
    io_connect_t client = conformance_hold(run);
    if (client == IO_OBJECT_NULL ||
        !want(run, run->has_header, "config space could not be read at first")) {
        return;
    }
    for (uint64_t at = 0; at < CONFORMANCE_HEADER && run->outcome == OUTCOME_OK; at += 2) {
        uint64_t before = (uint64_t)run->header[at] | (uint64_t)run->header[at + 1] << 8;
        uint64_t now = read_config(run, client, at, 2);
        uint64_t bits = at == STATUS ? 0 : at == (BIST & ~1) ? 0xff : 0xffff;
        want(run, ((now ^ before) & bits) == 0,
             "0x%02" PRIx64 " was 0x%04" PRIx64 ", is 0x%04" PRIx64, at, before, now);
    }
}

#define BY_KERNEL "success: the check is left to the kernel"

static const struct conformance_test tests[] = {
    {"Claim.good", LEVEL_CLAIMED, "sel.1", "success, and again by the same client", claim_good,
     NULL, 0},
    {"Claim.command", LEVEL_CLAIMED, "claim.command",
     "memory space and bus master are on after a claim", claim_command, NULL, 0},
    {"ConfigRead.good", LEVEL_CLAIMED, "sel.8", "the ids, and bytes and halves that agree",
     read_good, NULL, 0},
    {"ConfigRead.last", LEVEL_CLAIMED, "config.range", "the last word and byte of 4096", read_last,
     NULL, 0},
    {"ConfigRead.width", LEVEL_CLAIMED, "config.width", "kIOReturnBadArgument but for 1, 2, 4",
     read_width, BY_KERNEL, 0},
    {"ConfigRead.alignment", LEVEL_CLAIMED, "config.alignment",
     "kIOReturnBadArgument where it is not natural", read_alignment, BY_KERNEL, 0},
    {"ConfigRead.range", LEVEL_CLAIMED, "config.range", "kIOReturnBadArgument from 4096 on",
     read_range, BY_KERNEL, 0},
    {"ConfigWrite.good", LEVEL_CLAIMED, "sel.9", "a byte is written, and nothing beside it",
     write_good, NULL, 0},
    {"ConfigWrite.cut", LEVEL_CLAIMED, "config.cut", "bits above the width are cut", write_cut,
     NULL, 0},
    {"ConfigWrite.read-only", LEVEL_CLAIMED, "config.read-only",
     "success that changes nothing in a register nobody can write", write_read_only, NULL, 0},
    {"ConfigWrite.width", LEVEL_CLAIMED, "config.width", "kIOReturnBadArgument but for 1, 2, 4",
     write_width, BY_KERNEL, 0},
    {"ConfigWrite.alignment", LEVEL_CLAIMED, "config.alignment",
     "kIOReturnBadArgument where it is not natural", write_alignment, BY_KERNEL, 0},
    {"ConfigWrite.range", LEVEL_CLAIMED, "config.range", "kIOReturnBadArgument from 4096 on",
     write_range, BY_KERNEL, 0},
    {"ConfigRead.bar-words", LEVEL_CLAIMED, "config.bar-words",
     "an aligned word of a BAR shows its type bits and address 0", bar_words, NULL, 0},
    {"ConfigRead.bar-halves", LEVEL_CLAIMED, "config.bar-halves",
     "two bytes of a BAR show the register", bar_halves, NULL, 0},
    {"Device.as-found", LEVEL_CLAIMED, "config.as-found",
     "the header is what it was at the first claim", as_found, NULL, 0},
    {"Device.as-found-with-interrupts", LEVEL_INTERRUPTS, "config.as-found",
     "the header is what it was at the first claim", as_found, NULL, 0},
};

const struct conformance_group conformance_config = {tests, sizeof(tests) / sizeof(*tests)};
