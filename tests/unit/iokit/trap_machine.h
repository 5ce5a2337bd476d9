/*
 * Registers before and after a few instructions of assembler: the instructions become a function
 * form_NAME(machine, memory) that runs with the machine's registers and memory in rdi.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TRAP_MACHINE_H
#define TESTS_TRAP_MACHINE_H

#include <stdint.h>

/* Offsets are known to the assembler text below. */
struct machine {
    uint64_t rax, rbx, rcx, rdx, r8, r9, flags, rsi;
    uint8_t vector[2][64];
};

#define LOAD_REGISTERS                                                                             \
    "push %rbx\n push %rbp\n mov %rdi, %rbp\n mov %rsi, %rdi\n"                                    \
    "mov (%rbp), %rax\n mov 8(%rbp), %rbx\n mov 16(%rbp), %rcx\n mov 24(%rbp), %rdx\n"             \
    "mov 32(%rbp), %r8\n mov 40(%rbp), %r9\n mov 56(%rbp), %rsi\n"
#define SAVE_REGISTERS                                                                             \
    "pushfq\n popq 48(%rbp)\n cld\n"                                                               \
    "mov %rax, (%rbp)\n mov %rbx, 8(%rbp)\n mov %rcx, 16(%rbp)\n mov %rdx, 24(%rbp)\n"             \
    "mov %r8, 32(%rbp)\n mov %r9, 40(%rbp)\n mov %rsi, 56(%rbp)\n"

#define FORM_FUNCTION(name, load, text, save)                                                      \
    __asm__(".text\n.p2align 4\n.type form_" #name ",@function\nform_" #name                       \
            ":\n" LOAD_REGISTERS load "pushq 48(%rbp)\n popfq\n" text "\n" SAVE_REGISTERS save     \
            "pop %rbp\n pop %rbx\n ret\n.size form_" #name ", .-form_" #name "\n");                \
    void form_##name(struct machine *machine, void *memory);

#endif
