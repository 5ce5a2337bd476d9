/*
 * x86-64: the interrupted registers, as the kernel saved them in the signal frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <string.h>

#include "base/checked.h"
#include "iokit/trap_x86.h"

/* In the order of encoding, which is also the order of Zydis's register numbers. */
static const int saved_at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                 REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                 REG_R12, REG_R13, REG_R14, REG_R15};

struct part {
    int saved;
    unsigned shift; /* 8 for AH to BH */
    unsigned width;
};

static struct part part_of(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
        return (struct part){saved_at[reg - ZYDIS_REGISTER_RAX], 0, 8};
    }
    if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
        return (struct part){saved_at[reg - ZYDIS_REGISTER_EAX], 0, 4};
    }
    if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
        return (struct part){saved_at[reg - ZYDIS_REGISTER_AX], 0, 2};
    }
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
        return (struct part){saved_at[reg - ZYDIS_REGISTER_AL], 0, 1};
    }
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
        return (struct part){saved_at[reg - ZYDIS_REGISTER_AH], 8, 1};
    }
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
        return (struct part){saved_at[reg - ZYDIS_REGISTER_SPL + 4], 0, 1};
    }
    return (struct part){0, 0, 0};
}

bool x86_register_is_general(ZydisRegister reg)
{
    return part_of(reg).width != 0;
}

uint64_t x86_register_read(const ucontext_t *context, ZydisRegister reg)
{
    struct part part = part_of(reg);
    uint64_t whole = (uint64_t)context->uc_mcontext.gregs[part.saved];
    return whole >> part.shift & ones_of_width(part.width);
}

void x86_register_write(ucontext_t *context, ZydisRegister reg, uint64_t value)
{
    struct part part = part_of(reg);
    uint64_t mask = ones_of_width(part.width) << part.shift;
    uint64_t kept = (uint64_t)context->uc_mcontext.gregs[part.saved] & ~mask;
    if (part.width == 4) {
        kept = 0;
    }
    context->uc_mcontext.gregs[part.saved] = (greg_t)(kept | (value << part.shift & mask));
}

uint64_t x86_flags_read(const ucontext_t *context)
{
    return (uint64_t)context->uc_mcontext.gregs[REG_EFL];
}

void x86_flags_apply(ucontext_t *context, struct x86_result result)
{
    uint64_t kept = x86_flags_read(context) & ~(uint64_t)result.affected_flags;
    context->uc_mcontext.gregs[REG_EFL] = (greg_t)(kept | (result.flags & result.affected_flags));
}

/*
 * The frame holds an XSAVE image in the standard format when the software-reserved bytes say so: a
 * header with one bit a state component, clear while that component is in its initial state (its
 * bytes are then ignored on return), and the upper register halves at offsets CPUID names.
 */
#define XSAVE_SOFTWARE_AT 464
#define XSAVE_MAGIC       0x46505853u
#define XSAVE_HEADER_AT   512
#define XSAVE_SSE         1u
#define XSAVE_AVX         2u
#define XSAVE_ZMM_HIGH    6u

static uint64_t *xsave_header(const ucontext_t *context)
{
    char *image = (char *)context->uc_mcontext.fpregs;
    uint32_t magic;
    memcpy(&magic, image + XSAVE_SOFTWARE_AT, sizeof(magic));
    return magic == XSAVE_MAGIC ? (uint64_t *)(void *)(image + XSAVE_HEADER_AT) : NULL;
}

static bool component_is_live(const ucontext_t *context, unsigned component)
{
    uint64_t *header = xsave_header(context);
    return header ? *header >> component & 1 : component == XSAVE_SSE;
}

uint64_t x86_xmm_read(const ucontext_t *context, unsigned number, unsigned half)
{
    uint64_t value = 0;
    if (component_is_live(context, XSAVE_SSE)) {
        memcpy(&value, (char *)&context->uc_mcontext.fpregs->_xmm[number] + 8 * half,
               sizeof(value));
    }
    return value;
}

void x86_xmm_write(ucontext_t *context, unsigned number, unsigned half, uint64_t value)
{
    struct _libc_fpstate *image = context->uc_mcontext.fpregs;
    if (!component_is_live(context, XSAVE_SSE)) {
        memset(image->_xmm, 0, sizeof(image->_xmm));
        *xsave_header(context) |= 1u << XSAVE_SSE;
    }
    memcpy((char *)&image->_xmm[number] + 8 * half, &value, sizeof(value));
}

static void clear_component(ucontext_t *context, unsigned component, unsigned number,
                            unsigned bytes)
{
    unsigned size, offset, c, d;
    if (component_is_live(context, component) &&
        __get_cpuid_count(13, component, &size, &offset, &c, &d) && offset != 0) {
        memset((char *)context->uc_mcontext.fpregs + offset + number * bytes, 0, bytes);
    }
}

void x86_xmm_clear_upper(ucontext_t *context, unsigned number)
{
    clear_component(context, XSAVE_AVX, number, 16);
    clear_component(context, XSAVE_ZMM_HIGH, number, 32);
}
