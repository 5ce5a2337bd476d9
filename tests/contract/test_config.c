/*
 * Config space: widths, limits, the BAR registers, blocks; the selectors' own checks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0", NULL};

enum { CONFIG_READ = 8, CONFIG_WRITE = 9 };

static uint64_t config(io_connect_t c, uint64_t offset, uint64_t width)
{
    uint64_t value = 0;
    assert_ok(apple_dext_config_read(c, offset, width, &value));
    return value;
}

static void every_width_reads_its_bytes(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    assert_true(config(c, 0, 4) == 0x7e571234);
    assert_true(config(c, 0, 2) == 0x1234);
    assert_true(config(c, 2, 2) == 0x7e57);
    assert_true(config(c, 0, 1) == 0x34);
    assert_true(config(c, 3, 1) == 0x7e);
    assert_true(config(c, 8, 4) == 0xff000001);
    assert_true(config(c, 0x2c, 4) == 0x7e571234);
}

static void writes_reach_their_bytes_only(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t line = config(c, 0x3c, 1);
    uint64_t size = config(c, 0x0c, 1);
    assert_ok(apple_dext_config_write(c, 0x3c, 1, 0xffffff5a)); /* bits above the width are cut */
    assert_true(config(c, 0x3c, 1) == 0x5a);
    assert_true(config(c, 0x3c, 2) == (0x5a | config(c, 0x3d, 1) << 8));
    assert_true(config(c, 0x0c, 1) == size);
    assert_ok(apple_dext_config_write(c, 0x3c, 1, line));
    /* Read-only registers ignore writes. */
    assert_ok(apple_dext_config_write(c, 0, 4, 0));
    assert_true(config(c, 0, 4) == 0x7e571234);
}

static void bar_registers_show_types_without_addresses(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    static const uint32_t types[6] = {0x0, 0x1, 0xc, 0, 0x8, 0};
    for (unsigned bar = 0; bar < 6; bar++) {
        assert_true(config(c, 0x10 + 4 * bar, 4) == types[bar]);
    }
    /* Narrow reads give the raw register: the low bits at least are the type's. */
    assert_true((config(c, 0x18, 1) & 0xf) == 0xc);
    assert_true((config(c, 0x10, 2) & 0xf) == 0x0);
    assert_true(config(c, 0x12, 2) != 0 || config(c, 0x10, 2) != 0);
    io_connect_t edu = contract_claimed(EDU);
    assert_true(config(edu, 0x10, 4) == 0);
    assert_true(config(edu, 0x14, 4) == 0);
}

static void arguments_are_checked(void **state)
{
    static const struct {
        uint64_t offset, width;
    } bad[] = {
        {0, 0},
        {0, 3},
        {0, 8},
        {0, 5},
        {0, UINT64_MAX},
        {1, 2},
        {2, 4},
        {4095, 2},
        {4096, 1},
        {4094, 4},
        {UINT64_MAX, 1},
        {UINT64_MAX - 3, 4},
        {UINT64_C(1) << 32, 4},
    };
    io_connect_t c = contract_claimed(TESTDEV);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t value = 0xa5;
        const uint64_t in[] = {bad[i].offset, bad[i].width, 0};
        uint32_t count = 1;
        assert_status(apple_dext_config_read(c, bad[i].offset, bad[i].width, &value),
                      kIOReturnBadArgument);
        assert_status(apple_dext_config_write(c, bad[i].offset, bad[i].width, 0),
                      kIOReturnBadArgument);
        /* The driver itself checks too. */
        assert_status(IOConnectCallScalarMethod(c, CONFIG_READ, in, 2, &value, &count),
                      kIOReturnBadArgument);
        assert_status(IOConnectCallScalarMethod(c, CONFIG_WRITE, in, 3, NULL, NULL),
                      kIOReturnBadArgument);
        assert_true(value == 0xa5);
    }
    assert_status(apple_dext_config_read(c, 0, 4, NULL), kIOReturnBadArgument);
    assert_true(config(c, 4092, 4) == 0); /* the last word is in range */
}

static void blocks_equal_single_reads(void **state)
{
    static const struct {
        uint64_t offset;
        size_t bytes;
    } blocks[] = {{0, 64}, {1, 1}, {3, 9}, {0x2d, 7}, {0x40, 0x60}, {4093, 3}, {0, 4096}, {7, 0}};
    io_connect_t c = contract_claimed(TESTDEV);
    uint8_t bytes[4096 + 1];
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        memset(bytes, 0xa5, sizeof(bytes));
        assert_ok(apple_dext_config_read_block(c, blocks[i].offset, bytes, blocks[i].bytes));
        assert_int_equal(bytes[blocks[i].bytes], 0xa5);
        for (size_t at = 0; at < blocks[i].bytes; at += at < 64 ? 1 : 61) {
            uint64_t offset = blocks[i].offset + at;
            /* Aligned words at the BARs show the type alone; that is the block's answer too. */
            if (offset < 0x10 || offset >= 0x28) {
                assert_true(bytes[at] == config(c, offset, 1));
            }
        }
    }
    assert_int_equal(bytes[0], 0xa5);
}

static void blocks_out_of_range_are_left_alone(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    uint8_t bytes[8];
    memset(bytes, 0xa5, sizeof(bytes));
    assert_status(apple_dext_config_read_block(c, 4090, bytes, 8), kIOReturnBadArgument);
    assert_status(apple_dext_config_read_block(c, UINT64_MAX, bytes, 8), kIOReturnBadArgument);
    assert_status(apple_dext_config_read_block(c, 0, bytes, SIZE_MAX), kIOReturnBadArgument);
    assert_status(apple_dext_config_read_block(c, 0, NULL, 4), kIOReturnBadArgument);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(bytes[i], 0xa5);
    }
}

static void conventional_function_reads_ones_above_256(void **state)
{
    uint64_t value = 0;
    io_connect_t c = contract_claimed(EDU);
    assert_ok(apple_dext_config_read(c, 0x100, 4, &value)); /* ones, but the device is there */
    assert_true(value == 0xffffffff);
}

static void argument_counts_below_the_table_are_refused(void **state)
{
    /* Selector, scalars in, scalars out: docs/dext.md has the counts. */
    static const struct {
        uint32_t selector, in, out;
    } rows[] = {
        {0, 0, 6},  {3, 2, 6},  {5, 3, 3},  {6, 1, 0},  {7, 2, 1},   {8, 2, 1},
        {9, 3, 0},  {10, 1, 3}, {11, 3, 1}, {12, 4, 0}, {13, 0, 1},  {14, 0, 4},
        {16, 4, 0}, {64, 0, 6}, {67, 0, 5}, {68, 0, 5}, {69, 1, 16}, {72, 1, 9},
    };
    const uint64_t in[16] = {0};
    io_connect_t c = contract_claimed(TESTDEV);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t out[16];
        for (uint32_t less = 0; less < rows[i].in; less++) {
            uint32_t count = 16;
            assert_status(IOConnectCallScalarMethod(c, rows[i].selector, in, less, out, &count),
                          kIOReturnBadArgument);
            assert_int_equal(count, 16);
        }
        for (uint32_t room = 0; room < rows[i].out; room++) {
            uint32_t count = room;
            assert_status(
                IOConnectCallScalarMethod(c, rows[i].selector, in, rows[i].in, out, &count),
                kIOReturnBadArgument);
            assert_int_equal(count, room);
        }
    }
}

static void unknown_selectors_are_unsupported(void **state)
{
    static const uint32_t unknown[] = {18, 19, 63, 200, 255, 256, 0x80000000, UINT32_MAX};
    const uint64_t in[16] = {0};
    io_connect_t c = contract_claimed(TESTDEV);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        uint64_t out[16];
        uint32_t count = 16;
        assert_status(IOConnectCallScalarMethod(c, unknown[i], in, 16, out, &count),
                      kIOReturnUnsupported);
        assert_status(IOConnectCallScalarMethod(c, unknown[i], NULL, 0, NULL, NULL),
                      kIOReturnUnsupported);
    }
}

static void more_arguments_than_needed_do_no_harm(void **state)
{
    const uint64_t in[16] = {0, 4};
    uint64_t out[16] = {0};
    uint32_t count = 16;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(IOConnectCallScalarMethod(c, CONFIG_READ, in, 16, out, &count));
    assert_true(out[0] == 0x7e571234);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(every_width_reads_its_bytes),
        contract_test(writes_reach_their_bytes_only),
        contract_test(bar_registers_show_types_without_addresses),
        contract_test(arguments_are_checked),
        contract_test(blocks_equal_single_reads),
        contract_test(blocks_out_of_range_are_left_alone),
        contract_test(conventional_function_reads_ones_above_256),
        contract_test(argument_counts_below_the_table_are_refused),
        contract_test(unknown_selectors_are_unsupported),
        contract_test(more_arguments_than_needed_do_no_harm),
    };
    const struct contract_suite suite = {.name = "config",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
