/*
 * x86-64: the instructions that are completed, one row a mnemonic, and what each does. Operands
 * were checked before; nothing here can fail, except a plain operand that vanishes meanwhile.
 *
 * Read-modify-write instructions become a read and then a write of the device, with or without
 * LOCK: a device behind a link offers no atomic update, and other accesses may come between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "base/checked.h"
#include "iokit/trap_x86.h"

static unsigned operand_width(const struct x86_fault *fault, unsigned index)
{
    return fault->operands[index].size / 8;
}

static uint64_t operand_read(struct x86_fault *fault, unsigned index)
{
    const ZydisDecodedOperand *operand = &fault->operands[index];
    unsigned width = operand_width(fault, index);
    uint64_t value = 0;
    if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        return x86_register_read(fault->context, operand->reg.value);
    }
    if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return operand->imm.value.u; /* sign-extended: masked by who knows the other's width */
    }
    if (fault->places[index].is_trapped) {
        trap_target_access(&fault->places[index].target, width, false, &value);
    } else {
        value = fault->places[index].plain_value;
    }
    return value & ones_of_width(width);
}

static void operand_write(struct x86_fault *fault, unsigned index, uint64_t value)
{
    const ZydisDecodedOperand *operand = &fault->operands[index];
    unsigned width = operand_width(fault, index);
    value &= ones_of_width(width);
    if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        x86_register_write(fault->context, operand->reg.value, value);
    } else if (fault->places[index].is_trapped) {
        trap_target_access(&fault->places[index].target, width, true, &value);
    } else if (!x86_plain_store(fault->places[index].address, width, value)) {
        fault->refusal = "its plain memory operand was unmapped meanwhile";
    }
}

enum { MOVE_PLAIN, MOVE_SIGNED, MOVE_SWAPPED };

static void run_move(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned width = operand_width(fault, 1);
    uint64_t value = operand_read(fault, 1);
    if (op->variant == MOVE_SIGNED) {
        value = x86_sign_extend(value, width);
    } else if (op->variant == MOVE_SWAPPED) {
        value = __builtin_bswap64(value) >> (64 - 8 * width);
    }
    operand_write(fault, 0, value);
}

/* The load happens, and a 32-bit destination is zero-extended, also when the condition fails. */
static void run_move_if(struct x86_fault *fault, const struct x86_op *op)
{
    uint64_t value = operand_read(fault, 1);
    if (!x86_condition_holds(fault->instruction.opcode, x86_flags_read(fault->context))) {
        value = operand_read(fault, 0);
    }
    operand_write(fault, 0, value);
}

static void run_set_if(struct x86_fault *fault, const struct x86_op *op)
{
    uint64_t flags = x86_flags_read(fault->context);
    operand_write(fault, 0, x86_condition_holds(fault->instruction.opcode, flags));
}

enum { ALU_ADD, ALU_ADC, ALU_SUB, ALU_SBB, ALU_AND, ALU_OR, ALU_XOR, ALU_CMP, ALU_TEST };

static void run_alu(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned width = operand_width(fault, 0);
    uint64_t a = operand_read(fault, 0);
    uint64_t b = operand_read(fault, 1) & ones_of_width(width);
    unsigned carry = x86_flags_read(fault->context) & X86_CF;
    struct x86_result result;
    switch (op->variant) {
    case ALU_ADD:
    case ALU_ADC:
        result = x86_add(a, b, op->variant == ALU_ADC ? carry : 0, width);
        break;
    case ALU_AND:
    case ALU_TEST:
        result = x86_logic(a & b, width);
        break;
    case ALU_OR:
        result = x86_logic(a | b, width);
        break;
    case ALU_XOR:
        result = x86_logic(a ^ b, width);
        break;
    default:
        result = x86_subtract(a, b, op->variant == ALU_SBB ? carry : 0, width);
        break;
    }
    if (op->variant != ALU_CMP && op->variant != ALU_TEST) {
        operand_write(fault, 0, result.value);
    }
    x86_flags_apply(fault->context, result);
}

enum { UNARY_INC, UNARY_DEC, UNARY_NEG, UNARY_NOT };

static void run_unary(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned width = operand_width(fault, 0);
    uint64_t a = operand_read(fault, 0);
    struct x86_result result = {~a, 0, 0};
    if (op->variant == UNARY_INC) {
        result = x86_add(a, 1, 0, width);
    } else if (op->variant == UNARY_DEC) {
        result = x86_subtract(a, 1, 0, width);
    } else if (op->variant == UNARY_NEG) {
        result = x86_subtract(0, a, 0, width);
    }
    if (op->variant == UNARY_INC || op->variant == UNARY_DEC) {
        result.affected_flags &= ~X86_CF;
    }
    operand_write(fault, 0, result.value);
    x86_flags_apply(fault->context, result);
}

static void run_shift(struct x86_fault *fault, const struct x86_op *op)
{
    uint64_t a = operand_read(fault, 0);
    unsigned count = (unsigned)operand_read(fault, 1) & 0xff;
    struct x86_result result =
        x86_shift((enum x86_shift)op->variant, a, count, operand_width(fault, 0));
    operand_write(fault, 0, result.value);
    x86_flags_apply(fault->context, result);
}

enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static void run_bit(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned bits = fault->operands[0].size;
    uint64_t a = operand_read(fault, 0);
    uint64_t bit = UINT64_C(1) << (operand_read(fault, 1) % bits);
    struct x86_result result = {a, a & bit ? X86_CF : 0, X86_CF};
    if (op->variant == BIT_SET) {
        operand_write(fault, 0, a | bit);
    } else if (op->variant == BIT_RESET) {
        operand_write(fault, 0, a & ~bit);
    } else if (op->variant == BIT_COMPLEMENT) {
        operand_write(fault, 0, a ^ bit);
    }
    x86_flags_apply(fault->context, result);
}

static unsigned memory_index(const struct x86_fault *fault)
{
    return fault->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 0 : 1;
}

/* XCHG names its operands in either order; the memory is read, then written. */
static void run_exchange(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned memory = memory_index(fault);
    uint64_t in_memory = operand_read(fault, memory);
    operand_write(fault, memory, operand_read(fault, 1 - memory));
    operand_write(fault, 1 - memory, in_memory);
}

static void run_exchange_add(struct x86_fault *fault, const struct x86_op *op)
{
    uint64_t in_memory = operand_read(fault, 0);
    struct x86_result result =
        x86_add(in_memory, operand_read(fault, 1), 0, operand_width(fault, 0));
    operand_write(fault, 0, result.value);
    operand_write(fault, 1, in_memory);
    x86_flags_apply(fault->context, result);
}

static ZydisRegister accumulator(unsigned width)
{
    return width == 1   ? ZYDIS_REGISTER_AL
           : width == 2 ? ZYDIS_REGISTER_AX
           : width == 4 ? ZYDIS_REGISTER_EAX
                        : ZYDIS_REGISTER_RAX;
}

/* The processor writes the memory also when the comparison fails, with what it held. */
static void run_compare_exchange(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned width = operand_width(fault, 0);
    uint64_t in_memory = operand_read(fault, 0);
    uint64_t expected = x86_register_read(fault->context, accumulator(width));
    if (in_memory == expected) {
        operand_write(fault, 0, operand_read(fault, 1));
    } else {
        operand_write(fault, 0, in_memory);
        x86_register_write(fault->context, accumulator(width), in_memory);
    }
    x86_flags_apply(fault->context, x86_subtract(expected, in_memory, 0, width));
}

/* The upper half of what the accumulator holds the lower half of: DX, EDX, RDX, and AH for AL. */
static ZydisRegister accumulator_high(unsigned width)
{
    return width == 1   ? ZYDIS_REGISTER_AH
           : width == 2 ? ZYDIS_REGISTER_DX
           : width == 4 ? ZYDIS_REGISTER_EDX
                        : ZYDIS_REGISTER_RDX;
}

enum { UNSIGNED, SIGNED };

static void run_multiply_wide(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned width = operand_width(fault, 0);
    uint64_t a = x86_register_read(fault->context, accumulator(width));
    uint64_t high;
    struct x86_result result =
        x86_multiply_wide(op->variant == SIGNED, a, operand_read(fault, 0), width, &high);
    x86_register_write(fault->context, accumulator(width), result.value);
    x86_register_write(fault->context, accumulator_high(width), high);
    x86_flags_apply(fault->context, result);
}

static void run_divide(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned width = operand_width(fault, 0);
    uint64_t low = x86_register_read(fault->context, accumulator(width));
    uint64_t high = x86_register_read(fault->context, accumulator_high(width));
    if (!x86_divide(op->variant == SIGNED, &high, &low, operand_read(fault, 0), width)) {
        fault->refusal = "the value read makes the division overflow or divides by zero";
        return;
    }
    x86_register_write(fault->context, accumulator(width), low);
    x86_register_write(fault->context, accumulator_high(width), high);
}

enum { SCAN_UP, SCAN_DOWN };

/* Nothing found: ZF, and the destination stays as it was. The other flags are undefined. */
static void run_scan(struct x86_fault *fault, const struct x86_op *op)
{
    uint64_t value = operand_read(fault, 1);
    if (value != 0) {
        operand_write(fault, 0,
                      (uint64_t)(op->variant == SCAN_UP ? __builtin_ctzll(value)
                                                        : 63 - __builtin_clzll(value)));
    }
    x86_flags_apply(fault->context, (struct x86_result){0, value == 0 ? X86_ZF : 0, X86_ZF});
}

/* IMUL r, m and IMUL r, m, imm; with one operand it multiplies the accumulator. */
static void run_multiply(struct x86_fault *fault, const struct x86_op *op)
{
    if (fault->instruction.operand_count_visible == 1) {
        run_multiply_wide(fault, op);
        return;
    }
    uint64_t in_memory = operand_read(fault, 1);
    unsigned other = fault->instruction.operand_count_visible == 3 ? 2 : 0;
    struct x86_result result =
        x86_multiply(in_memory, operand_read(fault, other), operand_width(fault, 0));
    operand_write(fault, 0, result.value);
    x86_flags_apply(fault->context, result);
}

enum { SCALAR_WHOLE, SCALAR_LOW, SCALAR_HIGH };

static void run_scalar(struct x86_fault *fault, const struct x86_op *op)
{
    unsigned memory = memory_index(fault);
    unsigned number = (unsigned)(fault->operands[1 - memory].reg.value - ZYDIS_REGISTER_XMM0);
    unsigned half = op->variant == SCALAR_HIGH ? 1 : 0;
    if (memory == 0) {
        operand_write(fault, 0, x86_xmm_read(fault->context, number, half));
        return;
    }
    x86_xmm_write(fault->context, number, half, operand_read(fault, 1));
    if (op->variant == SCALAR_WHOLE) {
        x86_xmm_write(fault->context, number, 1, 0);
    }
    if (fault->instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        x86_xmm_clear_upper(fault->context, number);
    }
}

enum { STRING_MOVE, STRING_COMPARE };

/* One element. A repeated instruction that is not done keeps its address, so the processor goes on
 * by itself, and faults again where that is needed. */
static void run_string(struct x86_fault *fault, const struct x86_op *op)
{
    const ZydisDecodedInstruction *instruction = &fault->instruction;
    bool is_compare = op->variant == STRING_COMPARE;
    unsigned width = operand_width(fault, 0);
    uint8_t repeat = 0;
    for (unsigned i = 0; i < instruction->raw.prefix_count; i++) {
        uint8_t prefix = instruction->raw.prefixes[i].value;
        repeat = prefix == 0xf2 || prefix == 0xf3 ? prefix : repeat;
    }
    if (is_compare) {
        uint64_t a = operand_read(fault, 0);
        uint64_t b = operand_read(fault, 1);
        x86_flags_apply(fault->context, x86_subtract(a, b, 0, width));
    } else {
        operand_write(fault, 0, operand_read(fault, 1));
    }
    if (fault->refusal) {
        return;
    }
    uint64_t step = x86_flags_read(fault->context) & X86_DF ? 0 - (uint64_t)width : width;
    for (unsigned i = 0; i < X86_PLACES; i++) {
        if (fault->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            ZydisRegister pointer = fault->operands[i].mem.base;
            uint64_t now = x86_register_read(fault->context, pointer);
            x86_register_write(fault->context, pointer, now + step);
        }
    }
    if (repeat != 0) {
        ZydisRegister counter =
            instruction->address_width == 32 ? ZYDIS_REGISTER_ECX : ZYDIS_REGISTER_RCX;
        uint64_t left = x86_register_read(fault->context, counter) - 1;
        x86_register_write(fault->context, counter, left);
        bool is_equal = x86_flags_read(fault->context) & X86_ZF;
        if (left != 0 && (!is_compare || is_equal == (repeat == 0xf3))) {
            fault->context->uc_mcontext.gregs[REG_RIP] -= instruction->length;
        }
    }
}

#define OP(name, shape, run, variant)                                                              \
    {                                                                                              \
        ZYDIS_MNEMONIC_##name, shape, run, variant                                                 \
    }
#define CONDITIONAL(code)                                                                          \
    OP(CMOV##code, X86_GENERAL, run_move_if, 0), OP(SET##code, X86_GENERAL, run_set_if, 0)
#define STRING(name, variant)                                                                      \
    OP(name##B, X86_STRING, run_string, variant), OP(name##W, X86_STRING, run_string, variant),    \
        OP(name##D, X86_STRING, run_string, variant), OP(name##Q, X86_STRING, run_string, variant)

static const struct x86_op ops[] = {
    OP(MOV, X86_GENERAL, run_move, MOVE_PLAIN),
    OP(MOVZX, X86_GENERAL, run_move, MOVE_PLAIN),
    OP(MOVSX, X86_GENERAL, run_move, MOVE_SIGNED),
    OP(MOVSXD, X86_GENERAL, run_move, MOVE_SIGNED),
    OP(MOVBE, X86_GENERAL, run_move, MOVE_SWAPPED),
    OP(MOVNTI, X86_GENERAL, run_move, MOVE_PLAIN),
    OP(MOVDIRI, X86_GENERAL, run_move, MOVE_PLAIN),
    OP(ADD, X86_GENERAL, run_alu, ALU_ADD),
    OP(ADC, X86_GENERAL, run_alu, ALU_ADC),
    OP(SUB, X86_GENERAL, run_alu, ALU_SUB),
    OP(SBB, X86_GENERAL, run_alu, ALU_SBB),
    OP(AND, X86_GENERAL, run_alu, ALU_AND),
    OP(OR, X86_GENERAL, run_alu, ALU_OR),
    OP(XOR, X86_GENERAL, run_alu, ALU_XOR),
    OP(CMP, X86_GENERAL, run_alu, ALU_CMP),
    OP(TEST, X86_GENERAL, run_alu, ALU_TEST),
    OP(INC, X86_GENERAL, run_unary, UNARY_INC),
    OP(DEC, X86_GENERAL, run_unary, UNARY_DEC),
    OP(NEG, X86_GENERAL, run_unary, UNARY_NEG),
    OP(NOT, X86_GENERAL, run_unary, UNARY_NOT),
    OP(SHL, X86_GENERAL, run_shift, X86_SHL),
    OP(SHR, X86_GENERAL, run_shift, X86_SHR),
    OP(SAR, X86_GENERAL, run_shift, X86_SAR),
    OP(ROL, X86_GENERAL, run_shift, X86_ROL),
    OP(ROR, X86_GENERAL, run_shift, X86_ROR),
    OP(BT, X86_IMMEDIATE, run_bit, BIT_TEST),
    OP(BTS, X86_IMMEDIATE, run_bit, BIT_SET),
    OP(BTR, X86_IMMEDIATE, run_bit, BIT_RESET),
    OP(BTC, X86_IMMEDIATE, run_bit, BIT_COMPLEMENT),
    OP(XCHG, X86_GENERAL, run_exchange, 0),
    OP(XADD, X86_GENERAL, run_exchange_add, 0),
    OP(CMPXCHG, X86_GENERAL, run_compare_exchange, 0),
    OP(IMUL, X86_GENERAL, run_multiply, SIGNED),
    OP(MUL, X86_GENERAL, run_multiply_wide, UNSIGNED),
    OP(DIV, X86_GENERAL, run_divide, UNSIGNED),
    OP(IDIV, X86_GENERAL, run_divide, SIGNED),
    OP(BSF, X86_GENERAL, run_scan, SCAN_UP),
    OP(BSR, X86_GENERAL, run_scan, SCAN_DOWN),
    CONDITIONAL(B),
    CONDITIONAL(BE),
    CONDITIONAL(L),
    CONDITIONAL(LE),
    CONDITIONAL(NB),
    CONDITIONAL(NBE),
    CONDITIONAL(NL),
    CONDITIONAL(NLE),
    CONDITIONAL(NO),
    CONDITIONAL(NP),
    CONDITIONAL(NS),
    CONDITIONAL(NZ),
    CONDITIONAL(O),
    CONDITIONAL(P),
    CONDITIONAL(S),
    CONDITIONAL(Z),
    OP(MOVD, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(MOVQ, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(MOVSS, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(MOVSD, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(MOVLPS, X86_SCALAR, run_scalar, SCALAR_LOW),
    OP(MOVLPD, X86_SCALAR, run_scalar, SCALAR_LOW),
    OP(MOVHPS, X86_SCALAR, run_scalar, SCALAR_HIGH),
    OP(MOVHPD, X86_SCALAR, run_scalar, SCALAR_HIGH),
    OP(VMOVD, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(VMOVQ, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(VMOVSS, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    OP(VMOVSD, X86_SCALAR, run_scalar, SCALAR_WHOLE),
    STRING(MOVS, STRING_MOVE),
    STRING(STOS, STRING_MOVE),
    STRING(LODS, STRING_MOVE),
    STRING(CMPS, STRING_COMPARE),
    STRING(SCAS, STRING_COMPARE),
};

const struct x86_op *x86_op_find(const ZydisDecodedInstruction *instruction)
{
    /* MOVSD and CMPSD are each the name of a string and of a vector instruction. */
    bool is_string = instruction->meta.category == ZYDIS_CATEGORY_STRINGOP;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (ops[i].mnemonic == instruction->mnemonic && (ops[i].shape == X86_STRING) == is_string) {
            return &ops[i];
        }
    }
    return NULL;
}
