/*
 * What a client has mapped where: the kernel's query, and the text of older kernels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client_child.h"
#include "host/client_mapping.h"

#define PAGE       4096
#define FILE_PAGES 64

static int start(void **state)
{
    /* What looks like the list's own text must not confuse its reader. */
    int fd = memfd_create("a name (deleted) 7f00-8f00 rw-s\n1", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, FILE_PAGES * PAGE), 0);
    *state = (void *)(uintptr_t)fd;
    return 0;
}

static int finish(void **state)
{
    close((int)(uintptr_t)*state);
    return 0;
}

static unsigned char *map_file(int fd, unsigned pages, unsigned first)
{
    unsigned char *address = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                                  fd, (off_t)first * PAGE);
    assert_ptr_not_equal(address, MAP_FAILED);
    return address;
}

/* Ask both ways where this kernel has both; they must agree. */
static int find(const void *address, uint64_t bytes, struct client_mapping *out)
{
    struct client_maps maps;
    struct client_mapping by_query = {0};
    client_maps_init(&maps, &(struct client_owner){.pid = getpid(), .uid = geteuid()});
    int first = client_maps_find(&maps, (uintptr_t)address, bytes, &by_query);
    bool has_query = !maps.is_text_only;
    maps.is_text_only = true;
    int error = client_maps_find(&maps, (uintptr_t)address, bytes, out);
    client_maps_close(&maps);
    if (has_query) {
        assert_int_equal(first, error);
    }
    if (has_query && !error) {
        assert_int_equal(by_query.device, out->device);
        assert_int_equal(by_query.inode, out->inode);
        assert_int_equal(by_query.file_offset, out->file_offset);
        assert_int_equal(by_query.map_start, out->map_start);
        assert_int_equal(by_query.map_end, out->map_end);
        assert_int_equal(by_query.is_writable, out->is_writable);
    }
    return error;
}

static void test_file(void **state)
{
    int fd = (int)(uintptr_t)*state;
    struct client_mapping mapping;
    struct stat status;
    unsigned char *address = map_file(fd, 32, 8);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(find(address + 7, 20 * PAGE, &mapping), 0);
    assert_int_equal(mapping.device, status.st_dev);
    assert_int_equal(mapping.inode, status.st_ino);
    assert_int_equal(mapping.file_offset, 8 * PAGE + 7);
    assert_int_equal(mapping.map_start, (uintptr_t)address);
    assert_int_equal(mapping.map_end, (uintptr_t)address + 32 * PAGE);
    assert_true(mapping.is_writable);
    assert_int_equal(find(address, 32 * PAGE, &mapping), 0);
    munmap(address, 32 * PAGE);
}

static void test_protection(void **state)
{
    struct client_mapping mapping;
    unsigned char *address = map_file((int)(uintptr_t)*state, 32, 0);
    mprotect(address, 32 * PAGE, PROT_READ);
    assert_int_equal(find(address, 20 * PAGE, &mapping), 0);
    assert_false(mapping.is_writable);
    mprotect(address, 32 * PAGE, PROT_NONE);
    assert_int_equal(find(address, 20 * PAGE, &mapping), -ENOENT);
    mprotect(address, 32 * PAGE, PROT_READ | PROT_WRITE);
    mprotect(address, PAGE, PROT_READ);
    assert_int_equal(find(address, 20 * PAGE, &mapping), -ENOENT);
    munmap(address, 32 * PAGE);
}

static void test_not_a_shared_file(void **state)
{
    struct client_mapping mapping;
    int fd = (int)(uintptr_t)*state;
    size_t bytes = 32 * PAGE;
    unsigned char *address = map_file(fd, 32, 0);
    munmap(address + 31 * PAGE, PAGE);
    assert_int_equal(find(address, bytes, &mapping), -ENOENT);
    munmap(address, bytes);
    assert_int_equal(find(address, bytes, &mapping), -ENOENT);
    address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_int_equal(find(address, bytes, &mapping), -ENOENT);
    munmap(address, bytes);
    address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(find(address, bytes, &mapping), -ENOENT);
    munmap(address, bytes);
    assert_int_equal(find((void *)(UINTPTR_MAX - 70000), 65536, &mapping), -ENOENT);
}

static void test_two_mappings(void **state)
{
    struct client_mapping mapping;
    int fd = (int)(uintptr_t)*state;
    const struct {
        off_t second;
        int expected;
    } rows[] = {{20, 0}, {21, -ENOENT}, {4, -ENOENT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char *address =
            mmap(NULL, 32 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mmap(address, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 4 * PAGE);
        mmap(address + 16 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
             rows[i].second * PAGE);
        /* Keeps the kernel from making one of the two. */
        assert_int_equal(madvise(address + 16 * PAGE, 16 * PAGE, MADV_DONTDUMP), 0);
        assert_int_equal(find(address + PAGE, 31 * PAGE, &mapping), rows[i].expected);
        if (rows[i].expected == 0) {
            assert_int_equal(mapping.file_offset, 5 * PAGE);
            assert_int_equal(mapping.map_end, (uintptr_t)address + 16 * PAGE);
        }
        munmap(address, 32 * PAGE);
    }
}

static void test_small_range_as_text(void **state)
{
    struct client_maps maps;
    struct client_mapping mapping;
    unsigned char *address = map_file((int)(uintptr_t)*state, 32, 0);
    client_maps_init(&maps, &(struct client_owner){.pid = getpid(), .uid = geteuid()});
    maps.is_text_only = true;
    assert_int_equal(client_maps_find(&maps, (uintptr_t)address, 65535, &mapping), -EOPNOTSUPP);
    assert_int_equal(client_maps_find(&maps, (uintptr_t)address, 65536, &mapping), 0);
    client_maps_close(&maps);
    munmap(address, 32 * PAGE);
}

/* Pages that may be read and written, only read, neither, and none. */
static void test_what_the_process_may_do(void **state)
{
    (void)state;
    for (int is_text = 0; is_text < 2; is_text++) {
        struct client_maps maps;
        const struct client_owner owner = client_owner_own(getpid());
        unsigned char *pages =
            mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t at = (uintptr_t)pages;
        assert_ptr_not_equal(pages, MAP_FAILED);
        assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_READ), 0);
        assert_int_equal(mprotect(pages + 2 * PAGE, PAGE, PROT_NONE), 0);
        munmap(pages + 3 * PAGE, PAGE);
        client_maps_init(&maps, &owner);
        maps.is_text_only = is_text != 0;
        assert_int_equal(client_maps_allow(&maps, at, PAGE, true), 0);
        assert_int_equal(client_maps_allow(&maps, at, 2 * PAGE, false), 0);
        assert_int_equal(client_maps_allow(&maps, at + PAGE - 1, 1, true), 0);
        assert_int_equal(client_maps_allow(&maps, at + PAGE - 1, 2, true), -EFAULT);
        assert_int_equal(client_maps_allow(&maps, at + 2 * PAGE - 1, 2, false), -EFAULT);
        assert_int_equal(client_maps_allow(&maps, at + 2 * PAGE, 1, false), -EFAULT);
        assert_int_equal(client_maps_allow(&maps, at + 3 * PAGE, 1, false), -EFAULT);
        client_maps_close(&maps);
        munmap(pages, 3 * PAGE);
    }
}

static unsigned char child_serve(unsigned char command)
{
    return command;
}

static void test_process_gone(void **state)
{
    (void)state;
    struct client_child child = client_child_start(child_serve);
    struct client_maps by_query, by_text;
    struct client_mapping mapping;
    client_maps_init(&by_query, &(struct client_owner){.pid = child.pid, .uid = geteuid()});
    client_maps_init(&by_text, &(struct client_owner){.pid = child.pid, .uid = geteuid()});
    by_text.is_text_only = true;
    assert_int_equal(client_maps_find(&by_query, 4096, 65536, &mapping), -ENOENT);
    assert_int_equal(client_maps_find(&by_text, 4096, 65536, &mapping), -ENOENT);
    client_child_kill(&child);
    assert_int_equal(client_maps_find(&by_query, 4096, 65536, &mapping), -ESRCH);
    assert_int_equal(client_maps_find(&by_text, 4096, 65536, &mapping), -ESRCH);
    client_maps_close(&by_query);
    client_maps_close(&by_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file, start, finish),
        cmocka_unit_test_setup_teardown(test_protection, start, finish),
        cmocka_unit_test_setup_teardown(test_not_a_shared_file, start, finish),
        cmocka_unit_test_setup_teardown(test_two_mappings, start, finish),
        cmocka_unit_test_setup_teardown(test_small_range_as_text, start, finish),
        cmocka_unit_test_setup_teardown(test_what_the_process_may_do, start, finish),
        cmocka_unit_test_setup_teardown(test_process_gone, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
