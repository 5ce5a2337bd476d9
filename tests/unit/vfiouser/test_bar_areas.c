/*
 * Unit tests of what of a BAR a peer may map: whole pages, of one file laid out like the BAR, and
 * nothing of MSI-X. What the host below says is the test's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfiouser/bar_areas.h"
#include "vfiouser/device.h"

#define BAR       2
#define BAR_BYTES 0x40000

/* What vu_areas_find gives. */
static size_t told_count;
static struct vu_area told[VU_MAX_AREAS];
static vm_size_t machine_pages;

size_t vu_areas_find(io_connect_t connection, unsigned bar, struct vu_area areas[VU_MAX_AREAS])
{
    (void)connection;
    if (bar != BAR) {
        return 0;
    }
    for (size_t i = 0; i < told_count; i++) {
        areas[i] = told[i];
        areas[i].fd = dup(told[i].fd);
        assert_true(areas[i].fd >= 0);
    }
    return told_count;
}

static int make_file(void)
{
    int fd = memfd_create("bar", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 2 * BAR_BYTES), 0);
    return fd;
}

static void tell(uint64_t offset, uint64_t bytes, uint64_t fd_offset, int fd)
{
    told[told_count++] = (struct vu_area){offset, bytes, fd_offset, fd};
}

static int make_device(void **state)
{
    static struct vu_device device;
    memset(&device, 0, sizeof(device));
    for (unsigned i = 0; i < VU_BAR_COUNT; i++) {
        device.bars[i].fd = -1;
    }
    device.bars[BAR].bytes = BAR_BYTES;
    told_count = 0;
    machine_pages = vm_page_size;
    vm_page_size = 4096;
    *state = &device;
    return 0;
}

static int drop_device(void **state)
{
    vu_bar_areas_drop(*state);
    for (size_t i = 0; i < told_count; i++) {
        bool is_again = i > 0 && told[i].fd == told[i - 1].fd;
        assert_int_equal(is_again ? 0 : close(told[i].fd), 0);
    }
    vm_page_size = machine_pages;
    return 0;
}

static void expect(struct vu_device *device, size_t count, const struct vu_sparse_area *areas)
{
    const struct vu_bar *bar = &device->bars[BAR];
    vu_bar_areas_find(device);
    assert_int_equal(bar->area_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bar->areas[i].offset, areas[i].offset);
        assert_int_equal(bar->areas[i].size, areas[i].size);
    }
    assert_true(count > 0 ? bar->fd >= 0 : bar->fd < 0);
}

static void test_none(void **state)
{
    expect(*state, 0, NULL);
}

static void test_two_of_one_file(void **state)
{
    struct vu_device *device = *state;
    int fd = make_file();
    const struct vu_sparse_area areas[] = {{0x1000, 0x3000}, {0x8000, 0x8000}};
    tell(0x8000, 0x8000, 0x18000, fd); /* the host's order is its own */
    tell(0x1000, 0x3000, 0x11000, fd);
    expect(device, 2, areas);
    assert_int_equal(device->bars[BAR].file_start, 0x10000);
    /* Mapped here at the same place a peer would map. */
    assert_int_equal(pwrite(fd, "x", 1, 0x11000 + 5), 1);
    assert_int_equal(device->bars[BAR].addresses[0][5], 'x');
    device->bars[BAR].addresses[1][0] = 'y';
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 0x18000), 1);
    assert_int_equal(byte, 'y');
}

/* QEMU takes one file a region, at the region's place in it plus the area's in the region. */
static void test_files_laid_out_otherwise(void **state)
{
    struct vu_device *device = *state;
    int fd = make_file();
    const struct vu_sparse_area areas[] = {{0, 0x4000}};
    tell(0, 0x4000, 0, fd);
    tell(0x8000, 0x4000, 0x4000, fd); /* packed */
    expect(device, 1, areas);
    vu_bar_areas_drop(device);
    told_count = 0;
    tell(0x8000, 0x4000, 0, fd); /* would start before the file */
    expect(device, 0, NULL);
}

static void test_another_file(void **state)
{
    struct vu_device *device = *state;
    const struct vu_sparse_area areas[] = {{0, 0x4000}};
    tell(0, 0x4000, 0, make_file());
    tell(0x8000, 0x4000, 0x8000, make_file());
    expect(device, 1, areas);
}

static void test_outside_the_bar(void **state)
{
    struct vu_device *device = *state;
    const struct vu_sparse_area areas[] = {{0, 0x4000}};
    int fd = make_file();
    tell(0, 0x4000, 0, fd);
    tell(BAR_BYTES - 0x1000, 0x2000, BAR_BYTES - 0x1000, fd);
    expect(device, 1, areas);
}

static void test_structures_of_msix(void **state)
{
    struct vu_device *device = *state;
    const struct vu_sparse_area areas[] = {
        {0, 0x8000}, {0x9000, 0x3000}, {0xd000, BAR_BYTES - 0xd000}};
    device->config.msix = 0x70;
    device->config.table = (struct vu_msix_place){BAR, 0x8010, 0x40};
    device->config.pba = (struct vu_msix_place){BAR, 0xcff8, 8};
    tell(0, BAR_BYTES, 0, make_file());
    expect(device, 3, areas);
}

static void test_structures_in_another_bar(void **state)
{
    struct vu_device *device = *state;
    const struct vu_sparse_area areas[] = {{0, BAR_BYTES}};
    device->config.msix = 0x70;
    device->config.table = (struct vu_msix_place){0, 0x8000, 0x40};
    device->config.pba = (struct vu_msix_place){0, 0xc000, 8};
    tell(0, BAR_BYTES, 0, make_file());
    expect(device, 1, areas);
}

/* With pages of 16 KiB an area loses what fills no page, and a table takes more with it. */
static void test_large_pages(void **state)
{
    struct vu_device *device = *state;
    const struct vu_sparse_area areas[] = {{0x10000, 0x8000}, {0x1c000, 0x4000}};
    int fd = make_file();
    vm_page_size = 16384;
    device->config.msix = 0x70;
    device->config.table = (struct vu_msix_place){BAR, 0x18ff0, 0x20};
    tell(0x1000, 0x1000, 0x1000, fd); /* holds no page */
    tell(0xf000, 0x12000, 0xf000, fd);
    expect(device, 2, areas);
}

/* A file that is off by part of a page cannot be mapped so. */
static void test_large_pages_and_a_crooked_file(void **state)
{
    struct vu_device *device = *state;
    vm_page_size = 16384;
    tell(0, BAR_BYTES / 2, 0x1000, make_file());
    expect(device, 0, NULL);
}

int main(void)
{
#define AREA_TEST(name) cmocka_unit_test_setup_teardown(name, make_device, drop_device)
    const struct CMUnitTest tests[] = {
        AREA_TEST(test_none),
        AREA_TEST(test_two_of_one_file),
        AREA_TEST(test_files_laid_out_otherwise),
        AREA_TEST(test_another_file),
        AREA_TEST(test_outside_the_bar),
        AREA_TEST(test_structures_of_msix),
        AREA_TEST(test_structures_in_another_bar),
        AREA_TEST(test_large_pages),
        AREA_TEST(test_large_pages_and_a_crooked_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
