/*
 * Trapped memory: every instruction form gives on trapped memory what the processor itself gives on
 * plain memory, in registers, flags and memory, with the expected accesses and no others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap_device.h"
#include "trap_forms.h"
#include "trap_machine.h"

#define ROUNDS         60
#define DEVICE_ADDRESS ((void *)0x20000000) /* below 4 GiB, for 32-bit and absolute addresses */
#define FIXED_OFFSET   8                    /* the absolute addresses of some forms */

#define XMM_FUNCTION(name, width, accesses, undefined, text)                                       \
    FORM_FUNCTION(name, "movups 64(%rbp), %xmm0\n movups 128(%rbp), %xmm1\n", text,                \
                  "movups %xmm0, 64(%rbp)\n movups %xmm1, 128(%rbp)\n")
#define YMM_FUNCTION(name, width, accesses, undefined, text)                                       \
    FORM_FUNCTION(name, "vmovups 64(%rbp), %ymm0\n vmovups 128(%rbp), %ymm1\n", text,              \
                  "vmovups %ymm0, 64(%rbp)\n vmovups %ymm1, 128(%rbp)\n vzeroupper\n")
#define ZMM_FUNCTION(name, width, accesses, undefined, text)                                       \
    FORM_FUNCTION(name, "vmovups 64(%rbp), %zmm0\n vmovups 128(%rbp), %zmm1\n", text,              \
                  "vmovups %zmm0, 64(%rbp)\n vmovups %zmm1, 128(%rbp)\n vzeroupper\n")

BASE_FORMS(XMM_FUNCTION)
MOVBE_FORMS(XMM_FUNCTION)
DIVISION_FORMS(XMM_FUNCTION)
VEX_FORMS(YMM_FUNCTION, ymm)
VEX_FORMS(ZMM_FUNCTION, zmm)
/* Addresses that only the assembler can make. */
XMM_FUNCTION(fs_load, 4, "r", 0, "movl %fs:(%rdi), %eax")
XMM_FUNCTION(rip_add, 4, "rw", 0, "addl $0x12345678, rip_page+0x24(%rip)")

struct form {
    const char *name;
    void (*run)(struct machine *machine, void *memory);
    unsigned width;
    const char *accesses;
    uint64_t undefined;
};
#define ROW(name, width, accesses, undefined, text)                                                \
    {#name, form_##name, width, accesses, undefined},
static const struct form base_forms[] = {BASE_FORMS(ROW)};
static const struct form movbe_forms[] = {MOVBE_FORMS(ROW)};
static const struct form division_forms[] = {DIVISION_FORMS(ROW)};
static const struct form ymm_forms[] = {VEX_FORMS(ROW, ymm)};
static const struct form zmm_forms[] = {VEX_FORMS(ROW, zmm)};

static void randomize(struct machine *machine, uint64_t in_memory)
{
    uint64_t *words = (uint64_t *)machine;
    for (size_t i = 0; i < sizeof(*machine) / sizeof(*words); i++) {
        words[i] = random_value();
    }
    if (random_value() % 3 == 0) {
        machine->rax = in_memory; /* let CMPXCHG succeed at times */
    }
    machine->flags = (machine->flags & STATUS_FLAGS) | 0x202;
}

/* A divisor that is not zero, and in r9 a smaller number, so that the quotient fits. */
static void prepare_division(uint64_t *divisor, struct machine *machine)
{
    *divisor |= 0x0101010101010101;
    if (*divisor > UINT64_MAX - 16) {
        *divisor = 0xfd7fffff80ff7f01;
    }
    int64_t size = (int64_t)*divisor;
    machine->r9 %= (uint64_t)(size < 0 ? -size : size) / 2;
}

static void check_log(const struct form *form, const struct device *device, uint64_t offset)
{
    if (device->count != strlen(form->accesses)) {
        fail_msg("%s: %u accesses, not '%s'", form->name, device->count, form->accesses);
    }
    for (unsigned i = 0; i < device->count; i++) {
        const struct device_access *access = &device->log[i];
        if (access->offset != offset || access->width != form->width ||
            access->is_write != (form->accesses[i] == 'w')) {
            fail_msg("%s: access %u at %#jx, width %u, %s", form->name, i,
                     (uintmax_t)access->offset, access->width, access->is_write ? "w" : "r");
        }
    }
}

static void check_machine(const struct form *form, struct machine *got, struct machine *want)
{
    got->flags &= STATUS_FLAGS & ~form->undefined;
    want->flags &= STATUS_FLAGS & ~form->undefined;
    if (got->flags != want->flags) {
        fail_msg("%s: flags %#jx, the processor's %#jx", form->name, (uintmax_t)got->flags,
                 (uintmax_t)want->flags);
    }
    if (memcmp(got, want, sizeof(*got)) != 0) {
        fail_msg("%s: registers differ: rax %#jx, the processor's %#jx", form->name,
                 (uintmax_t)got->rax, (uintmax_t)want->rax);
    }
}

static void compare_form(const struct form *form, struct device *device, uint8_t *reference)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t offset = FIXED_OFFSET;
        struct machine got, want;
        for (size_t i = 0; i < DEVICE_BYTES; i += 8) {
            *(uint64_t *)(reference + i) = i == offset ? random_value() : i * 0x0101010101010101;
        }
        randomize(&want, *(uint64_t *)(reference + offset));
        if (strstr(form->name, "div")) {
            prepare_division((uint64_t *)(reference + offset), &want);
        }
        got = want;
        memcpy(device->memory, reference, DEVICE_BYTES);
        device->count = 0;
        errno = EDOM;
        form->run(&got, device->page + offset);
        assert_int_equal(errno, EDOM);
        /* The processor's own result, at the very same address. */
        assert_int_equal(mprotect(device->page, DEVICE_BYTES, PROT_READ | PROT_WRITE), 0);
        memcpy(device->page, reference, DEVICE_BYTES);
        form->run(&want, device->page + offset);
        memcpy(reference, device->page, DEVICE_BYTES);
        assert_int_equal(mprotect(device->page, DEVICE_BYTES, PROT_NONE), 0);
        check_machine(form, &got, &want);
        if (memcmp(device->memory, reference, DEVICE_BYTES) != 0) {
            fail_msg("%s: memory differs", form->name);
        }
        check_log(form, device, offset);
    }
}

static void compare_forms(const struct form *forms, size_t count)
{
    static struct device device;
    static uint8_t reference[DEVICE_BYTES] __attribute__((aligned(8)));
    device_open(&device, DEVICE_ADDRESS);
    for (size_t i = 0; i < count; i++) {
        compare_form(&forms[i], &device, reference);
    }
    device_close(&device);
}
#define COMPARE(forms) compare_forms(forms, sizeof(forms) / sizeof((forms)[0]))

static void integer_and_scalar_forms(void **state)
{
    COMPARE(base_forms);
}

static void divisions(void **state)
{
    COMPARE(division_forms);
}

static void swapping_moves(void **state)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_MOVBE)) {
        skip();
    }
    COMPARE(movbe_forms);
}

static void vex_moves_clear_32_byte_registers(void **state)
{
    if (!__builtin_cpu_supports("avx")) {
        skip();
    }
    COMPARE(ymm_forms);
}

static void vex_moves_clear_64_byte_registers(void **state)
{
    if (!__builtin_cpu_supports("avx512f")) {
        skip();
    }
    COMPARE(zmm_forms);
}

/* A segment base is added by the processor, not by the address in the instruction. */
static void segment_relative(void **state)
{
    struct device device;
    struct machine machine = {.rax = UINT64_MAX, .flags = 0x202};
    uint64_t base;
    device_open(&device, NULL);
    assert_int_equal(syscall(SYS_arch_prctl, 0x1003, &base), 0);
    memcpy(device.memory + 0x40, "\x78\x56\x34\x92", 4);
    form_fs_load(&machine, (void *)((uintptr_t)device.page + 0x40 - base));
    assert_true(machine.rax == 0x92345678);
    assert_int_equal(device.count, 1);
    assert_int_equal(device.log[0].offset, 0x40);
    device_close(&device);
}

__asm__(".bss\n.p2align 12\nrip_page: .skip 4096\n.text\n");
extern uint8_t rip_page[];

static void instruction_pointer_relative(void **state)
{
    struct device device = {0};
    struct machine machine = {.flags = 0x202};
    assert_int_equal(mprotect(rip_page, DEVICE_BYTES, PROT_NONE), 0);
    assert_int_equal(
        trap_region_add(rip_page, DEVICE_BYTES, device_access, &device, &device.region), 0);
    device.memory[0x24] = 1;
    form_rip_add(&machine, NULL);
    assert_int_equal(device.count, 2);
    assert_int_equal(device.log[1].offset, 0x24);
    assert_true(device.log[1].value == 0x12345679);
    trap_region_remove(device.region);
    assert_int_equal(mprotect(rip_page, DEVICE_BYTES, PROT_READ | PROT_WRITE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_and_scalar_forms),
        cmocka_unit_test(divisions),
        cmocka_unit_test(swapping_moves),
        cmocka_unit_test(vex_moves_clear_32_byte_registers),
        cmocka_unit_test(vex_moves_clear_64_byte_registers),
        cmocka_unit_test(segment_relative),
        cmocka_unit_test(instruction_pointer_relative),
    };
    return cmocka_run_group_tests_name("trap", tests, NULL, NULL);
}
