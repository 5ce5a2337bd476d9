/*
 * The interrupt notice: one-shot, nothing lost, destroyed at any moment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "testdev.h"

static const char *const devices[] = {"testdev,addr=02:00.0,vectors=256", NULL};

/* What a handler does and saw. */
struct listener {
    io_connect_t connection;
    AppleDextInterruptNotify *_Atomic notify;
    _Atomic unsigned runs, bits, failures, destroyed;
    _Atomic unsigned by_vector[256];
    bool drains, rearms, destroys, is_slow;
    _Atomic bool is_running, has_overlapped;
};

static void drain(struct listener *listener)
{
    uint64_t words[4];
    if (apple_dext_read_pending_irqs(listener->connection, words) != kIOReturnSuccess) {
        listener->failures++;
        return;
    }
    for (unsigned vector = 0; vector < 256; vector++) {
        if (words[vector / 64] >> (vector % 64) & 1) {
            listener->by_vector[vector]++;
            listener->bits++;
        }
    }
}

static void on_interrupt(void *opaque)
{
    struct listener *listener = opaque;
    if (atomic_exchange(&listener->is_running, true)) {
        listener->has_overlapped = true;
    }
    while (!listener->notify) { /* it may run before create has returned */
        usleep(100);
    }
    if (listener->drains) {
        drain(listener);
    }
    if (listener->is_slow) {
        usleep(20000);
    }
    listener->runs++;
    listener->is_running = false;
    if (listener->destroys) {
        apple_dext_interrupt_notify_destroy(listener->notify);
        listener->destroyed++;
    } else if (listener->rearms &&
               apple_dext_interrupt_notify_rearm(listener->notify) != kIOReturnSuccess) {
        listener->failures++;
    }
}

static io_connect_t set_up(void)
{
    uint32_t vectors;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    return c;
}

static void listen_to(struct listener *listener, io_connect_t c)
{
    listener->connection = c;
    listener->notify = apple_dext_interrupt_notify_create(c, on_interrupt, listener);
    assert_non_null(listener->notify);
}

struct goal {
    _Atomic unsigned *counter;
    unsigned value;
};

static bool has_reached(void *opaque)
{
    const struct goal *goal = opaque;
    return *goal->counter >= goal->value;
}

#define assert_reaches(field, wanted)                                                              \
    assert_true(contract_eventually(has_reached, &(struct goal){&(field), (wanted)}))

static void start_timer(io_connect_t c, uint32_t span, uint64_t period_ns, uint32_t count)
{
    reg_write(c, TESTDEV_FIRED_CLEAR, 4, 0);
    reg_write(c, TESTDEV_TIMER_FIRST, 4, 0);
    reg_write(c, TESTDEV_TIMER_SPAN, 4, span);
    reg_write(c, TESTDEV_TIMER_PERIOD, 8, period_ns);
    reg_write(c, TESTDEV_TIMER_COUNT, 4, count);
    reg_write(c, TESTDEV_TIMER_CONTROL, 4, 1);
}

static void nothing_to_wait_for(void **state)
{
    struct listener listener = {0};
    io_connect_t c = contract_claimed(TESTDEV);
    assert_null(apple_dext_interrupt_notify_create(c, on_interrupt, &listener));
    assert_null(apple_dext_interrupt_notify_create(c, NULL, &listener));
    assert_int_equal(listener.runs, 0);
}

static void one_call_an_arming(void **state)
{
    struct listener listener = {.drains = true};
    io_connect_t c = set_up();
    listen_to(&listener, c);
    reg_write(c, TESTDEV_FIRE, 4, 3);
    assert_reaches(listener.runs, 1);
    assert_int_equal(listener.by_vector[3], 1);
    reg_write(c, TESTDEV_FIRE, 4, 4);
    usleep(50000);
    assert_int_equal(listener.runs, 1); /* asleep until re-armed */
    assert_ok(apple_dext_interrupt_notify_rearm(listener.notify));
    assert_reaches(listener.runs, 2); /* at once: a bit was pending */
    assert_int_equal(listener.by_vector[4], 1);
    assert_ok(apple_dext_interrupt_notify_rearm(listener.notify));
    usleep(20000);
    assert_int_equal(listener.runs, 2);
    apple_dext_interrupt_notify_destroy(listener.notify);
    assert_int_equal(listener.failures, 0);
}

static void armed_when_one_is_pending_already(void **state)
{
    struct listener listener = {.drains = true};
    io_connect_t c = set_up();
    reg_write(c, TESTDEV_FIRE, 4, 255);
    usleep(20000);
    listen_to(&listener, c);
    assert_reaches(listener.runs, 1);
    assert_int_equal(listener.by_vector[255], 1);
    apple_dext_interrupt_notify_destroy(listener.notify);
}

/* Each vector fires once while the notice sleeps and re-arms: every bit must be seen, once. */
static void storm_loses_nothing(void **state)
{
    struct listener listener = {.drains = true, .rearms = true};
    io_connect_t c = set_up();
    listen_to(&listener, c);
    for (unsigned round = 1; round <= 4; round++) {
        start_timer(c, 256, 5000, 256);
        assert_reaches(listener.bits, 256 * round);
        assert_true(reg_read(c, TESTDEV_FIRED, 8) == 256);
        assert_true(reg_read(c, TESTDEV_LOST, 8) == 0);
        for (unsigned vector = 0; vector < 256; vector++) {
            assert_int_equal(listener.by_vector[vector], round);
        }
    }
    apple_dext_interrupt_notify_destroy(listener.notify);
    assert_int_equal(listener.failures, 0);
    assert_false(listener.has_overlapped);
}

static void ping_pong_of_one_vector(void **state)
{
    struct listener listener = {.drains = true, .rearms = true};
    io_connect_t c = set_up();
    listen_to(&listener, c);
    for (unsigned i = 1; i <= 200; i++) {
        reg_write(c, TESTDEV_FIRE, 4, 77);
        assert_reaches(listener.by_vector[77], i);
        assert_int_equal(listener.by_vector[77], i);
    }
    apple_dext_interrupt_notify_destroy(listener.notify);
    assert_int_equal(listener.bits, 200);
    assert_int_equal(listener.failures, 0);
}

static void destroy_while_it_fires(void **state)
{
    io_connect_t c = set_up();
    start_timer(c, 256, 20000, 0);
    for (int i = 0; i < 30; i++) {
        struct listener listener = {.drains = true, .is_slow = i % 10 == 0};
        listen_to(&listener, c);
        usleep(i * 100);
        apple_dext_interrupt_notify_destroy(listener.notify);
        assert_false(listener.is_running);
        unsigned runs = listener.runs;
        usleep(1000);
        assert_int_equal(listener.runs, runs);
        memset(&listener, 0xff, sizeof(listener));
    }
    reg_write(c, TESTDEV_TIMER_CONTROL, 4, 0);
}

static void destroy_waits_for_the_handler(void **state)
{
    struct listener listener = {.is_slow = true};
    io_connect_t c = set_up();
    listen_to(&listener, c);
    reg_write(c, TESTDEV_FIRE, 4, 0);
    while (!listener.is_running) {
        usleep(100);
    }
    apple_dext_interrupt_notify_destroy(listener.notify);
    assert_int_equal(listener.runs, 1);
    assert_false(listener.is_running);
}

static void destroy_inside_the_handler(void **state)
{
    struct listener listener = {.drains = true, .destroys = true};
    io_connect_t c = set_up();
    start_timer(c, 256, 20000, 0);
    listen_to(&listener, c);
    assert_reaches(listener.destroyed, 1);
    usleep(20000);
    assert_int_equal(listener.runs, 1);
    assert_status(apple_dext_interrupt_notify_rearm(listener.notify), kIOReturnAborted);
    reg_write(c, TESTDEV_TIMER_CONTROL, 4, 0);
    /* The connection is as good as before. */
    struct listener next = {.drains = true};
    reg_write(c, TESTDEV_FIRE, 4, 1);
    listen_to(&next, c);
    assert_reaches(next.runs, 1);
    apple_dext_interrupt_notify_destroy(next.notify);
}

static void two_clients_are_both_told(void **state)
{
    struct listener one = {.drains = true, .rearms = true};
    struct listener two = {.drains = true, .rearms = true};
    io_connect_t a = set_up();
    io_connect_t b = set_up();
    listen_to(&one, a);
    listen_to(&two, b);
    for (unsigned i = 1; i <= 20; i++) {
        reg_write(i % 2 ? a : b, TESTDEV_FIRE, 4, i);
        assert_reaches(one.by_vector[i], 1);
        assert_reaches(two.by_vector[i], 1);
    }
    apple_dext_interrupt_notify_destroy(one.notify);
    reg_write(a, TESTDEV_FIRE, 4, 100);
    assert_reaches(two.by_vector[100], 1);
    assert_int_equal(one.by_vector[100], 0);
    apple_dext_interrupt_notify_destroy(two.notify);
}

static void newest_notice_is_served(void **state)
{
    struct listener old = {.drains = true};
    struct listener new = {.drains = true};
    io_connect_t c = set_up();
    listen_to(&old, c);
    listen_to(&new, c);
    reg_write(c, TESTDEV_FIRE, 4, 8);
    assert_reaches(new.runs, 1);
    usleep(20000);
    assert_int_equal(old.runs, 0);
    apple_dext_interrupt_notify_destroy(old.notify);
    apple_dext_interrupt_notify_destroy(new.notify);
}

static void notice_outlives_its_connection(void **state)
{
    struct listener listener = {.drains = true};
    io_connect_t c = set_up();
    listen_to(&listener, c);
    contract_disconnect(c);
    assert_int_not_equal(apple_dext_interrupt_notify_rearm(listener.notify), kIOReturnSuccess);
    apple_dext_interrupt_notify_destroy(listener.notify);
    assert_int_equal(listener.runs, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(nothing_to_wait_for),
        contract_test(one_call_an_arming),
        contract_test(armed_when_one_is_pending_already),
        contract_test(storm_loses_nothing),
        contract_test(ping_pong_of_one_vector),
        contract_test(destroy_while_it_fires),
        contract_test(destroy_waits_for_the_handler),
        contract_test(destroy_inside_the_handler),
        contract_test(two_clients_are_both_told),
        contract_test(newest_notice_is_served),
        contract_test(notice_outlives_its_connection),
    };
    const struct contract_suite suite = {.name = "notify",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
