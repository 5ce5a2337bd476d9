/*
 * Claims of several clients, in every leaving order; what a stop lets go, and in which order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <string.h>

static unsigned claim_count(struct dext_client *client)
{
    uint64_t out[16];
    assert_code(CALL0(client, 67, out), 0);
    return (unsigned)out[9];
}

static void the_first_claim_opens(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    f.device->config[4] = 0x01;
    f.device->config[5] = 0x04;
    struct dext_client *a = fixture_open(&f, 0);
    struct dext_client *b = fixture_open(&f, 1);
    assert_false(f.device->provider.is_open);
    assert_code(CALL0(a, 1, out), 0);
    assert_string_equal(f.device->events, "OB");
    assert_int_equal(f.device->config[4], 0x07); /* 0x6 is added to what is there */
    assert_int_equal(f.device->config[5], 0x04);
    assert_code(CALL0(a, 1, out), 0);
    assert_int_equal(claim_count(a), 1);
    assert_code(CALL0(b, 1, out), 0);
    assert_int_equal(claim_count(a), 2);
    assert_string_equal(f.device->events, "OB");
    fixture_tear_down(&f);
}

static void claims_fail_and_may_be_tried_again(void **state)
{
    (void)state;
    const struct {
        int open_error, config_error;
        uint32_t code;
    } cases[] = {
        {-EBUSY, 0, 0xe00002cd},
        {-ENODEV, 0, 0xe00002c0},
        {-ETIMEDOUT, 0, 0xe00002d6},
        {0, -EIO, 0xe00002ca},
    };
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open(&f, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f.device->open_error = cases[i].open_error;
        f.device->config_error = cases[i].config_error;
        assert_code(CALL0(client, 1, out), cases[i].code);
        assert_false(f.device->provider.is_open);
        assert_int_equal(claim_count(client), 0);
        assert_code(CALL(client, 8, out, 0, 4), 0xe00002cd);
    }
    f.device->config_error = 0;
    assert_code(CALL0(client, 1, out), 0);
    fixture_tear_down(&f);
}

static void a_gone_device_cannot_be_claimed(void **state)
{
    (void)state;
    for (int by_provider = 0; by_provider < 2; by_provider++) {
        struct fixture f;
        uint64_t out[16];
        fixture_set_up(&f, NULL, NULL);
        struct dext_client *held = fixture_open_claimed(&f, 0);
        struct dext_client *late = fixture_open(&f, 1);
        if (by_provider) {
            provider_remove(&f.device->provider);
        } else {
            dext_device_removed(f.dext);
        }
        assert_code(CALL0(late, 1, out), 0xe00002c0);
        assert_code(CALL0(held, 1, out), 0xe00002c0);
        assert_code(CALL(held, 8, out, 0, 2), 0); /* reads are the dead device's */
        fixture_tear_down(&f);
    }
}

static void hold_everything(struct dext_client *client)
{
    uint64_t out[16];
    assert_code(CALL(client, 5, out, 0x10000, 0x100000, 16384), 0);
    assert_code(CALL(client, 5, out, 0x20000, 0x200000, 16384), 0);
    assert_code(CALL(client, 3, out, 16384, 0), 0);
    assert_code(CALL0(client, 13, out), 0);
    assert_code(fake_wait(client, 1), 0);
}

static void the_last_claim_lets_go_in_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_set_up(&f, NULL, NULL);
    hold_everything(fixture_open_claimed(&f, 0));
    fake_device_clear_events(f.device);
    fixture_stop(&f, 0);
    /* Bus master, interrupts, each region unmapped before its memory, the buffer, close. */
    assert_string_equal(f.device->events, "biumumuC");
    assert_int_equal(f.device->config[4] & 6, 0);
    fake_device_fire(f.device, 0);
    assert_int_equal(f.contexts[0].completions, 0);
    fixture_tear_down(&f);
}

static void an_earlier_leaver_leaves_the_device_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_set_up(&f, NULL, NULL);
    hold_everything(fixture_open_claimed(&f, 0));
    hold_everything(fixture_open_claimed(&f, 1));
    fake_device_clear_events(f.device);
    fixture_stop(&f, 0);
    assert_string_equal(f.device->events, "umumu");
    assert_int_equal(f.device->config[4] & 6, 6);
    fake_device_clear_events(f.device);
    fixture_stop(&f, 1);
    assert_string_equal(f.device->events, "biumumuC");
    fixture_tear_down(&f);
}

static void unclaimed_leavers_touch_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_set_up(&f, NULL, NULL);
    fixture_open_claimed(&f, 0);
    fixture_open(&f, 1);
    fake_device_clear_events(f.device);
    fixture_stop(&f, 1);
    assert_string_equal(f.device->events, "");
    assert_true(f.device->provider.is_open);
    fixture_tear_down(&f);
}

/* Field note G1: whoever goes first, the device stays open for the rest. */
static void run_leaving_order(const unsigned order[3])
{
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    for (unsigned i = 0; i < 3; i++) {
        hold_everything(fixture_open_claimed(&f, i));
    }
    for (unsigned gone = 0; gone < 3; gone++) {
        fixture_stop(&f, order[gone]);
        assert_int_equal(f.device->provider.is_open, gone < 2);
        assert_int_equal(f.host.memories, 2 * (2 - gone));
        for (unsigned rest = gone + 1; rest < 3; rest++) {
            struct dext_client *client = f.clients[order[rest]];
            assert_code(CALL(client, 8, out, 0, 4), 0);
            assert_u64(out[0], 0x56781234);
            assert_code(CALL(client, 8, out, 4, 2), 0);
            assert_u64(out[0] & 6, 6);
            assert_code(CALL(client, 7, out, 0x10000, 0), 0);
            assert_int_equal(claim_count(client), 2 - gone);
            fake_device_fire(f.device, gone);
            assert_code(CALL0(client, 14, out), 0);
            assert_u64(out[0] >> gone & 1, 1);
        }
    }
    /* And all over again. */
    hold_everything(fixture_open_claimed(&f, 0));
    fixture_tear_down(&f);
}

static void claims_survive_in_every_leaving_order(void **state)
{
    (void)state;
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < 6; i++) {
        run_leaving_order(orders[i]);
    }
}

static void dead_devices_are_let_go_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_set_up(&f, NULL, NULL);
    hold_everything(fixture_open_claimed(&f, 0));
    provider_remove(&f.device->provider);
    dext_device_removed(f.dext);
    fake_device_clear_events(f.device);
    fixture_stop(&f, 0);
    assert_string_equal(f.device->events, "iumumuC");
    fixture_tear_down(&f);
}

static void a_stuck_command_register_holds_nobody_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_set_up(&f, NULL, NULL);
    hold_everything(fixture_open_claimed(&f, 0));
    f.device->config_error = -EIO;
    fake_device_clear_events(f.device);
    fixture_stop(&f, 0);
    assert_string_equal(f.device->events, "iumumuC");
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_claim_opens),
        cmocka_unit_test(claims_fail_and_may_be_tried_again),
        cmocka_unit_test(a_gone_device_cannot_be_claimed),
        cmocka_unit_test(the_last_claim_lets_go_in_order),
        cmocka_unit_test(an_earlier_leaver_leaves_the_device_alone),
        cmocka_unit_test(unclaimed_leavers_touch_nothing),
        cmocka_unit_test(claims_survive_in_every_leaving_order),
        cmocka_unit_test(dead_devices_are_let_go_too),
        cmocka_unit_test(a_stuck_command_register_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
