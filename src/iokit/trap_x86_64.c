/*
 * x86-64: decode the faulting instruction, find and check its operands, complete it. Everything is
 * checked before anything reaches a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "iokit/trap_x86.h"

#define FETCH_ERROR 0x10 /* page-fault error code: the fault was an instruction fetch */
/* asm/prctl.h, which not every system header set has. */
#define GET_FS_BASE 0x1003
#define GET_GS_BASE 0x1004

static const char unsupported[] =
    "this instruction is not supported on device memory (load the value into a variable first)";
static const char misaligned[] = "the access is not naturally aligned";

static bool decode(struct x86_fault *fault, uintptr_t at)
{
    uint8_t code[ZYDIS_MAX_INSTRUCTION_LENGTH];
    size_t length = 0;
    uint64_t byte;
    /* Byte by byte: the instruction may end where readable memory ends. */
    while (length < sizeof(code) && x86_plain_load(at + length, 1, &byte)) {
        code[length++] = (uint8_t)byte;
    }
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(
        ZydisDecoderDecodeFull(&decoder, code, length, &fault->instruction, fault->operands));
}

static void describe(const struct x86_fault *fault, bool is_decoded, struct trap_refusal *refusal)
{
    ZydisFormatter formatter;
    if (!is_decoded || !ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
            &formatter, &fault->instruction, fault->operands,
            fault->instruction.operand_count_visible, refusal->instruction,
            sizeof(refusal->instruction), refusal->instruction_address, NULL))) {
        strcpy(refusal->instruction, "(unknown instruction)");
    }
}

static bool segment_base(ZydisRegister segment, uint64_t *base)
{
    int saved_errno = errno;
    *base = 0;
    bool known = true;
    if (segment == ZYDIS_REGISTER_FS) {
        known = syscall(SYS_arch_prctl, GET_FS_BASE, base) == 0;
    } else if (segment == ZYDIS_REGISTER_GS) {
        known = syscall(SYS_arch_prctl, GET_GS_BASE, base) == 0;
    }
    errno = saved_errno;
    return known;
}

static bool compute_address(const struct x86_fault *fault, const ZydisDecodedOperandMem *memory,
                            uintptr_t *out)
{
    uint64_t address = (uint64_t)memory->disp.value;
    uint64_t next =
        (uint64_t)fault->context->uc_mcontext.gregs[REG_RIP] + fault->instruction.length;
    uint64_t base;
    if (memory->base == ZYDIS_REGISTER_RIP || memory->base == ZYDIS_REGISTER_EIP) {
        address += next;
    } else if (memory->base != ZYDIS_REGISTER_NONE) {
        address += x86_register_read(fault->context, memory->base);
    }
    if (memory->index != ZYDIS_REGISTER_NONE) {
        address += x86_register_read(fault->context, memory->index) * memory->scale;
    }
    address &= ones_of_width(fault->instruction.address_width / 8);
    if (!segment_base(memory->segment, &base)) {
        return false;
    }
    *out = address + base;
    return true;
}

/* The reasons are what a user can act on. */
static bool place_trapped(struct x86_fault *fault, struct x86_place *place, unsigned width)
{
    if (!is_aligned(place->address, width)) {
        fault->refusal = misaligned;
    } else if (!trap_target_find(place->address, &place->target) ||
               !range_is_within(place->target.offset, width, place->target.region_bytes)) {
        fault->refusal = "the access crosses the end of the device memory";
    } else {
        place->is_trapped = true;
    }
    return place->is_trapped;
}

static bool width_is_possible(struct x86_fault *fault, unsigned index)
{
    if (!width_is_valid(fault->operands[index].size / 8, 8)) {
        fault->refusal = "the access is wider than 8 bytes (vector or block access)";
    } else if (index >= X86_PLACES || fault->operands[index].mem.type != ZYDIS_MEMOP_TYPE_MEM) {
        fault->refusal = unsupported;
    }
    return !fault->refusal;
}

/* The memory operand of anything but a string instruction is what faulted. */
static enum trap_outcome place_operand(struct x86_fault *fault, unsigned index)
{
    struct x86_place *place = &fault->places[index];
    unsigned width = fault->operands[index].size / 8;
    uintptr_t seen = (uintptr_t)fault->info->si_addr;
    if (!compute_address(fault, &fault->operands[index].mem, &place->address) ||
        seen - place->address >= width) {
        fault->refusal = "its operand's address is not the one that faulted";
    } else if (place->address != seen) {
        fault->refusal = misaligned; /* began in plain memory */
    } else if (place_trapped(fault, place, width)) {
        return TRAP_COMPLETED;
    }
    return TRAP_REFUSED;
}

/* Either side of a string instruction may be plain, trapped, or what ends the program. */
static enum trap_outcome place_string(struct x86_fault *fault, unsigned index, bool is_written)
{
    struct x86_place *place = &fault->places[index];
    unsigned width = fault->operands[index].size / 8;
    uintptr_t seen = (uintptr_t)fault->info->si_addr;
    struct trap_target target;
    if (!compute_address(fault, &fault->operands[index].mem, &place->address)) {
        fault->refusal = "its operand's address cannot be computed";
        return TRAP_REFUSED;
    }
    if (seen - place->address >= width) { /* not the one that faulted, as far as we know */
        bool is_plain = is_written ? x86_plain_is_writable(place->address, width)
                                   : x86_plain_load(place->address, width, &place->plain_value);
        if (is_plain) {
            return TRAP_COMPLETED;
        }
        if (!trap_target_find(place->address, &target) &&
            !trap_target_find(place->address + width - 1, &target)) {
            fault->info->si_addr = (void *)place->address;
            return TRAP_NOT_OURS;
        }
    }
    return place_trapped(fault, place, width) ? TRAP_COMPLETED : TRAP_REFUSED;
}

static bool explicit_operand_fits(const struct x86_fault *fault, const struct x86_op *op,
                                  unsigned index)
{
    const ZydisDecodedOperand *operand = &fault->operands[index];
    if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && op->shape == X86_SCALAR) {
        return operand->reg.value >= ZYDIS_REGISTER_XMM0 &&
               operand->reg.value <= ZYDIS_REGISTER_XMM15;
    }
    if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        return x86_register_is_general(operand->reg.value) &&
               (op->shape != X86_IMMEDIATE || index != 1);
    }
    return operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ||
           operand->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static bool shape_fits(struct x86_fault *fault, const struct x86_op *op)
{
    const ZydisDecodedInstruction *instruction = &fault->instruction;
    unsigned visible = instruction->operand_count_visible;
    bool fits = instruction->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    if (op->shape == X86_SCALAR) {
        fits = (fits || instruction->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) && visible == 2 &&
               fault->context->uc_mcontext.fpregs != NULL;
    }
    for (unsigned i = 0; fits && op->shape != X86_STRING && i < visible; i++) {
        fits = explicit_operand_fits(fault, op, i);
    }
    return fits;
}

static enum trap_outcome place_all(struct x86_fault *fault, const struct x86_op *op)
{
    bool is_known = op && shape_fits(fault, op);
    enum trap_outcome outcome = TRAP_REFUSED;
    unsigned count = fault->instruction.operand_count;
    for (unsigned i = 0; i < count; i++) {
        const ZydisDecodedOperand *operand = &fault->operands[i];
        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
            continue;
        }
        if (!width_is_possible(fault, i) || !is_known) {
            break;
        }
        outcome = op->shape == X86_STRING
                      ? place_string(fault, i, operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
                      : place_operand(fault, i);
        if (outcome != TRAP_COMPLETED) {
            return outcome;
        }
    }
    if (outcome != TRAP_COMPLETED && !fault->refusal) {
        fault->refusal = unsupported;
    }
    return fault->refusal ? TRAP_REFUSED : outcome;
}

enum trap_outcome trap_arch_complete(siginfo_t *info, ucontext_t *context,
                                     struct trap_refusal *refusal)
{
    greg_t *registers = context->uc_mcontext.gregs;
    uintptr_t at = (uintptr_t)registers[REG_RIP];
    struct x86_fault fault;
    /* Jumping into the region is not an access to complete. */
    if (registers[REG_ERR] & FETCH_ERROR || at == (uintptr_t)info->si_addr) {
        return TRAP_NOT_OURS;
    }
    fault.context = context;
    fault.info = info;
    fault.refusal = refusal->reason;
    memset(fault.places, 0, sizeof(fault.places));
    bool is_decoded = decode(&fault, at);
    enum trap_outcome outcome = TRAP_REFUSED;
    if (!is_decoded) {
        fault.refusal = "the instruction cannot be decoded";
    } else if (!fault.refusal) {
        const struct x86_op *op = x86_op_find(&fault.instruction);
        outcome = place_all(&fault, op);
        if (outcome == TRAP_COMPLETED) {
            registers[REG_RIP] += fault.instruction.length;
            op->run(&fault, op);
            if (fault.refusal) {
                registers[REG_RIP] = (greg_t)at;
                outcome = TRAP_REFUSED;
            }
        }
    }
    if (outcome == TRAP_REFUSED) {
        refusal->reason = fault.refusal;
        refusal->instruction_address = at;
        describe(&fault, is_decoded, refusal);
    }
    return outcome;
}
