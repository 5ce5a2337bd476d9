/*
 * x86-64: results and status flags of the integer instructions that are completed. Pure arithmetic.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "base/checked.h"
#include "iokit/trap_x86.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

static bool top_bit(uint64_t value, unsigned width)
{
    return value >> (8 * width - 1) & 1;
}

uint64_t x86_sign_extend(uint64_t value, unsigned width)
{
    uint64_t sign = UINT64_C(1) << (8 * width - 1);
    return ((value & ones_of_width(width)) ^ sign) - sign;
}

static uint32_t result_flags(uint64_t value, unsigned width)
{
    uint32_t flags = value == 0 ? X86_ZF : 0;
    flags |= top_bit(value, width) ? X86_SF : 0;
    flags |= __builtin_parity((unsigned)value & 0xff) ? 0 : X86_PF;
    return flags;
}

/* chain: the carry (or borrow) out of each bit position. */
static struct x86_result with_carries(uint64_t value, uint64_t chain, unsigned width)
{
    uint32_t flags = result_flags(value, width);
    unsigned top = 8 * width - 1;
    flags |= chain >> top & 1 ? X86_CF : 0;
    flags |= chain >> 3 & 1 ? X86_AF : 0;
    flags |= (chain >> top ^ chain >> (top - 1)) & 1 ? X86_OF : 0;
    return (struct x86_result){value, flags, X86_STATUS};
}

struct x86_result x86_add(uint64_t a, uint64_t b, unsigned carry, unsigned width)
{
    uint64_t value = (a + b + carry) & ones_of_width(width);
    return with_carries(value, (a & b) | ((a | b) & ~value), width);
}

struct x86_result x86_subtract(uint64_t a, uint64_t b, unsigned borrow, unsigned width)
{
    uint64_t value = (a - b - borrow) & ones_of_width(width);
    return with_carries(value, (~a & b) | ((~a | b) & value), width);
}

/* AF is undefined by the manuals; processors clear it. */
struct x86_result x86_logic(uint64_t value, unsigned width)
{
    return (struct x86_result){value, result_flags(value, width), X86_STATUS};
}

/* Signed. SF, ZF, AF and PF are undefined and stay as they were. */
struct x86_result x86_multiply(uint64_t a, uint64_t b, unsigned width)
{
    wide product = (wide)(int64_t)x86_sign_extend(a, width) * (int64_t)x86_sign_extend(b, width);
    uint64_t value = (uint64_t)product & ones_of_width(width);
    bool overflows = (wide)(int64_t)x86_sign_extend(value, width) != product;
    return (struct x86_result){value, overflows ? X86_CF | X86_OF : 0, X86_CF | X86_OF};
}

struct x86_result x86_multiply_wide(bool is_signed, uint64_t a, uint64_t b, unsigned width,
                                    uint64_t *high)
{
    unsigned_wide product = (unsigned_wide)a * b;
    if (is_signed) {
        product = (unsigned_wide)((wide)(int64_t)x86_sign_extend(a, width) *
                                  (int64_t)x86_sign_extend(b, width));
    }
    uint64_t value = (uint64_t)product & ones_of_width(width);
    *high = (uint64_t)(product >> 8 * width) & ones_of_width(width);
    uint64_t insignificant = is_signed && top_bit(value, width) ? ones_of_width(width) : 0;
    uint32_t flags = *high == insignificant ? 0 : X86_CF | X86_OF;
    return (struct x86_result){value, flags, X86_CF | X86_OF};
}

bool x86_divide(bool is_signed, uint64_t *high, uint64_t *low, uint64_t divisor, unsigned width)
{
    uint64_t mask = ones_of_width(width);
    unsigned_wide dividend = (unsigned_wide)*high << 8 * width | *low;
    bool is_negative = is_signed && top_bit(*high, width);
    bool inverts = is_signed && is_negative != top_bit(divisor, width);
    if (is_negative) {
        unsigned_wide whole = (unsigned_wide)mask << 8 * width | mask;
        dividend = (0 - dividend) & whole;
    }
    if (is_signed && top_bit(divisor, width)) {
        divisor = (0 - divisor) & mask;
    }
    uint64_t limit = is_signed ? (mask >> 1) + inverts : mask;
    if (divisor == 0 || dividend / divisor > limit) {
        return false;
    }
    uint64_t quotient = (uint64_t)(dividend / divisor);
    uint64_t remainder = (uint64_t)(dividend % divisor);
    *low = (inverts ? 0 - quotient : quotient) & mask;
    *high = (is_negative ? 0 - remainder : remainder) & mask;
    return true;
}

static struct x86_result rotate(bool is_left, uint64_t a, unsigned count, unsigned width)
{
    unsigned bits = 8 * width;
    unsigned left = (is_left ? count : bits - count % bits) % bits;
    uint64_t value = left ? (a << left | a >> (bits - left)) & ones_of_width(width) : a;
    bool carry = is_left ? value & 1 : top_bit(value, width);
    bool other = is_left ? carry : value >> (bits - 2) & 1;
    uint32_t flags = (carry ? X86_CF : 0) | (top_bit(value, width) != other ? X86_OF : 0);
    return (struct x86_result){value, flags, X86_CF | X86_OF};
}

/* OF is defined for a count of 1 only, AF never; both are computed as for a count of 1. */
struct x86_result x86_shift(enum x86_shift kind, uint64_t a, unsigned count, unsigned width)
{
    uint64_t mask = ones_of_width(width);
    uint64_t value;
    bool carry, overflow;
    count &= width == 8 ? 63 : 31;
    if (count == 0) {
        return (struct x86_result){a, 0, 0};
    }
    switch (kind) {
    case X86_SHL:
        value = a << count & mask;
        carry = width == 8 ? a >> (64 - count) & 1 : a << count >> 8 * width & 1;
        overflow = top_bit(value, width) != carry;
        break;
    case X86_SHR:
        value = a >> count;
        carry = a >> (count - 1) & 1;
        overflow = top_bit(a, width);
        break;
    case X86_SAR:
        value = (uint64_t)((int64_t)x86_sign_extend(a, width) >> count) & mask;
        carry = (int64_t)x86_sign_extend(a, width) >> (count - 1) & 1;
        overflow = false;
        break;
    default:
        return rotate(kind == X86_ROL, a, count, width);
    }
    uint32_t flags = result_flags(value, width) | (carry ? X86_CF : 0) | (overflow ? X86_OF : 0);
    return (struct x86_result){value, flags, X86_STATUS};
}

bool x86_condition_holds(unsigned code, uint64_t flags)
{
    bool sign_differs = !(flags & X86_SF) != !(flags & X86_OF);
    bool holds;
    switch (code >> 1 & 7) {
    case 0:
        holds = flags & X86_OF;
        break;
    case 1:
        holds = flags & X86_CF;
        break;
    case 2:
        holds = flags & X86_ZF;
        break;
    case 3:
        holds = flags & (X86_CF | X86_ZF);
        break;
    case 4:
        holds = flags & X86_SF;
        break;
    case 5:
        holds = flags & X86_PF;
        break;
    case 6:
        holds = sign_differs;
        break;
    default:
        holds = sign_differs || flags & X86_ZF;
        break;
    }
    return holds != (code & 1);
}
