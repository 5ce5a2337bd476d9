/*
 * Unit tests of notification ports: order, queues that change, destroying while delivering, and the
 * forms of a completion's callback.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <IOKit/IOKitLib.h>
#include <IOKit/OSMessageNotification.h>
#include <dispatch/dispatch.h>
#include <stdatomic.h>
#include <string.h>

#include "iokit/event.h"
#include "iokit/port.h"

#define LONG_NS (INT64_C(120) * 1000000000)
#define LOST_NS (INT64_C(50) * 1000000) /* how long to see that nothing comes */

static dispatch_semaphore_t done;
static uint32_t came[64];
static atomic_uint came_count;
static const char tag;

static int set_up(void **state)
{
    done = dispatch_semaphore_create(0);
    came_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    dispatch_release(done);
    return 0;
}

static bool comes_within(int64_t ns)
{
    return dispatch_semaphore_wait(done, dispatch_time(DISPATCH_TIME_NOW, ns)) == 0;
}

static void deliver(struct port_message *message)
{
    came[came_count++] = message->type;
    dispatch_semaphore_signal(done);
}

static void enqueue(IONotificationPortRef port, uint32_t number)
{
    struct port_message *message = port_message_create(deliver);
    message->type = number;
    port_enqueue(port, message);
}

static dispatch_queue_t make_queue(const char *mark)
{
    dispatch_queue_t queue = dispatch_queue_create("port test", DISPATCH_QUEUE_SERIAL);
    dispatch_queue_set_specific(queue, &tag, (void *)(uintptr_t)mark, NULL);
    return queue;
}

static void messages_wait_for_a_queue_and_keep_their_order(void **state)
{
    IONotificationPortRef port = IONotificationPortCreate(MACH_PORT_NULL);
    dispatch_queue_t queue = make_queue("a");
    for (uint32_t i = 0; i < 10; i++) {
        enqueue(port, i);
    }
    assert_false(comes_within(LOST_NS));
    IONotificationPortSetDispatchQueue(port, queue);
    for (uint32_t i = 10; i < 20; i++) {
        enqueue(port, i);
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_true(comes_within(LONG_NS));
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(came[i], i);
    }
    IONotificationPortDestroy(port);
    dispatch_release(queue);
}

static dispatch_semaphore_t gate;
static const char *marks[2];

static void deliver_slowly(struct port_message *message)
{
    marks[message->type] = dispatch_get_specific(&tag);
    dispatch_semaphore_signal(done);
    if (message->type == 0) {
        dispatch_semaphore_wait(gate, DISPATCH_TIME_FOREVER);
    }
}

/* A message that waits goes to the new queue, even while one is being delivered on the old. */
static void a_queue_may_change_with_messages_on_their_way(void **state)
{
    static const char old_mark[] = "old";
    static const char new_mark[] = "new";
    IONotificationPortRef port = IONotificationPortCreate(MACH_PORT_NULL);
    dispatch_queue_t old = make_queue(old_mark);
    dispatch_queue_t new = make_queue(new_mark);
    gate = dispatch_semaphore_create(0);
    IONotificationPortSetDispatchQueue(port, old);
    for (uint32_t i = 0; i < 2; i++) {
        struct port_message *message = port_message_create(deliver_slowly);
        message->type = i;
        port_enqueue(port, message);
        assert_true(i == 1 || comes_within(LONG_NS));
    }
    IONotificationPortSetDispatchQueue(port, new);
    assert_true(comes_within(LONG_NS));
    assert_ptr_equal(marks[0], old_mark);
    assert_ptr_equal(marks[1], new_mark);
    dispatch_semaphore_signal(gate);
    IONotificationPortSetDispatchQueue(port, NULL);
    enqueue(port, 2);
    assert_false(comes_within(LOST_NS));
    IONotificationPortDestroy(port);
    dispatch_release(old);
    dispatch_release(new);
    dispatch_release(gate);
}

static IONotificationPortRef doomed;

static void destroy_own_port(struct port_message *message)
{
    IONotificationPortDestroy(doomed);
    dispatch_semaphore_signal(done);
}

static void a_port_may_be_destroyed_by_its_callback(void **state)
{
    dispatch_queue_t queue = make_queue("a");
    mach_port_t name = MACH_PORT_NULL;
    for (unsigned i = 0; i < 1000; i++) { /* now and then before the queue has been set wholly */
        doomed = IONotificationPortCreate(MACH_PORT_NULL);
        name = IONotificationPortGetMachPort(doomed);
        port_enqueue(doomed, port_message_create(destroy_own_port));
        enqueue(doomed, 1);
        enqueue(doomed, 2);
        IONotificationPortSetDispatchQueue(doomed, queue);
        assert_true(comes_within(LONG_NS));
    }
    assert_false(comes_within(LOST_NS)); /* the two behind it are dropped */
    kern_return_t status;
    assert_null(io_name_find(name, IO_KIND_PORT, &status));
    dispatch_release(queue);
}

static void destroying_waits_for_nothing(void **state)
{
    IONotificationPortRef port = IONotificationPortCreate(MACH_PORT_NULL);
    dispatch_queue_t queue = make_queue("a");
    gate = dispatch_semaphore_create(0);
    IONotificationPortSetDispatchQueue(port, queue);
    port_enqueue(port, port_message_create(deliver_slowly));
    assert_true(comes_within(LONG_NS));
    enqueue(port, 1);
    IONotificationPortDestroy(port); /* while its callback is stuck */
    dispatch_semaphore_signal(gate);
    assert_false(comes_within(LOST_NS));
    dispatch_release(queue);
    dispatch_release(gate);
}

static void a_full_port_drops(void **state)
{
    IONotificationPortRef port = IONotificationPortCreate(MACH_PORT_NULL);
    struct io_object *counted = port_object(port);
    for (uint32_t i = 0; i < PORT_MAX_QUEUED + 5; i++) {
        struct port_message *message = port_message_create(deliver);
        message->notification = counted;
        io_object_get(counted);
        port_enqueue(port, message);
    }
    /* The owner's, the name's, and one for each that was taken: the five let go of theirs. */
    assert_int_equal(counted->references, 2 + PORT_MAX_QUEUED);
    IONotificationPortDestroy(port);
}

/* Completions, as they come from the host. */

static struct {
    void *refcon;
    IOReturn result;
    uint32_t count;
    uint64_t arguments[16];
    bool is_misaligned;
    int form;
} seen;

static void note(int form, void *refcon, IOReturn result)
{
    seen.form = form;
    seen.refcon = refcon;
    seen.result = result;
    dispatch_semaphore_signal(done);
}

static void callback_0(void *refcon, IOReturn result)
{
    note(0, refcon, result);
}

static void callback_1(void *refcon, IOReturn result, void *first)
{
    seen.arguments[0] = (uintptr_t)first;
    note(1, refcon, result);
}

static void callback_2(void *refcon, IOReturn result, void *first, void *second)
{
    seen.arguments[0] = (uintptr_t)first;
    seen.arguments[1] = (uintptr_t)second;
    note(2, refcon, result);
}

static void callback_many(void *refcon, IOReturn result, void **arguments, uint32_t count)
{
    seen.is_misaligned = (uintptr_t)arguments % 8 == 4;
    memcpy(seen.arguments, arguments, count * sizeof(uint64_t));
    seen.count = count;
    note(3, refcon, result);
}

static void complete(IONotificationPortRef port, uintptr_t callback, uint32_t count, size_t cut)
{
    struct wire_message event;
    wire_message_init(&event);
    wire_message_reset(&event, WIRE_EVENT_COMPLETION);
    wire_put_u64(&event, IONotificationPortGetMachPort(port));
    for (uint64_t i = 0; i < WIRE_MAX_REFERENCES; i++) {
        uint64_t word = i == kIOAsyncCalloutFuncIndex ? callback : 0x1000 + i;
        wire_put_u64(&event, word);
    }
    wire_put_u32(&event, (uint32_t)kIOReturnAborted);
    wire_put_u32(&event, count);
    for (uint64_t i = 0; i < count; i++) {
        wire_put_u64(&event, UINT64_MAX - i);
    }
    event.length -= cut;
    io_event_dispatch(NULL, &event);
    wire_message_destroy(&event);
}

static void check_form(IONotificationPortRef port, uintptr_t callback, uint32_t count, int form)
{
    memset(&seen, 0, sizeof(seen));
    complete(port, callback, count, 0);
    assert_true(comes_within(LONG_NS));
    assert_int_equal(seen.form, form);
    assert_int_equal(seen.result, kIOReturnAborted);
    assert_true((uintptr_t)seen.refcon == 0x1000 + kIOAsyncCalloutRefconIndex);
    for (uint64_t i = 0; i < count; i++) {
        assert_true(seen.arguments[i] == UINT64_MAX - i);
    }
}

static void the_count_makes_the_form(void **state)
{
    IONotificationPortRef port = IONotificationPortCreate(MACH_PORT_NULL);
    dispatch_queue_t queue = make_queue("a");
    IONotificationPortSetDispatchQueue(port, queue);
    check_form(port, (uintptr_t)callback_0, 0, 0);
    check_form(port, (uintptr_t)callback_1, 1, 1);
    check_form(port, (uintptr_t)callback_2, 2, 2);
    for (uint32_t count = 3; count <= 16; count++) {
        check_form(port, (uintptr_t)callback_many, count, 3);
        assert_int_equal(seen.count, count);
        assert_true(seen.is_misaligned);
    }
    /* One argument too many, or bytes that are not there: nothing is called. */
    complete(port, (uintptr_t)callback_many, 17, 0);
    for (size_t cut = 1; cut < 16 * 8 + 8 + 64 + 8; cut++) {
        complete(port, (uintptr_t)callback_many, 16, cut);
    }
    assert_false(comes_within(LOST_NS));
    IONotificationPortDestroy(port);
    dispatch_release(queue);
}

#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PORT_TEST(messages_wait_for_a_queue_and_keep_their_order),
        PORT_TEST(a_queue_may_change_with_messages_on_their_way),
        PORT_TEST(a_port_may_be_destroyed_by_its_callback),
        PORT_TEST(destroying_waits_for_nothing),
        PORT_TEST(a_full_port_drops),
        PORT_TEST(the_count_makes_the_form),
    };
    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
