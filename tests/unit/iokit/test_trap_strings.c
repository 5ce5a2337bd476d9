/*
 * Trapped memory: string instructions, with either or both sides trapped, one element an access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "trap_device.h"
#include "trap_forms.h"
#include "trap_machine.h"

/* rdi: the page's middle; rsi: the other memory, or within the page. r8: rdi afterwards. */
#define STRING_FORMS(X)                                                                            \
    X(movsb_to, 1, "w", "movsb")                                                                   \
    X(movsw_to, 2, "w", "movsw")                                                                   \
    X(movsl_to, 4, "w", "movsl")                                                                   \
    X(movsq_to, 8, "w", "movsq")                                                                   \
    X(movsb_from, 1, "r", "xchg %rsi, %rdi\n movsb")                                               \
    X(movsq_from, 8, "r", "xchg %rsi, %rdi\n movsq")                                               \
    X(rep_movsb_to, 1, "wwwww", "rep movsb")                                                       \
    X(rep_movsl_to, 4, "wwwww", "rep movsl")                                                       \
    X(rep_movsb_from, 1, "rrrrr", "xchg %rsi, %rdi\n rep movsb")                                   \
    X(rep_movsq_from, 8, "rrrrr", "xchg %rsi, %rdi\n rep movsq")                                   \
    X(rep_movsw_down, 2, "wwwww", "std\n rep movsw")                                               \
    X(rep_movsw_both, 2, "rwrwrwrwrw", "lea -64(%rdi), %rsi\n rep movsw")                          \
    X(repne_movsb, 1, "wwwww", ".byte 0xf2\n movsb")                                               \
    X(rep_movsb_none, 1, "", "xor %ecx, %ecx\n rep movsb")                                         \
    X(rep_movsb_addr32, 1, "wwwww",                                                                \
      "mov %rdi, %rsi\n add $0x2000, %rsi\n"                                                       \
      ".byte 0xf3, 0x67, 0xa4")                                                                    \
    X(stosb, 1, "w", "stosb")                                                                      \
    X(rep_stosb, 1, "wwwww", "rep stosb")                                                          \
    X(rep_stosw, 2, "wwwww", "rep stosw")                                                          \
    X(rep_stosl_down, 4, "wwwww", "std\n rep stosl")                                               \
    X(rep_stosq, 8, "wwwww", "rep stosq")                                                          \
    X(lodsb, 1, "r", "mov %rdi, %rsi\n lodsb")                                                     \
    X(lodsl, 4, "r", "mov %rdi, %rsi\n lodsl")                                                     \
    X(rep_lodsq, 8, "rrrrr", "mov %rdi, %rsi\n rep lodsq")                                         \
    X(cmpsb, 1, "r", "cmpsb")                                                                      \
    X(repe_cmpsl_equal, 4, "rrrrr",                                                                \
      "movups (%rsi), %xmm0\n movl 16(%rsi), %edx\n movups %xmm0, (%r9)\n movl %edx, 16(%r9)\n"    \
      "repe cmpsl")                                                                                \
    X(repe_cmpsl_differ, 4, "r", "notl (%r9)\n repe cmpsl")                                        \
    X(scasw, 2, "r", "scasw")                                                                      \
    X(repne_scasb, 1, "rrr",                                                                       \
      "movb %al, 2(%r9)\n movb %al, 0(%r9)\n notb (%r9)\n"                                         \
      "movb (%r9), %dl\n movb %dl, 1(%r9)\n repne scasb")

#define STRING_FUNCTION(name, width, accesses, text)                                               \
    FORM_FUNCTION(name, "", text "\n mov %rdi, %r8", "")
STRING_FORMS(STRING_FUNCTION)
FORM_FUNCTION(copy, "", "rep movsb\n mov %rdi, %r8", "")

struct form {
    const char *name;
    void (*run)(struct machine *machine, void *memory);
    unsigned width;
    const char *accesses;
};
#define ROW(name, width, accesses, text) {#name, form_##name, width, accesses},
static const struct form forms[] = {STRING_FORMS(ROW)};

#define MIDDLE 0x800

struct setting {
    struct device device;
    uint8_t *other;           /* readable page at device.page + 0x2000 */
    uint8_t initial[2][4096]; /* device, other */
};

static void randomize(struct setting *setting)
{
    for (size_t i = 0; i < sizeof(setting->initial); i += 8) {
        *(uint64_t *)((uint8_t *)setting->initial + i) = random_value();
    }
}

/* r9 points at the device's bytes by a way that is not trapped. */
static struct machine start(const struct setting *setting, void *untrapped)
{
    return (struct machine){.rax = random_value(),
                            .rcx = 5,
                            .flags = 0x202 | (random_value() & (CF | OF | SF)),
                            .rsi = (uintptr_t)setting->other + MIDDLE,
                            .r9 = (uintptr_t)untrapped + MIDDLE};
}

static void check_log(const struct form *form, const struct device *device)
{
    if (device->count != strlen(form->accesses)) {
        fail_msg("%s: %u accesses, not %s", form->name, device->count, form->accesses);
    }
    for (unsigned i = 0; i < device->count; i++) {
        if (device->log[i].width != form->width ||
            device->log[i].is_write != (form->accesses[i] == 'w')) {
            fail_msg("%s: access %u has width %u", form->name, i, device->log[i].width);
        }
    }
}

static void compare_form(const struct form *form, struct setting *setting)
{
    struct device *device = &setting->device;
    randomize(setting);
    memcpy(device->memory, setting->initial[0], DEVICE_BYTES);
    memcpy(setting->other, setting->initial[1], DEVICE_BYTES);
    device->count = 0;
    struct machine got = start(setting, device->memory);
    struct machine want = got;
    form->run(&got, device->page + MIDDLE);

    uint8_t other_after[DEVICE_BYTES];
    memcpy(other_after, setting->other, DEVICE_BYTES);
    assert_int_equal(mprotect(device->page, DEVICE_BYTES, PROT_READ | PROT_WRITE), 0);
    memcpy(device->page, setting->initial[0], DEVICE_BYTES);
    memcpy(setting->other, setting->initial[1], DEVICE_BYTES);
    want.r9 = (uintptr_t)device->page + MIDDLE;
    form->run(&want, device->page + MIDDLE);
    want.r9 = got.r9;
    if (memcmp(&got, &want, sizeof(got)) != 0) {
        fail_msg("%s: rcx %jd rdi %#jx rsi %#jx flags %#jx, not rcx %jd rdi %#jx rsi %#jx %#jx",
                 form->name, (intmax_t)got.rcx, (uintmax_t)got.r8, (uintmax_t)got.rsi,
                 (uintmax_t)got.flags, (intmax_t)want.rcx, (uintmax_t)want.r8, (uintmax_t)want.rsi,
                 (uintmax_t)want.flags);
    }
    if (memcmp(device->memory, device->page, DEVICE_BYTES) != 0 ||
        memcmp(other_after, setting->other, DEVICE_BYTES) != 0) {
        fail_msg("%s: memory differs", form->name);
    }
    assert_int_equal(mprotect(device->page, DEVICE_BYTES, PROT_NONE), 0);
    check_log(form, device);
}

static void string_forms(void **state)
{
    static struct setting setting;
    device_open(&setting.device, (void *)0x20000000);
    setting.other = mmap(setting.device.page + 0x2000, DEVICE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_not_equal(setting.other, MAP_FAILED);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        for (unsigned round = 0; round < 20; round++) {
            compare_form(&forms[i], &setting);
        }
    }
    munmap(setting.other, DEVICE_BYTES);
    device_close(&setting.device);
}

/* A region whose first page is plain memory and whose second is trapped. */
static void copies_run_from_plain_into_trapped_pages(void **state)
{
    static struct device device;
    uint8_t source[64];
    struct machine machine = {.rcx = sizeof(source), .flags = 0x202, .rsi = (uintptr_t)source};
    memset(&device, 0, sizeof(device));
    for (size_t i = 0; i < sizeof(source); i++) {
        source[i] = (uint8_t)(i + 1);
    }
    device.page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(device.page, MAP_FAILED);
    assert_int_equal(mprotect(device.page, 4096, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(
        trap_region_add(device.page + 4096, 4096, device_access, &device, &device.region), 0);
    form_copy(&machine, device.page + 4096 - 24);
    assert_memory_equal(device.page + 4096 - 24, source, 24);
    assert_memory_equal(device.memory, source + 24, 40);
    assert_int_equal(device.count, 40);
    assert_int_equal(machine.rcx, 0);
    trap_region_remove(device.region);
    munmap(device.page, 8192);
}

static sigjmp_buf after_fault;
static void *volatile fault_address;

static void note_fault(int signal_number, siginfo_t *info, void *context)
{
    fault_address = info->si_addr;
    siglongjmp(after_fault, 1);
}

/* The other operand is nobody's memory: its fault is reported, and the device saw nothing of it. */
static void bad_plain_side_faults_as_usual(void **state)
{
    static struct device device;
    struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    device_open(&device, NULL);
    uint8_t *hole = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct machine from = {.rcx = 4, .flags = 0x202, .rsi = (uintptr_t)device.page};
    if (sigsetjmp(after_fault, 1) == 0) {
        form_copy(&from, hole + 16);
        fail_msg("a copy to read-only memory went through");
    }
    assert_ptr_equal(fault_address, hole + 16);
    assert_int_equal(device.count, 0);
    munmap(hole, 4096);
    struct machine to = {.rcx = 4, .flags = 0x202, .rsi = (uintptr_t)hole + 8};
    if (sigsetjmp(after_fault, 1) == 0) {
        form_copy(&to, device.page);
        fail_msg("a copy from unmapped memory went through");
    }
    assert_ptr_equal(fault_address, hole + 8);
    assert_int_equal(device.count, 0);
    device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(string_forms),
        cmocka_unit_test(copies_run_from_plain_into_trapped_pages),
        cmocka_unit_test(bad_plain_side_faults_as_usual),
    };
    return cmocka_run_group_tests_name("trap_strings", tests, NULL, NULL);
}
