/*
 * Interrupts without calls: the IRQ state page under the library's functions, beside calls that do
 * the same work.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "testdev.h"

/* 11: terminated by its test. */
static const char *const devices[] = {"testdev,addr=02:00.0,vectors=256", "testdev,addr=11:00.0",
                                      NULL};

enum { CHECK_INTERRUPT = 14, SET_IRQ_MASK = 16, WORDS = 4, VECTORS = 256, ENDING = 0x11 };

static io_connect_t set_up(uint8_t bus)
{
    uint32_t vectors;
    io_connect_t c = contract_claimed(bus);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    return c;
}

/* The call, whatever the library would do. */
static kern_return_t check_by_call(io_connect_t c, uint64_t pending[WORDS])
{
    uint32_t count = WORDS;
    return IOConnectCallScalarMethod(c, CHECK_INTERRUPT, NULL, 0, pending, &count);
}

static uint64_t calls_of(io_connect_t c, unsigned selector)
{
    uint64_t counts[APPLE_DEXT_CALL_COUNTS];
    assert_ok(apple_dext_get_call_counts(c, selector, counts));
    return counts[0];
}

struct look {
    io_connect_t connection;
    unsigned vector;
};

static bool is_pending(void *opaque)
{
    const struct look *look = opaque;
    uint64_t words[WORDS];
    return apple_dext_read_pending_irqs(look->connection, words) == kIOReturnSuccess &&
           words[look->vector / 64] == UINT64_C(1) << look->vector % 64;
}

static void what_is_pending_costs_no_call(void **state)
{
    uint64_t words[WORDS];
    io_connect_t c = set_up(TESTDEV);
    reg_write(c, TESTDEV_FIRE, 4, 200);
    assert_int_equal(reg_read(c, TESTDEV_FIRE_RESULT, 4), 0);
    uint64_t calls = calls_of(c, CHECK_INTERRUPT);
    assert_ok(apple_dext_read_pending_irqs(c, words)); /* it fired before its write returned */
    assert_true(words[3] == UINT64_C(1) << (200 - 192) && (words[0] | words[1] | words[2]) == 0);
    assert_true(calls_of(c, CHECK_INTERRUPT) == calls);
    assert_ok(check_by_call(c, words));
    assert_true((words[0] | words[1] | words[2] | words[3]) == 0);
}

static void a_look_at_nothing_is_a_call_now_and_then(void **state)
{
    uint64_t words[WORDS];
    io_connect_t c = set_up(TESTDEV);
    uint64_t calls = calls_of(c, CHECK_INTERRUPT);
    for (int i = 0; i < 2000; i++) {
        assert_ok(apple_dext_read_pending_irqs(c, words));
        assert_true((words[0] | words[1] | words[2] | words[3]) == 0);
    }
    uint64_t made = calls_of(c, CHECK_INTERRUPT) - calls;
    assert_true(made >= 1 && made < 2000);
}

static void masks_are_the_same_by_page_and_call(void **state)
{
    const uint64_t without_7[WORDS] = {~UINT64_C(0x80), UINT64_MAX, UINT64_MAX, UINT64_MAX};
    const uint64_t all[WORDS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    io_connect_t c = set_up(TESTDEV);
    uint64_t calls = calls_of(c, SET_IRQ_MASK);
    assert_ok(apple_dext_set_irq_mask(c, without_7));
    assert_true(calls_of(c, SET_IRQ_MASK) == calls);
    reg_write(c, TESTDEV_FIRE, 4, 7);
    reg_write(c, TESTDEV_FIRE, 4, 8);
    struct look eight = {c, 8};
    assert_true(contract_eventually(is_pending, &eight));
    assert_ok(IOConnectCallScalarMethod(c, SET_IRQ_MASK, all, WORDS, NULL, NULL));
    reg_write(c, TESTDEV_FIRE, 4, 7);
    struct look seven = {c, 7};
    assert_true(contract_eventually(is_pending, &seven));
    assert_ok(IOConnectCallScalarMethod(c, SET_IRQ_MASK, without_7, WORDS, NULL, NULL));
    assert_ok(apple_dext_set_irq_mask(c, all));
    reg_write(c, TESTDEV_FIRE, 4, 7);
    assert_true(contract_eventually(is_pending, &seven));
}

/* Threads that take what is pending, some by page and some by call, while the device fires. */
struct taker {
    io_connect_t connection;
    bool by_call;
    _Atomic unsigned failures;
};

static _Atomic unsigned taken[VECTORS];
static _Atomic bool has_ended;

static void *take_all(void *opaque)
{
    struct taker *taker = opaque;
    for (bool is_last = false; !is_last;) {
        uint64_t words[WORDS];
        is_last = has_ended; /* and one look more */
        kern_return_t status = taker->by_call
                                   ? check_by_call(taker->connection, words)
                                   : apple_dext_read_pending_irqs(taker->connection, words);
        if (status != kIOReturnSuccess) {
            taker->failures++;
            break;
        }
        for (unsigned vector = 0; vector < VECTORS; vector++) {
            if (words[vector / 64] >> vector % 64 & 1) {
                taken[vector]++;
            }
        }
        sched_yield();
    }
    return NULL;
}

static bool timer_is_idle(void *opaque)
{
    return (reg_read(*(io_connect_t *)opaque, TESTDEV_TIMER_CONTROL, 4) & 1) == 0;
}

static void storm(io_connect_t c, uint32_t span, uint32_t count)
{
    reg_write(c, TESTDEV_FIRED_CLEAR, 4, 0);
    reg_write(c, TESTDEV_TIMER_FIRST, 4, 0);
    reg_write(c, TESTDEV_TIMER_SPAN, 4, span);
    reg_write(c, TESTDEV_TIMER_PERIOD, 8, 2000);
    reg_write(c, TESTDEV_TIMER_COUNT, 4, count);
    reg_write(c, TESTDEV_TIMER_CONTROL, 4, 1);
    assert_true(contract_eventually(timer_is_idle, &c));
    assert_true(reg_read(c, TESTDEV_FIRED, 8) == count);
    assert_true(reg_read(c, TESTDEV_LOST, 8) == 0);
}

static void run_takers(io_connect_t c, uint32_t span, uint32_t count)
{
    enum { TAKERS = 4 };
    pthread_t threads[TAKERS];
    struct taker takers[TAKERS];
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        taken[vector] = 0;
    }
    has_ended = false;
    for (unsigned i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.connection = c, .by_call = i == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &takers[i]), 0);
    }
    storm(c, span, count);
    has_ended = true;
    for (unsigned i = 0; i < TAKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(takers[i].failures, 0);
    }
}

static void nothing_is_lost_and_nothing_twice(void **state)
{
    io_connect_t c = set_up(TESTDEV);
    for (int round = 0; round < 3; round++) {
        run_takers(c, VECTORS, VECTORS); /* each vector once */
        for (unsigned vector = 0; vector < VECTORS; vector++) {
            assert_int_equal(taken[vector], 1);
        }
    }
}

static void storms_coalesce(void **state)
{
    io_connect_t c = set_up(TESTDEV);
    run_takers(c, 2, 2000); /* two vectors, a thousand times each */
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        assert_in_range(taken[vector], vector < 2 ? 1 : 0, vector < 2 ? 1000 : 0);
    }
}

static kern_return_t last_status;

static bool is_told(void *opaque)
{
    uint64_t words[WORDS];
    last_status = apple_dext_read_pending_irqs(*(io_connect_t *)opaque, words);
    return last_status != kIOReturnSuccess;
}

static void the_end_of_the_driver_is_told(void **state)
{
    uint64_t value;
    uint64_t words[WORDS];
    const uint64_t all[WORDS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    io_connect_t other = contract_claimed(ENDING);
    io_connect_t c = set_up(ENDING);
    assert_ok(apple_dext_read_pending_irqs(c, words));
    assert_ok(apple_dext_terminate(other));
    assert_true(contract_eventually(is_told, &c));
    assert_status(last_status, MACH_SEND_INVALID_DEST);
    /* In spite of the memory that the library has mapped. */
    assert_status(apple_dext_config_read(c, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_read_pending_irqs(c, words), MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_set_irq_mask(c, all), MACH_SEND_INVALID_DEST);
    contract_disconnect(c);
    assert_status(apple_dext_read_pending_irqs(c, words), MACH_SEND_INVALID_DEST);
}

static void a_reset_leaves_it_as_it_was(void **state)
{
    io_connect_t c = set_up(TESTDEV);
    assert_ok(apple_dext_reset_device(c));
    struct look look = {c, 42};
    reg_write(c, TESTDEV_FIRE, 4, 42);
    assert_true(contract_eventually(is_pending, &look));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(what_is_pending_costs_no_call),
        contract_test(a_look_at_nothing_is_a_call_now_and_then),
        contract_test(masks_are_the_same_by_page_and_call),
        contract_test(nothing_is_lost_and_nothing_twice),
        contract_test(storms_coalesce),
        contract_test(the_end_of_the_driver_is_told),
        contract_test(a_reset_leaves_it_as_it_was),
    };
    const struct contract_suite suite = {.name = "irq_page",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
