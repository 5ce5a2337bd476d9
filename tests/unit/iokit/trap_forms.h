/*
 * The instruction forms that are run both on plain and on trapped memory. One row a form:
 * X(name, width of the access, accesses in order, flags that are undefined, text). Registers are
 * those of struct machine; the memory is at (%rdi).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TRAP_FORMS_H
#define TESTS_TRAP_FORMS_H

#define CF           0x001
#define PF           0x004
#define AF           0x010
#define ZF           0x040
#define SF           0x080
#define OF           0x800
#define STATUS_FLAGS (CF | PF | AF | ZF | SF | OF)

#define MOVE_FORMS(X)                                                                              \
    X(load_al, 1, "r", 0, "movb (%rdi), %al")                                                      \
    X(load_ah, 1, "r", 0, "movb (%rdi), %ah")                                                      \
    X(load_ch, 1, "r", 0, "movb (%rdi), %ch")                                                      \
    X(load_dh, 1, "r", 0, "movb (%rdi), %dh")                                                      \
    X(load_bh, 1, "r", 0, "movb (%rdi), %bh")                                                      \
    X(load_bl, 1, "r", 0, "movb (%rdi), %bl")                                                      \
    X(load_sil, 1, "r", 0, "movb (%rdi), %sil")                                                    \
    X(load_r9b, 1, "r", 0, "movb (%rdi), %r9b")                                                    \
    X(load_ax, 2, "r", 0, "movw (%rdi), %ax")                                                      \
    X(load_r8w, 2, "r", 0, "movw (%rdi), %r8w")                                                    \
    X(load_eax, 4, "r", 0, "movl (%rdi), %eax")                                                    \
    X(load_r9d, 4, "r", 0, "movl (%rdi), %r9d")                                                    \
    X(load_rbx, 8, "r", 0, "movq (%rdi), %rbx")                                                    \
    X(load_r8, 8, "r", 0, "movq (%rdi), %r8")                                                      \
    X(load_movabs, 8, "r", 0, "movabs 0x20000008, %rax")                                           \
    X(load_moffs8, 1, "r", 0, "movabs 0x20000008, %al")                                            \
    X(load_addr32, 4, "r", 0, "movl (%edi), %ecx")                                                 \
    X(load_index, 2, "r", 0, "push %r8\n movl $3, %r8d\n movw -12(%rdi,%r8,4), %dx\n pop %r8")     \
    X(movzbw, 1, "r", 0, "movzbw (%rdi), %ax")                                                     \
    X(movzbl, 1, "r", 0, "movzbl (%rdi), %ecx")                                                    \
    X(movzbq, 1, "r", 0, "movzbq (%rdi), %r8")                                                     \
    X(movzwl, 2, "r", 0, "movzwl (%rdi), %ebx")                                                    \
    X(movzwq, 2, "r", 0, "movzwq (%rdi), %rdx")                                                    \
    X(movsbw, 1, "r", 0, "movsbw (%rdi), %ax")                                                     \
    X(movsbl, 1, "r", 0, "movsbl (%rdi), %eax")                                                    \
    X(movsbq, 1, "r", 0, "movsbq (%rdi), %rax")                                                    \
    X(movswl, 2, "r", 0, "movswl (%rdi), %r9d")                                                    \
    X(movswq, 2, "r", 0, "movswq (%rdi), %r9")                                                     \
    X(movslq, 4, "r", 0, "movslq (%rdi), %rax")                                                    \
    X(store_al, 1, "w", 0, "movb %al, (%rdi)")                                                     \
    X(store_ah, 1, "w", 0, "movb %ah, (%rdi)")                                                     \
    X(store_bh, 1, "w", 0, "movb %bh, (%rdi)")                                                     \
    X(store_sil, 1, "w", 0, "movb %sil, (%rdi)")                                                   \
    X(store_r8b, 1, "w", 0, "movb %r8b, (%rdi)")                                                   \
    X(store_cx, 2, "w", 0, "movw %cx, (%rdi)")                                                     \
    X(store_edx, 4, "w", 0, "movl %edx, (%rdi)")                                                   \
    X(store_r9, 8, "w", 0, "movq %r9, (%rdi)")                                                     \
    X(store_moffs, 4, "w", 0, "movabs %eax, 0x20000008")                                           \
    X(store_i8, 1, "w", 0, "movb $0x9c, (%rdi)")                                                   \
    X(store_i16, 2, "w", 0, "movw $0x9cde, (%rdi)")                                                \
    X(store_i32, 4, "w", 0, "movl $0x9cdef012, (%rdi)")                                            \
    X(store_i64, 8, "w", 0, "movq $-5, (%rdi)")                                                    \
    X(movnti_l, 4, "w", 0, "movnti %eax, (%rdi)")                                                  \
    X(movnti_q, 8, "w", 0, "movnti %r8, (%rdi)")                                                   \
    X(xchg_b, 1, "rw", 0, "xchgb %ah, (%rdi)")                                                     \
    X(xchg_w, 2, "rw", 0, "xchgw (%rdi), %bx")                                                     \
    X(xchg_l, 4, "rw", 0, "xchgl %eax, (%rdi)")                                                    \
    X(xchg_q, 8, "rw", 0, "lock xchgq %r8, (%rdi)")

#define CONDITION_FORMS(X, cc)                                                                     \
    X(cmov_##cc, 4, "r", 0, "cmov" #cc "l (%rdi), %eax")                                           \
    X(cmovw_##cc, 2, "r", 0, "cmov" #cc "w (%rdi), %ax")                                           \
    X(cmovq_##cc, 8, "r", 0, "cmov" #cc "q (%rdi), %r8")                                           \
    X(set_##cc, 1, "w", 0, "set" #cc " (%rdi)")

#define ALL_CONDITION_FORMS(X)                                                                     \
    CONDITION_FORMS(X, o)                                                                          \
    CONDITION_FORMS(X, no)                                                                         \
    CONDITION_FORMS(X, b)                                                                          \
    CONDITION_FORMS(X, ae)                                                                         \
    CONDITION_FORMS(X, e)                                                                          \
    CONDITION_FORMS(X, ne)                                                                         \
    CONDITION_FORMS(X, be)                                                                         \
    CONDITION_FORMS(X, a)                                                                          \
    CONDITION_FORMS(X, s)                                                                          \
    CONDITION_FORMS(X, ns)                                                                         \
    CONDITION_FORMS(X, p)                                                                          \
    CONDITION_FORMS(X, np)                                                                         \
    CONDITION_FORMS(X, l)                                                                          \
    CONDITION_FORMS(X, ge)                                                                         \
    CONDITION_FORMS(X, le)                                                                         \
    CONDITION_FORMS(X, g)

/* accesses: of a form with the memory as destination. */
#define TO_MEMORY_FORMS(X, op, accesses, undefined)                                                \
    X(op##_mr_b, 1, accesses, undefined, #op "b %al, (%rdi)")                                      \
    X(op##_mr_h, 1, accesses, undefined, #op "b %dh, (%rdi)")                                      \
    X(op##_mr_w, 2, accesses, undefined, #op "w %cx, (%rdi)")                                      \
    X(op##_mr_l, 4, accesses, undefined, #op "l %ebx, (%rdi)")                                     \
    X(op##_mr_q, 8, accesses, undefined, #op "q %r9, (%rdi)")                                      \
    X(op##_mi_b, 1, accesses, undefined, #op "b $0x85, (%rdi)")                                    \
    X(op##_mi_w, 2, accesses, undefined, #op "w $0x8765, (%rdi)")                                  \
    X(op##_mi_l, 4, accesses, undefined, #op "l $0x92345678, (%rdi)")                              \
    X(op##_mi_q, 8, accesses, undefined, #op "q $-0x12345678, (%rdi)")                             \
    X(op##_ms_w, 2, accesses, undefined, #op "w $-3, (%rdi)")                                      \
    X(op##_ms_l, 4, accesses, undefined, #op "l $-3, (%rdi)")                                      \
    X(op##_ms_q, 8, accesses, undefined, #op "q $-3, (%rdi)")

#define LOCK_FORMS(X, op, undefined)                                                               \
    X(op##_lock_b, 1, "rw", undefined, "lock " #op "b %cl, (%rdi)")                                \
    X(op##_lock_l, 4, "rw", undefined, "lock " #op "l %eax, (%rdi)")                               \
    X(op##_lock_q, 8, "rw", undefined, "lock " #op "q $0x11, (%rdi)")

#define FROM_MEMORY_FORMS(X, op, undefined)                                                        \
    X(op##_rm_b, 1, "r", undefined, #op "b (%rdi), %al")                                           \
    X(op##_rm_h, 1, "r", undefined, #op "b (%rdi), %bh")                                           \
    X(op##_rm_w, 2, "r", undefined, #op "w (%rdi), %cx")                                           \
    X(op##_rm_l, 4, "r", undefined, #op "l (%rdi), %r8d")                                          \
    X(op##_rm_q, 8, "r", undefined, #op "q (%rdi), %rdx")

#define ALU_FORMS(X, op, undefined)                                                                \
    TO_MEMORY_FORMS(X, op, "rw", undefined)                                                        \
    FROM_MEMORY_FORMS(X, op, undefined)                                                            \
    LOCK_FORMS(X, op, undefined)

#define UNARY_FORMS(X, op)                                                                         \
    X(op##_b, 1, "rw", 0, #op "b (%rdi)")                                                          \
    X(op##_w, 2, "rw", 0, #op "w (%rdi)")                                                          \
    X(op##_l, 4, "rw", 0, #op "l (%rdi)")                                                          \
    X(op##_q, 8, "rw", 0, #op "q (%rdi)")                                                          \
    X(op##_lock, 4, "rw", 0, "lock " #op "l (%rdi)")

#define BIT_FORMS(X, op, lock, accesses)                                                           \
    X(op##_w, 2, accesses, OF | SF | AF | PF, #op "w $11, (%rdi)")                                 \
    X(op##_l, 4, accesses, OF | SF | AF | PF, lock #op "l $31, (%rdi)")                            \
    X(op##_q, 8, accesses, OF | SF | AF | PF, lock #op "q $63, (%rdi)")                            \
    X(op##_m, 4, accesses, OF | SF | AF | PF, #op "l $37, (%rdi)")

#define SHIFT_FORMS(X, op, undefined)                                                              \
    X(op##_1_b, 1, "rw", undefined, #op "b $1, (%rdi)")                                            \
    X(op##_1_w, 2, "rw", undefined, #op "w $1, (%rdi)")                                            \
    X(op##_1_l, 4, "rw", undefined, #op "l $1, (%rdi)")                                            \
    X(op##_1_q, 8, "rw", undefined, #op "q $1, (%rdi)")                                            \
    X(op##_i_b, 1, "rw", undefined | OF, #op "b $5, (%rdi)")                                       \
    X(op##_i_w, 2, "rw", undefined | OF, #op "w $13, (%rdi)")                                      \
    X(op##_i_l, 4, "rw", undefined | OF, #op "l $31, (%rdi)")                                      \
    X(op##_i_q, 8, "rw", undefined | OF, #op "q $40, (%rdi)")                                      \
    X(op##_cl_b, 1, "rw", undefined | OF | CF, #op "b %cl, (%rdi)")                                \
    X(op##_cl_w, 2, "rw", undefined | OF | CF, #op "w %cl, (%rdi)")                                \
    X(op##_cl_l, 4, "rw", undefined | OF, #op "l %cl, (%rdi)")                                     \
    X(op##_cl_q, 8, "rw", undefined | OF, #op "q %cl, (%rdi)")

#define OTHER_FORMS(X)                                                                             \
    X(xadd_b, 1, "rw", 0, "xaddb %ah, (%rdi)")                                                     \
    X(xadd_w, 2, "rw", 0, "lock xaddw %bx, (%rdi)")                                                \
    X(xadd_l, 4, "rw", 0, "lock xaddl %eax, (%rdi)")                                               \
    X(xadd_q, 8, "rw", 0, "xaddq %r9, (%rdi)")                                                     \
    X(cmpxchg_b, 1, "rw", 0, "lock cmpxchgb %bh, (%rdi)")                                          \
    X(cmpxchg_w, 2, "rw", 0, "cmpxchgw %bx, (%rdi)")                                               \
    X(cmpxchg_l, 4, "rw", 0, "lock cmpxchgl %edx, (%rdi)")                                         \
    X(cmpxchg_q, 8, "rw", 0, "cmpxchgq %r8, (%rdi)")                                               \
    X(imul_w, 2, "r", SF | ZF | AF | PF, "imulw (%rdi), %ax")                                      \
    X(imul_l, 4, "r", SF | ZF | AF | PF, "imull (%rdi), %r8d")                                     \
    X(imul_q, 8, "r", SF | ZF | AF | PF, "imulq (%rdi), %rbx")                                     \
    X(imul_wi, 2, "r", SF | ZF | AF | PF, "imulw $-77, (%rdi), %ax")                               \
    X(imul_li, 4, "r", SF | ZF | AF | PF, "imull $0x12345, (%rdi), %eax")                          \
    X(imul_qi, 8, "r", SF | ZF | AF | PF, "imulq $-3, (%rdi), %r9")

#define WIDE_FORMS(X)                                                                              \
    X(mul_b, 1, "r", SF | ZF | AF | PF, "mulb (%rdi)")                                             \
    X(mul_w, 2, "r", SF | ZF | AF | PF, "mulw (%rdi)")                                             \
    X(mul_l, 4, "r", SF | ZF | AF | PF, "mull (%rdi)")                                             \
    X(mul_q, 8, "r", SF | ZF | AF | PF, "mulq (%rdi)")                                             \
    X(imul1_b, 1, "r", SF | ZF | AF | PF, "imulb (%rdi)")                                          \
    X(imul1_w, 2, "r", SF | ZF | AF | PF, "imulw (%rdi)")                                          \
    X(imul1_l, 4, "r", SF | ZF | AF | PF, "imull (%rdi)")                                          \
    X(imul1_q, 8, "r", SF | ZF | AF | PF, "imulq (%rdi)")                                          \
    X(bsf_l, 4, "r", CF | OF | SF | AF | PF, "bsfl (%rdi), %r8d\n cmovzl %eax, %r8d")              \
    X(bsf_w, 2, "r", CF | OF | SF | AF | PF, "bsfw (%rdi), %ax")                                   \
    X(bsr_q, 8, "r", CF | OF | SF | AF | PF, "bsrq (%rdi), %rax")                                  \
    X(bsr_l, 4, "r", CF | OF | SF | AF | PF, "bsrl (%rdi), %ebx\n cmovzl %eax, %ebx")

/* Run with divisors (and upper halves in r9) that give a quotient that fits. */
#define DIVISION_FORMS(X)                                                                          \
    X(div_b, 1, "r", STATUS_FLAGS, "movzbl %al, %eax\n divb (%rdi)")                               \
    X(div_w, 2, "r", STATUS_FLAGS, "xor %edx, %edx\n divw (%rdi)")                                 \
    X(div_l, 4, "r", STATUS_FLAGS, "xor %edx, %edx\n divl (%rdi)")                                 \
    X(div_q, 8, "r", STATUS_FLAGS, "xor %edx, %edx\n divq (%rdi)")                                 \
    X(div_q_high, 8, "r", STATUS_FLAGS, "mov %r9, %rdx\n divq (%rdi)")                             \
    X(idiv_q_high, 8, "r", STATUS_FLAGS,                                                           \
      "mov %r9, %rdx\n sar $1, %rdx\n bt $0, %rbx\n sbb %rcx, %rcx\n xor %rcx, %rdx\n idivq "      \
      "(%rdi)")                                                                                    \
    X(idiv_b, 1, "r", STATUS_FLAGS, "sar %al\n cbtw\n idivb (%rdi)")                               \
    X(idiv_w, 2, "r", STATUS_FLAGS, "sar %ax\n cwtd\n idivw (%rdi)")                               \
    X(idiv_l, 4, "r", STATUS_FLAGS, "sar %eax\n cltd\n idivl (%rdi)")                              \
    X(idiv_q, 8, "r", STATUS_FLAGS, "sar %rax\n cqto\n idivq (%rdi)")

#define SSE_FORMS(X)                                                                               \
    X(movd_load, 4, "r", 0, "movd (%rdi), %xmm0")                                                  \
    X(movq_load, 8, "r", 0, "movq (%rdi), %xmm1")                                                  \
    X(movq_load_w, 8, "r", 0, ".byte 0x66, 0x48, 0x0f, 0x6e, 0x07")                                \
    X(movss_load, 4, "r", 0, "movss (%rdi), %xmm1")                                                \
    X(movsd_load, 8, "r", 0, "movsd (%rdi), %xmm0")                                                \
    X(movlps_load, 8, "r", 0, "movlps (%rdi), %xmm0")                                              \
    X(movhps_load, 8, "r", 0, "movhps (%rdi), %xmm0")                                              \
    X(movlpd_load, 8, "r", 0, "movlpd (%rdi), %xmm1")                                              \
    X(movhpd_load, 8, "r", 0, "movhpd (%rdi), %xmm1")                                              \
    X(movd_store, 4, "w", 0, "movd %xmm0, (%rdi)")                                                 \
    X(movq_store, 8, "w", 0, "movq %xmm0, (%rdi)")                                                 \
    X(movq_store_w, 8, "w", 0, ".byte 0x66, 0x48, 0x0f, 0x7e, 0x0f")                               \
    X(movss_store, 4, "w", 0, "movss %xmm0, (%rdi)")                                               \
    X(movsd_store, 8, "w", 0, "movsd %xmm1, (%rdi)")                                               \
    X(movlps_store, 8, "w", 0, "movlps %xmm1, (%rdi)")                                             \
    X(movhps_store, 8, "w", 0, "movhps %xmm1, (%rdi)")

#define BASE_FORMS(X)                                                                              \
    MOVE_FORMS(X)                                                                                  \
    ALL_CONDITION_FORMS(X)                                                                         \
    ALU_FORMS(X, add, 0)                                                                           \
    ALU_FORMS(X, adc, 0)                                                                           \
    ALU_FORMS(X, sub, 0)                                                                           \
    ALU_FORMS(X, sbb, 0)                                                                           \
    ALU_FORMS(X, and, AF)                                                                          \
    ALU_FORMS(X, or, AF)                                                                           \
    ALU_FORMS(X, xor, AF)                                                                          \
    TO_MEMORY_FORMS(X, cmp, "r", 0)                                                                \
    FROM_MEMORY_FORMS(X, cmp, 0)                                                                   \
    TO_MEMORY_FORMS(X, test, "r", AF)                                                              \
    UNARY_FORMS(X, inc)                                                                            \
    UNARY_FORMS(X, dec)                                                                            \
    UNARY_FORMS(X, neg)                                                                            \
    UNARY_FORMS(X, not )                                                                           \
    BIT_FORMS(X, bt, "", "r")                                                                      \
    BIT_FORMS(X, bts, "lock ", "rw")                                                               \
    BIT_FORMS(X, btr, "lock ", "rw")                                                               \
    BIT_FORMS(X, btc, "lock ", "rw")                                                               \
    SHIFT_FORMS(X, shl, AF)                                                                        \
    SHIFT_FORMS(X, shr, AF)                                                                        \
    SHIFT_FORMS(X, sar, AF)                                                                        \
    SHIFT_FORMS(X, rol, 0)                                                                         \
    SHIFT_FORMS(X, ror, 0)                                                                         \
    OTHER_FORMS(X)                                                                                 \
    WIDE_FORMS(X)                                                                                  \
    SSE_FORMS(X)

#define MOVBE_FORMS(X)                                                                             \
    X(movbe_load_w, 2, "r", 0, "movbew (%rdi), %ax")                                               \
    X(movbe_load_l, 4, "r", 0, "movbel (%rdi), %eax")                                              \
    X(movbe_load_q, 8, "r", 0, "movbeq (%rdi), %r9")                                               \
    X(movbe_store_w, 2, "w", 0, "movbew %ax, (%rdi)")                                              \
    X(movbe_store_l, 4, "w", 0, "movbel %ecx, (%rdi)")                                             \
    X(movbe_store_q, 8, "w", 0, "movbeq %rdx, (%rdi)")

/* p: prefix of the name, as the list is used for 32-byte and for 64-byte registers. */
#define VEX_FORMS(X, p)                                                                            \
    X(p##_vmovd_load, 4, "r", 0, "vmovd (%rdi), %xmm0")                                            \
    X(p##_vmovq_load, 8, "r", 0, "vmovq (%rdi), %xmm1")                                            \
    X(p##_vmovss_load, 4, "r", 0, "vmovss (%rdi), %xmm1")                                          \
    X(p##_vmovsd_load, 8, "r", 0, "vmovsd (%rdi), %xmm0")                                          \
    X(p##_movss_load, 4, "r", 0, "movss (%rdi), %xmm1")                                            \
    X(p##_vmovd_store, 4, "w", 0, "vmovd %xmm0, (%rdi)")                                           \
    X(p##_vmovq_store, 8, "w", 0, "vmovq %xmm1, (%rdi)")                                           \
    X(p##_vmovss_store, 4, "w", 0, "vmovss %xmm0, (%rdi)")                                         \
    X(p##_vmovsd_store, 8, "w", 0, "vmovsd %xmm1, (%rdi)")

#endif
