/*
 * The table of selectors: counts, claims, and the calls that only look.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <string.h>

/* From the protocol, not from the header under test: number, scalars in, scalars out, whether it
 * is refused unclaimed here (strict) and on the real dext (open), a completion. */
static const struct {
    uint8_t selector, in, out;
    bool strict, open, async;
} rows[] = {
    {0, 0, 6, false, false, false},  {1, 0, 0, false, false, false},
    {2, 0, 0, true, false, false},   {3, 2, 6, true, true, false},
    {4, 0, 0, true, false, false},   {5, 3, 3, true, true, false},
    {6, 1, 0, true, false, false},   {7, 2, 1, true, false, false},
    {8, 2, 1, true, false, false},   {9, 3, 0, true, false, false},
    {10, 1, 3, false, false, false}, {11, 3, 1, true, false, false},
    {12, 4, 0, true, false, false},  {13, 0, 1, true, true, false},
    {14, 0, 4, true, false, false},  {15, 0, 0, true, false, true},
    {16, 4, 0, true, false, false},  {17, 0, 0, true, true, false},
    {64, 0, 6, false, false, false}, {65, 1, 1, true, true, false},
    {66, 0, 1, true, false, false},  {67, 0, 10, false, false, false},
    {68, 0, 6, false, false, false}, {69, 1, 16, false, false, false},
    {70, 1, 3, false, false, false}, {71, 1, 2, false, false, false},
    {72, 1, 9, true, true, false},   {74, 3, 1, true, true, false},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool selector_exists(uint64_t selector)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].selector == selector) {
            return true;
        }
    }
    return false;
}

static void unknown_selectors_are_unsupported(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[FAKE_OUT];
    const uint64_t far[] = {18,  63,      79,         127,        128,
                            255, 256 + 8, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32 | 8};
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (uint64_t selector = 0; selector < 300; selector++) {
        if (!selector_exists(selector)) {
            assert_code(CALL0(client, selector, out), 0xe00002c7);
        }
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        assert_code(CALL(client, far[i], out, 0, 4), 0xe00002c7);
    }
    fixture_tear_down(&f);
}

static void too_few_scalars_are_bad_arguments(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t in[16] = {0}, out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (size_t i = 0; i < ROWS; i++) {
        for (uint32_t count = 0; count < rows[i].in; count++) {
            assert_code(fake_call(client, rows[i].selector, in, count, out), 0xe00002c2);
        }
        for (uint32_t room = 0; room < rows[i].out; room++) {
            struct dext_arguments arguments = {.scalar_in = in,
                                               .scalar_in_count = 16,
                                               .scalar_out = out,
                                               .scalar_out_count = room};
            assert_code(dext_client_external_method(client, rows[i].selector, &arguments),
                        0xe00002c2);
        }
    }
    fixture_tear_down(&f);
}

static void counts_are_checked_before_the_claim(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_code(CALL(client, 5, out, 1, 2), 0xe00002c2);
    assert_code(CALL0(client, 15, out), 0xe00002c2);
    fixture_tear_down(&f);
}

static void outputs_are_counted(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    char bytes[8];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    struct dext_arguments arguments = {.scalar_out = out,
                                       .scalar_out_count = 16,
                                       .struct_out = bytes,
                                       .struct_out_bytes = sizeof(bytes),
                                       .has_completion = true};
    assert_code(dext_client_external_method(client, 0, &arguments), 0);
    assert_int_equal(arguments.scalar_out_count, 6);
    assert_int_equal(arguments.struct_out_bytes, 0);
    arguments.scalar_out_count = 16;
    assert_code(dext_client_external_method(client, 67, &arguments), 0);
    assert_int_equal(arguments.scalar_out_count, 10);
    fixture_tear_down(&f);
}

/* Arguments that are in order for every selector, so that only the claim can be amiss. */
static IOReturn call_well(struct dext_client *client, size_t row, uint64_t out[16])
{
    static const uint64_t in[16] = {0, 4, 4, 0};
    struct dext_arguments arguments = {.scalar_in = in,
                                       .scalar_in_count = 16,
                                       .scalar_out = out,
                                       .scalar_out_count = 16,
                                       .has_completion = rows[row].async};
    memset(out, 0, 16 * sizeof(out[0]));
    return dext_client_external_method(client, rows[row].selector, &arguments);
}

static void unclaimed_clients_look(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        struct fixture f;
        uint64_t out[16];
        struct dext_options options = {.access_open = open};
        fixture_set_up(&f, &options, NULL);
        fixture_open_claimed(&f, 1); /* another client's claim is not one's own */
        struct dext_client *client = fixture_open(&f, 0);
        for (size_t i = 0; i < ROWS; i++) {
            bool refused = open ? rows[i].open : rows[i].strict;
            if (rows[i].selector == 1) {
                continue;
            }
            IOReturn status = call_well(client, i, out);
            if (refused) {
                assert_code(status, 0xe00002cd);
            } else {
                assert_int_not_equal((uint32_t)status, 0xe00002cd);
            }
        }
        fixture_tear_down(&f);
    }
}

static void open_access_shows_ones_until_a_claim(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    struct dext_options options = {.access_open = true};
    fixture_set_up(&f, &options, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    assert_code(CALL(client, 8, out, 0, 4), 0);
    assert_u64(out[0], 0xffffffff);
    assert_code(CALL(client, 8, out, 0, 1), 0);
    assert_u64(out[0], 0xff);
    assert_code(CALL(client, 9, out, 0x3c, 1, 0x77), 0);
    assert_int_equal(f.device->config[0x3c], 0);
    assert_code(CALL(client, 11, out, 1, 8, 8), 0);
    assert_u64(out[0], UINT64_MAX);
    assert_code(CALL(client, 12, out, 1, 8, 8, 5), 0);
    assert_int_equal(f.device->bar[2][8], 0);
    /* BAR information is right all the same. */
    assert_code(CALL(client, 8, out, 0x10, 4), 0);
    assert_u64(out[0], 0xc);
    assert_code(CALL(client, 14, out, 0), 0xe00002d8);
    assert_code(CALL(client, 6, out, 0x1000), 0xe00002f0);
    assert_code(CALL0(client, 4, out), 0);
    /* Somebody claims: the access works for everybody. */
    fixture_open_claimed(&f, 1);
    assert_code(CALL(client, 8, out, 0, 4), 0);
    assert_u64(out[0], 0x56781234);
    assert_code(CALL(client, 12, out, 1, 8, 1, 5), 0);
    assert_int_equal(f.device->bar[2][8], 5);
    /* ... until the claim goes. */
    fixture_stop(&f, 1);
    assert_code(CALL(client, 8, out, 0, 4), 0);
    assert_u64(out[0], 0xffffffff);
    fixture_tear_down(&f);
}

static void extensions_can_be_left_out(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    struct dext_options options = {.no_extensions = true};
    fixture_set_up(&f, &options, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    for (uint64_t selector = 64; selector <= 80; selector++) {
        assert_code(CALL0(client, selector, out), 0xe00002c7);
    }
    assert_code(CALL(client, 8, out, 0, 4), 0);
    assert_u64(out[0], 0x56781234);
    fixture_tear_down(&f);
}

static void identity_has_ids_with_a_claim(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    static const uint64_t before[6] = {3, 31, 7, 0xffff, 0xffff, 0xffffff};
    static const uint64_t after[6] = {3, 31, 7, 0x1234, 0x5678, 0x088000};
    assert_code(CALL0(client, 0, out), 0);
    assert_memory_equal(out, before, sizeof(before));
    assert_code(CALL0(client, 1, out), 0);
    assert_code(CALL0(client, 0, out), 0);
    assert_memory_equal(out, after, sizeof(after));
    fixture_tear_down(&f);
}

static void capabilities_are_the_limits_in_force(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    struct dart_options dart = {.aperture_bytes = 1 << 20, .slots = 10};
    static const uint64_t small[6] = {1, 3, 10, 1 << 20, 16384, 4096};
    static const uint64_t usual[6] = {1, 3, 65536, UINT64_C(1536) << 20, 16384, 4096};
    fixture_set_up(&f, NULL, &dart);
    assert_code(CALL0(fixture_open(&f, 0), 64, out), 0);
    assert_memory_equal(out, small, sizeof(small));
    fixture_tear_down(&f);
    fixture_set_up(&f, NULL, NULL);
    assert_code(CALL0(fixture_open(&f, 0), 64, out), 0);
    assert_memory_equal(out, usual, sizeof(usual));
    fixture_tear_down(&f);
}

static void state_follows_the_device(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16], byte = 0;
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    static const uint64_t present[6] = {0, 0, 3, 4, 0, 0};
    assert_code(CALL0(client, 68, out), 0);
    assert_memory_equal(out, present, sizeof(present));
    f.device->has_no_link = true;
    assert_int_equal(dart_device_read(f.device->provider.dart, 0xdead0000, &byte, 1), -14);
    dext_device_removed(f.dext);
    static const uint64_t removed[6] = {1, 0, 0, 0, 0xdead0000, 0};
    assert_code(CALL0(client, 68, out), 0);
    assert_memory_equal(out, removed, sizeof(removed));
    assert_code(CALL0(client, 67, out), 0);
    assert_u64(out[8], 1);
    fixture_tear_down(&f);
}

static void statistics_count(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    fixture_open_claimed(&f, 1);
    assert_code(CALL(client, 5, out, 0x10000, 0x100000, 16384), 0);
    assert_code(CALL(client, 5, out, 0x20000, 0x200000, 32768), 0);
    assert_code(CALL(client, 6, out, 0x20000), 0);
    assert_code(CALL0(client, 200, out), 0xe00002c7);
    static const uint64_t wanted[10] = {1, 2, 16384, 49152, 7, 0, 0, 0, 0, 2};
    assert_code(CALL0(client, 67, out), 0);
    assert_memory_equal(out, wanted, sizeof(wanted));
    /* Claim twice, RegisterDMARegion twice, UnregisterDMARegion once; refused calls count */
    static const uint64_t counts[16] = {0, 2, 0, 0, 0, 2, 1, 0, 1};
    assert_code(CALL(client, 8, out, 0, 3), 0xe00002c2);
    assert_code(CALL(client, 69, out, 0), 0);
    assert_memory_equal(out, counts, sizeof(counts));
    assert_code(CALL(client, 69, out, 67), 0);
    assert_true(out[0] == 1 && out[1] == 0 && out[2] == 2 && out[15] == 0);
    assert_code(CALL(client, 69, out, UINT64_MAX), 0);
    assert_true(out[0] == 0 && out[1] == 0 && out[15] == 0);
    fixture_tear_down(&f);
}

static void terminate_asks_the_host_once(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL0(client, 2, out), 0);
    assert_code(CALL0(client, 2, out), 0);
    assert_int_equal(f.host.terminations, 1);
    fixture_tear_down(&f);
}

static void open_has_its_own_codes(void **state)
{
    (void)state;
    struct fixture f;
    struct dext_client *client = NULL;
    fixture_set_up(&f, NULL, NULL);
    assert_code(dext_client_open(f.dext, 1, NULL, &client), 0xe00002c7);
    assert_code(dext_client_open(f.dext, UINT32_MAX, NULL, &client), 0xe00002c7);
    dext_device_removed(f.dext);
    assert_code(dext_client_open(f.dext, 0, NULL, &client), 0xe00002c0);
    assert_null(client);
    dext_client_stop(NULL);
    dext_destroy(NULL);
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_selectors_are_unsupported),
        cmocka_unit_test(too_few_scalars_are_bad_arguments),
        cmocka_unit_test(counts_are_checked_before_the_claim),
        cmocka_unit_test(outputs_are_counted),
        cmocka_unit_test(unclaimed_clients_look),
        cmocka_unit_test(open_access_shows_ones_until_a_claim),
        cmocka_unit_test(extensions_can_be_left_out),
        cmocka_unit_test(identity_has_ids_with_a_claim),
        cmocka_unit_test(capabilities_are_the_limits_in_force),
        cmocka_unit_test(state_follows_the_device),
        cmocka_unit_test(statistics_count),
        cmocka_unit_test(terminate_asks_the_host_once),
        cmocka_unit_test(open_has_its_own_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
