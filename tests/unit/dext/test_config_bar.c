/*
 * Config space, BARs and memory types.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <string.h>

static void config_reads_every_width(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 8, out, 0, 4), 0);
    assert_u64(out[0], 0x56781234);
    assert_code(CALL(client, 8, out, 2, 2), 0);
    assert_u64(out[0], 0x5678);
    assert_code(CALL(client, 8, out, 3, 1), 0);
    assert_u64(out[0], 0x56);
    f.device->config[4095] = 0xab;
    assert_code(CALL(client, 8, out, 4095, 1), 0);
    assert_u64(out[0], 0xab);
    assert_code(CALL(client, 9, out, 0x100, 4, UINT64_C(0x1122334455667788)), 0);
    assert_code(CALL(client, 8, out, 0x100, 4), 0);
    assert_u64(out[0], 0x55667788);
    assert_code(CALL(client, 9, out, 0x101, 1, 0xff), 0);
    assert_code(CALL(client, 8, out, 0x100, 4), 0);
    assert_u64(out[0], 0x5566ff88);
    fixture_tear_down(&f);
}

static void config_refuses_what_is_out_of_order(void **state)
{
    (void)state;
    static const uint64_t bad[][2] = {
        {0, 0},
        {0, 3},
        {0, 5},
        {0, 8},
        {0, 16},
        {0, UINT64_MAX},
        {1, 2},
        {2, 4},
        {1, 4},
        {4095, 2},
        {4096, 1},
        {4093, 4},
        {4094, 4},
        {UINT64_MAX, 1},
        {UINT64_MAX, 4},
        {UINT64_MAX - 3, 4},
        {0, UINT64_C(1) << 32 | 4},
        {UINT64_C(1) << 32, 4},
    };
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(CALL(client, 8, out, bad[i][0], bad[i][1]), 0xe00002c2);
        assert_code(CALL(client, 9, out, bad[i][0], bad[i][1], 0), 0xe00002c2);
    }
    fixture_tear_down(&f);
}

static void config_shows_bars_without_addresses(void **state)
{
    (void)state;
    static const uint32_t wanted[6] = {0xc, 0, 0, 1, 8, 0};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->config[0x24] = 0x55; /* unused, whatever its register holds */
    for (unsigned bar = 0; bar < 6; bar++) {
        assert_code(CALL(client, 8, out, 0x10 + 4 * bar, 4), 0);
        assert_u64(out[0], wanted[bar]);
    }
    /* Narrow reads give the raw register. */
    assert_code(CALL(client, 8, out, 0x12, 2), 0);
    assert_u64(out[0], 0x8000);
    assert_code(CALL(client, 8, out, 0x14, 1), 0);
    assert_u64(out[0], 0x01);
    assert_code(CALL(client, 8, out, 0x28, 4), 0);
    assert_u64(out[0], 0);
    fixture_tear_down(&f);
}

static void dead_devices_read_as_ones(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->is_dead = true;
    assert_code(CALL(client, 8, out, 0, 2), 0);
    assert_u64(out[0], 0xffff);
    assert_code(CALL(client, 9, out, 0x3c, 1, 1), 0);
    assert_code(CALL(client, 11, out, 1, 0, 4), 0);
    assert_u64(out[0], 0xffffffff);
    assert_code(CALL(client, 12, out, 1, 0, 4, 9), 0);
    assert_code(CALL0(client, 0, out), 0);
    assert_u64(out[3], 0xffff);
    dext_device_removed(f.dext);
    assert_code(CALL(client, 8, out, 0x10, 4), 0);
    assert_u64(out[0], 0xffffffff);
    fixture_tear_down(&f);
}

static void other_errors_are_told(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->config_error = -EIO;
    assert_code(CALL(client, 8, out, 0, 2), 0xe00002ca);
    assert_code(CALL(client, 9, out, 0x3c, 1, 1), 0xe00002ca);
    f.device->config_error = 0;
    fixture_tear_down(&f);
}

static void bars_are_described(void **state)
{
    (void)state;
    static const uint64_t wanted[6][3] = {{0, 0x10000, 0xc}, {0}, {1, 0x1000, 0}, {2, 0x100, 1},
                                          {3, 0x4000, 8},    {0}};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0); /* works unclaimed */
    for (unsigned bar = 0; bar < 6; bar++) {
        IOReturn status = CALL(client, 10, out, bar);
        assert_code(status, wanted[bar][1] ? 0 : 0xe00002f0);
        if (status == 0) {
            assert_memory_equal(out, wanted[bar], sizeof(wanted[bar]));
        }
    }
    static const uint64_t bad[] = {6, 7, 255, 256, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(CALL(client, 10, out, bad[i]), 0xe00002c2);
    }
    fixture_tear_down(&f);
}

static void direct_ranges_of_bars_are_told(void **state)
{
    (void)state;
    static const uint64_t nothing[9] = {0}, one[9] = {1, 0x4000, 0x8000};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_code(CALL(client, 72, out, 0), 0xe00002cd);
    assert_code(CALL0(client, 1, out), 0);
    memset(out, 0xa5, sizeof(out));
    assert_code(CALL(client, 72, out, 0), 0);
    assert_memory_equal(out, one, sizeof(one));
    assert_code(CALL(client, 72, out, 2), 0);
    assert_memory_equal(out, nothing, sizeof(nothing));
    assert_code(CALL(client, 72, out, 3), 0); /* ports */
    assert_memory_equal(out, nothing, sizeof(nothing));
    assert_code(CALL(client, 72, out, 1), 0xe00002f0);
    assert_code(CALL(client, 72, out, 6), 0xe00002c2);
    assert_code(CALL(client, 72, out, UINT64_MAX), 0xe00002c2);
    fixture_tear_down(&f);
}

static void mmio_goes_by_memory_index(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 12, out, 1, 0xff8, 8, UINT64_C(0x1122334455667788)), 0);
    assert_int_equal(f.device->bar[2][0xfff], 0x11);
    assert_code(CALL(client, 11, out, 1, 0xffc, 4), 0);
    assert_u64(out[0], 0x11223344);
    assert_code(CALL(client, 11, out, 1, 0xfff, 1), 0);
    assert_u64(out[0], 0x11);
    assert_code(CALL(client, 12, out, 1, 0xffe, 2, 0xaaaa5555), 0);
    assert_code(CALL(client, 11, out, 1, 0xff8, 8), 0);
    assert_u64(out[0], UINT64_C(0x5555334455667788));
    /* I/O BARs too, but not 8 bytes wide. */
    assert_code(CALL(client, 12, out, 2, 0xfc, 4, 7), 0);
    assert_int_equal(f.device->bar[3][0xfc], 7);
    assert_code(CALL(client, 11, out, 2, 0, 8), 0xe00002c7);
    assert_code(CALL(client, 12, out, 2, 0, 8, 0), 0xe00002c7);
    fixture_tear_down(&f);
}

static void mmio_refuses_what_is_out_of_order(void **state)
{
    (void)state;
    static const uint64_t bad[][2] = {
        {0, 0},      {0, 3},      {0, 16},     {0, UINT64_MAX},        {1, 2},
        {4, 8},      {0x1000, 1}, {0xffc, 8},  {UINT64_MAX, 1},        {UINT64_MAX - 7, 8},
        {0x1001, 4}, {0xffd, 4},  {0x1000, 8}, {UINT64_C(1) << 63, 8},
    };
    static const uint64_t missing[] = {4, 5, 6, 255, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(CALL(client, 11, out, 1, bad[i][0], bad[i][1]), 0xe00002c2);
        assert_code(CALL(client, 12, out, 1, bad[i][0], bad[i][1], 0), 0xe00002c2);
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        assert_code(CALL(client, 11, out, missing[i], 0, 4), 0xe00002f0);
        assert_code(CALL(client, 12, out, missing[i], 0, 4, 0), 0xe00002f0);
    }
    fixture_tear_down(&f);
}

static void memory_types_of_bars(void **state)
{
    (void)state;
    struct fixture f;
    struct dext_memory memory;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_code(dext_client_memory_for_type(client, 1, &memory), 0xe00002cd);
    uint64_t out[16];
    assert_code(CALL0(client, 1, out), 0);
    assert_code(dext_client_memory_for_type(client, 1, &memory), 0);
    assert_u64(memory.bytes, 0x10000);
    assert_int_equal(memory.range_count, 1);
    assert_u64(memory.ranges[0].offset, 0x4000);
    assert_u64(memory.ranges[0].bytes, 0x8000);
    assert_int_equal(memory.ranges[0].fd, 77);
    assert_u64(memory.ranges[0].fd_offset, 0x20000);
    assert_false(memory.is_read_only);
    assert_code(dext_client_memory_for_type(client, 2, &memory), 0xe00002f0);
    assert_code(dext_client_memory_for_type(client, 3, &memory), 0);
    assert_u64(memory.bytes, 0x1000);
    assert_int_equal(memory.range_count, 0);
    assert_code(dext_client_memory_for_type(client, 4, &memory), 0xe00002c7);
    assert_code(dext_client_memory_for_type(client, 6, &memory), 0xe00002f0);
    static const uint64_t bad[] = {8, 9, 255, 256, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(dext_client_memory_for_type(client, bad[i], &memory), 0xe00002c2);
    }
    dext_device_removed(f.dext);
    assert_code(dext_client_memory_for_type(client, 1, &memory), 0xe00002c0);
    fixture_tear_down(&f);
}

static void memory_types_of_the_dext(void **state)
{
    (void)state;
    struct fixture f;
    struct dext_memory memory;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(dext_client_memory_for_type(client, 0, &memory), 0xe00002d8);
    assert_code(dext_client_memory_for_type(client, 7, &memory), 0xe00002d8);
    assert_code(CALL(client, 3, out, 5000, 0), 0);
    assert_code(dext_client_memory_for_type(client, 0, &memory), 0);
    assert_u64(memory.bytes, 5000);
    assert_int_equal(memory.range_count, 1);
    assert_u64(memory.ranges[0].bytes, 16384);
    assert_true(memory.ranges[0].fd >= 0);
    assert_code(CALL0(client, 4, out), 0);
    assert_code(dext_client_memory_for_type(client, 0, &memory), 0xe00002d8);
    assert_code(CALL0(client, 13, out), 0);
    assert_code(dext_client_memory_for_type(client, 7, &memory), 0);
    assert_u64(memory.bytes, 16384);
    assert_u64(memory.ranges[0].bytes, 16384);
    fixture_tear_down(&f);
}

static void trapped_accesses_reach_the_bar(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16], value = 0x1122334455667788;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_code(dext_client_memory_access(client, 3, 0, 4, false, &value), 0xe00002cd);
    assert_u64(value, 0xffffffff);
    assert_code(CALL0(client, 1, out), 0);
    value = 0x1122334455667788;
    assert_code(dext_client_memory_access(client, 3, 8, 4, true, &value), 0);
    assert_int_equal(f.device->bar[2][8], 0x88);
    assert_int_equal(f.device->bar[2][12], 0);
    assert_code(dext_client_memory_access(client, 3, 8, 8, false, &value), 0);
    assert_u64(value, 0x55667788);
    /* type = 1 + BAR index, not the memory index */
    assert_code(dext_client_memory_access(client, 2, 0, 8, false, &value), 0xe00002f0);
    assert_u64(value, UINT64_MAX);
    assert_code(dext_client_memory_access(client, 4, 0, 2, false, &value), 0xe00002c7);
    assert_u64(value, 0xffff);
    assert_code(dext_client_memory_access(client, 3, 0x1000, 1, false, &value), 0xe00002c2);
    assert_u64(value, 0xff);
    assert_code(dext_client_memory_access(client, 3, 2, 4, true, &value), 0xe00002c2);
    assert_code(dext_client_memory_access(client, 3, UINT64_MAX - 3, 4, false, &value), 0xe00002c2);
    assert_code(dext_client_memory_access(client, 0, 0, 4, false, &value), 0xe00002c2);
    assert_code(dext_client_memory_access(client, 8, 0, 4, false, &value), 0xe00002c2);
    f.device->is_dead = true;
    assert_code(dext_client_memory_access(client, 3, 8, 8, false, &value), 0);
    assert_u64(value, UINT64_MAX);
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_reads_every_width),
        cmocka_unit_test(config_refuses_what_is_out_of_order),
        cmocka_unit_test(config_shows_bars_without_addresses),
        cmocka_unit_test(dead_devices_read_as_ones),
        cmocka_unit_test(other_errors_are_told),
        cmocka_unit_test(bars_are_described),
        cmocka_unit_test(direct_ranges_of_bars_are_told),
        cmocka_unit_test(mmio_goes_by_memory_index),
        cmocka_unit_test(mmio_refuses_what_is_out_of_order),
        cmocka_unit_test(memory_types_of_bars),
        cmocka_unit_test(memory_types_of_the_dext),
        cmocka_unit_test(trapped_accesses_reach_the_bar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
