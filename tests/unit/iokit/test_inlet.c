/*
 * Unit tests of inlets: a serial queue whose thread sleeps on somebody else's bell.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "iokit/dispatch_internal.h"

enum { MANY = 20000 };

struct tap {
    struct dispatch_inlet inlet;
    struct wire_bell bell;
    dispatch_queue_t queue;
    atomic_uint brought, taken, run;
    atomic_int references;
    atomic_bool is_elsewhere; /* work ran outside its queue */
};

static void run_one(void *opaque)
{
    struct tap *tap = opaque;
    if (!dispatch_is_running(tap->queue)) {
        tap->is_elsewhere = true;
    }
    tap->run++;
}

static struct tap *tap_of(struct dispatch_inlet *inlet)
{
    return (struct tap *)inlet;
}

static bool tap_has_work(struct dispatch_inlet *inlet)
{
    return tap_of(inlet)->brought != tap_of(inlet)->taken;
}

static void tap_take(struct dispatch_inlet *inlet)
{
    while (tap_has_work(inlet)) {
        tap_of(inlet)->taken++;
        dispatch_async_f(tap_of(inlet)->queue, inlet, run_one);
    }
}

static void tap_get(struct dispatch_inlet *inlet)
{
    tap_of(inlet)->references++;
}

static void tap_put(struct dispatch_inlet *inlet)
{
    tap_of(inlet)->references--;
}

static void tap_open(struct tap *tap)
{
    *tap = (struct tap){.inlet = {.bell = &tap->bell,
                                  .has_work = tap_has_work,
                                  .take = tap_take,
                                  .get = tap_get,
                                  .put = tap_put},
                        .queue = dispatch_queue_create("tap", DISPATCH_QUEUE_SERIAL)};
    assert_non_null(tap->queue);
}

static void tap_bring(struct tap *tap)
{
    tap->brought++;
    if (wire_bell_advance(&tap->bell)) {
        wire_bell_wake(&tap->bell, true);
    }
}

static void wait_for(atomic_uint *counter, unsigned value)
{
    for (int i = 0; i < 120000 && *counter < value; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(*counter, value);
}

static void wait_for_references(struct tap *tap, int count)
{
    for (int i = 0; i < 120000 && tap->references != count; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(tap->references, count);
}

static void tap_close(struct tap *tap)
{
    dispatch_queue_detach(tap->queue, &tap->inlet);
    wait_for_references(tap, 0); /* the thread has let go of it */
    dispatch_release(tap->queue);
    assert_false(tap->is_elsewhere);
}

static void what_is_brought_is_run(void **state)
{
    (void)state;
    struct tap tap;
    tap_open(&tap);
    tap_bring(&tap); /* before: found at once */
    assert_true(dispatch_queue_attach(tap.queue, &tap.inlet));
    wait_for(&tap.run, 1);
    for (unsigned i = 2; i <= 50; i++) {
        tap_bring(&tap);
        wait_for(&tap.run, i);
    }
    tap_close(&tap);
}

static void other_work_still_comes(void **state)
{
    (void)state;
    struct tap tap;
    tap_open(&tap);
    assert_true(dispatch_queue_attach(tap.queue, &tap.inlet));
    for (unsigned i = 1; i <= 50; i++) {
        dispatch_async_f(tap.queue, &tap, run_one);
        wait_for(&tap.run, i);
        dispatch_sync_f(tap.queue, &tap, run_one);
        tap.run--;
    }
    tap_close(&tap);
}

static void one_inlet_a_serial_queue(void **state)
{
    (void)state;
    struct tap tap;
    struct tap other;
    tap_open(&tap);
    tap_open(&other);
    assert_true(dispatch_queue_attach(tap.queue, &tap.inlet));
    assert_false(dispatch_queue_attach(tap.queue, &other.inlet));
    assert_false(dispatch_queue_attach(
        dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0), &other.inlet));
    assert_int_equal(other.references, 0);
    dispatch_queue_detach(tap.queue, &tap.inlet);
    assert_true(dispatch_queue_attach(tap.queue, &other.inlet));
    dispatch_queue_detach(tap.queue, &other.inlet);
    wait_for_references(&tap, 0);
    wait_for_references(&other, 0);
    dispatch_release(tap.queue);
    dispatch_release(other.queue);
}

static void after_detaching_nothing_is_taken(void **state)
{
    (void)state;
    struct tap tap;
    tap_open(&tap);
    for (int i = 0; i < 20; i++) {
        assert_true(dispatch_queue_attach(tap.queue, &tap.inlet));
        dispatch_queue_detach(tap.queue, &tap.inlet);
        wait_for_references(&tap, 0);
        unsigned taken = tap.taken;
        tap_bring(&tap);
        dispatch_async_f(tap.queue, &tap, run_one);
        dispatch_sync_f(tap.queue, &tap, run_one);
        assert_int_equal(tap.taken, taken);
    }
    dispatch_release(tap.queue);
}

static void *bring_many(void *opaque)
{
    for (unsigned i = 0; i < MANY; i++) {
        tap_bring(opaque);
    }
    return NULL;
}

static void *async_many(void *opaque)
{
    struct tap *tap = opaque;
    for (unsigned i = 0; i < MANY; i++) {
        dispatch_async_f(tap->queue, tap, run_one);
    }
    return NULL;
}

static void *sync_many(void *opaque)
{
    struct tap *tap = opaque;
    for (unsigned i = 0; i < MANY; i++) {
        dispatch_sync_f(tap->queue, tap, run_one);
    }
    return NULL;
}

static void all_ways_at_once(void **state)
{
    (void)state;
    static void *(*const ways[])(void *) = {bring_many, async_many, sync_many};
    struct tap tap;
    pthread_t threads[3];
    tap_open(&tap);
    assert_true(dispatch_queue_attach(tap.queue, &tap.inlet));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ways[i], &tap), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    wait_for(&tap.run, 3 * MANY);
    tap_close(&tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_brought_is_run),
        cmocka_unit_test(other_work_still_comes),
        cmocka_unit_test(one_inlet_a_serial_queue),
        cmocka_unit_test(after_detaching_nothing_is_taken),
        cmocka_unit_test(all_ways_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
