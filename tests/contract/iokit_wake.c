/*
 * Completions that wake the thread of their queue directly, where the host is another process:
 * many ports, ports whose queue changes, ports that come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/OSMessageNotification.h>
#include <dispatch/dispatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "testdev.h"

static const char *const devices[] = {"testdev,addr=02:00.0", NULL};

enum { WAIT_INTERRUPT = 15, CONNECTIONS = 60, SPARE_PORTS = 10 }; /* more than 64 together */

struct hearer {
    io_connect_t connection;
    IONotificationPortRef port;
    dispatch_queue_t queue;
    _Atomic unsigned runs;
    _Atomic bool is_elsewhere; /* ran outside its queue */
};

static void nothing(void *opaque)
{
    (void)opaque;
}

static void hearer_open(struct hearer *hearer)
{
    uint32_t vectors;
    *hearer = (struct hearer){.connection = contract_claimed(TESTDEV),
                              .queue = dispatch_queue_create("wake", DISPATCH_QUEUE_SERIAL),
                              .port = IONotificationPortCreate(kIOMainPortDefault)};
    assert_ok(apple_dext_setup_interrupts(hearer->connection, &vectors));
    IONotificationPortSetDispatchQueue(hearer->port, hearer->queue);
}

static void hearer_close(struct hearer *hearer)
{
    if (hearer->port) {
        IONotificationPortDestroy(hearer->port);
    }
    dispatch_sync_f(hearer->queue, NULL, nothing);
    dispatch_release(hearer->queue);
    contract_disconnect(hearer->connection);
    assert_false(hearer->is_elsewhere);
}

static void on_completion(void *refcon, IOReturn result)
{
    struct hearer *hearer = refcon;
    (void)result;
    if (hearer->queue && dispatch_get_specific(hearer->queue) != hearer) {
        hearer->is_elsewhere = true;
    }
    hearer->runs++;
}

static void hearer_arm(struct hearer *hearer)
{
    uint64_t reference[kIOAsyncCalloutCount] = {0};
    dispatch_queue_set_specific(hearer->queue, hearer->queue, hearer, NULL);
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)on_completion;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)hearer;
    assert_ok(IOConnectCallAsyncScalarMethod(hearer->connection, WAIT_INTERRUPT,
                                             IONotificationPortGetMachPort(hearer->port), reference,
                                             kIOAsyncCalloutCount, NULL, 0, NULL, NULL));
}

static void fire(struct hearer *hearer)
{
    uint64_t words[4];
    reg_write(hearer->connection, TESTDEV_FIRE, 4, 3);
    assert_ok(apple_dext_read_pending_irqs(hearer->connection, words)); /* drain */
}

struct goal {
    struct hearer *hearer;
    unsigned runs;
};

static bool has_run(void *opaque)
{
    const struct goal *goal = opaque;
    return goal->hearer->runs >= goal->runs;
}

static void assert_runs(struct hearer *hearer, unsigned runs)
{
    assert_true(contract_eventually(has_run, &(struct goal){hearer, runs}));
    assert_int_equal(hearer->runs, runs);
}

static void more_ports_than_channels(void **state)
{
    static struct hearer hearers[CONNECTIONS];
    static struct hearer spare[SPARE_PORTS];
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        hearer_open(&hearers[i]);
    }
    for (unsigned i = 0; i < SPARE_PORTS; i++) {
        spare[i].queue = dispatch_queue_create("spare", DISPATCH_QUEUE_SERIAL);
        spare[i].port = IONotificationPortCreate(kIOMainPortDefault);
        spare[i].connection = hearers[0].connection;
        IONotificationPortSetDispatchQueue(spare[i].port, spare[i].queue);
        hearer_arm(&spare[i]); /* replaced by the next wait, but it has a channel now */
    }
    for (unsigned round = 1; round <= 2; round++) {
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            hearer_arm(&hearers[i]);
        }
        reg_write(hearers[0].connection, TESTDEV_FIRE, 4, 3);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            uint64_t words[4];
            assert_runs(&hearers[i], round);
            assert_ok(apple_dext_read_pending_irqs(hearers[i].connection, words));
            assert_true(words[0] == 8);
        }
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        hearer_close(&hearers[i]);
    }
    for (unsigned i = 0; i < SPARE_PORTS; i++) {
        IONotificationPortDestroy(spare[i].port);
        dispatch_release(spare[i].queue);
        assert_int_equal(spare[i].runs, 0);
    }
}

/* Armed while the port has one queue, completed when it has another, or none, or one again. */
static void the_queue_may_change_meanwhile(void **state)
{
    struct hearer hearer;
    hearer_open(&hearer);
    dispatch_queue_t first = hearer.queue;
    dispatch_queue_t other = dispatch_queue_create("other", DISPATCH_QUEUE_SERIAL);
    for (unsigned round = 1; round <= 10; round++) {
        hearer_arm(&hearer);
        hearer.queue = hearer.queue == first ? other : first;
        dispatch_queue_set_specific(hearer.queue, hearer.queue, &hearer, NULL);
        if (round % 2 == 0) {
            IONotificationPortSetDispatchQueue(hearer.port, NULL);
            fire(&hearer);
            IONotificationPortSetDispatchQueue(hearer.port, hearer.queue);
        } else {
            IONotificationPortSetDispatchQueue(hearer.port, hearer.queue);
            fire(&hearer);
        }
        assert_runs(&hearer, round);
    }
    dispatch_release(hearer.queue == first ? other : first);
    hearer_close(&hearer);
}

static void queues_of_other_kinds(void **state)
{
    struct hearer hearer;
    hearer_open(&hearer);
    dispatch_queue_t own = hearer.queue;
    hearer.queue = NULL;
    IONotificationPortSetDispatchQueue(
        hearer.port, dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0));
    hearer.queue = own;
    uint64_t reference[kIOAsyncCalloutCount] = {0};
    for (unsigned round = 1; round <= 3; round++) {
        struct hearer heard = {.port = hearer.port};
        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)on_completion;
        reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&heard;
        assert_ok(IOConnectCallAsyncScalarMethod(
            hearer.connection, WAIT_INTERRUPT, IONotificationPortGetMachPort(hearer.port),
            reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL));
        fire(&hearer);
        assert_runs(&heard, 1);
    }
    hearer_close(&hearer);
}

static void two_ports_on_one_queue(void **state)
{
    struct hearer one;
    struct hearer two;
    hearer_open(&one);
    hearer_open(&two);
    IONotificationPortSetDispatchQueue(two.port, one.queue);
    dispatch_queue_t unused = two.queue;
    for (unsigned round = 1; round <= 20; round++) {
        hearer_arm(&one);
        two.queue = NULL; /* the queue's mark is one's */
        uint64_t reference[kIOAsyncCalloutCount] = {0};
        reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)on_completion;
        reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&two;
        assert_ok(IOConnectCallAsyncScalarMethod(two.connection, WAIT_INTERRUPT,
                                                 IONotificationPortGetMachPort(two.port), reference,
                                                 kIOAsyncCalloutCount, NULL, 0, NULL, NULL));
        fire(&one);
        assert_runs(&one, round);
        assert_runs(&two, round);
        uint64_t words[4];
        assert_ok(apple_dext_read_pending_irqs(two.connection, words));
    }
    two.queue = unused;
    hearer_close(&two);
    hearer_close(&one);
}

/* An armed wait outlives its port: what it completes by is somebody else's by then. */
static void ports_come_and_go(void **state)
{
    struct hearer hearer;
    hearer_open(&hearer);
    for (unsigned round = 1; round <= 100; round++) {
        hearer_arm(&hearer);
        IONotificationPortDestroy(hearer.port);
        hearer.port = IONotificationPortCreate(kIOMainPortDefault);
        IONotificationPortSetDispatchQueue(hearer.port, hearer.queue);
        if (round % 2) {
            fire(&hearer); /* to nobody */
        }
        hearer_arm(&hearer);
        fire(&hearer);
        assert_runs(&hearer, round);
    }
    hearer_close(&hearer);
}

static _Atomic bool is_over;

static void *change_queues(void *opaque)
{
    struct hearer *hearer = opaque;
    for (unsigned i = 0; !is_over; i++) {
        IONotificationPortSetDispatchQueue(hearer->port, i % 2 ? hearer->queue : NULL);
        usleep(50);
    }
    IONotificationPortSetDispatchQueue(hearer->port, hearer->queue);
    return NULL;
}

static void changes_while_it_fires_lose_nothing(void **state)
{
    struct hearer hearer;
    pthread_t thread;
    is_over = false;
    hearer_open(&hearer);
    assert_int_equal(pthread_create(&thread, NULL, change_queues, &hearer), 0);
    for (unsigned round = 1; round <= 300; round++) {
        hearer_arm(&hearer);
        fire(&hearer);
        assert_runs(&hearer, round);
    }
    is_over = true;
    pthread_join(thread, NULL);
    hearer_close(&hearer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(more_ports_than_channels), contract_test(the_queue_may_change_meanwhile),
        contract_test(queues_of_other_kinds),    contract_test(two_ports_on_one_queue),
        contract_test(ports_come_and_go),        contract_test(changes_while_it_fires_lose_nothing),
    };
    const struct contract_suite suite = {.name = "iokit_wake",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
