/*
 * Unit tests of the host's threads: order, and that their end is waited for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "host/worker.h"

#define COUNT 500

static unsigned order[COUNT];
static unsigned order_count; /* written by the worker alone until it has ended */

static void note(void *argument)
{
    order[order_count++] = (unsigned)(uintptr_t)argument;
}

static void a_worker_keeps_the_order_and_finishes(void **state)
{
    struct worker *worker = worker_create();
    assert_non_null(worker);
    order_count = 0;
    for (uintptr_t i = 0; i < COUNT; i++) {
        assert_int_equal(worker_queue(worker, note, (void *)i), 0);
    }
    worker_destroy(worker);
    assert_int_equal(order_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(order[i], i);
    }
    worker_destroy(NULL);
}

static struct worker *chained;

static void queue_more(void *argument)
{
    uintptr_t left = (uintptr_t)argument;
    note(argument);
    if (left > 0) {
        worker_queue(chained, queue_more, (void *)(left - 1));
    }
}

static void work_may_bring_work(void **state)
{
    order_count = 0;
    chained = worker_create();
    assert_int_equal(worker_queue(chained, queue_more, (void *)(uintptr_t)9), 0);
    worker_destroy(chained);
    assert_int_equal(order_count, 10);
}

static struct thread_group group;
static atomic_uint ended;
static atomic_uint with_signals;

static void be_slow(void *argument)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    with_signals +=
        !sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGUSR1) || sigismember(&mask, SIGSEGV);
    nanosleep(&pause, NULL);
    if (argument) {
        thread_group_start(&group, be_slow, NULL);
    }
    ended++;
}

static void a_group_waits_for_all(void **state)
{
    int argument;
    thread_group_init(&group);
    thread_group_wait(&group); /* for nobody */
    for (int round = 0; round < 3; round++) {
        ended = 0;
        for (int i = 0; i < 8; i++) {
            assert_int_equal(thread_group_start(&group, be_slow, &argument), 0);
        }
        thread_group_wait(&group);
        assert_int_equal(ended, 16);
    }
    assert_int_equal(with_signals, 0);
    thread_group_destroy(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_keeps_the_order_and_finishes),
        cmocka_unit_test(work_may_bring_work),
        cmocka_unit_test(a_group_waits_for_all),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
