/*
 * Unit tests of a peer's DMA regions: tree, files, pieces, and what is registered below.
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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfiouser/dma.h"

#define MANY 20000

/* What a client library would hold. */
struct below {
    size_t live;
    uint64_t last_iova, last_bytes;
    void *last_address;
    uint64_t shift;   /* bus address - iova */
    unsigned fail_at; /* the n-th registration fails; 0 = none */
    unsigned calls;
    unsigned served;  /* regions that the peer is asked for */
    int serve_result; /* of the next */
};

static int below_map(void *opaque, uint64_t iova, void *address, uint64_t bytes, uint64_t *bus)
{
    struct below *below = opaque;
    if (++below->calls == below->fail_at) {
        return -ENOSPC;
    }
    below->live++;
    below->last_iova = iova;
    below->last_bytes = bytes;
    below->last_address = address;
    *bus = iova + below->shift;
    return 0;
}

static void below_unmap(void *opaque, uint64_t iova)
{
    struct below *below = opaque;
    (void)iova;
    assert_true(below->live > 0);
    below->live--;
}

static const struct vu_dma_ops below_ops = {.map = below_map, .unmap = below_unmap};

static int below_serve(void *opaque, struct vu_dma_region *region)
{
    struct below *below = opaque;
    static uint8_t place;
    below->served += below->serve_result == 0;
    region->served = below->serve_result == 0 ? &place : NULL;
    return below->serve_result;
}

static void below_unserve(void *opaque, struct vu_dma_region *region)
{
    struct below *below = opaque;
    assert_non_null(region->served);
    assert_int_equal(below->live, 0); /* out of the device's reach before */
    below->served--;
}

static const struct vu_dma_ops serving_ops = {
    .map = below_map,
    .unmap = below_unmap,
    .serve = below_serve,
    .unserve = below_unserve,
};

static int make_file(uint64_t bytes)
{
    int fd = memfd_create("guest", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    return fd;
}

static int map(struct vu_dma *dma, uint64_t address, uint64_t size, uint64_t offset, uint32_t flags,
               int fd)
{
    const struct vu_dma_map request = {32, flags, offset, address, size};
    return vu_dma_map(dma, &request, fd);
}

static void test_map_and_unmap(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(1 << 20);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(pwrite(fd, "guest", 5, 0x3000), 5);
    assert_int_equal(map(&dma, 0x100000, 0x4000, 0x3000, 3, fd), 0);
    assert_int_equal(below.last_iova, 0x100000);
    assert_int_equal(below.last_bytes, 0x4000);
    assert_memory_equal(below.last_address, "guest", 5);
    memcpy(below.last_address, "HOST!", 5);
    char back[5];
    assert_int_equal(pread(fd, back, 5, 0x3000), 5);
    assert_memory_equal(back, "HOST!", 5);
    const struct vu_dma_region *region = vu_dma_find(&dma, 0x103fff);
    assert_non_null(region);
    assert_int_equal(region->bus_addresses[0], 0x100000);
    assert_null(vu_dma_find(&dma, 0x104000));
    assert_int_equal(dma.count, 1);
    assert_int_equal(dma.reachable_bytes, 0x4000);

    assert_int_equal(vu_dma_unmap(&dma, 0x100000, 0x3000), -ENOENT);
    assert_int_equal(vu_dma_unmap(&dma, 0x101000, 0x3000), -ENOENT);
    assert_int_equal(vu_dma_unmap(&dma, 0x100000, 0), -ENOENT);
    assert_int_equal(vu_dma_unmap(&dma, 0x100000, 0x4000), 0);
    assert_int_equal(vu_dma_unmap(&dma, 0x100000, 0x4000), -ENOENT);
    assert_int_equal(below.live, 0);
    assert_int_equal(dma.bytes, 0);
    close(fd);
}

static void test_again_and_overlaps(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(1 << 20);
    int other = make_file(1 << 20);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0, 3, fd), 0);
    int again = dup(fd);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0, 3, again), 0); /* the same: fine */
    close(again);
    assert_int_equal(below.live, 1);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0x4000, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0, 1, fd), -EINVAL);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0, 3, other), -EINVAL);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0, 3, -1), -EINVAL);
    assert_int_equal(map(&dma, 0x0f000, 0x2000, 0, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0x13fff, 0x2000, 0, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0x11000, 0x1000, 0, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0x0f000, 0x8000, 0, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0x0c000, 0x4000, 0, 3, fd), 0); /* neighbours */
    assert_int_equal(map(&dma, 0x14000, 0x4000, 0, 3, fd), 0);
    assert_int_equal(map(&dma, UINT64_MAX - 0xfff, 0x1000, 0, 3, fd), 0);
    assert_int_equal(below.live, 4);
    vu_dma_clear(&dma);
    assert_int_equal(below.live, 0);
    assert_int_equal(dma.count, 0);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0, 3, fd), 0); /* usable again */
    vu_dma_clear(&dma);
    close(fd);
    close(other);
}

static void test_without_file(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(map(&dma, 0xfffc0000, 0x40000, 0, 1, -1), 0);
    assert_int_equal(map(&dma, 0xfffc0000, 0x40000, 0, 1, -1), 0);
    assert_int_equal(below.live, 0);
    assert_int_equal(dma.reachable_bytes, 0);
    assert_int_equal(dma.bytes, 0x40000);
    assert_int_equal(vu_dma_unmap(&dma, 0xfffc0000, 0x40000), 0);
}

static void test_files_that_do_not_do(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(0x4000);
    int ends[2];
    char path[64];
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reading = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(reading >= 0);
    assert_int_equal(map(&dma, 0, 0x4001, 0, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0, 0x1000, 0x4000, 3, fd), -EINVAL);
    assert_int_equal(map(&dma, 0, 0x1000, 0, 3, ends[0]), -EINVAL);
    assert_int_equal(map(&dma, 0, 0x1000, 0, 3, reading), -EINVAL);
    assert_int_equal(map(&dma, 0, 0x1000, 0, 1, reading), 0);
    /* Also when somebody else has it mapped with more rights. */
    assert_int_equal(map(&dma, 0x10000, 0x1000, 0, 3, fd), 0);
    assert_int_equal(map(&dma, 0x20000, 0x1000, 0, 3, reading), -EINVAL);
    assert_int_equal(dma.count, 2);
    vu_dma_clear(&dma);
    close(reading);
    close(ends[0]);
    close(ends[1]);
    close(fd);
}

static void test_unaligned(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(0x4000);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(pwrite(fd, "x", 1, 0x123), 1);
    assert_int_equal(map(&dma, 0x777, 5, 0x123, 3, fd), 0);
    assert_memory_equal(below.last_address, "x", 1);
    vu_dma_clear(&dma);
    close(fd);
}

/* A guest's memory is not written into core files. */
static bool is_in_core_files(const void *address)
{
    char line[512];
    unsigned long start;
    unsigned long end;
    bool is_inside = false;
    bool is_hidden = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            is_inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        } else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            is_hidden = strstr(line, " dd") != NULL;
        }
    }
    fclose(maps);
    return !is_hidden;
}

static void test_core_files(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(0x4000);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(map(&dma, 0, 0x4000, 0, 3, fd), 0);
    /* Only a build with Linux's files can see to it. */
    const char *os = getenv("DEXTLINK_TEST_OS");
    bool is_portable = os != NULL && strcmp(os, "portable") == 0;
    assert_int_equal(is_in_core_files(below.last_address), is_portable);
    vu_dma_clear(&dma);
    close(fd);
}

/* A file that grows after it was mapped: later regions see what is new. */
static void test_growing_file(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(0x4000);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(map(&dma, 0, 0x4000, 0, 3, fd), 0);
    assert_int_equal(ftruncate(fd, 0x8000), 0);
    assert_int_equal(pwrite(fd, "new", 3, 0x4000), 3);
    assert_int_equal(map(&dma, 0x10000, 0x4000, 0x4000, 3, fd), 0);
    assert_memory_equal(below.last_address, "new", 3);
    assert_int_equal(vu_dma_unmap(&dma, 0, 0x4000), 0);
    assert_memory_equal(below.last_address, "new", 3);
    vu_dma_clear(&dma);
    close(fd);
}

/* The driver takes pieces; each has its answer. */
static void test_pieces(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    uint64_t bytes = 2 * VU_DMA_PIECE_BYTES + 0x1000;
    int fd = make_file(bytes);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(map(&dma, 0x1000, bytes, 0, 3, fd), 0);
    assert_int_equal(below.live, 3);
    assert_int_equal(below.last_iova, 0x1000 + 2 * VU_DMA_PIECE_BYTES);
    assert_int_equal(below.last_bytes, 0x1000);
    assert_int_equal(vu_dma_find(&dma, 0x1000)->piece_count, 3);
    assert_int_equal(vu_dma_unmap(&dma, 0x1000, bytes), 0);
    assert_int_equal(below.live, 0);
    below.calls = 0;
    below.fail_at = 3;
    assert_int_equal(map(&dma, 0x1000, bytes, 0, 3, fd), -ENOSPC);
    assert_int_equal(below.live, 0);
    assert_int_equal(dma.count, 0);
    close(fd);
}

static void test_other_bus_address(void **state)
{
    struct below below = {.shift = 0x80000000};
    struct vu_dma dma;
    int fd = make_file(0x4000);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    assert_int_equal(map(&dma, 0x1000, 0x1000, 0, 3, fd), -ENXIO);
    assert_int_equal(below.live, 0);
    close(fd);
}

static void test_many(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    int fd = make_file(0x1000);
    (void)state;
    vu_dma_init(&dma, &below_ops, &below, NULL);
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t place = (i * 7919) % MANY; /* every one once, in no order */
        assert_int_equal(map(&dma, place * 0x1000, 0x1000, 0, 3, fd), 0);
    }
    assert_int_equal(dma.count, MANY);
    assert_int_equal(below.live, MANY);
    assert_int_equal(map(&dma, 0x1800, 0x1000, 0, 3, fd), -EINVAL);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(vu_dma_unmap(&dma, i * 0x1000, 0x1000), 0);
    }
    assert_int_equal(below.live, 0);
    close(fd);
}

/* Memory without a file is asked of the peer; what cannot be done for it is no error. */
static void test_served(void **state)
{
    struct below below = {0};
    struct vu_dma dma;
    (void)state;
    vu_dma_init(&dma, &serving_ops, &below, NULL);
    assert_int_equal(map(&dma, 0x10000, 3 * VU_DMA_PIECE_BYTES + 5, 0, 3, -1), 0);
    assert_int_equal(below.served, 1);
    assert_int_equal(below.live, 4);
    assert_int_equal(below.last_bytes, 5);
    const struct vu_dma_region *region = vu_dma_find(&dma, 0x10000);
    assert_ptr_equal(below.last_address, region->served + 3 * VU_DMA_PIECE_BYTES);
    assert_int_equal(dma.reachable_bytes, 0);
    assert_int_equal(map(&dma, 0x10000, 3 * VU_DMA_PIECE_BYTES + 5, 0, 3, -1), 0); /* again */
    assert_int_equal(below.served, 1);
    assert_int_equal(vu_dma_unmap(&dma, 0x10000, 3 * VU_DMA_PIECE_BYTES + 5), 0);
    assert_int_equal(below.served, 0);

    assert_int_equal(map(&dma, 0x10000, 0x1000, 0, 0, -1), 0); /* not for the device */
    assert_int_equal(below.served, 0);
    vu_dma_clear(&dma);
    for (int way = 0; way < 3; way++) {
        below.serve_result = way == 0 ? -ENOTSUP : 0;
        below.calls = 0;
        below.fail_at = way == 1 ? 2 : 0;
        below.shift = way == 2 ? 0x4000 : 0;
        assert_int_equal(map(&dma, 0x10000, 2 * VU_DMA_PIECE_BYTES, 0, 3, -1), 0);
        assert_int_equal(below.served, 0);
        assert_int_equal(below.live, 0);
        assert_null(vu_dma_find(&dma, 0x10000)->served);
        assert_int_equal(vu_dma_unmap(&dma, 0x10000, 2 * VU_DMA_PIECE_BYTES), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_and_unmap),
        cmocka_unit_test(test_again_and_overlaps),
        cmocka_unit_test(test_without_file),
        cmocka_unit_test(test_files_that_do_not_do),
        cmocka_unit_test(test_unaligned),
        cmocka_unit_test(test_growing_file),
        cmocka_unit_test(test_core_files),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_other_bus_address),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
