/*
 * Trapped memory in the life of a process: accesses that are refused and how they end, handlers
 * that were there before or come after, and regions that come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trap_device.h"

/* Shared with children, so that the parent sees what reached the device. */
static struct device *device;
static char child_output[4096];

/* Run body in a child that starts with the default action; its stderr goes to child_output. */
static int run_child(void (*body)(const void *), const void *argument)
{
    int ends[2];
    int status;
    assert_int_equal(pipe(ends), 0);
    memset(device, 0, sizeof(*device));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        alarm(120);
        body(argument);
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], child_output + length, sizeof(child_output) - 1 - length)) > 0) {
        length += (size_t)got;
    }
    child_output[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_died_of_fault(const char *what, int status)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) {
        fail_msg("%s: status %#x, stderr: %s", what, (unsigned)status, child_output);
    }
}

static void assert_said(const char *what, const char *text)
{
    if (!strstr(child_output, text)) {
        fail_msg("%s: no '%s' in: %s", what, text, child_output);
    }
}

/* ---- accesses that are refused ---- */

#define REFUSED(name, assembler)                                                                   \
    static void run_##name(void *memory)                                                           \
    {                                                                                              \
        __asm__ volatile(assembler                                                                 \
                         : "+D"(memory)                                                            \
                         :                                                                         \
                         : "rax", "rcx", "rdx", "rsi", "xmm0", "xmm1", "memory", "cc");            \
    }
REFUSED(movups_load, "movups 16(%%rdi), %%xmm0")
REFUSED(movups_store, "movups %%xmm0, 16(%%rdi)")
REFUSED(movaps, "movaps 16(%%rdi), %%xmm1")
REFUSED(misaligned_4, "movl 18(%%rdi), %%eax")
REFUSED(misaligned_8, "movq %%rax, 20(%%rdi)")
REFUSED(misaligned_2, "addw $1, 17(%%rdi)")
REFUSED(past_end, "movq 4092(%%rdi), %%rax")
REFUSED(before_start, "movl -2(%%rdi), %%eax")
REFUSED(push, "sub $128, %%rsp\n pushq 16(%%rdi)\n pop %%rax\n add $128, %%rsp")
REFUSED(call, "sub $128, %%rsp\n call *16(%%rdi)\n add $128, %%rsp")
REFUSED(x87, "flds 16(%%rdi)\n fstp %%st(0)")
REFUSED(bit_in_register, "mov $1, %%eax\n btl %%eax, 16(%%rdi)")
REFUSED(add_scalar, "addsd 16(%%rdi), %%xmm0")
REFUSED(convert, "cvtsi2sdl 16(%%rdi), %%xmm0")
REFUSED(pop, "sub $128, %%rsp\n popq 16(%%rdi)\n add $120, %%rsp")
REFUSED(rotate_carry, "rcll $1, 16(%%rdi)")
REFUSED(mmx, "movq 16(%%rdi), %%mm0\n emms")
REFUSED(segment, "movw 16(%%rdi), %%gs")
REFUSED(wide_exchange, "cmpxchg8b 16(%%rdi)")
REFUSED(copy_misaligned, "lea -128(%%rsp), %%rsi\n add $17, %%rdi\n mov $4, %%ecx\n rep movsl")
REFUSED(copy_before, "lea -128(%%rsp), %%rsi\n sub $2, %%rdi\n mov $4, %%ecx\n rep movsl")

static const struct refused {
    const char *mnemonic;
    const char *reason;
    const char *offset;
    void (*run)(void *memory);
} refused[] = {
    {"'movups xmm0", "wider than 8 bytes", "(offset 0x10)", run_movups_load},
    {"'movups ", "wider than 8 bytes", "(offset 0x10)", run_movups_store},
    {"'movaps ", "wider than 8 bytes", "(offset 0x10)", run_movaps},
    {"'mov eax", "not naturally aligned", "(offset 0x12)", run_misaligned_4},
    {"'mov ", "not naturally aligned", "(offset 0x14)", run_misaligned_8},
    {"'add ", "not naturally aligned", "(offset 0x11)", run_misaligned_2},
    {"'mov rax", "not naturally aligned", "(offset 0xffc)", run_past_end},
    {"'mov eax", "not naturally aligned", "(offset 0x0)", run_before_start},
    {"'push ", "not supported", "(offset 0x10)", run_push},
    {"'call ", "not supported", "(offset 0x10)", run_call},
    {"'fld ", "not supported", "(offset 0x10)", run_x87},
    {"'bt ", "not supported", "(offset 0x10)", run_bit_in_register},
    {"'addsd ", "not supported", "(offset 0x10)", run_add_scalar},
    {"'cvtsi2sd ", "not supported", "(offset 0x10)", run_convert},
    {"'pop ", "not supported", "(offset 0x10)", run_pop},
    {"'rcl ", "not supported", "(offset 0x10)", run_rotate_carry},
    {"'movq mm0", "not supported", "(offset 0x10)", run_mmx},
    {"'mov gs", "not supported", "(offset 0x10)", run_segment},
    {"'cmpxchg8b ", "not supported", "(offset 0x10)", run_wide_exchange},
    {"'rep movsd'", "not naturally aligned", "(offset 0x11)", run_copy_misaligned},
    {"'rep movsd'", "not naturally aligned", "(offset 0x0)", run_copy_before},
};

/* The trapped page has readable pages before and after it. */
static void *open_between_pages(void)
{
    uint8_t *pages =
        mmap(NULL, 3 * DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + DEVICE_BYTES, DEVICE_BYTES);
    device_open(device, pages + DEVICE_BYTES);
    return device->page;
}

static void do_refused(const void *argument)
{
    const struct refused *one = argument;
    one->run(open_between_pages());
}

static void odd_accesses_end_with_a_diagnosis(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const struct refused *one = &refused[i];
        assert_died_of_fault(one->mnemonic, run_child(do_refused, one));
        assert_said(one->mnemonic, "dextlink: cannot complete ");
        assert_said(one->mnemonic, one->mnemonic);
        assert_said(one->mnemonic, one->reason);
        assert_said(one->mnemonic, one->offset);
        assert_said(one->mnemonic, "volatile accesses of 1, 2, 4 or 8 bytes\n");
        assert_int_equal(device->count, 0);
    }
}

static void do_short_region(const void *argument)
{
    uint8_t *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    trap_region_add(page, 20, device_access, device, &device->region);
    *(volatile uint32_t *)(void *)(page + 16) = 1;
    (void)*(volatile uint64_t *)(void *)(page + 16);
}

static void do_divide_by_zero(const void *argument)
{
    void *page = open_between_pages();
    __asm__ volatile("xor %%edx, %%edx\n divl 16(%%rdi)" : : "D"(page), "a"(1) : "rdx", "cc");
}

static void impossible_divisions_are_diagnosed(void **state)
{
    assert_died_of_fault("divide", run_child(do_divide_by_zero, NULL));
    assert_said("divide", "divides by zero");
    assert_int_equal(device->count, 1);
}

static void regions_may_end_within_a_page(void **state)
{
    assert_died_of_fault("short region", run_child(do_short_region, NULL));
    assert_said("short region", "crosses the end");
    assert_int_equal(device->count, 1);
}

/* A C library's block copy may use vectors: then it ends, and never with wrong bytes. */
static void do_block_copy(const void *argument)
{
    uint8_t copy[256];
    device_open(device, NULL);
    memset(device->memory, 0xa5, sizeof(copy));
    void *(*volatile function)(void *, const void *, size_t) = memcpy;
    function(copy, device->page, sizeof(copy));
    for (size_t i = 0; i < sizeof(copy); i++) {
        if (copy[i] != 0xa5) {
            _exit(1);
        }
    }
}

static void block_copies_are_right_or_refused(void **state)
{
    int status = run_child(do_block_copy, NULL);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
    } else {
        assert_died_of_fault("memcpy", status);
        assert_said("memcpy", "wider than 8 bytes");
    }
}

static void recursive_access(void *context, uint64_t offset, unsigned width, bool is_write,
                             uint64_t *value)
{
    *value = *(volatile uint32_t *)context;
}

static void do_recursive(const void *argument)
{
    struct trap_region *region;
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    trap_region_add(page, 4096, recursive_access, page, &region);
    (void)*(volatile uint32_t *)page;
}

static void access_function_that_recurses_ends(void **state)
{
    assert_died_of_fault("recursion", run_child(do_recursive, NULL));
    assert_said("recursion", "the access function itself");
}

/* ---- other handlers ---- */

static sigjmp_buf after_fault;
static volatile sig_atomic_t fault_count;
static void *volatile fault_address;
static volatile sig_atomic_t usr1_was_blocked, segv_was_blocked;
static void *unmapped;

static void note(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    usr1_was_blocked = sigismember(&mask, SIGUSR1);
    segv_was_blocked = sigismember(&mask, SIGSEGV);
    fault_count++;
}

static void note_and_leave(int signal_number, siginfo_t *info, void *context)
{
    note();
    fault_address = info->si_addr;
    siglongjmp(after_fault, 1);
}

static void note_plainly(int signal_number)
{
    note();
    siglongjmp(after_fault, 1);
}

static void repair(int signal_number, siginfo_t *info, void *context)
{
    fault_count++;
    mprotect(unmapped, 4096, PROT_READ | PROT_WRITE);
}

static void open_with_handler(const struct sigaction *action)
{
    sigaction(SIGSEGV, action, NULL);
    fault_count = 0;
    memset(device, 0, sizeof(*device));
    device_open(device, NULL);
    unmapped = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void close_with_handler(void)
{
    device_close(device);
    munmap(unmapped, 4096);
}

static void fault_and_come_back(void *volatile address)
{
    if (sigsetjmp(after_fault, 1) == 0) {
        (void)*(volatile uint32_t *)address;
        fail_msg("no fault");
    }
}

static void faults_elsewhere_go_to_the_earlier_handler(void **state)
{
    struct sigaction action = {.sa_sigaction = note_and_leave, .sa_flags = SA_SIGINFO};
    sigaddset(&action.sa_mask, SIGUSR1);
    open_with_handler(&action);
    for (int i = 1; i <= 3; i++) {
        fault_and_come_back((uint8_t *)unmapped + 4 * i);
        assert_int_equal(fault_count, i);
        assert_ptr_equal(fault_address, (uint8_t *)unmapped + 4 * i);
        assert_true(usr1_was_blocked && segv_was_blocked);
        *(volatile uint32_t *)(void *)device->page = (uint32_t)i; /* ours still works */
        assert_int_equal(device->count, i);
    }
    close_with_handler();
}

static void plain_earlier_handlers_are_called_too(void **state)
{
    struct sigaction action = {.sa_handler = note_plainly, .sa_flags = SA_NODEFER};
    open_with_handler(&action);
    fault_and_come_back(unmapped);
    fault_and_come_back(unmapped);
    assert_int_equal(fault_count, 2);
    assert_false(usr1_was_blocked || segv_was_blocked);
    close_with_handler();
}

static void earlier_handlers_may_repair_and_return(void **state)
{
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
    open_with_handler(&action);
    errno = EDOM;
    *(volatile uint32_t *)unmapped = 7;
    assert_int_equal(*(volatile uint32_t *)unmapped, 7);
    assert_int_equal(fault_count, 1);
    assert_int_equal(errno, EDOM);
    close_with_handler();
}

static void refused_accesses_go_to_the_earlier_handler(void **state)
{
    struct sigaction action = {.sa_sigaction = note_and_leave, .sa_flags = SA_SIGINFO};
    int null = open("/dev/null", O_WRONLY);
    int kept = dup(STDERR_FILENO);
    open_with_handler(&action);
    dup2(null, STDERR_FILENO);
    if (sigsetjmp(after_fault, 1) == 0) {
        run_movups_load(device->page);
    }
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(null);
    assert_int_equal(fault_count, 1);
    assert_ptr_equal(fault_address, device->page + 16);
    close_with_handler();
}

static void running_trapped_memory_is_an_ordinary_fault(void **state)
{
    struct sigaction action = {.sa_sigaction = note_and_leave, .sa_flags = SA_SIGINFO};
    open_with_handler(&action);
    if (sigsetjmp(after_fault, 1) == 0) {
        void (*function)(void) = (void (*)(void))(uintptr_t)(device->page + 0x20);
        function();
    }
    assert_int_equal(fault_count, 1);
    assert_ptr_equal(fault_address, device->page + 0x20);
    assert_int_equal(device->count, 0);
    close_with_handler();
}

static void do_fault_elsewhere(const void *action)
{
    open_with_handler(action);
    (void)*(volatile uint32_t *)unmapped;
}

static void do_kill_self(const void *action)
{
    open_with_handler(action);
    raise(SIGSEGV);
}

static void default_and_ignored_faults_end_the_process(void **state)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    assert_died_of_fault("default", run_child(do_fault_elsewhere, &by_default));
    assert_string_equal(child_output, "");
    assert_died_of_fault("ignored", run_child(do_fault_elsewhere, &ignored));
    assert_string_equal(child_output, "");
    assert_died_of_fault("kill", run_child(do_kill_self, &by_default));
    assert_int_equal(run_child(do_kill_self, &ignored), 0);
}

static void do_fault_twice(const void *action)
{
    open_with_handler(action);
    fault_and_come_back(unmapped);
    if (write(STDERR_FILENO, "once", 4) == 4) {
        (void)*(volatile uint32_t *)unmapped;
    }
}

static void one_shot_handlers_run_once(void **state)
{
    struct sigaction action = {.sa_handler = note_plainly, .sa_flags = (int)SA_RESETHAND};
    assert_died_of_fault("one-shot", run_child(do_fault_twice, &action));
    assert_string_equal(child_output, "once");
}

static struct sigaction displaced;

static void hand_back(int signal_number, siginfo_t *info, void *context)
{
    fault_count++;
    displaced.sa_sigaction(signal_number, info, context);
}

/* Theirs hands on to ours, ours is put in front again and hands on to theirs: no endless loop. */
static void do_handlers_in_a_ring(const void *argument)
{
    struct device second;
    struct sigaction action = {.sa_sigaction = hand_back, .sa_flags = SA_SIGINFO};
    struct sigaction earliest = {.sa_sigaction = note_and_leave, .sa_flags = SA_SIGINFO};
    open_with_handler(&earliest);
    sigaction(SIGSEGV, &action, &displaced);
    device_open(&second, NULL);
    *(volatile uint8_t *)device->page = 1;
    *(volatile uint8_t *)second.page = 1;
    for (int i = 1; i <= 3; i++) {
        fault_and_come_back(unmapped);
        if (fault_count != 2 * i) {
            _exit(1);
        }
    }
    _exit(second.count == 1 && device->count == 1 ? 42 : 2);
}

static void handlers_in_a_ring_end(void **state)
{
    int status = run_child(do_handlers_in_a_ring, NULL);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 42) {
        fail_msg("status %#x, stderr: %s", (unsigned)status, child_output);
    }
}

/* Asynchronous signals wait until the access is done, so that their handlers may use the device. */
static volatile sig_atomic_t usr1_count;

static void use_device(int signal_number)
{
    usr1_count++;
    *(volatile uint8_t *)(device->page + 8) = 1;
}

static void raising_access(void *context, uint64_t offset, unsigned width, bool is_write,
                           uint64_t *value)
{
    if (offset == 0) {
        raise(SIGUSR1);
        *value = (uint64_t)usr1_count;
    }
}

static void signals_wait_for_the_access(void **state)
{
    struct trap_region *region;
    struct device here = {0};
    struct device *kept = device;
    if (UNDER_TSAN) {
        skip();
    }
    device = &here;
    here.page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(trap_region_add(here.page, 4096, raising_access, NULL, &region), 0);
    signal(SIGUSR1, use_device);
    assert_int_equal(*(volatile uint8_t *)here.page, 0);
    assert_int_equal(usr1_count, 1);
    signal(SIGUSR1, SIG_DFL);
    trap_region_remove(region);
    munmap(here.page, 4096);
    device = kept;
}

/* ---- regions ---- */

static void bad_regions_are_refused(void **state)
{
    struct trap_region *region = NULL, *first;
    uint8_t *base = (uint8_t *)0x10000;
    assert_true(trap_is_supported());
    assert_int_equal(trap_region_add(NULL, 1, device_access, NULL, &region), -EINVAL);
    assert_int_equal(trap_region_add(base, 0, device_access, NULL, &region), -EINVAL);
    assert_int_equal(trap_region_add(base, SIZE_MAX, device_access, NULL, &region), -EINVAL);
    assert_int_equal(trap_region_add(base, 1, NULL, NULL, &region), -EINVAL);
    assert_int_equal(trap_region_add(base, 1, device_access, NULL, NULL), -EINVAL);
    assert_int_equal(trap_region_add(base, 0x1000, device_access, NULL, &first), 0);
    assert_int_equal(trap_region_add(base + 0xfff, 1, device_access, NULL, &region), -EEXIST);
    assert_int_equal(trap_region_add(base - 1, 2, device_access, NULL, &region), -EEXIST);
    assert_null(region);
    assert_int_equal(trap_region_add(base + 0x1000, 1, device_access, NULL, &region), 0);
    trap_region_remove(region);
    trap_region_remove(first);
    trap_region_remove(NULL);
}

static void removed_regions_fault_and_are_reused(void **state)
{
    struct sigaction action = {.sa_sigaction = note_and_leave, .sa_flags = SA_SIGINFO};
    open_with_handler(&action);
    struct trap_region *seen = device->region;
    for (int i = 1; i <= 200; i++) {
        device->count = 0;
        *(volatile uint16_t *)(void *)(device->page + 2) = 3;
        assert_int_equal(device->count, 1);
        trap_region_remove(device->region);
        if (i % 50 == 0) {
            fault_and_come_back(device->page);
            assert_int_equal(fault_count, i / 50);
        }
        assert_int_equal(
            trap_region_add(device->page, DEVICE_BYTES, device_access, device, &device->region), 0);
        assert_ptr_equal(device->region, seen); /* no growth */
    }
    close_with_handler();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_accesses_end_with_a_diagnosis),
        cmocka_unit_test(impossible_divisions_are_diagnosed),
        cmocka_unit_test(regions_may_end_within_a_page),
        cmocka_unit_test(block_copies_are_right_or_refused),
        cmocka_unit_test(access_function_that_recurses_ends),
        cmocka_unit_test(faults_elsewhere_go_to_the_earlier_handler),
        cmocka_unit_test(plain_earlier_handlers_are_called_too),
        cmocka_unit_test(earlier_handlers_may_repair_and_return),
        cmocka_unit_test(refused_accesses_go_to_the_earlier_handler),
        cmocka_unit_test(running_trapped_memory_is_an_ordinary_fault),
        cmocka_unit_test(default_and_ignored_faults_end_the_process),
        cmocka_unit_test(one_shot_handlers_run_once),
        cmocka_unit_test(handlers_in_a_ring_end),
        cmocka_unit_test(signals_wait_for_the_access),
        cmocka_unit_test(bad_regions_are_refused),
        cmocka_unit_test(removed_regions_fault_and_are_reused),
    };
    device = mmap(NULL, sizeof(*device), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return device == MAP_FAILED || cmocka_run_group_tests_name("trap_process", tests, NULL, NULL);
}
