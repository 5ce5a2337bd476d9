/*
 * What describing a region costs in system calls: alone, and as one of a batch; and that the kernel
 * is asked again as soon as it must be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/uio.h>

#include "abi/dext_abi.h"
#include "client_memory_fixture.h"

enum { ENTRIES = 1200 }; /* more than two calls of the copying kind take */

/* Calls since the last look, by kind. */
static struct {
    unsigned queries, copies, mappings, opened;
} calls;

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    calls.queries++;
    return __real_ioctl(fd, request, argument);
}

ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
                                const struct iovec *remote, unsigned long remote_count,
                                unsigned long flags);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
                                const struct iovec *remote, unsigned long remote_count,
                                unsigned long flags);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count,
                                const struct iovec *remote, unsigned long remote_count,
                                unsigned long flags)
{
    calls.copies++;
    return __real_process_vm_readv(pid, local, local_count, remote, remote_count, flags);
}

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    calls.mappings++;
    return __real_mmap(address, bytes, protection, flags, fd, offset);
}

int __real_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...)
{
    calls.opened++;
    return __real_openat(directory, path, flags);
}

static void clear_calls(void)
{
    memset(&calls, 0, sizeof(calls));
}

static bool is_silent(void)
{
    return !calls.copies && !calls.mappings && !calls.opened;
}

static struct dext_dma_request entries[ENTRIES];
static struct dma_memory *memories[ENTRIES];

/* Entries of bytes each, one after another. */
static void fill(const void *address, uint64_t bytes)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        entries[i] = (struct dext_dma_request){
            .iova = i, .address = (uintptr_t)address + i * bytes, .bytes = bytes};
    }
}

static void describe_all(struct client_process *process, struct client_hold *hold)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(try_describe_held(process, hold, (void *)(uintptr_t)entries[i].address,
                                           entries[i].bytes, &memories[i]),
                         0);
    }
}

static void release_all(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        release(memories[i]);
    }
}

static void a_file_costs_one_question_a_region(void **state)
{
    const size_t bytes = ENTRIES * 4096;
    int fd = make_memfd("asked", bytes, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, bytes, PROT_READ | PROT_WRITE, 0);
    struct dma_memory *first = describe(*state, address, 4096, MAPPED);
    fill(address, 4096);
    clear_calls();
    describe_all(*state, NULL);
    assert_int_equal(calls.queries, ENTRIES);
    assert_true(is_silent());
    assert_int_equal(count_mappings("asked"), 2); /* ours and the host's */
    address[4096 * 77 + 5] = 0x77;
    assert_int_equal(device_reads(memories[77], 5), 0x77);
    assert_int_equal(device_writes(memories[ENTRIES - 1], 4095, 0x5a), 0);
    assert_int_equal(address[bytes - 1], 0x5a);
    clear_calls();
    release_all();
    assert_true(calls.queries == 0 && is_silent());
    release(first);
    munmap(address, bytes);
    close(fd);
}

static void a_batch_of_a_file_costs_one_question(void **state)
{
    const size_t bytes = ENTRIES * 4096;
    int fd = make_memfd("batch", bytes, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, bytes, PROT_READ | PROT_WRITE, 0);
    struct dma_memory *first = describe(*state, address, 4096, MAPPED);
    fill(address, 4096);
    struct client_hold hold = {.requests = entries, .count = ENTRIES};
    clear_calls();
    describe_all(*state, &hold);
    assert_int_equal(calls.queries, 1);
    assert_true(is_silent());
    for (size_t i = 0; i < ENTRIES; i += 99) {
        address[i * 4096 + 9] = (unsigned char)i;
        assert_int_equal(device_reads(memories[i], 9), (unsigned char)i);
    }
    release_all();
    release(first);
    munmap(address, bytes);
    close(fd);
}

/* The same addresses, another file: the next request sees it, a batch too. */
static void what_was_mapped_anew_is_seen(void **state)
{
    const size_t bytes = 16 * 4096;
    int files[2];
    for (int i = 0; i < 2; i++) {
        unsigned char mark = (unsigned char)(0x10 + i);
        files[i] = make_memfd("anew", bytes, F_SEAL_SHRINK);
        assert_int_equal(pwrite(files[i], &mark, 1, 4096), 1);
    }
    unsigned char *address = map_file(files[0], bytes, PROT_READ | PROT_WRITE, 0);
    for (int i = 0; i < 8; i++) {
        struct client_hold hold = {.requests = entries, .count = 2};
        struct dma_memory *of[2];
        assert_ptr_equal(
            mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, files[i % 2], 0),
            address);
        entries[0] = (struct dext_dma_request){0, (uintptr_t)address, 4096};
        entries[1] = (struct dext_dma_request){1, (uintptr_t)address + 4096, 4096};
        for (int n = 0; n < 2; n++) {
            assert_int_equal(
                try_describe_held(*state, i % 3 ? &hold : NULL, address + n * 4096, 4096, &of[n]),
                0);
        }
        assert_int_equal(device_reads(of[1], 0), 0x10 + i % 2);
        release(of[0]);
        release(of[1]);
    }
    munmap(address, bytes);
    close(files[0]);
    close(files[1]);
}

/* Two files side by side: each mapping is asked for, and one that ends is not stretched. */
static void batches_cross_mappings(void **state)
{
    const size_t half = ENTRIES / 2 * 4096;
    int a = make_memfd("left", half, F_SEAL_SHRINK);
    int b = make_memfd("right", half + 4096, F_SEAL_SHRINK);
    unsigned char *address = mmap(NULL, 2 * half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mmap(address, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a, 0);
    mmap(address + half, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b, 4096);
    fill(address, 4096);
    struct client_hold hold = {.requests = entries, .count = ENTRIES};
    describe_all(*state, &hold);
    for (size_t i = 0; i < ENTRIES; i++) {
        address[i * 4096] = (unsigned char)(i % 251);
        assert_int_equal(device_reads(memories[i], 0), (int)(i % 251));
    }
    release_all();
    munmap(address, 2 * half);
    close(a);
    close(b);
}

static void private_pages_are_touched_together(void **state)
{
    const size_t bytes = ENTRIES * 4096;
    unsigned char *address =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fill(address, 4096);
    struct client_hold hold = {.requests = entries, .count = ENTRIES};
    clear_calls();
    describe_all(*state, &hold);
    assert_int_equal(calls.queries, 1);
    assert_int_equal(calls.copies, 3); /* 512 pages each */
    address[5000] = 0x31;
    assert_int_equal(device_reads(memories[1], 5000 - 4096), 0x31);
    release_all();

    /* A hole is found all the same, and only who lies in it pays. */
    munmap(address + 7 * 4096, 4096);
    struct client_hold again = {.requests = entries, .count = ENTRIES};
    for (size_t i = 0; i < 16; i++) {
        struct dma_memory *memory = NULL;
        int error = try_describe_held(*state, &again, address + i * 4096, 4096, &memory);
        assert_int_equal(error, i == 7 ? -EFAULT : 0);
        if (memory) {
            release(memory);
        }
    }
    munmap(address, bytes);
}

/* Entries that make no sense are somebody else's to refuse. */
static void entries_that_wrap(void **state)
{
    static unsigned char page[4096];
    struct dma_memory *memory = NULL;
    for (int i = 0; i < 2; i++) {
        entries[0] = (struct dext_dma_request){0, (uintptr_t)page, 4096};
        entries[1] = (struct dext_dma_request){1, i ? 4096 : UINT64_MAX, i ? 0 : 4096};
        struct client_hold hold = {.requests = entries, .count = 2};
        assert_int_equal(try_describe_held(*state, &hold, page, 4096, &memory), 0);
        release(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_costs_one_question_a_region, start, finish),
        cmocka_unit_test_setup_teardown(a_batch_of_a_file_costs_one_question, start, finish),
        cmocka_unit_test_setup_teardown(what_was_mapped_anew_is_seen, start, finish),
        cmocka_unit_test_setup_teardown(batches_cross_mappings, start, finish),
        cmocka_unit_test_setup_teardown(private_pages_are_touched_together, start, finish),
        cmocka_unit_test_setup_teardown(entries_that_wrap, start, finish),
    };
    /* Older kernels print their list; nothing below 64 KiB is asked of them. */
    struct client_maps maps;
    struct client_mapping mapping;
    client_maps_init(&maps, &(struct client_owner){.pid = getpid(), .uid = geteuid()});
    (void)client_maps_find(&maps, (uintptr_t)entries, 1, &mapping);
    bool is_old = maps.is_text_only;
    client_maps_close(&maps);
    if (is_old) {
        print_message("1..0 # SKIP this kernel has no query for mappings\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
