/*
 * ResetDevice: the ladder, its verification, what is kept over it. Time passes where the tests say
 * so, and in sleeps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DEADLINE_MS 20
#define MS          UINT64_C(1000000)

static const struct dext_options quick = {.reset_deadline_ms = DEADLINE_MS};

/* For hooks that run inside a reset. */
static struct fixture *hooked;
static uint64_t state_in_reset;

static uint64_t now_ns = 1000 * MS;

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    (void)clock;
    *out = (struct timespec){.tv_sec = (time_t)(now_ns / (1000 * MS)),
                             .tv_nsec = (long)(now_ns % (1000 * MS))};
    return 0;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    now_ns += (uint64_t)wanted->tv_sec * 1000 * MS + (uint64_t)wanted->tv_nsec;
    return 0;
}

static void assert_state(struct dext_client *client, uint64_t wanted, uint64_t generation)
{
    uint64_t out[16];
    assert_code(CALL0(client, 68, out), 0);
    assert_u64(out[0], wanted);
    assert_u64(out[1], generation);
}

struct ladder_case {
    int error[3]; /* of each kind's reset */
    int polls[3]; /* until the device answers after it; -1: never */
    uint32_t answer;
    uint32_t code;
    unsigned tried[3];
    unsigned generation;
};

static void run_ladder(const struct ladder_case *c)
{
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, &quick, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    memcpy(f.device->reset_error, c->error, sizeof(c->error));
    memcpy(f.device->reset_polls, c->polls, sizeof(c->polls));
    f.device->reset_answer = c->answer;
    assert_code(CALL0(client, 17, out), c->code);
    for (unsigned kind = 0; kind < 3; kind++) {
        assert_int_equal(f.device->resets[kind], c->tried[kind]);
    }
    assert_state(client, 0, c->generation);
    if (c->code == 0) {
        assert_int_equal(f.device->config[4] & 6, 6);
    }
    f.device->polls_left = 0;
    fixture_tear_down(&f);
}

static void the_ladder_is_climbed_until_the_device_answers(void **state)
{
    (void)state;
    static const uint32_t ones = UINT32_MAX, retry = 0xffff0001;
    const struct ladder_case cases[] = {
        {{0}, {0}, ones, 0, {1, 0, 0}, 1},
        {{0}, {3, 0, 0}, ones, 0, {1, 0, 0}, 1},
        {{0}, {3, 0, 0}, retry, 0, {1, 0, 0}, 1},
        {{0}, {-1, 0, 0}, ones, 0, {1, 1, 0}, 1},  /* F6: function reset "worked", device dead */
        {{0}, {-1, 0, 0}, retry, 0, {1, 1, 0}, 1}, /* F4 */
        {{0}, {-1, 2, 0}, retry, 0, {1, 1, 0}, 1},
        {{0}, {-1, -1, 0}, ones, 0, {1, 1, 1}, 1},
        {{0}, {-1, -1, 2}, retry, 0, {1, 1, 1}, 1},
        {{0}, {-1, -1, -1}, ones, 0xe00002ed, {1, 1, 1}, 1},
        {{0}, {-1, -1, -1}, retry, 0xe00002ed, {1, 1, 1}, 1},
        {{0}, {-1, -1, -1}, 0, 0xe00002ed, {1, 1, 1}, 1},
        {{0}, {-1, -1, -1}, 0x56784321, 0xe00002ed, {1, 1, 1}, 1},
        {{-ENOTSUP, 0, 0}, {0}, ones, 0, {1, 1, 0}, 1},
        {{-ENOTSUP, -ENOTSUP, 0}, {0}, ones, 0, {1, 1, 1}, 1},
        {{-ENOTSUP, -ENOTSUP, -ENOTSUP}, {0}, ones, 0xe00002c7, {1, 1, 1}, 0},
        {{-EIO, 0, 0}, {0}, ones, 0, {1, 1, 0}, 1},
        {{-EIO, -EIO, -EIO}, {0}, ones, 0xe00002ed, {1, 1, 1}, 1},
        {{-ENOTSUP, -ENOTSUP, 0}, {0, 0, -1}, ones, 0xe00002ed, {1, 1, 1}, 1},
        {{-ENODEV, 0, 0}, {0}, ones, 0xe00002c0, {1, 0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_ladder(&cases[i]);
    }
}

static void each_step_waits_for_its_deadline(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, &quick, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->reset_polls[0] = f.device->reset_polls[1] = f.device->reset_polls[2] = -1;
    uint64_t start = now_ns;
    assert_code(CALL0(client, 17, out), 0xe00002ed);
    assert_true(now_ns - start >= 3 * DEADLINE_MS * MS);
    f.device->polls_left = 0;
    fixture_tear_down(&f);
}

static void be_away(void)
{
    now_ns += 10 * DEADLINE_MS * MS;
}

/* Whoever asked in time, and learnt the answer late, asks again. */
static void who_was_away_asks_once_more(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, &quick, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->reset_polls[0] = 1;
    f.device->on_poll = be_away;
    assert_code(CALL0(client, 17, out), 0);
    assert_int_equal(f.device->resets[0], 1);
    assert_int_equal(f.device->resets[1], 0);
    fixture_tear_down(&f);
}

static void command_bits_are_as_before(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= 6; bits += 2) {
        struct fixture f;
        uint64_t out[16];
        fixture_set_up(&f, &quick, NULL);
        struct dext_client *client = fixture_open_claimed(&f, 0);
        assert_code(CALL(client, 9, out, 4, 2, bits | 0x400), 0);
        assert_code(CALL0(client, 17, out), 0);
        assert_code(CALL(client, 8, out, 4, 2), 0);
        assert_u64(out[0], bits | 0x400);
        fixture_tear_down(&f);
    }
}

static void what_clients_hold_stays(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16], word;
    fixture_set_up(&f, &quick, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL(client, 5, out, 0x1000, 0x1000, 4096), 0);
    uint64_t bus_address = out[1];
    assert_code(CALL0(client, 13, out), 0);
    assert_code(CALL0(client, 17, out), 0);
    assert_code(CALL0(client, 17, out), 0);
    assert_int_equal(dart_device_read(f.device->provider.dart, bus_address, &word, 8), 0);
    fake_device_fire(f.device, 1);
    assert_code(CALL0(client, 14, out), 0);
    assert_u64(out[0], 2);
    assert_state(client, 0, 2);
    fixture_tear_down(&f);
}

static void look_inside(void)
{
    uint64_t out[16];
    assert_code(CALL0(hooked->clients[1], 68, out), 0);
    state_in_reset = out[0];
    assert_code(CALL0(hooked->clients[1], 67, out), 0);
    assert_code(CALL0(hooked->clients[1], 64, out), 0);
}

static void others_see_it_resetting(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, &quick, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    fixture_open(&f, 1);
    hooked = &f;
    state_in_reset = 99;
    f.device->on_reset = look_inside;
    assert_code(CALL0(client, 17, out), 0);
    assert_u64(state_in_reset, 2);
    assert_state(client, 0, 1);
    fixture_tear_down(&f);
}

static void pull_out(void)
{
    dext_device_removed(hooked->dext);
}

static void removal_ends_a_reset(void **state)
{
    (void)state;
    struct dext_options patient = {.reset_deadline_ms = 60000};
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, &patient, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    hooked = &f;
    f.device->on_reset = pull_out;
    f.device->reset_polls[0] = -1;
    uint64_t start = now_ns;
    assert_code(CALL0(client, 17, out), 0xe00002c0);
    assert_true(now_ns - start < 60000 * MS);
    assert_int_equal(f.device->resets[1], 0);
    assert_state(client, 1, 1);
    assert_code(CALL0(client, 17, out), 0xe00002c0);
    f.device->polls_left = 0;
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ladder_is_climbed_until_the_device_answers),
        cmocka_unit_test(each_step_waits_for_its_deadline),
        cmocka_unit_test(who_was_away_asks_once_more),
        cmocka_unit_test(command_bits_are_as_before),
        cmocka_unit_test(what_clients_hold_stays),
        cmocka_unit_test(others_see_it_resetting),
        cmocka_unit_test(removal_ends_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
