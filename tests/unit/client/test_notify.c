/*
 * Unit tests: interrupt notices, alone and from many threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "client_test.h"

enum { WAIT_MS = 120000 };

/* What a handler does and what it saw. */
struct watcher {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    io_connect_t port;
    AppleDextInterruptNotify *notify;
    unsigned runs;
    uint64_t seen[4]; /* bits that were drained */
    bool is_running;
    bool is_freed;   /* the owner's opinion: no run may begin after this */
    bool must_block; /* runs wait while this is set */
    bool rearms, drains, destroys;
    unsigned late_runs;
    kern_return_t rearm_status;
};

static void watcher_init(struct watcher *watcher, io_connect_t port)
{
    memset(watcher, 0, sizeof(*watcher));
    pthread_mutex_init(&watcher->lock, NULL);
    pthread_cond_init(&watcher->changed, NULL);
    watcher->port = port;
}

static void watcher_deinit(struct watcher *watcher)
{
    pthread_cond_destroy(&watcher->changed);
    pthread_mutex_destroy(&watcher->lock);
}

static void watch(void *opaque)
{
    struct watcher *watcher = opaque;
    uint64_t pending[4] = {0};

    pthread_mutex_lock(&watcher->lock);
    watcher->late_runs += watcher->is_freed;
    watcher->is_running = true;
    watcher->runs++;
    pthread_cond_broadcast(&watcher->changed);
    while (watcher->must_block) {
        pthread_cond_wait(&watcher->changed, &watcher->lock);
    }
    AppleDextInterruptNotify *notify = watcher->notify;
    pthread_mutex_unlock(&watcher->lock);

    if (watcher->drains) {
        apple_dext_read_pending_irqs(watcher->port, pending);
    }
    if (watcher->rearms && notify != NULL) {
        watcher->rearm_status = apple_dext_interrupt_notify_rearm(notify);
    }
    if (watcher->destroys && notify != NULL) {
        apple_dext_interrupt_notify_destroy(notify);
        watcher->rearm_status = apple_dext_interrupt_notify_rearm(notify);
    }
    pthread_mutex_lock(&watcher->lock);
    for (unsigned word = 0; word < 4; word++) {
        watcher->seen[word] |= pending[word];
    }
    watcher->is_running = false;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->lock);
}

static void start(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    watcher->notify = apple_dext_interrupt_notify_create(watcher->port, watch, watcher);
    pthread_mutex_unlock(&watcher->lock);
    assert_non_null(watcher->notify);
}

static void deadline_of(struct timespec *deadline)
{
    timespec_get(deadline, TIME_UTC);
    deadline->tv_sec += WAIT_MS / 1000;
}

static void wait_for_runs(struct watcher *watcher, unsigned runs)
{
    struct timespec deadline;
    int error = 0;

    deadline_of(&deadline);
    pthread_mutex_lock(&watcher->lock);
    while ((watcher->runs < runs || (watcher->is_running && !watcher->must_block)) && error == 0) {
        error = pthread_cond_timedwait(&watcher->changed, &watcher->lock, &deadline);
    }
    pthread_mutex_unlock(&watcher->lock);
    assert_int_equal(error, 0);
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void a_notice_is_armed_by_create_and_one_shot(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;

    (void)state;
    watcher_init(&watcher, port);
    start(&watcher);
    fake_raise(0, 1);
    wait_for_runs(&watcher, 1);
    fake_raise(0, 2);
    sleep_ms(20);
    assert_int_equal(watcher.runs, 1);
    apple_dext_interrupt_notify_destroy(watcher.notify);
    apple_dext_disconnect(port);
    watcher_deinit(&watcher);
}

static void a_bit_that_came_before_the_rearm_is_not_lost(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;

    (void)state;
    watcher_init(&watcher, port);
    watcher.drains = true;
    fake_raise(0, 1); /* pending before create */
    start(&watcher);
    wait_for_runs(&watcher, 1);
    fake_raise(1, 4); /* pending between drain and re-arm */
    assert_int_equal(apple_dext_interrupt_notify_rearm(watcher.notify), kIOReturnSuccess);
    wait_for_runs(&watcher, 2);
    assert_true(watcher.seen[0] == 1 && watcher.seen[1] == 4);
    apple_dext_interrupt_notify_destroy(watcher.notify);
    apple_dext_disconnect(port);
    watcher_deinit(&watcher);
}

static void rearming_in_the_handler_works(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;

    (void)state;
    watcher_init(&watcher, port);
    watcher.rearms = watcher.drains = true;
    start(&watcher);
    for (unsigned i = 0; i < 50; i++) {
        fake_raise(0, UINT64_C(1) << i);
        wait_for_runs(&watcher, i + 1);
        assert_int_equal(watcher.rearm_status, kIOReturnSuccess);
    }
    assert_true(watcher.seen[0] == (UINT64_C(1) << 50) - 1);
    apple_dext_interrupt_notify_destroy(watcher.notify);
    apple_dext_disconnect(port);
    watcher_deinit(&watcher);
}

static void *destroy_main(void *opaque)
{
    struct watcher *watcher = opaque;

    apple_dext_interrupt_notify_destroy(watcher->notify);
    pthread_mutex_lock(&watcher->lock);
    watcher->is_freed = true;
    watcher->late_runs += watcher->is_running;
    pthread_mutex_unlock(&watcher->lock);
    return NULL;
}

static void destroy_waits_for_the_running_handler(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;
    pthread_t thread;

    (void)state;
    watcher_init(&watcher, port);
    watcher.must_block = true;
    start(&watcher);
    fake_raise(0, 1);
    wait_for_runs(&watcher, 1);
    AppleDextInterruptNotify *notify = watcher.notify;
    assert_int_equal(pthread_create(&thread, NULL, destroy_main, &watcher), 0);
    kern_return_t status;
    while ((status = apple_dext_interrupt_notify_rearm(notify)) == kIOReturnSuccess) {
        sleep_ms(1); /* till it has begun */
    }
    assert_int_equal(status, kIOReturnAborted);
    sleep_ms(30);
    pthread_mutex_lock(&watcher.lock);
    assert_false(watcher.is_freed); /* it waits */
    pthread_mutex_unlock(&watcher.lock);
    pthread_mutex_lock(&watcher.lock);
    watcher.must_block = false;
    pthread_cond_broadcast(&watcher.changed);
    pthread_mutex_unlock(&watcher.lock);
    pthread_join(thread, NULL);
    assert_int_equal(watcher.late_runs, 0);
    /* After destroy the pointer is nothing, and says so. */
    assert_int_equal(apple_dext_interrupt_notify_rearm(notify), kIOReturnAborted);
    apple_dext_interrupt_notify_destroy(notify);
    apple_dext_disconnect(port);
    watcher_deinit(&watcher);
}

static void destroy_in_the_handler_defers_the_free(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;

    (void)state;
    watcher_init(&watcher, port);
    watcher.destroys = true;
    start(&watcher);
    fake_raise(0, 1);
    wait_for_runs(&watcher, 1);
    assert_int_equal(watcher.rearm_status, kIOReturnAborted);
    fake_raise(0, 2);
    sleep_ms(20);
    assert_int_equal(watcher.runs, 1);
    apple_dext_disconnect(port);
    watcher_deinit(&watcher); /* and teardown waits for the port to be gone */
}

static void *raise_main(void *opaque)
{
    (void)opaque;
    for (unsigned i = 0; i < 400; i++) {
        fake_raise(i % 4, UINT64_C(1) << (i % 64));
    }
    return NULL;
}

static void destroy_while_it_fires_runs_nothing_afterwards(void **state)
{
    io_connect_t port = fake_connect(true);

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        struct watcher watcher;
        pthread_t thread;
        watcher_init(&watcher, port);
        watcher.rearms = watcher.drains = true;
        start(&watcher);
        assert_int_equal(pthread_create(&thread, NULL, raise_main, NULL), 0);
        wait_for_runs(&watcher, 1);
        destroy_main(&watcher);
        pthread_join(thread, NULL);
        assert_int_equal(watcher.late_runs, 0);
        watcher_deinit(&watcher);
    }
    apple_dext_disconnect(port);
}

static void *rearm_main(void *opaque)
{
    struct watcher *watcher = opaque;
    kern_return_t status = kIOReturnSuccess;

    for (unsigned i = 0; i < 2000 && status == kIOReturnSuccess; i++) {
        status = apple_dext_interrupt_notify_rearm(watcher->notify);
    }
    return status == kIOReturnSuccess || status == kIOReturnAborted ? NULL : watcher;
}

static void rearms_from_everywhere_race_destroy(void **state)
{
    io_connect_t port = fake_connect(true);

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct watcher watcher;
        pthread_t threads[4];
        void *failed;
        watcher_init(&watcher, port);
        watcher.rearms = watcher.drains = true;
        start(&watcher);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, rearm_main, &watcher), 0);
        }
        assert_int_equal(pthread_create(&threads[3], NULL, raise_main, NULL), 0);
        sleep_ms(round % 4);
        destroy_main(&watcher);
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(threads[i], &failed);
            assert_null(failed);
        }
        assert_int_equal(watcher.late_runs, 0);
        watcher_deinit(&watcher);
    }
    apple_dext_disconnect(port);
}

static void no_bit_is_lost_in_a_storm(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;
    pthread_t raiser, rearmer;
    bool is_drained = false;

    (void)state;
    watcher_init(&watcher, port);
    watcher.rearms = watcher.drains = true;
    start(&watcher);
    pthread_create(&raiser, NULL, raise_main, NULL);
    pthread_create(&rearmer, NULL, rearm_main, &watcher);
    pthread_join(raiser, NULL);
    pthread_join(rearmer, NULL);
    for (int i = 0; i < WAIT_MS / 5 && !is_drained; i++) {
        sleep_ms(5);
        pthread_mutex_lock(&fake.lock);
        is_drained = (fake.pending[0] | fake.pending[1] | fake.pending[2] | fake.pending[3]) == 0;
        pthread_mutex_unlock(&fake.lock);
    }
    assert_true(is_drained);
    apple_dext_interrupt_notify_destroy(watcher.notify);
    /* Of 400 rising bits, word i % 4 has each bit b with b % 4 == i % 4. */
    for (unsigned word = 0; word < 4; word++) {
        assert_true(watcher.seen[word] == UINT64_C(0x1111111111111111) << word);
    }
    apple_dext_disconnect(port);
    watcher_deinit(&watcher);
}

static void disconnect_before_destroy_is_fine(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;

    (void)state;
    watcher_init(&watcher, port);
    start(&watcher);
    apple_dext_disconnect(port);
    assert_int_equal(apple_dext_interrupt_notify_rearm(watcher.notify), MACH_SEND_INVALID_DEST);
    apple_dext_interrupt_notify_destroy(watcher.notify);
    watcher_deinit(&watcher);
}

static void create_fails_where_there_is_nothing_to_wait_for(void **state)
{
    io_connect_t port = fake_connect(true);
    struct watcher watcher;

    (void)state;
    watcher_init(&watcher, port);
    fake.wait_status = kIOReturnNotReady; /* before apple_dext_setup_interrupts */
    assert_null(apple_dext_interrupt_notify_create(port, watch, &watcher));
    assert_true(fake_log_contains("not armed"));
    apple_dext_disconnect(port);
    watcher_deinit(&watcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(a_notice_is_armed_by_create_and_one_shot),
        CLIENT_TEST(a_bit_that_came_before_the_rearm_is_not_lost),
        CLIENT_TEST(rearming_in_the_handler_works),
        CLIENT_TEST(destroy_waits_for_the_running_handler),
        CLIENT_TEST(destroy_in_the_handler_defers_the_free),
        CLIENT_TEST(destroy_while_it_fires_runs_nothing_afterwards),
        CLIENT_TEST(rearms_from_everywhere_race_destroy),
        CLIENT_TEST(no_bit_is_lost_in_a_storm),
        CLIENT_TEST(disconnect_before_destroy_is_fine),
        CLIENT_TEST(create_fails_where_there_is_nothing_to_wait_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
