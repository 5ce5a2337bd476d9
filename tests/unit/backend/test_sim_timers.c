/*
 * Unit tests of the sim back end's timers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include <time.h>

#define MS UINT64_C(1000000)

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Bounded by the test runner's own time limit. */
static void wait_fired(unsigned timer, int count)
{
    while (atomic_load(&fake->fired[timer]) < count) {
        sleep_ms(1);
    }
}

static uint64_t device_now(void)
{
    return fake->model.host.ops->now_ns(fake->model.host.context);
}

/* false: arming took so long that the deadlines are in no known order. */
static bool fire_in_order(int round)
{
    uint64_t start = device_now();
    device_do(FAKE_ARM, 20 * MS, 2);
    device_do(FAKE_ARM, 5 * MS, 1);
    device_do(FAKE_ARM, 0, 0);
    bool is_ordered = device_now() < start + 5 * MS;
    for (unsigned i = 0; i < FAKE_TIMERS; i++) {
        wait_fired(i, round);
    }
    assert_true(atomic_load(&fake->fired_at_ns[2]) >= start + 20 * MS);
    assert_true(atomic_load(&fake->fired_at_ns[1]) >= start + 5 * MS);
    if (is_ordered) {
        assert_true(atomic_load(&fake->fired_at_ns[0]) <= atomic_load(&fake->fired_at_ns[1]));
        assert_true(atomic_load(&fake->fired_at_ns[1]) <= atomic_load(&fake->fired_at_ns[2]));
    }
    sleep_ms(10);
    for (int i = 0; i < FAKE_TIMERS; i++) {
        assert_int_equal(atomic_load(&fake->fired[i]), round);
    }
    return is_ordered;
}

static void timers_fire_once_and_not_early(void **state)
{
    (void)state;
    int round = 1;
    while (!fire_in_order(round)) {
        assert_true(++round < 1000);
    }
}

static void a_timer_in_the_far_future_stays_armed(void **state)
{
    (void)state;
    device_do(FAKE_ARM, UINT64_MAX / 2, 0);
    device_do(FAKE_ARM, 5 * MS, 1);
    wait_fired(1, 1);
    assert_int_equal(atomic_load(&fake->fired[0]), 0);
}

static void cancel_and_replace_are_exact(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        /* Due at once: the thread races us for the lock, and after cancel it has lost. */
        device_do(FAKE_ARM, 0, 0);
        device_do(FAKE_CANCEL, 0, 0);
        int fired = atomic_load(&fake->fired[0]);
        if (round % 100 == 0) {
            sleep_ms(2);
        }
        assert_int_equal(atomic_load(&fake->fired[0]), fired);
    }
    /* The later deadline replaces the earlier. */
    int fired;
    uint64_t start;
    do {
        fired = atomic_load(&fake->fired[0]);
        start = device_now();
        device_do(FAKE_ARM, 15 * MS, 0);
        device_do(FAKE_ARM, 40 * MS, 0);
    } while (atomic_load(&fake->fired[0]) != fired); /* the earlier one was due already */
    wait_fired(0, fired + 1);
    assert_true(atomic_load(&fake->fired_at_ns[0]) >= start + 40 * MS);
    /* And the earlier the later. */
    device_do(FAKE_ARM, 3600 * 1000 * MS, 0);
    device_do(FAKE_ARM, 1 * MS, 0);
    wait_fired(0, fired + 2);
}

static void timers_that_do_not_exist_are_ignored(void **state)
{
    (void)state;
    device_do(FAKE_ARM, 0, FAKE_TIMERS);
    device_do(FAKE_CANCEL, 0, FAKE_TIMERS);
    device_do(FAKE_ARM, 0, UINT32_MAX);
    device_do(FAKE_ARM, 0, 1);
    wait_fired(1, 1);
}

static void a_busy_timer_leaves_room_for_accesses(void **state)
{
    (void)state;
    fake->rearms = true;
    device_do(FAKE_ARM, 0, 0);
    wait_fired(0, 100);
    for (uint64_t i = 0; i < 100; i++) {
        bar_set(0, FAKE_SCRATCH, 8, i);
        assert_int_equal(bar_get(0, FAKE_SCRATCH, 8), i);
    }
    /* Ended with the timer going. */
}

static void timers_raise_interrupts(void **state)
{
    (void)state;
    struct seen_interrupts seen = {0};
    unsigned granted;
    assert_int_equal(provider_configure_interrupts(sim, PCI_INTERRUPT_MSIX, 16, count_interrupt,
                                                   &seen, &granted),
                     0);
    device_do(FAKE_ARM, 1 * MS, 2);
    wait_fired(2, 1);
    provider_release_interrupts(sim);
    assert_int_equal(atomic_load(&seen.vectors[2]), 1);
}

static void removal_stops_timers(void **state)
{
    (void)state;
    fake->rearms = true;
    device_do(FAKE_ARM, 0, 0);
    wait_fired(0, 100);
    provider_remove(sim);
    int fired = atomic_load(&fake->fired[0]);
    sleep_ms(25);
    assert_true(atomic_load(&fake->fired[0]) <= fired + 1); /* one may have been under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sim_test(timers_fire_once_and_not_early),
        sim_test(a_timer_in_the_far_future_stays_armed),
        sim_test(cancel_and_replace_are_exact),
        sim_test(timers_that_do_not_exist_are_ignored),
        sim_test(a_busy_timer_leaves_room_for_accesses),
        sim_test(timers_raise_interrupts),
        sim_test(removal_stops_timers),
    };
    return cmocka_run_group_tests_name("sim timers", tests, NULL, NULL);
}
