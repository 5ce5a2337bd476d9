/*
 * Unit tests: config space and MMIO calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client_test.h"

static void widths_alignment_and_range_are_checked(void **state)
{
    static const uint64_t bad[][2] = {{0, 0},
                                      {0, 3},
                                      {0, 8},
                                      {0, UINT64_MAX},
                                      {1, 2},
                                      {2, 4},
                                      {3, 4},
                                      {4096, 1},
                                      {4095, 2},
                                      {4094, 4},
                                      {4096, 4},
                                      {UINT64_MAX, 1},
                                      {UINT64_MAX - 3, 4},
                                      {UINT64_MAX - 1, 2},
                                      {4092, 8}};
    io_connect_t port = fake_connect(true);
    unsigned before = fake.call_count;
    uint64_t value = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(apple_dext_config_read(port, bad[i][0], bad[i][1], &value),
                         kIOReturnBadArgument);
        assert_int_equal(apple_dext_config_write(port, bad[i][0], bad[i][1], 0),
                         kIOReturnBadArgument);
    }
    assert_true(value == 7);
    assert_int_equal(fake.call_count, before);
    assert_int_equal(apple_dext_config_read(port, 4092, 4, &value), kIOReturnSuccess);
    assert_int_equal(apple_dext_config_read(port, 4095, 1, &value), kIOReturnSuccess);
    apple_dext_disconnect(port);
}

static void values_have_their_width(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value;

    (void)state;
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), kIOReturnSuccess);
    assert_true(value == 0x11e81234);
    fake_script_value(DEXT_SEL_CONFIG_READ, UINT64_C(0xffffffffffff1234));
    assert_int_equal(apple_dext_config_read(port, 0, 2, &value), kIOReturnSuccess);
    assert_true(value == 0x1234);
    assert_int_equal(apple_dext_config_write(port, 4, 2, UINT64_MAX), kIOReturnSuccess);
    struct fake_call call = fake_call_at(DEXT_SEL_CONFIG_WRITE, 0);
    assert_true(call.in[0] == 4 && call.in[1] == 2 && call.in[2] == 0xffff);
    apple_dext_disconnect(port);
}

static void dead_is_not_ones(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value = 0;

    (void)state;
    memset(fake.config, 0xff, sizeof(fake.config));
    assert_int_equal(apple_dext_config_read(port, 8, 4, &value), kIOReturnNoDevice);
    assert_true(value == 0xffffffff);
    value = 0;
    assert_int_equal(apple_dext_config_read(port, 9, 1, &value), kIOReturnNoDevice);
    assert_true(value == 0xff);
    assert_int_equal(apple_dext_config_read(port, 0, 2, &value), kIOReturnNoDevice);
    assert_true(fake_log_contains("does not answer"));
    apple_dext_disconnect(port);
}

static void a_register_of_ones_is_just_that(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value = 0;

    (void)state;
    fake.config[0x3c] = 0xff;
    assert_int_equal(apple_dext_config_read(port, 0x3c, 1, &value), kIOReturnSuccess);
    assert_true(value == 0xff);
    /* The look at the vendor ID came after, and nothing looks after a value with a zero in it. */
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 2);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 3);
    apple_dext_disconnect(port);
}

static void ones_without_a_claim_are_not_open(void **state)
{
    io_connect_t port = fake_connect(false);
    uint64_t value = 0;

    (void)state;
    memset(fake.config, 0xff, sizeof(fake.config));
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), kIOReturnNotOpen);
    assert_true(value == 0xffffffff);
    assert_int_equal(apple_dext_config_write(port, 4, 2, 6), kIOReturnNotOpen);
    assert_int_equal(apple_dext_claim(port), kIOReturnSuccess);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), kIOReturnNoDevice);
    apple_dext_disconnect(port);
}

static void a_connection_that_dies_during_the_look_says_so(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value = 0;

    (void)state;
    fake_script_value(DEXT_SEL_CONFIG_READ, UINT64_MAX);
    fake_script_status(DEXT_SEL_CONFIG_READ, MACH_SEND_INVALID_DEST);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_true(value == 0xffffffff);
    apple_dext_disconnect(port);
}

static void a_failed_read_stores_nothing(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value = 7;

    (void)state;
    fake_script_status(DEXT_SEL_CONFIG_READ, kIOReturnNotOpen);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), kIOReturnNotOpen);
    assert_true(value == 7);
    apple_dext_disconnect(port);
}

static void blocks_use_the_widest_access(void **state)
{
    static const uint64_t steps[][2] = {{1, 1}, {2, 2}, {4, 4}, {8, 4}, {12, 2}, {14, 1}};
    io_connect_t port = fake_connect(true);
    uint8_t bytes[14];

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        fake.config[i] = (uint8_t)(0x40 + i);
    }
    assert_int_equal(apple_dext_config_read_block(port, 1, bytes, 14), kIOReturnSuccess);
    assert_memory_equal(bytes, fake.config + 1, 14);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 6);
    for (unsigned i = 0; i < 6; i++) {
        struct fake_call call = fake_call_at(DEXT_SEL_CONFIG_READ, i);
        assert_true(call.in[0] == steps[i][0] && call.in[1] == steps[i][1]);
    }
    apple_dext_disconnect(port);
}

static void blocks_check_their_range(void **state)
{
    io_connect_t port = fake_connect(true);
    uint8_t bytes[4096];

    (void)state;
    memset(bytes, 0x5a, sizeof(bytes));
    assert_int_equal(apple_dext_config_read_block(port, 4096, bytes, 1), kIOReturnBadArgument);
    assert_int_equal(apple_dext_config_read_block(port, 1, bytes, 4096), kIOReturnBadArgument);
    assert_int_equal(apple_dext_config_read_block(port, UINT64_MAX, bytes, 2),
                     kIOReturnBadArgument);
    assert_int_equal(apple_dext_config_read_block(port, 1, bytes, SIZE_MAX), kIOReturnBadArgument);
    assert_int_equal(apple_dext_config_read_block(port, 0, NULL, 1), kIOReturnBadArgument);
    assert_int_equal(bytes[0], 0x5a);
    assert_int_equal(apple_dext_config_read_block(port, 4096, bytes, 0), kIOReturnSuccess);
    assert_int_equal(apple_dext_config_read_block(port, 0, bytes, 4096), kIOReturnSuccess);
    assert_memory_equal(bytes, fake.config, 4096);
    apple_dext_disconnect(port);
}

static void a_failed_block_is_zero_from_there_on(void **state)
{
    const uint8_t wanted[12] = {0x44, 0x33, 0x22, 0x11};
    io_connect_t port = fake_connect(true);
    uint8_t bytes[12];

    (void)state;
    memset(bytes, 0x5a, sizeof(bytes));
    fake_script_value(DEXT_SEL_CONFIG_READ, 0x11223344);
    fake_script_status(DEXT_SEL_CONFIG_READ, kIOReturnIOError);
    assert_int_equal(apple_dext_config_read_block(port, 0, bytes, 12), kIOReturnIOError);
    assert_memory_equal(bytes, wanted, 12);
    apple_dext_disconnect(port);
}

static void a_block_of_a_dead_device_is_ones(void **state)
{
    io_connect_t port = fake_connect(true);
    uint8_t bytes[64], ones[64];

    (void)state;
    memset(ones, 0xff, sizeof(ones));
    memset(fake.config, 0xff, sizeof(fake.config));
    assert_int_equal(apple_dext_config_read_block(port, 0, bytes, 64), kIOReturnNoDevice);
    assert_memory_equal(bytes, ones, 64);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 2); /* one read, one look, no more */
    apple_dext_disconnect(port);
}

static void a_device_that_dies_within_a_block_is_noticed(void **state)
{
    io_connect_t port = fake_connect(true);
    uint8_t bytes[12];

    (void)state;
    fake_script_value(DEXT_SEL_CONFIG_READ, 0xffffffff); /* a register of ones */
    fake_script_value(DEXT_SEL_CONFIG_READ, 0x1234);     /* the look */
    fake_script_value(DEXT_SEL_CONFIG_READ, 0x55);
    fake_script_value(DEXT_SEL_CONFIG_READ, 0xffffffff); /* dead from here on */
    assert_int_equal(apple_dext_config_read_block(port, 4, bytes, 12), kIOReturnNoDevice);
    assert_int_equal(bytes[11], 0xff);
    apple_dext_disconnect(port);
}

static void set_up_mmio(void)
{
    fake.bars[0] = (struct fake_bar){.values = {0, 0, 0x1}}; /* no such BAR */
    fake.bars[0].status = kIOReturnNotFound;
    fake.bars[1] = (struct fake_bar){.values = {0, 0x100, 0x1}}; /* I/O */
    fake.bars[2] = (struct fake_bar){.values = {0, 0x1000, 0xc}};
    fake.bars[3].status = kIOReturnError; /* its upper half */
    fake.bars[4] = (struct fake_bar){.values = {1, 0x10, 0x0}};
    fake.bars[5].status = kIOReturnBadArgument;
}

static void mmio_is_checked_against_the_bar(void **state)
{
    static const uint64_t bad[][3] = {
        {0, 0, 0},          {0, 0, 3},      {0, 0, 16},     {0, 4, 8},
        {0, 1, 2},          {0, 0x1000, 1}, {0, 0xff8, 16}, {0, UINT64_MAX - 7, 8},
        {1, 0x10, 4},       {1, 0x0c, 8},   {2, 0, 4},      {255, 0, 4},
        {0, UINT64_MAX, 1}, {0, 0x1000, 8}};
    io_connect_t port = fake_connect(true);
    uint64_t value = 7;

    (void)state;
    set_up_mmio();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            apple_dext_mmio_read(port, (uint8_t)bad[i][0], bad[i][1], bad[i][2], &value),
            kIOReturnBadArgument);
        assert_int_equal(apple_dext_mmio_write(port, (uint8_t)bad[i][0], bad[i][1], bad[i][2], 0),
                         kIOReturnBadArgument);
    }
    assert_true(value == 7);
    assert_int_equal(fake_calls_of(DEXT_SEL_MMIO_READ), 0);
    assert_int_equal(fake_calls_of(DEXT_SEL_MMIO_WRITE), 0);

    fake.mmio_value = UINT64_C(0x1122334455667788);
    assert_int_equal(apple_dext_mmio_read(port, 0, 0xff8, 8, &value), kIOReturnSuccess);
    assert_true(value == fake.mmio_value);
    assert_int_equal(apple_dext_mmio_read(port, 1, 0xe, 2, &value), kIOReturnSuccess);
    assert_true(value == 0x7788);
    assert_int_equal(apple_dext_mmio_write(port, 1, 0xc, 4, UINT64_MAX), kIOReturnSuccess);
    struct fake_call call = fake_call_at(DEXT_SEL_MMIO_WRITE, 0);
    assert_true(call.in[0] == 1 && call.in[1] == 0xc && call.in[2] == 4 &&
                call.in[3] == 0xffffffff);
    apple_dext_disconnect(port);
}

static void bars_are_asked_for_once(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value;

    (void)state;
    set_up_mmio();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(apple_dext_mmio_read(port, 1, 0, 4, &value), kIOReturnSuccess);
    }
    assert_int_equal(fake_calls_of(DEXT_SEL_GET_BAR_INFO), 5);
    apple_dext_disconnect(port);
}

static void mmio_of_a_dead_device_is_no_device(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value = 0;

    (void)state;
    set_up_mmio();
    fake.mmio_value = UINT64_MAX;
    assert_int_equal(apple_dext_mmio_read(port, 0, 0, 8, &value), kIOReturnSuccess);
    memset(fake.config, 0xff, 4);
    value = 0;
    assert_int_equal(apple_dext_mmio_read(port, 0, 0, 8, &value), kIOReturnNoDevice);
    assert_true(value == UINT64_MAX);
    assert_int_equal(apple_dext_mmio_read(port, 0, 0, 4, &value), kIOReturnNoDevice);
    assert_true(value == 0xffffffff);
    apple_dext_disconnect(port);
}

static void mmio_without_a_claim_is_not_open(void **state)
{
    io_connect_t port = fake_connect(false);
    uint64_t value = 0;

    (void)state;
    set_up_mmio();
    memset(fake.config, 0xff, 4);
    fake.mmio_value = UINT64_MAX;
    assert_int_equal(apple_dext_mmio_read(port, 0, 0, 4, &value), kIOReturnNotOpen);
    assert_int_equal(apple_dext_mmio_write(port, 0, 0, 4, 1), kIOReturnNotOpen);
    memset(fake.config, 0x12, 4); /* another client's claim opens the device for this one too */
    assert_int_equal(apple_dext_mmio_write(port, 0, 0, 4, 1), kIOReturnSuccess);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(widths_alignment_and_range_are_checked),
        CLIENT_TEST(values_have_their_width),
        CLIENT_TEST(dead_is_not_ones),
        CLIENT_TEST(a_register_of_ones_is_just_that),
        CLIENT_TEST(ones_without_a_claim_are_not_open),
        CLIENT_TEST(a_connection_that_dies_during_the_look_says_so),
        CLIENT_TEST(a_failed_read_stores_nothing),
        CLIENT_TEST(blocks_use_the_widest_access),
        CLIENT_TEST(blocks_check_their_range),
        CLIENT_TEST(a_failed_block_is_zero_from_there_on),
        CLIENT_TEST(a_block_of_a_dead_device_is_ones),
        CLIENT_TEST(a_device_that_dies_within_a_block_is_noticed),
        CLIENT_TEST(mmio_is_checked_against_the_bar),
        CLIENT_TEST(bars_are_asked_for_once),
        CLIENT_TEST(mmio_of_a_dead_device_is_no_device),
        CLIENT_TEST(mmio_without_a_claim_is_not_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
