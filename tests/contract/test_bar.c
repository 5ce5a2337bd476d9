/*
 * BARs: what they are, MMIO by calls, mappings that behave like the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0",
                                      "testdev,addr=03:00.0,bar4=m64,bar2=64K",
                                      "testdev,addr=04:00.0,bar4=none", NULL};

enum { WIDE = 0x03, NARROW = 0x04 }; /* testdevs with other shapes of BAR 4 */

struct bar_row {
    uint8_t bus, bar;
    kern_return_t status;
    uint8_t index;
    uint64_t bytes;
    uint8_t type;
};

static const struct bar_row rows[] = {
    {EDU, 0, kIOReturnSuccess, 0, 0x100000, 0x0},
    {EDU, 1, kIOReturnNotFound, 0, 0, 0},
    {EDU, 5, kIOReturnNotFound, 0, 0, 0},
    {TESTDEV, 0, kIOReturnSuccess, BAR0_INDEX, 0x10000, 0x0},
    {TESTDEV, 2, kIOReturnSuccess, BAR2_INDEX, 0x400000, 0xc},
    {TESTDEV, 3, kIOReturnNotFound, 0, 0, 0},
    {TESTDEV, 4, kIOReturnSuccess, BAR4_INDEX, 0x10000, 0x8},
    {TESTDEV, 5, kIOReturnNotFound, 0, 0, 0},
    {TESTDEV, 6, kIOReturnBadArgument, 0, 0, 0},
    {TESTDEV, 255, kIOReturnBadArgument, 0, 0, 0},
    {WIDE, 2, kIOReturnSuccess, BAR2_INDEX, 0x10000, 0xc},
    {WIDE, 4, kIOReturnSuccess, BAR4_INDEX, 0x10000, 0x4},
    {WIDE, 5, kIOReturnNotFound, 0, 0, 0},
    {NARROW, 4, kIOReturnNotFound, 0, 0, 0},
};

static void info_of_every_type(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct bar_row *row = &rows[i];
        uint8_t index = 0xa5;
        uint8_t type = 0xa5;
        uint64_t bytes = 0xa5;
        io_connect_t c = contract_connect(row->bus); /* needs no claim */
        assert_status(apple_dext_get_bar_info(c, row->bar, &index, &bytes, &type), row->status);
        if (row->status == kIOReturnSuccess) {
            assert_int_equal(index, row->index);
            assert_true(bytes == row->bytes);
            assert_int_equal(type, row->type);
        } else {
            assert_true(index == 0xa5 && type == 0xa5 && bytes == 0xa5);
        }
        contract_disconnect(c);
    }
}

static void info_of_the_io_bar(void **state)
{
    uint8_t index;
    uint8_t type = 0;
    uint64_t bytes = 0;
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(apple_dext_get_bar_info(c, 1, &index, &bytes, &type));
    assert_true(bytes == 256);
    assert_int_equal(type, 0x1);
}

/* QEMU's back end asks for the size alone. */
static void info_is_given_as_far_as_it_is_wanted(void **state)
{
    uint8_t index = 9;
    uint8_t type = 0;
    uint64_t bytes = 0;
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_get_bar_info(c, 1, NULL, &bytes, NULL));
    assert_true(bytes == 256);
    assert_ok(apple_dext_get_bar_info(c, 0, &index, NULL, NULL));
    assert_int_equal(index, BAR0_INDEX);
    assert_ok(apple_dext_get_bar_info(c, 1, NULL, NULL, &type));
    assert_int_equal(type, 0x1);
    assert_ok(apple_dext_get_bar_info(c, 0, NULL, NULL, NULL));
    assert_ok(apple_dext_map_bar(c, 0, &address, &size, NULL));
    assert_ok(apple_dext_unmap_bar(c, 0, address));
    assert_status(apple_dext_map_bar(c, 0, NULL, &size, &type), kIOReturnBadArgument);
    assert_status(apple_dext_map_bar(c, 0, &address, NULL, &type), kIOReturnBadArgument);
}

static void direct_ranges_are_those_documented(void **state)
{
    /* docs/testdev.md: BAR 2 is direct but for a window of 16 KiB that starts in its middle. */
    static const struct {
        uint8_t bus, bar;
        kern_return_t status;
        uint32_t count;
        AppleDextBarRange ranges[2];
    } wanted[] = {
        {EDU, 0, kIOReturnSuccess, 0, {{0}}},
        {EDU, 1, kIOReturnNotFound, 77, {{0}}},
        {TESTDEV, 0, kIOReturnSuccess, 0, {{0}}},
        {TESTDEV, 1, kIOReturnSuccess, 0, {{0}}},
        {TESTDEV, 2, kIOReturnSuccess, 2, {{0, 0x200000}, {0x204000, 0x1fc000}}},
        {TESTDEV, 3, kIOReturnNotFound, 77, {{0}}},
        {TESTDEV, 4, kIOReturnSuccess, 1, {{0, 0x10000}}},
        {TESTDEV, 6, kIOReturnBadArgument, 77, {{0}}},
        {WIDE, 2, kIOReturnSuccess, 2, {{0, 0x8000}, {0xc000, 0x4000}}},
    };
    AppleDextBarRange ranges[APPLE_DEXT_BAR_RANGES];
    uint32_t count = 77;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        io_connect_t c = contract_claimed(wanted[i].bus);
        count = 77;
        assert_status(apple_dext_get_bar_ranges(c, wanted[i].bar, ranges, &count),
                      wanted[i].status);
        assert_int_equal(count, wanted[i].count);
        for (uint32_t r = 0; wanted[i].status == kIOReturnSuccess && r < count; r++) {
            assert_true(ranges[r].offset == wanted[i].ranges[r].offset);
            assert_true(ranges[r].bytes == wanted[i].ranges[r].bytes);
        }
        contract_disconnect(c);
    }
    io_connect_t looking = contract_connect(TESTDEV);
    assert_status(apple_dext_get_bar_ranges(looking, 2, ranges, &count), kIOReturnNotOpen);
    assert_status(apple_dext_get_bar_ranges(IO_OBJECT_NULL, 0, ranges, &count),
                  kIOReturnBadArgument);
}

static void mmio_takes_every_width(void **state)
{
    static const struct {
        uint64_t offset;
        unsigned width;
        uint64_t value;
    } scratch[] = {{TESTDEV_SCRATCH_1, 1, 0x5a},
                   {TESTDEV_SCRATCH_2, 2, 0xc35a},
                   {TESTDEV_SCRATCH_4, 4, 0x89abcdef},
                   {TESTDEV_SCRATCH_8, 8, UINT64_C(0x0123456789abcdef)}};
    io_connect_t c = contract_claimed(TESTDEV);
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    for (size_t i = 0; i < 4; i++) {
        reg_write(c, TESTDEV_COUNT_CLEAR, 4, 0);
        reg_write(c, scratch[i].offset, scratch[i].width, scratch[i].value);
        assert_true(reg_read(c, TESTDEV_LAST_OFFSET, 8) == scratch[i].offset);
        assert_true(reg_read(c, TESTDEV_LAST_VALUE, 8) == scratch[i].value);
        assert_true(reg_read(c, TESTDEV_LAST_ACCESS, 4) == (0x10000 | scratch[i].width));
        assert_true(reg_read(c, scratch[i].offset, scratch[i].width) == scratch[i].value);
        for (unsigned at = 0; at < 4; at++) { /* once each, and with its width */
            assert_int_equal(reg_read(c, TESTDEV_COUNT_WRITE + 4 * at, 4), at == i);
            assert_int_equal(reg_read(c, TESTDEV_COUNT_READ + 4 * at, 4), at == i);
        }
    }
}

static void mmio_reaches_every_memory_bar(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    for (uint8_t index = BAR2_INDEX; index <= BAR4_INDEX; index += BAR4_INDEX - BAR2_INDEX) {
        uint64_t value = 0;
        assert_ok(apple_dext_mmio_write(c, index, 0x1238, 8, UINT64_C(0x1122334455667788) + index));
        assert_ok(apple_dext_mmio_read(c, index, 0x1238, 8, &value));
        assert_true(value == UINT64_C(0x1122334455667788) + index);
        assert_ok(apple_dext_mmio_read(c, index, 0x123c, 4, &value));
        assert_true(value == 0x11223344);
        assert_ok(apple_dext_mmio_read(c, index, 0x123f, 1, &value));
        assert_true(value == 0x11);
    }
}

static void mmio_arguments_are_checked(void **state)
{
    static const struct {
        uint8_t index;
        uint64_t offset, width;
    } bad[] = {
        {0, 0, 0},        {0, 0, 3},          {0, 0, 16},
        {0, 2, 4},        {0, 4, 8},          {0, 0x10000, 1},
        {0, 0xfffc, 8},   {0, UINT64_MAX, 1}, {0, UINT64_MAX - 7, 8},
        {2, 0x400000, 1}, {4, 0, 4},          {255, 0, 4},
        {0, 1, 2},        {0, 0xffff, 2},     {0, 0, UINT64_MAX},
    };
    io_connect_t c = contract_claimed(TESTDEV);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const uint64_t in[] = {bad[i].index, bad[i].offset, bad[i].width, 0};
        uint64_t value = 0xa5;
        uint32_t count = 1;
        assert_status(apple_dext_mmio_read(c, bad[i].index, bad[i].offset, bad[i].width, &value),
                      kIOReturnBadArgument);
        assert_status(apple_dext_mmio_write(c, bad[i].index, bad[i].offset, bad[i].width, 0),
                      kIOReturnBadArgument);
        /* The driver's own checks; which code it has for an index is its affair. */
        assert_int_not_equal(IOConnectCallScalarMethod(c, 11, in, 3, &value, &count),
                             kIOReturnSuccess);
        assert_int_not_equal(IOConnectCallScalarMethod(c, 12, in, 4, NULL, NULL), kIOReturnSuccess);
        assert_true(value == 0xa5);
    }
    assert_status(apple_dext_mmio_read(c, 0, 0, 4, NULL), kIOReturnBadArgument);
}

static void io_bar_has_no_mmio(void **state)
{
    uint64_t value = 0xa5;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_status(apple_dext_mmio_read(c, 1, 0, 4, &value), kIOReturnBadArgument);
    assert_status(apple_dext_mmio_write(c, 1, 4, 4, 0), kIOReturnBadArgument);
    assert_true(value == 0xa5);
}

static void ones_of_a_live_device_are_a_value(void **state)
{
    uint64_t value = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_mmio_read(c, 0, TESTDEV_FIRE, 4, &value)); /* write-only */
    assert_true(value == UINT32_MAX);
    reg_write(c, TESTDEV_SCRATCH_8, 8, UINT64_MAX);
    assert_ok(apple_dext_mmio_read(c, 0, TESTDEV_SCRATCH_8, 8, &value));
    assert_true(value == UINT64_MAX);
}

static volatile uint8_t *map(io_connect_t c, uint8_t bar, uint64_t bytes)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    uint8_t type = 0xa5;
    assert_ok(apple_dext_map_bar(c, bar, &address, &size, &type));
    assert_true(size == bytes);
    assert_true(address % contract.page_size == 0);
    return (volatile uint8_t *)(uintptr_t)address;
}

#define LOAD(width, at)         (*(volatile uint##width##_t *)(at))
#define STORE(width, at, value) (*(volatile uint##width##_t *)(at) = (uint##width##_t)(value))

static void mapped_registers_take_every_width(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    volatile uint8_t *regs = map(c, 0, 0x10000);
    assert_int_equal(LOAD(32, regs + TESTDEV_ID), TESTDEV_ID_VALUE);
    STORE(32, regs + TESTDEV_COUNT_CLEAR, 0);
    STORE(8, regs + TESTDEV_SCRATCH_1, 0x5a);
    STORE(16, regs + TESTDEV_SCRATCH_2, 0xc35a);
    STORE(32, regs + TESTDEV_SCRATCH_4, 0x89abcdef);
    STORE(64, regs + TESTDEV_SCRATCH_8, UINT64_C(0x0123456789abcdef));
    assert_int_equal(LOAD(8, regs + TESTDEV_SCRATCH_1), 0x5a);
    assert_int_equal(LOAD(16, regs + TESTDEV_SCRATCH_2), 0xc35a);
    assert_true(LOAD(32, regs + TESTDEV_SCRATCH_4) == 0x89abcdef);
    assert_true(LOAD(64, regs + TESTDEV_SCRATCH_8) == UINT64_C(0x0123456789abcdef));
    for (unsigned at = 0; at < 4; at++) {
        assert_int_equal(LOAD(32, regs + TESTDEV_COUNT_READ + 4 * at), 1);
        assert_int_equal(LOAD(32, regs + TESTDEV_COUNT_WRITE + 4 * at), 1);
    }
    /* A call sees what the mapping wrote. */
    assert_true(reg_read(c, TESTDEV_SCRATCH_8, 8) == UINT64_C(0x0123456789abcdef));
    assert_int_equal(LOAD(32, regs + TESTDEV_LAST_ACCESS), 8);
}

static void mapped_registers_keep_their_order(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    volatile uint8_t *regs = map(c, 0, 0x10000);
    STORE(32, regs + TESTDEV_COUNT_CLEAR, 0);
    for (uint32_t i = 1; i <= 200; i++) {
        STORE(32, regs + TESTDEV_SCRATCH_4, i);
        assert_int_equal(LOAD(64, regs + TESTDEV_LAST_VALUE), i);
    }
    assert_int_equal(LOAD(32, regs + TESTDEV_COUNT_WRITE + 8), 200);
}

static void edu_computes_through_its_mapping(void **state)
{
    io_connect_t c = contract_claimed(EDU);
    volatile uint8_t *regs = map(c, 0, 0x100000);
    assert_int_equal(LOAD(32, regs), 0x010000ed);
    STORE(32, regs + 4, 0x12345678);
    assert_true(LOAD(32, regs + 4) == (uint32_t)~0x12345678u);
    STORE(32, regs + 8, 10);
    while (LOAD(32, regs + 0x20) & 1) {
    }
    assert_int_equal(LOAD(32, regs + 8), 3628800);
    assert_true(LOAD(8, regs + 8) == 0xff); /* below 0x80 only 4 bytes */
}

static void direct_memory_is_shared_between_clients(void **state)
{
    io_connect_t a = contract_claimed(TESTDEV);
    io_connect_t b = contract_claimed(TESTDEV);
    volatile uint8_t *one = map(a, 4, 0x10000);
    volatile uint8_t *two = map(b, 4, 0x10000);
    assert_ptr_not_equal(one, two);
    STORE(64, one + 0x10, UINT64_C(0xfeedfacecafebeef));
    STORE(8, two + 0xffff, 0x77);
    assert_true(LOAD(64, two + 0x10) == UINT64_C(0xfeedfacecafebeef));
    assert_true(LOAD(8, one + 0xffff) == 0x77);
    /* And calls see it. */
    uint64_t value = 0;
    assert_ok(apple_dext_mmio_read(a, BAR4_INDEX, 0x10, 8, &value));
    assert_true(value == UINT64_C(0xfeedfacecafebeef));
    assert_ok(apple_dext_mmio_write(b, BAR4_INDEX, 0x20, 4, 0x600dcafe));
    assert_true(LOAD(32, one + 0x20) == 0x600dcafe);
}

static void mixed_bar_is_direct_around_its_window(void **state)
{
    io_connect_t a = contract_claimed(TESTDEV);
    io_connect_t b = contract_claimed(TESTDEV);
    uint64_t window = reg_read(a, TESTDEV_WINDOW, 8);
    assert_true(window == 0x200000);
    volatile uint8_t *one = map(a, 2, 0x400000);
    volatile uint8_t *two = map(b, 2, 0x400000);
    reg_write(a, TESTDEV_COUNT_CLEAR, 4, 0);
    STORE(32, one, 0x11111111);
    STORE(32, one + window - 4, 0x22222222);
    STORE(32, one + window + 0x4000, 0x33333333);
    STORE(32, one + 0x3ffffc, 0x44444444);
    assert_int_equal(LOAD(32, two), 0x11111111);
    assert_int_equal(LOAD(32, two + window - 4), 0x22222222);
    assert_int_equal(LOAD(32, two + window + 0x4000), 0x33333333);
    assert_int_equal(LOAD(32, two + 0x3ffffc), 0x44444444);
    assert_int_equal(reg_read(a, TESTDEV_COUNT_WRITE + 8, 4), 0); /* nothing of it was trapped */
    STORE(8, one + window, 0x55);
    STORE(64, one + window + 0x3ff8, UINT64_C(0x6666666666666666));
    assert_int_equal(LOAD(8, two + window), 0x55);
    assert_true(LOAD(64, two + window + 0x3ff8) == UINT64_C(0x6666666666666666));
    assert_int_equal(reg_read(a, TESTDEV_COUNT_WRITE, 4), 1);
    assert_int_equal(reg_read(a, TESTDEV_COUNT_WRITE + 12, 4), 1);
    assert_int_equal(reg_read(a, TESTDEV_COUNT_READ, 4), 1);
    assert_int_equal(reg_read(a, TESTDEV_COUNT_READ + 12, 4), 1);
    assert_true(reg_read(a, TESTDEV_LAST_OFFSET, 8) == window + 0x3ff8);
    assert_int_equal(reg_read(a, TESTDEV_LAST_ACCESS, 4), 8 | 2 << 8);
}

static void bars_that_cannot_be_mapped(void **state)
{
    static const struct {
        uint8_t bar;
        kern_return_t status;
    } bad[] = {{1, kIOReturnUnsupported},
               {3, kIOReturnNotFound},
               {5, kIOReturnNotFound},
               {6, kIOReturnBadArgument},
               {255, kIOReturnBadArgument}};
    io_connect_t c = contract_claimed(TESTDEV);
    mach_vm_address_t address = 0xa5;
    mach_vm_size_t size = 0xa5;
    uint8_t type = 0xa5;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_status(apple_dext_map_bar(c, bad[i].bar, &address, &size, &type), bad[i].status);
        assert_true(address == 0xa5 && size == 0xa5 && type == 0xa5);
        assert_status(apple_dext_unmap_bar(c, bad[i].bar, 0x1000), kIOReturnBadArgument);
    }
    assert_status(apple_dext_map_bar(c, 0, NULL, &size, &type), kIOReturnBadArgument);
    assert_status(apple_dext_map_bar(c, 0, &address, NULL, &type), kIOReturnBadArgument);
}

static void mapping_twice_needs_two_unmaps(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    volatile uint8_t *one = map(c, 0, 0x10000);
    volatile uint8_t *two = map(c, 0, 0x10000);
    mach_vm_address_t address = (uintptr_t)one;
    assert_ptr_equal(one, two);
    assert_ok(apple_dext_unmap_bar(c, 0, address));
    assert_int_equal(LOAD(32, one), TESTDEV_ID_VALUE); /* the other user's is still there */
    assert_ok(apple_dext_unmap_bar(c, 0, address));
    assert_status(apple_dext_unmap_bar(c, 0, address), kIOReturnBadArgument);
    one = map(c, 0, 0x10000);
    assert_int_equal(LOAD(32, one), TESTDEV_ID_VALUE);
}

static void unmap_takes_its_own_address_only(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    mach_vm_address_t regs = (uintptr_t)map(c, 0, 0x10000);
    mach_vm_address_t memory = (uintptr_t)map(c, 4, 0x10000);
    assert_status(apple_dext_unmap_bar(c, 0, memory), kIOReturnBadArgument);
    assert_status(apple_dext_unmap_bar(c, 0, regs + 4096), kIOReturnBadArgument);
    assert_status(apple_dext_unmap_bar(c, 0, 0), kIOReturnBadArgument);
    assert_status(apple_dext_unmap_bar(c, 2, regs), kIOReturnBadArgument);
    assert_ok(apple_dext_unmap_bar(c, 0, regs));
    assert_ok(apple_dext_unmap_bar(c, 4, memory));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(info_of_every_type),
        contract_test(info_of_the_io_bar),
        contract_test(direct_ranges_are_those_documented),
        contract_test(info_is_given_as_far_as_it_is_wanted),
        contract_test(mmio_takes_every_width),
        contract_test(mmio_reaches_every_memory_bar),
        contract_test(mmio_arguments_are_checked),
        contract_test(io_bar_has_no_mmio),
        contract_test(ones_of_a_live_device_are_a_value),
        contract_test(mapped_registers_take_every_width),
        contract_test(mapped_registers_keep_their_order),
        contract_test(edu_computes_through_its_mapping),
        contract_test(direct_memory_is_shared_between_clients),
        contract_test(mixed_bar_is_direct_around_its_window),
        contract_test(bars_that_cannot_be_mapped),
        contract_test(mapping_twice_needs_two_unmaps),
        contract_test(unmap_takes_its_own_address_only),
    };
    const struct contract_suite suite = {.name = "bar",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
