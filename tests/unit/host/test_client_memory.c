/*
 * Client memory: which path a region takes, and that every path shows both sides the same bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "client_child.h"
#include "client_memory_fixture.h"

static void test_paths(void **state)
{
    unsigned fds = count_fds();
    int sealed = make_memfd("sealed", 8 * UNIT, F_SEAL_SHRINK);
    int open_ended = make_memfd("open-ended", 8 * UNIT, 0);
    unsigned char *a = map_file(sealed, 8 * UNIT, PROT_READ | PROT_WRITE, 0);
    unsigned char *b = map_file(open_ended, 8 * UNIT, PROT_READ | PROT_WRITE, 0);
    unsigned char *c =
        mmap(NULL, 8 * UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *d =
        mmap(NULL, 8 * UNIT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char *e = mmap(NULL, 8 * UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE, sealed, 0);
    const struct {
        unsigned char *address;
        const char *path;
    } rows[] = {{a, MAPPED}, {b, FILED}, {c, COPIED}, {d, ANY_PATH}, {e, COPIED}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dma_memory *whole = describe(*state, rows[i].address, 8 * UNIT, rows[i].path);
        /* An odd start and size that crosses a page. */
        struct dma_memory *odd = describe(*state, rows[i].address + 4093, UNIT + 3, rows[i].path);
        assert_same_bytes(whole, rows[i].address);
        assert_same_bytes(odd, rows[i].address + 4093);
        release(odd);
        assert_same_bytes(whole, rows[i].address);
        release(whole);
        munmap(rows[i].address, 8 * UNIT);
    }
    close(sealed);
    close(open_ended);
    assert_int_equal(count_fds(), fds + 1); /* the process's list of mappings */
}

static void test_part_of_file(void **state)
{
    int fd = make_memfd("part", 16 * UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, 4 * UNIT, PROT_READ | PROT_WRITE, 8 * UNIT);
    struct dma_memory *memory = describe(*state, address + 100, UNIT, MAPPED);
    unsigned char byte = 0x5a;
    assert_int_equal(pwrite(fd, &byte, 1, 8 * UNIT + 100 + 7), 1);
    assert_int_equal(device_reads(memory, 7), 0x5a);
    release(memory);
    munmap(address, 4 * UNIT);
    close(fd);
}

static void test_later_mapping(void **state)
{
    const int seals[] = {F_SEAL_SHRINK, 0};
    for (unsigned i = 0; i < 2; i++) {
        int fd = make_memfd("replaced", UNIT, seals[i]);
        unsigned char *address = map_file(fd, UNIT, PROT_READ | PROT_WRITE, 0);
        struct dma_memory *memory = describe(*state, address, UNIT, i == 0 ? MAPPED : FILED);
        address[5] = 0x77;
        void *other = mmap(address, UNIT, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        assert_ptr_equal(other, address);
        assert_int_equal(device_reads(memory, 5), 0x77);
        assert_int_equal(device_writes(memory, 6, 0x78), 0);
        assert_int_equal(address[6], 0);
        unsigned char byte = 0;
        assert_int_equal(pread(fd, &byte, 1, 6), 1);
        assert_int_equal(byte, 0x78);
        release(memory);
        munmap(address, UNIT);
        close(fd);
    }
}

/* Two mappings side by side that the kernel does not merge. */
static unsigned char *map_two(int fd, off_t first, off_t second, int second_protection)
{
    unsigned char *address = mmap(NULL, 4 * UNIT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(address, MAP_FAILED);
    mmap(address, 2 * UNIT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, first);
    mmap(address + 2 * UNIT, 2 * UNIT, second_protection, MAP_SHARED | MAP_FIXED, fd, second);
    assert_int_equal(madvise(address + 2 * UNIT, 2 * UNIT, MADV_DONTDUMP), 0);
    return address;
}

static void test_two_mappings(void **state)
{
    int fd = make_memfd("two-parts", 8 * UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_two(fd, UNIT, 3 * UNIT, PROT_READ | PROT_WRITE);
    assert_int_equal(count_mappings("two-parts"), 2);
    struct dma_memory *memory = describe(*state, address + UNIT, 2 * UNIT, MAPPED);
    assert_int_equal(count_mappings("two-parts"), 3);
    assert_same_bytes(memory, address + UNIT);
    release(memory);
    munmap(address, 4 * UNIT);

    address = map_two(fd, UNIT, 4 * UNIT, PROT_READ | PROT_WRITE);
    memory = describe(*state, address + UNIT, 2 * UNIT, COPIED);
    assert_same_bytes(memory, address + UNIT);
    release(memory);
    munmap(address, 4 * UNIT);

    address = map_two(fd, UNIT, 3 * UNIT, PROT_READ);
    memory = describe(*state, address + UNIT, 2 * UNIT, COPIED);
    assert_int_equal(device_writes(memory, 0, 1), 0);
    assert_int_equal(device_writes(memory, UNIT, 1), -EFAULT);
    release(memory);
    munmap(address, 4 * UNIT);
    close(fd);
}

static void test_grown(void **state)
{
    int fd = make_memfd("grown", 3 * UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, 64 * UNIT, PROT_READ | PROT_WRITE, 0);
    struct dma_memory *before = describe(*state, address, 3 * UNIT, MAPPED);
    struct dma_memory *past = NULL;
    assert_int_equal(try_describe(*state, address, 4 * UNIT, &past), -EFAULT);
    assert_null(past);
    assert_int_equal(ftruncate(fd, 4 * UNIT), 0);
    struct dma_memory *within = describe(*state, address, 4 * UNIT, MAPPED);
    assert_int_equal(count_mappings("grown"), 2); /* ours, and the host's with room to grow */
    assert_int_equal(ftruncate(fd, 64 * UNIT), 0);
    struct dma_memory *after = describe(*state, address, 64 * UNIT, MAPPED);
    assert_same_bytes(before, address);
    assert_same_bytes(within, address);
    assert_same_bytes(after, address);
    release(before);
    release(within);
    assert_same_bytes(after, address);
    release(after);
    assert_int_equal(count_mappings("grown"), 1);
    munmap(address, 64 * UNIT);
    close(fd);
}

static void test_truncated(void **state)
{
    int fd = make_memfd("truncated", 4 * UNIT, 0);
    unsigned char *address = map_file(fd, 4 * UNIT, PROT_READ | PROT_WRITE, 0);
    struct dma_memory *memory = describe(*state, address, 4 * UNIT, FILED);
    unsigned char bytes[2 * UNIT] = {0};
    assert_int_equal(ftruncate(fd, UNIT + 10), 0);
    assert_int_equal(device_reads(memory, UNIT + 9), 0);
    assert_int_equal(device_reads(memory, UNIT + 10), -EFAULT);
    assert_int_equal(memory->ops->read(memory, 0, bytes, sizeof(bytes)), -EFAULT);
    assert_int_equal(memory->ops->write(memory, 0, bytes, sizeof(bytes)), -EFAULT);
    assert_int_equal(device_writes(memory, 3 * UNIT, 1), -EFAULT);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, UNIT + 10); /* the device does not bring back what was cut */
    release(memory);
    munmap(address, 4 * UNIT);
    close(fd);
}

static void test_read_only(void **state)
{
    char path[] = "/tmp/dextlink-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 2 * UNIT), 0);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    unsigned char *readable = map_file(read_only, 2 * UNIT, PROT_READ, 0);
    unsigned char *writable = map_file(fd, 2 * UNIT, PROT_READ | PROT_WRITE, 0);
    struct dma_memory *one = describe(*state, readable, 2 * UNIT, ANY_PATH);
    struct dma_memory *both = describe(*state, writable, 2 * UNIT, ANY_PATH);
    struct dma_memory *again = describe(*state, readable, 2 * UNIT, ANY_PATH);
    assert_same_bytes(both, writable);
    assert_int_equal(device_reads(one, 0), 0x33);
    assert_int_equal(device_reads(again, 0), 0x33);
    assert_int_equal(device_writes(one, 0, 1), -EFAULT);
    assert_int_equal(device_writes(again, 0, 1), -EFAULT);
    assert_int_equal(readable[0], 0x33);
    release(both);
    assert_int_equal(device_reads(one, 0), 0x33);
    release(one);
    release(again);
    munmap(readable, 2 * UNIT);
    munmap(writable, 2 * UNIT);
    close(read_only);
    close(fd);

    fd = make_memfd("looked-at", UNIT, F_SEAL_SHRINK);
    readable = map_file(fd, UNIT, PROT_READ, 0);
    one = describe(*state, readable, UNIT, MAPPED);
    assert_int_equal(device_writes(one, 0, 1), -EFAULT);
    assert_int_equal(device_reads(one, 0), 0);
    release(one);
    munmap(readable, UNIT);
    close(fd);
}

/* A file that the host may not open by its mode: the client's own open file serves, unless its
 * flags would change what a write means. */
static void test_not_ours_to_open(void **state)
{
    uid_t before = geteuid();
    int fd = make_memfd("forbidden", UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, UNIT, PROT_READ | PROT_WRITE, 0);
    assert_int_equal(fchmod(fd, 0), 0);
    if (before == 0) {
        assert_int_equal(seteuid(65534), 0);
    }
    struct dma_memory *memory = describe(*state, address, UNIT, MAPPED);
    assert_same_bytes(memory, address);
    release(memory);
    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    memory = describe(*state, address, UNIT, COPIED);
    assert_same_bytes(memory, address);
    release(memory);
    assert_int_equal(seteuid(before), 0);
    munmap(address, UNIT);
    close(fd);
}

static void test_sealed_against_writing(void **state)
{
    int fd = make_memfd("last-writer", UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, UNIT, PROT_READ | PROT_WRITE, 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
    struct dma_memory *memory = describe(*state, address, UNIT, COPIED);
    assert_same_bytes(memory, address);
    release(memory);
    munmap(address, UNIT);
    close(fd);
}

static void test_own_file_size_limit(void **state)
{
    struct rlimit before, limit;
    int fd = make_memfd("limited", 4 * UNIT, 0);
    unsigned char *address = map_file(fd, 4 * UNIT, PROT_READ | PROT_WRITE, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = UNIT, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct dma_memory *memory = describe(*state, address, 4 * UNIT, COPIED);
    assert_same_bytes(memory, address);
    release(memory);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    munmap(address, 4 * UNIT);
    close(fd);
}

static void test_closed_descriptor(void **state)
{
    int fd = make_memfd("closed", 2 * UNIT, F_SEAL_SHRINK);
    unsigned char *address = map_file(fd, 2 * UNIT, PROT_READ | PROT_WRITE, 0);
    close(fd);
    struct dma_memory *first = describe(*state, address, 2 * UNIT, ANY_PATH);
    struct dma_memory *second = describe(*state, address + UNIT, UNIT, ANY_PATH);
    assert_same_bytes(first, address);
    assert_same_bytes(second, address + UNIT);
    release(first);
    release(second);
    munmap(address, 2 * UNIT);
}

static void test_bad_ranges(void **state)
{
    struct dma_memory *memory = NULL;
    unsigned char *address =
        mmap(NULL, 4 * UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(address + UNIT, UNIT);
    assert_int_equal(try_describe(*state, address, 3 * UNIT, &memory), -EFAULT);
    assert_null(memory);
    int fd = make_memfd("hole", 4 * UNIT, F_SEAL_SHRINK);
    mmap(address, 4 * UNIT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    munmap(address + UNIT, UNIT);
    assert_int_equal(try_describe(*state, address, 3 * UNIT, &memory), -EFAULT);
    mprotect(address, UNIT, PROT_NONE);
    assert_int_equal(try_describe(*state, address, UNIT, &memory), -EFAULT);
    assert_int_equal(try_describe(*state, (void *)(UINTPTR_MAX - 10), 10, &memory), -EFAULT);
    assert_non_null(strstr(last_line, "cannot be reached"));
    munmap(address, 4 * UNIT);
    close(fd);
}

/* The child's memory: mapped by the parent before the fork, and then by the child alone. */
static unsigned char *child_address;

static unsigned char child_serve(unsigned char command)
{
    switch (command) {
    case 's': /* store */
        child_address[1] = 0x61;
        return 0;
    case 'l': /* load */
        return child_address[2];
    default: /* map something else there */
        return mmap(child_address, UNIT, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED;
    }
}

static void assert_child(struct dma_memory *memory, struct client_child *child)
{
    assert_int_equal(client_child_tell(child, 's'), 0);
    assert_int_equal(device_reads(memory, 1), 0x61);
    assert_int_equal(device_writes(memory, 2, 0x62), 0);
    assert_int_equal(client_child_tell(child, 'l'), 0x62);
}

static void test_foreign(void **state)
{
    (void)state;
    unsigned fds = count_fds();
    int fd = make_memfd("foreign", 4 * UNIT, F_SEAL_SHRINK);
    child_address = map_file(fd, 4 * UNIT, PROT_READ | PROT_WRITE, 0);
    struct client_child child = client_child_start(child_serve);
    munmap(child_address, 4 * UNIT);
    close(fd);
    struct client_process *process = process_create(child.pid);
    struct dma_memory *memory = describe(process, child_address, 4 * UNIT, MAPPED);
    assert_child(memory, &child);
    assert_int_equal(client_child_tell(&child, 'x'), 0);
    assert_int_equal(device_reads(memory, 1), 0x61);

    client_child_kill(&child);
    assert_int_equal(device_reads(memory, 1), 0x61);
    assert_int_equal(device_writes(memory, 1, 0x63), 0);
    struct dma_memory *late = NULL;
    assert_int_equal(try_describe(process, child_address, UNIT, &late), -ESRCH);
    atomic_store(&process->is_gone, true);
    assert_int_equal(try_describe(process, child_address, UNIT, &late), -ESRCH);
    client_process_put(process);
    assert_int_equal(device_reads(memory, 1), 0x63);
    assert_int_equal(count_mappings("foreign"), 1);
    release(memory);
    assert_int_equal(count_mappings("foreign"), 0);
    assert_int_equal(count_fds(), fds);
}

static void test_foreign_private(void **state)
{
    (void)state;
    child_address =
        mmap(NULL, 4 * UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct client_child child = client_child_start(child_serve);
    munmap(child_address, 4 * UNIT);
    struct client_process *process = process_create(child.pid);
    struct dma_memory *memory = describe(process, child_address, 4 * UNIT, COPIED);
    assert_child(memory, &child);
    client_child_kill(&child);
    assert_int_equal(device_reads(memory, 1), -EFAULT);
    release(memory);
    client_process_put(process);
}

int main(int argc, char **argv)
{
    is_text_only = argc > 1 && strcmp(argv[1], "text") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_paths, start, finish),
        cmocka_unit_test_setup_teardown(test_part_of_file, start, finish),
        cmocka_unit_test_setup_teardown(test_later_mapping, start, finish),
        cmocka_unit_test_setup_teardown(test_two_mappings, start, finish),
        cmocka_unit_test_setup_teardown(test_grown, start, finish),
        cmocka_unit_test_setup_teardown(test_truncated, start, finish),
        cmocka_unit_test_setup_teardown(test_read_only, start, finish),
        cmocka_unit_test_setup_teardown(test_not_ours_to_open, start, finish),
        cmocka_unit_test_setup_teardown(test_sealed_against_writing, start, finish),
        cmocka_unit_test_setup_teardown(test_own_file_size_limit, start, finish),
        cmocka_unit_test_setup_teardown(test_closed_descriptor, start, finish),
        cmocka_unit_test_setup_teardown(test_bad_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_foreign, start, finish),
        cmocka_unit_test_setup_teardown(test_foreign_private, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
