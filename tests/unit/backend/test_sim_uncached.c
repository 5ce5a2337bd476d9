/*
 * Unit tests of files past the page cache. What the kernel says of a file's units is what the test
 * wants it to say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "storage_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int __real_statx(int fd, const char *name, int flags, unsigned mask, struct statx *status);
int __wrap_statx(int fd, const char *name, int flags, unsigned mask, struct statx *status);
ssize_t __real_pread64(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __real_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __real_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);

#define TELLS_NOTHING UINT32_MAX

static uint32_t unit_told, memory_unit_told; /* what the kernel says of the file; or this: */
static size_t least_tried;
static _Atomic unsigned straight, crooked; /* calls with that alignment, and without */

int __wrap_statx(int fd, const char *name, int flags, unsigned mask, struct statx *status)
{
    int result = __real_statx(fd, name, flags, mask, status);
    status->stx_dio_offset_align = unit_told;
    status->stx_dio_mem_align = memory_unit_told;
    status->stx_mask |= STATX_DIOALIGN;
    if (unit_told == TELLS_NOTHING) {
        status->stx_mask &= ~STATX_DIOALIGN;
    }
    return result;
}

ssize_t __wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset)
{
    if (bytes < least_tried) {
        errno = EINVAL;
        return -1;
    }
    return __real_pread64(fd, buffer, bytes, offset);
}

static void look(const struct iovec *pieces, int count, off_t offset)
{
    uint64_t sizes = (uint64_t)offset, addresses = 0;
    for (int i = 0; i < count; i++) {
        sizes |= pieces[i].iov_len;
        addresses |= (uintptr_t)pieces[i].iov_base;
    }
    bool is_crooked = sizes % unit_told != 0 || addresses % memory_unit_told != 0;
    (*(is_crooked ? &crooked : &straight))++;
}

/* Reads wait for each other, as many as are expected. */
static unsigned meeting_of;
static _Atomic unsigned met;

static void meet(void)
{
    time_t end = time(NULL) + 120;
    met++;
    while (meeting_of > 0 && met < meeting_of && time(NULL) < end) {
        sched_yield();
    }
}

ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    look(pieces, count, offset);
    meet();
    return __real_preadv64(fd, pieces, count, offset);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    look(pieces, count, offset);
    return __real_pwritev64(fd, pieces, count, offset);
}

/* A file that works in units of so many bytes; skips where its file system has none. */
static struct pci_provider *start_direct(uint32_t unit, uint32_t memory_unit)
{
    struct pci_provider *provider;
    int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        print_message("# SKIP no O_DIRECT in /tmp\n");
        skip();
    }
    close(fd);
    unit_told = unit;
    memory_unit_told = memory_unit;
    straight = crooked = 0;
    provider = start("direct");
    return provider;
}

/* Without waiting for the disk to have it. */
static int submit_loose(struct pci_provider *provider, enum model_storage_action action,
                        uint64_t offset, uint64_t bytes, void *buffer)
{
    wanted[0] = (struct model_storage_request){
        .action = action, .offset = offset, .bytes = bytes, .buffer = buffer};
    submit(provider, 1);
    return done_results[0];
}

/* Ranges and memory of every alignment: what is there is what was written, and no call on the file
 * was one that it would refuse. */
static void units_are_kept(void **state)
{
    static uint8_t model[FILE_BYTES], content[FILE_BYTES];
    static _Alignas(4096) uint8_t memory[FILE_BYTES];
    struct pci_provider *provider = start_direct(4096, 512);
    uint32_t random = 1;
    memset(model, 0, sizeof(model));
    for (unsigned i = 0; i < 400; i++) {
        random = random * 1664525 + 1013904223;
        size_t grain = i % 3 == 0 ? 4096 : i % 3 == 1 ? 512 : 1;
        size_t offset = (random >> 8) % FILE_BYTES / grain * grain;
        size_t bytes = (random >> 4) % 20000 / grain * grain + grain;
        uint8_t *buffer = memory + (random >> 24) % 64 / grain * grain;
        bytes = bytes < FILE_BYTES - offset ? bytes : FILE_BYTES - offset;
        bytes = bytes < sizeof(memory) - 64 ? bytes : sizeof(memory) - 64;
        if (i % 2 == 0) {
            memset(buffer, (int)(i + 1), bytes);
            memset(model + offset, (int)(i + 1), bytes);
            assert_int_equal(submit_loose(provider, MODEL_STORAGE_WRITE, offset, bytes, buffer), 0);
        } else {
            memset(buffer, 0, bytes);
            assert_int_equal(submit_loose(provider, MODEL_STORAGE_READ, offset, bytes, buffer), 0);
            assert_memory_equal(buffer, model + offset, bytes);
        }
    }
    assert_int_equal(submit_one(provider, MODEL_STORAGE_ZERO, 5000, 20000, NULL), 0);
    memset(model + 5000, 0, 20000);
    provider_destroy(provider);
    assert_int_not_equal(straight, 0);
    assert_int_equal(crooked, 0);
    int fd = open(path, O_RDONLY);
    assert_int_equal(__real_pread64(fd, content, FILE_BYTES, 0), FILE_BYTES);
    close(fd);
    assert_memory_equal(content, model, FILE_BYTES);
}

/* Without a detour: as many calls as operations. */
static void what_is_aligned_goes_straight(void **state)
{
    static _Alignas(4096) uint8_t memory[8192];
    struct pci_provider *provider = start_direct(512, 512);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 512, 1536, memory + 512), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 1024, 4096, memory), 0);
    assert_int_equal(straight, 2);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 1024, 4096, memory + 4), 0);
    assert_int_equal(straight, 3); /* through memory that is aligned */
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 1000, 100, memory), 0);
    assert_int_equal(straight, 6); /* two units, read before */
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 1024, 100, memory), 0);
    assert_int_equal(straight, 8);
    assert_int_equal(crooked, 0);
    provider_destroy(provider);
}

/* All at once, each a part of the same unit. */
static void neighbours_in_a_unit_stay(void **state)
{
    enum { PART = 4096 / OPERATIONS };
    uint8_t parts[OPERATIONS][PART], unit[4096];
    struct pci_provider *provider = start_direct(4096, 512);
    for (unsigned round = 1; round <= 10; round++) {
        for (unsigned i = 0; i < OPERATIONS; i++) {
            memset(parts[i], (int)(round * OPERATIONS + i), PART);
            wanted[i] = (struct model_storage_request){.action = MODEL_STORAGE_WRITE,
                                                       .offset = 4096 + i * PART,
                                                       .bytes = PART,
                                                       .buffer = parts[i]};
        }
        submit(provider, OPERATIONS);
        for (unsigned i = 0; i < OPERATIONS; i++) {
            assert_int_equal(done_results[i], 0);
        }
        assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4096, 4096, unit), 0);
        assert_memory_equal(unit, parts, 4096);
    }
    assert_int_equal(crooked, 0);
    provider_destroy(provider);
}

/* A disk has many heads; but what touches the same bytes is done as it came. */
static void many_at_once(void **state)
{
    static _Alignas(4096) uint8_t memory[OPERATIONS][4096];
    struct pci_provider *provider = start_direct(512, 512);
    meeting_of = 4;
    met = 0;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        wanted[i] = (struct model_storage_request){
            .action = MODEL_STORAGE_READ, .offset = i * 4096, .bytes = 4096, .buffer = memory[i]};
    }
    submit_any(provider, 4);
    assert_int_equal(met, 4);
    meeting_of = 0;
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < OPERATIONS - 1; i++) {
            memset(memory[i], (int)(16 * round + i), 1024);
            wanted[i] = (struct model_storage_request){.action = MODEL_STORAGE_WRITE,
                                                       .offset = 8192 + i % 2 * 512,
                                                       .bytes = 1024,
                                                       .buffer = memory[i]};
        }
        wanted[OPERATIONS - 1] = (struct model_storage_request){.action = MODEL_STORAGE_READ,
                                                                .offset = 8192,
                                                                .bytes = 1536,
                                                                .buffer = memory[OPERATIONS - 1]};
        submit(provider, OPERATIONS);
        assert_int_equal(memory[OPERATIONS - 1][511], 16 * round + OPERATIONS - 2);
        assert_int_equal(memory[OPERATIONS - 1][512], 16 * round + OPERATIONS - 2);
        assert_int_equal(memory[OPERATIONS - 1][1024], 16 * round + OPERATIONS - 3);
    }
    provider_destroy(provider);
}

static void sizes_that_are_no_multiple_are_refused(void **state)
{
    struct pci_provider *provider = start_direct(4096, 512);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES - 512), 0);
    assert_int_equal(open_sim(&provider, path, "direct"), -EDOM);
    unit_told = 512;
    assert_int_equal(open_sim(&provider, path, "direct"), 0);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES - 1), 0);
    assert_int_equal(open_sim(&provider, path, "direct"), -EDOM);
    unit_told = 0; /* not this file */
    assert_int_equal(open_sim(&provider, path, "direct"), -ENOTBLK);
    unit_told = 131072; /* nothing we could serve */
    assert_int_equal(open_sim(&provider, path, "direct"), -ENOTBLK);
}

/* What an old kernel does not tell is found by trying. */
static void units_are_tried(void **state)
{
    struct pci_provider *provider = start_direct(TELLS_NOTHING, 0);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES - 512), 0);
    assert_int_equal(open_sim(&provider, path, "direct"), 0);
    provider_destroy(provider);
    least_tried = 4096;
    assert_int_equal(open_sim(&provider, path, "direct"), -EDOM);
    least_tried = 8192;
    assert_int_equal(open_sim(&provider, path, "direct"), -ENOTBLK);
    least_tried = 0;
}

/* A file that ends within a unit by now. */
static void ends_of_shorter_files_are_errors(void **state)
{
    static _Alignas(4096) uint8_t memory[8192];
    struct pci_provider *provider = start_direct(512, 512);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4096, 4096, memory), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 8192, 4096, memory), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4100, 2000, memory), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 0, 4096, memory), 0);
    provider_destroy(provider);
}

int main(void)
{
#define storage_test(test) cmocka_unit_test_setup_teardown(test, file_make, file_remove)
    const struct CMUnitTest tests[] = {
        storage_test(units_are_kept),
        storage_test(what_is_aligned_goes_straight),
        storage_test(neighbours_in_a_unit_stay),
        storage_test(many_at_once),
        storage_test(sizes_that_are_no_multiple_are_refused),
        storage_test(units_are_tried),
        storage_test(ends_of_shorter_files_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
