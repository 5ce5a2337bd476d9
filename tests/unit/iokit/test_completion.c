/*
 * Unit tests of notification ports: the form of completions, order, queues that change,
 * destruction, and events that cannot be read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <IOKit/IOKitLib.h>
#include <IOKit/OSMessageNotification.h>
#include <dispatch/dispatch.h>

#include "fake_host.h"

static struct fake_host host;
static IONotificationPortRef port;
static dispatch_queue_t queue;
static io_connect_t connection;

/* What completions brought; they run on queue, the test reads it after settle(). */
static struct {
    unsigned count;
    uint64_t sum;
} seen;

static void nothing(void *context)
{
    (void)context;
}

static void settle(void)
{
    dispatch_sync_f(queue, NULL, nothing);
}

static int start(void **state)
{
    (void)state;
    memset(&host, 0, sizeof(host));
    memset(&seen, 0, sizeof(seen));
    host.entry_count = 1;
    fake_host_start(&host);
    queue = dispatch_queue_create("test", DISPATCH_QUEUE_SERIAL);
    port = IONotificationPortCreate(kIOMainPortDefault);
    IONotificationPortSetDispatchQueue(port, queue);
    io_service_t service =
        IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService"));
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
    IOObjectRelease(service);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (port) {
        IONotificationPortDestroy(port);
    }
    settle();
    IOServiceClose(connection);
    fake_host_stop(&host);
    dispatch_release(queue);
    return 0;
}

static void on_none(void *refcon, IOReturn result)
{
    (void)result;
    assert_ptr_equal(refcon, &seen);
    seen.count++;
}

static void on_one(void *refcon, IOReturn result, void *first)
{
    on_none(refcon, result);
    seen.sum += (uintptr_t)first;
}

static void complete(void *function, const uint64_t *arguments, uint32_t count)
{
    uint64_t reference[8] = {UINT64_MAX};
    reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)function;
    reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)&seen;
    fake_host_send_completion(&host, IONotificationPortGetMachPort(port), reference, 0, arguments,
                              count);
}

static void complete_one(uint64_t argument)
{
    complete((void *)(uintptr_t)on_one, &argument, 1);
}

static int complete_then_answer(struct fake_host *self, struct wire_message *request,
                                struct wire_message *reply)
{
    (void)self;
    (void)request;
    complete_one(1);
    settle();
    wire_put_u32(reply, 0);
    wire_put_u32(reply, 0);
    wire_put_u64(reply, 0);
    return 0;
}

static void completions_may_precede_the_call_repeat_and_follow_close(void **state)
{
    uint64_t reference[8] = {0};
    (void)state;
    host.answer[WIRE_CALL] = complete_then_answer;
    assert_int_equal(IOConnectCallAsyncScalarMethod(connection, 0,
                                                    IONotificationPortGetMachPort(port), reference,
                                                    3, NULL, 0, NULL, NULL),
                     0);
    assert_int_equal(seen.count, 1);
    complete_one(2);
    assert_int_equal(IOServiceClose(connection), 0);
    complete_one(3);
    settle();
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.sum, 6);
}

static void more_arguments_than_there_can_be_are_dropped(void **state)
{
    uint64_t arguments[17] = {0};
    (void)state;
    complete((void *)(uintptr_t)on_none, arguments, 17);
    settle();
    assert_int_equal(seen.count, 0);
}

static void events_for_no_port_go_nowhere(void **state)
{
    uint64_t reference[8] = {0};
    uint64_t name = IONotificationPortGetMachPort(port);
    const uint64_t names[] = {0, connection, name + (UINT64_C(1) << 32), name + 1, UINT64_MAX};
    (void)state;
    reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)on_none;
    reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)&seen;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fake_host_send_completion(&host, names[i], reference, 0, NULL, 0);
    }
    settle();
    assert_int_equal(seen.count, 0);
    IONotificationPortDestroy(port);
    port = NULL;
    fake_host_send_completion(&host, name, reference, 0, NULL, 0);
    settle();
    assert_int_equal(seen.count, 0);
}

/* Frames of every type, cut everywhere and filled with what means most. */
static void events_that_cannot_be_read_change_nothing(void **state)
{
    static const uint16_t types[] = {WIRE_EVENT_COMPLETION,
                                     WIRE_EVENT_MATCH,
                                     WIRE_EVENT_DEAD,
                                     WIRE_EVENT_INTEREST,
                                     WIRE_CALL,
                                     0,
                                     UINT16_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        for (size_t length = 0; length < 120; length++) {
            struct wire_message event;
            wire_message_init(&event);
            wire_message_reset(&event, types[i]);
            if (length > 0) {
                memset(wire_put_space(&event, length), length % 2 ? 0xff : 0, length);
            }
            fake_host_send(&host, &event);
            wire_message_destroy(&event);
        }
    }
    settle();
    assert_int_equal(seen.count, 0);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL), 0);
}

#define COMPLETION_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPLETION_TEST(completions_may_precede_the_call_repeat_and_follow_close),
        COMPLETION_TEST(more_arguments_than_there_can_be_are_dropped),
        COMPLETION_TEST(events_for_no_port_go_nowhere),
        COMPLETION_TEST(events_that_cannot_be_read_change_nothing),
    };
    return cmocka_run_group_tests_name("iokit_completion", tests, NULL, NULL);
}
