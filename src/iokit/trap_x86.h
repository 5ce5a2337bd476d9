/*
 * x86-64: one faulting instruction, its operands and the registers it was interrupted with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_TRAP_X86_H
#define DEXTLINK_IOKIT_TRAP_X86_H

#include <Zydis/Zydis.h>

#include "iokit/trap_internal.h"

#define X86_CF     0x001u
#define X86_PF     0x004u
#define X86_AF     0x010u
#define X86_ZF     0x040u
#define X86_SF     0x080u
#define X86_DF     0x400u
#define X86_OF     0x800u
#define X86_STATUS (X86_CF | X86_PF | X86_AF | X86_ZF | X86_SF | X86_OF)

/* Memory operands are among the first two operands of everything that is completed. */
#define X86_PLACES 2

struct x86_place {
    uintptr_t address;
    bool is_trapped;
    struct trap_target target; /* when trapped */
    uint64_t plain_value;      /* when plain and read: loaded while it was probed */
};

struct x86_fault {
    ucontext_t *context;
    siginfo_t *info;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct x86_place places[X86_PLACES];
    const char *refusal;
};

struct x86_op;
typedef void (*x86_run_fn)(struct x86_fault *fault, const struct x86_op *op);

enum x86_shape {
    X86_GENERAL,   /* general registers, immediates, one memory operand */
    X86_IMMEDIATE, /* the same, and the second operand is an immediate */
    X86_SCALAR,    /* one XMM register and one memory operand */
    X86_STRING,    /* implied addresses, either of which may be plain memory */
};

/** One mnemonic that can be completed. */
struct x86_op {
    ZydisMnemonic mnemonic;
    enum x86_shape shape;
    x86_run_fn run;
    int variant; /* run's own */
};

/** The row for this instruction, or NULL. */
const struct x86_op *x86_op_find(const ZydisDecodedInstruction *instruction);

/* Results and the status flags they leave; width in bytes, operands zero-extended. */
struct x86_result {
    uint64_t value;
    uint32_t flags; /* new values of affected_flags */
    uint32_t affected_flags;
};

enum x86_shift {
    X86_SHL,
    X86_SHR,
    X86_SAR,
    X86_ROL,
    X86_ROR,
};

struct x86_result x86_add(uint64_t a, uint64_t b, unsigned carry, unsigned width);
struct x86_result x86_subtract(uint64_t a, uint64_t b, unsigned borrow, unsigned width);
struct x86_result x86_logic(uint64_t value, unsigned width);
struct x86_result x86_multiply(uint64_t a, uint64_t b, unsigned width);
/** The double-width product: *high gets its upper half. */
struct x86_result x86_multiply_wide(bool is_signed, uint64_t a, uint64_t b, unsigned width,
                                    uint64_t *high);
/** Divide *high:*low; they become remainder and quotient. False: by zero, or it does not fit. */
bool x86_divide(bool is_signed, uint64_t *high, uint64_t *low, uint64_t divisor, unsigned width);
struct x86_result x86_shift(enum x86_shift kind, uint64_t a, unsigned count, unsigned width);
uint64_t x86_sign_extend(uint64_t value, unsigned width);
/** Condition code 0 to 15 (the low bits of Jcc, CMOVcc and SETcc opcodes). */
bool x86_condition_holds(unsigned code, uint64_t flags);

/* The interrupted registers. A 4-byte write clears the upper half, 1 and 2 bytes merge. */
bool x86_register_is_general(ZydisRegister reg);
uint64_t x86_register_read(const ucontext_t *context, ZydisRegister reg);
void x86_register_write(ucontext_t *context, ZydisRegister reg, uint64_t value);
uint64_t x86_flags_read(const ucontext_t *context);
void x86_flags_apply(ucontext_t *context, struct x86_result result);

/** half: 0 low, 1 high 8 bytes of xmm0 to xmm15. */
uint64_t x86_xmm_read(const ucontext_t *context, unsigned number, unsigned half);
void x86_xmm_write(ucontext_t *context, unsigned number, unsigned half, uint64_t value);
/** Clear every bit above the low 16 bytes, as VEX-encoded instructions do. */
void x86_xmm_clear_upper(ucontext_t *context, unsigned number);

/* Plain memory that may fault; false if it does. */
bool x86_plain_load(uintptr_t address, unsigned width, uint64_t *value);
bool x86_plain_store(uintptr_t address, unsigned width, uint64_t value);
/** Whether all of it can be written; changes nothing, also against concurrent writers. */
bool x86_plain_is_writable(uintptr_t address, unsigned width);

#endif
