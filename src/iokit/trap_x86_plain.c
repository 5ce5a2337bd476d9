/*
 * x86-64: loads and stores of plain memory on behalf of the interrupted instruction, with recovery
 * when the memory is not there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "iokit/trap_x86.h"

/* Leaf routines that push nothing, so x86_plain_failed may return in place of any of them. */
__asm__(".text\n"
        ".p2align 4\n"
        "x86_plain_begin:\n"
        "x86_plain_load1: movzbl (%rdi), %eax\n jmp 1f\n"
        "x86_plain_load2: movzwl (%rdi), %eax\n jmp 1f\n"
        "x86_plain_load4: movl (%rdi), %eax\n jmp 1f\n"
        "x86_plain_load8: movq (%rdi), %rax\n"
        "1: movq %rax, (%rsi)\n"
        "2: movl $1, %eax\n ret\n"
        "x86_plain_store1: movb %sil, (%rdi)\n jmp 2b\n"
        "x86_plain_store2: movw %si, (%rdi)\n jmp 2b\n"
        "x86_plain_store4: movl %esi, (%rdi)\n jmp 2b\n"
        "x86_plain_store8: movq %rsi, (%rdi)\n jmp 2b\n"
        "x86_plain_touch: lock orb $0, (%rdi)\n jmp 2b\n"
        "x86_plain_end:\n"
        "x86_plain_failed: xorl %eax, %eax\n ret\n");

int x86_plain_load1(uintptr_t address, uint64_t *value);
int x86_plain_load2(uintptr_t address, uint64_t *value);
int x86_plain_load4(uintptr_t address, uint64_t *value);
int x86_plain_load8(uintptr_t address, uint64_t *value);
int x86_plain_store1(uintptr_t address, uint64_t value);
int x86_plain_store2(uintptr_t address, uint64_t value);
int x86_plain_store4(uintptr_t address, uint64_t value);
int x86_plain_store8(uintptr_t address, uint64_t value);
int x86_plain_touch(uintptr_t address);
extern const char x86_plain_begin[], x86_plain_end[], x86_plain_failed[];

bool trap_arch_recover(ucontext_t *context)
{
    uintptr_t at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    if (at < (uintptr_t)x86_plain_begin || at >= (uintptr_t)x86_plain_end) {
        return false;
    }
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)x86_plain_failed;
    return true;
}

bool x86_plain_load(uintptr_t address, unsigned width, uint64_t *value)
{
    switch (width) {
    case 1:
        return x86_plain_load1(address, value);
    case 2:
        return x86_plain_load2(address, value);
    case 4:
        return x86_plain_load4(address, value);
    default:
        return x86_plain_load8(address, value);
    }
}

bool x86_plain_store(uintptr_t address, unsigned width, uint64_t value)
{
    switch (width) {
    case 1:
        return x86_plain_store1(address, value);
    case 2:
        return x86_plain_store2(address, value);
    case 4:
        return x86_plain_store4(address, value);
    default:
        return x86_plain_store8(address, value);
    }
}

bool x86_plain_is_writable(uintptr_t address, unsigned width)
{
    return x86_plain_touch(address) && x86_plain_touch(address + width - 1);
}
