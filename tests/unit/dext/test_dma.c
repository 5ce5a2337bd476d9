/*
 * DMA regions and the DMA buffer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <unistd.h>

#define GIB   (UINT64_C(1) << 30)
#define CHUNK (GIB + GIB / 2)

static struct dart_statistics dart_now(const struct fixture *f)
{
    struct dart_statistics statistics;
    dart_get_statistics(f->device->provider.dart, &statistics);
    return statistics;
}

static void a_region_gets_a_bus_address(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16], word = 0;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x40000000, 0x7000, 20000), 0);
    assert_u64(out[0], 1);
    assert_true(out[1] >= 0x80000000 && out[1] != 0x40000000);
    assert_u64(out[1] % 16384, 0x7000 % 16384);
    assert_u64(out[2], 20000);
    assert_int_equal(dart_device_read(f.device->provider.dart, out[1], &word, 8), 0);
    assert_u64(word, fake_memory_word(0x7000));
    assert_int_equal(dart_device_write(f.device->provider.dart, out[1], &word, 8), 0);
    assert_code(CALL(client, 6, out, 0x40000000), 0);
    assert_int_equal(f.host.memories, 0);
    assert_code(CALL(client, 6, out, 0x40000000), 0xe00002f0);
    fixture_tear_down(&f);
}

static void identity_keeps_the_iova(void **state)
{
    (void)state;
    struct dart_options dart = {.identity = true};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x40000123, 0x7001, 5), 0);
    assert_u64(out[1], 0x40000123);
    assert_u64(out[2], 5);
    fixture_tear_down(&f);
}

static void bad_regions_are_refused_in_order(void **state)
{
    (void)state;
    const uint64_t top = UINT64_MAX - 4095;
    const struct {
        uint64_t iova, address, bytes;
        uint32_t code;
    } cases[] = {
        {0x1000, 0x1000, 0, 0xe00002c2},
        {0x1000, 0, 0x1000, 0xe00002c2},
        {0x1000, 0, 0, 0xe00002c2},
        {top, 0x1000, 0x2000, 0xe00002c2},
        {0x1000, top, 0x2000, 0xe00002c2},
        {1, 1, UINT64_MAX, 0xe00002db}, /* ends at 2^64 without passing it: too many chunks */
        {2, 1, UINT64_MAX, 0xe00002c2},
        {0x5000, 0x1000, 0x1000, 0xe00002d2}, /* duplicate */
        {0x5000, 0x1000, 129 * CHUNK, 0xe00002d2},
        {0x5000, 0, 0x1000, 0xe00002c2},
        {0x9000, 0x1000, 128 * CHUNK + 1, 0xe00002db},
        {0x9000, 0x1000, 129 * CHUNK, 0xe00002db},
        {0x9000, 0x1000, 2 * GIB, 0xe00002db}, /* more than the aperture */
    };
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x5000, 0x1000, 0x1000), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_code(CALL(client, 5, out, cases[i].iova, cases[i].address, cases[i].bytes),
                    cases[i].code);
        assert_int_equal(f.host.memories, 1);
        assert_u64(dart_now(&f).live_mappings, 1);
    }
    /* Unclaimed comes before everything, also before a bad size. */
    struct dext_client *other = fixture_open(&f, 1);
    assert_code(CALL(other, 5, out, 0x1000, 0, 0), 0xe00002cd);
    /* A region that ends exactly at 2^64 is fine. */
    assert_code(CALL(client, 5, out, top, top, 4096), 0);
    fixture_tear_down(&f);
}

static void only_equal_starts_are_duplicates(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *a = fixture_open_claimed(&f, 0);
    struct dext_client *b = fixture_open_claimed(&f, 1);
    assert_code(CALL(a, 5, out, 0x10000, 0x1000, 0x8000), 0);
    assert_code(CALL(a, 5, out, 0x14000, 0x1000, 0x8000), 0);
    /* The table is the client's own. */
    assert_code(CALL(b, 5, out, 0x10000, 0x1000, 0x8000), 0);
    assert_code(CALL(b, 6, out, 0x14000), 0xe00002f0);
    assert_code(CALL(b, 6, out, 0x10000), 0);
    assert_code(CALL(a, 7, out, 0x10000, 0), 0);
    fixture_tear_down(&f);
}

static void large_regions_are_cut(void **state)
{
    (void)state;
    struct dart_options dart = {.identity = true, .aperture_bytes = 200 * CHUNK};
    struct fixture f;
    uint64_t out[16], word = 0;
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, GIB, 4 * GIB, CHUNK), 0);
    assert_u64(out[2], CHUNK);
    assert_u64(dart_now(&f).live_mappings, 1);
    assert_code(CALL(client, 6, out, GIB), 0);
    /* One byte more: a second chunk that nobody is told of. */
    assert_code(CALL(client, 5, out, GIB, 4 * GIB, CHUNK + 1), 0);
    assert_u64(out[0], 1);
    assert_u64(out[1], GIB);
    assert_u64(out[2], CHUNK);
    assert_u64(dart_now(&f).live_mappings, 2);
    assert_u64(dart_now(&f).live_bytes, CHUNK + 1);
    assert_code(CALL(client, 6, out, GIB), 0);
    assert_u64(dart_now(&f).live_mappings, 0);
    /* 128 chunks are the most. */
    assert_code(CALL(client, 5, out, GIB, 4 * GIB, 128 * CHUNK), 0);
    assert_u64(dart_now(&f).live_mappings, 128);
    assert_int_equal(dart_device_read(f.device->provider.dart, GIB + 127 * CHUNK, &word, 8), 0);
    assert_u64(word, fake_memory_word(4 * GIB + 127 * CHUNK));
    assert_code(CALL(client, 7, out, GIB, 128 * CHUNK - 8), 0);
    assert_u64(out[0], fake_memory_word(4 * GIB + 128 * CHUNK - 8));
    assert_code(CALL(client, 6, out, GIB), 0);
    assert_int_equal(f.host.memories, 0);
    fixture_tear_down(&f);
}

static void half_mapped_regions_are_undone(void **state)
{
    (void)state;
    struct dart_options dart = {.identity = true, .aperture_bytes = 200 * CHUNK};
    const struct {
        int error;
        uint32_t code;
    } cases[] = {
        {-ENOMEM, 0xe00002bd}, {-EADDRNOTAVAIL, 0xe00002d0}, {-ENOSPC, 0xe00002db},
        {-ENODEV, 0xe00002c0}, {-EEXIST, 0xe00002d2},
    };
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned after = 0; after < 4; after++) {
            f.device->map_error = cases[i].error;
            f.device->map_fails_after = after;
            assert_code(CALL(client, 5, out, GIB, GIB, 4 * CHUNK), cases[i].code);
            assert_int_equal(f.host.memories, 0);
            assert_u64(dart_now(&f).live_mappings, 0);
        }
    }
    f.device->map_error = 0;
    assert_code(CALL(client, 5, out, GIB, GIB, 4 * CHUNK), 0);
    fixture_tear_down(&f);
}

static void memory_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.host.memory_error = -EFAULT;
    assert_code(CALL(client, 5, out, 0x1000, 0x1000, 0x1000), 0xe00002c8);
    f.host.memory_error = -ENOMEM;
    assert_code(CALL(client, 5, out, 0x1000, 0x1000, 0x1000), 0xe00002bd);
    f.host.memory_error = 0;
    assert_code(CALL(client, 5, out, 0x1000, 0x1000, 0x1000), 0);
    dext_device_removed(f.dext);
    assert_code(CALL(client, 5, out, 0x2000, 0x1000, 0x1000), 0xe00002c0);
    assert_code(CALL(client, 6, out, 0x1000), 0); /* what is held can be let go */
    fixture_tear_down(&f);
}

static void the_65537th_region_has_no_slot(void **state)
{
    (void)state;
    struct dart_options dart = {.identity = true, .slots = 70000};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (uint64_t i = 0; i < 65536; i++) {
        assert_code(CALL(client, 5, out, 0x1000 + i * 16, 0x1000, 16), 0);
    }
    assert_code(CALL(client, 5, out, 0x1000 + 65536 * 16, 0x1000, 16), 0xe00002db);
    /* A duplicate is told first, and a freed slot serves again. */
    assert_code(CALL(client, 5, out, 0x1000, 0x1000, 16), 0xe00002d2);
    assert_code(CALL(client, 6, out, 0x1000 + 777 * 16), 0);
    assert_code(CALL(client, 5, out, 0x1000 + 65536 * 16, 0x1000, 16), 0);
    assert_code(CALL(client, 5, out, 0x1000 + 65537 * 16, 0x1000, 16), 0xe00002db);
    /* The limit is a client's, as the real dext's table. */
    struct dext_client *other = fixture_open_claimed(&f, 1);
    assert_code(CALL(other, 5, out, GIB, 0x1000, 16), 0);
    fixture_stop(&f, 0);
    assert_u64(dart_now(&f).live_mappings, 1);
    fixture_tear_down(&f);
}

static void probes_read_client_memory(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x5000, 0x9000, 4096), 0);
    assert_code(CALL(client, 7, out, 0x5000, 0), 0);
    assert_u64(out[0], fake_memory_word(0x9000));
    assert_code(CALL(client, 7, out, 0x5000, 4088), 0);
    assert_u64(out[0], fake_memory_word(0x9000 + 4088));
    assert_code(CALL(client, 7, out, 0x5000, 3), 0);
    assert_u64(out[0], fake_memory_word(0x9003));
    assert_code(CALL(client, 7, out, 0x5000, 4089), 0xe00002e8);
    assert_code(CALL(client, 7, out, 0x5000, 4096), 0xe00002e8);
    assert_code(CALL(client, 7, out, 0x5000, UINT64_MAX), 0xe00002e8);
    assert_code(CALL(client, 7, out, 0x5000, UINT64_MAX - 7), 0xe00002e8);
    assert_code(CALL(client, 7, out, 0x5008, 0), 0xe00002f0);
    f.host.is_memory_gone = true;
    assert_code(CALL(client, 7, out, 0x5000, 0), 0xe00002c8);
    /* A region shorter than a word holds none. */
    f.host.is_memory_gone = false;
    assert_code(CALL(client, 5, out, 0x7000, 0x9000, 7), 0);
    assert_code(CALL(client, 7, out, 0x7000, 0), 0xe00002e8);
    fixture_tear_down(&f);
}

static void the_buffer_is_reached_by_the_device(void **state)
{
    (void)state;
    struct fixture f;
    struct dext_memory memory;
    uint64_t out[16], word = UINT64_C(0x1122334455667788), back = 0;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 3, out, 5000, 0), 0);
    assert_u64(out[0], 5000);
    assert_u64(out[1], 3);
    assert_u64(out[2], 1);
    assert_u64(out[3] % 4096, 0);
    assert_u64(out[4], 5000);
    assert_u64(out[5], 0x088000);
    uint64_t bus_address = out[3];
    struct dart *dart = f.device->provider.dart;
    assert_int_equal(dart_device_read(dart, bus_address + 4992, &back, 8), 0);
    assert_u64(back, 0);
    assert_int_equal(dart_device_write(dart, bus_address + 4992, &word, 8), 0);
    assert_code(dext_client_memory_for_type(client, 0, &memory), 0);
    assert_int_equal(pread(memory.ranges[0].fd, &back, 8, 4992), 8);
    assert_u64(back, word);
    assert_int_equal(dart_device_read(dart, bus_address + 4993, &back, 8), -EFAULT);
    assert_code(CALL0(client, 4, out), 0);
    assert_int_equal(dart_device_read(dart, bus_address, &back, 8), -EFAULT);
    assert_code(CALL0(client, 4, out), 0);
    fixture_tear_down(&f);
}

static void a_second_buffer_frees_the_first(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    struct dext_client *other = fixture_open_claimed(&f, 1);
    assert_code(CALL(client, 3, out, 4096, 0), 0);
    assert_code(CALL(other, 3, out, 4096, 0), 0);
    assert_code(CALL(client, 3, out, 32768, 16384), 0);
    assert_u64(out[3] % 16384, 0);
    assert_u64(dart_now(&f).live_mappings, 2);
    assert_u64(dart_now(&f).live_bytes, 16384 + 32768);
    /* Arguments out of order leave the first alone, a failure to map does not. */
    assert_code(CALL(client, 3, out, 0, 0), 0xe00002c2);
    assert_u64(dart_now(&f).live_mappings, 2);
    f.device->map_error = -ENOSPC;
    assert_code(CALL(client, 3, out, 4096, 0), 0xe00002db);
    assert_u64(dart_now(&f).live_mappings, 1);
    fixture_tear_down(&f);
}

static void bad_buffers_are_refused(void **state)
{
    (void)state;
    const uint64_t bad[][2] = {
        {0, 0},    {CHUNK + 1, 0}, {UINT64_MAX, 0}, {4096, 3},
        {4096, 6}, {4096, 4097},   {4096, 2 * GIB}, {4096, UINT64_MAX},
    };
    struct dart_options dart = {.aperture_bytes = 4 * GIB};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(CALL(client, 3, out, bad[i][0], bad[i][1]), 0xe00002c2);
    }
    assert_code(CALL(client, 3, out, 1, 1), 0);
    assert_u64(out[0], 1);
    assert_code(CALL(client, 3, out, CHUNK, GIB), 0);
    assert_u64(out[4], CHUNK);
    dext_device_removed(f.dext);
    assert_code(CALL(client, 3, out, 4096, 0), 0xe00002c0);
    fixture_tear_down(&f);
}

static void identity_buffers_find_a_free_place(void **state)
{
    (void)state;
    struct dart_options dart = {.identity = true};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, &dart);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    struct dext_client *other = fixture_open_claimed(&f, 1);
    assert_code(CALL(client, 5, out, 2 * GIB, 0x1000, GIB), 0);
    assert_code(CALL(client, 3, out, 8192, 1 << 20), 0);
    assert_u64(out[3] % (1 << 20), 0);
    uint64_t first = out[3];
    assert_true(first >= 3 * GIB);
    assert_code(CALL(other, 3, out, 8192, 0), 0);
    assert_true(out[3] >= first + 8192 || out[3] + 8192 <= first);
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_gets_a_bus_address),
        cmocka_unit_test(identity_keeps_the_iova),
        cmocka_unit_test(bad_regions_are_refused_in_order),
        cmocka_unit_test(only_equal_starts_are_duplicates),
        cmocka_unit_test(large_regions_are_cut),
        cmocka_unit_test(half_mapped_regions_are_undone),
        cmocka_unit_test(memory_that_is_not_there_is_told),
        cmocka_unit_test(the_65537th_region_has_no_slot),
        cmocka_unit_test(probes_read_client_memory),
        cmocka_unit_test(the_buffer_is_reached_by_the_device),
        cmocka_unit_test(a_second_buffer_frees_the_first),
        cmocka_unit_test(bad_buffers_are_refused),
        cmocka_unit_test(identity_buffers_find_a_free_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
