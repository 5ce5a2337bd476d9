/*
 * Unit tests of matching and interest notifications: arming, order, limits, what a release
 * suppresses, and events that are nobody's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <dispatch/dispatch.h>

#include "fake_host.h"

#define PENDING_MAX 1024

static const io_name_t publish = kIOPublishNotification;
static const io_name_t terminated = kIOTerminatedNotification;
static const io_name_t general = kIOGeneralInterest;

static struct fake_host host;
static IONotificationPortRef port;
static dispatch_queue_t queue;

/* What callbacks saw; they run on queue, the test reads it after settle(). */
static struct {
    unsigned matches, interests;
    io_iterator_t iterator;
    io_service_t service, before;
    uint64_t service_id;
    natural_t type;
    kern_return_t before_status;
} seen;

static void nothing(void *context)
{
    (void)context;
}

/* Everything delivered so far has been handled. */
static void settle(void)
{
    dispatch_sync_f(queue, NULL, nothing);
}

static int start(void **state)
{
    (void)state;
    memset(&host, 0, sizeof(host));
    memset(&seen, 0, sizeof(seen));
    fake_host_start(&host);
    queue = dispatch_queue_create("test", DISPATCH_QUEUE_SERIAL);
    port = IONotificationPortCreate(kIOMainPortDefault);
    IONotificationPortSetDispatchQueue(port, queue);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    IONotificationPortDestroy(port);
    settle();
    fake_host_stop(&host);
    dispatch_release(queue);
    return 0;
}

static void on_match(void *refcon, io_iterator_t iterator)
{
    assert_ptr_equal(refcon, &seen);
    seen.matches++;
    seen.iterator = iterator;
}

static io_iterator_t add_matching(const io_name_t type)
{
    io_iterator_t iterator = IO_OBJECT_NULL;
    assert_int_equal(IOServiceAddMatchingNotification(port, type, IOServiceMatching("IOService"),
                                                      on_match, &seen, &iterator),
                     0);
    assert_int_not_equal(iterator, IO_OBJECT_NULL);
    return iterator;
}

/* Id of the next service, released; 0 at the end. */
static uint64_t next_id(io_iterator_t iterator)
{
    uint64_t id = 0;
    io_service_t service = IOIteratorNext(iterator);
    if (service) {
        assert_int_equal(IORegistryEntryGetRegistryEntryID(service, &id), 0);
        assert_int_equal(IOObjectRelease(service), 0);
    }
    return id;
}

static void nothing_fires_until_drained_and_then_once(void **state)
{
    (void)state;
    host.entry_count = 2;
    io_iterator_t iterator = add_matching(publish);
    fake_host_send_match(&host, host.last_token, 7);
    settle();
    assert_int_equal(seen.matches, 0);
    /* The newest first; what was there before it comes after. */
    assert_int_equal(next_id(iterator), 7);
    assert_int_equal(next_id(iterator), FAKE_FIRST_ENTRY);
    assert_int_equal(next_id(iterator), FAKE_FIRST_ENTRY + 1);
    assert_int_equal(next_id(iterator), 0);
    fake_host_send_match(&host, host.last_token, 8);
    fake_host_send_match(&host, host.last_token, 9);
    settle();
    assert_int_equal(seen.matches, 1);
    assert_int_equal(seen.iterator, iterator);
    assert_int_equal(next_id(iterator), 9);
    fake_host_send_match(&host, host.last_token, 10); /* not drained: not armed */
    settle();
    assert_int_equal(seen.matches, 1);
    assert_int_equal(next_id(iterator), 10);
    assert_int_equal(next_id(iterator), 8);
    assert_int_equal(next_id(iterator), 0);
    fake_host_send_match(&host, host.last_token, 11);
    settle();
    assert_int_equal(seen.matches, 2);
    assert_true(IOIteratorIsValid(iterator));
    IOIteratorReset(iterator); /* nothing for one of this kind */
    assert_int_equal(next_id(iterator), 11);
    IOObjectRelease(iterator);
}

/* The host tells of an arrival before it answers. */
static int answer_after_an_arrival(struct fake_host *self, struct wire_message *request,
                                   struct wire_message *reply)
{
    self->last_token = wire_get_u64(request);
    fake_host_send_match(self, self->last_token, 7);
    wire_put_u32(reply, 1);
    wire_put_u64(reply, 3);
    return 0;
}

static void an_arrival_before_the_answer_is_kept(void **state)
{
    (void)state;
    host.answer[WIRE_NOTIFY_ADD] = answer_after_an_arrival;
    io_iterator_t iterator = add_matching(publish);
    assert_int_equal(next_id(iterator), 7);
    assert_int_equal(next_id(iterator), 3);
    assert_int_equal(next_id(iterator), 0);
    IOObjectRelease(iterator);
}

static void only_1024_are_remembered(void **state)
{
    (void)state;
    io_iterator_t iterator = add_matching(terminated);
    for (uint64_t id = 1; id <= PENDING_MAX + 10; id++) {
        fake_host_send_match(&host, host.last_token, id);
    }
    for (uint64_t id = PENDING_MAX; id > 0; id--) {
        assert_int_equal(next_id(iterator), id);
    }
    assert_int_equal(next_id(iterator), 0);
    settle();
    assert_int_equal(seen.matches, 0);
    IOObjectRelease(iterator);
}

static void more_that_match_already_than_are_remembered(void **state)
{
    (void)state;
    host.entry_count = PENDING_MAX + 10;
    io_iterator_t iterator = add_matching(publish);
    unsigned count = 0;
    while (next_id(iterator)) {
        count++;
    }
    assert_int_equal(count, PENDING_MAX);
    IOObjectRelease(iterator);
}

static void a_release_suppresses_what_waits(void **state)
{
    (void)state;
    host.entry_count = 0;
    io_iterator_t iterator = add_matching(publish);
    assert_int_equal(next_id(iterator), 0);
    IONotificationPortSetDispatchQueue(port, NULL);
    fake_host_send_match(&host, host.last_token, 7);
    assert_int_equal(IOObjectRelease(iterator), 0);
    assert_int_equal(host.seen[WIRE_NOTIFY_REMOVE], 1);
    IONotificationPortSetDispatchQueue(port, queue);
    settle();
    assert_int_equal(seen.matches, 0);
    fake_host_send_match(&host, host.last_token, 8); /* nobody's any more */
}

static void tokens_that_are_nobodys_are_ignored(void **state)
{
    (void)state;
    io_iterator_t iterator = add_matching(publish);
    uint64_t token = host.last_token;
    assert_int_equal(next_id(iterator), 0);
    const uint64_t others[] = {
        0, 1, token + 1, token ^ (UINT64_C(1) << 32), UINT64_MAX, (uint32_t)token};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fake_host_send_match(&host, others[i], 7);
        fake_host_send_interest(&host, others[i], 7, kIOMessageServiceIsTerminated);
    }
    fake_host_send_interest(&host, token, 7, kIOMessageServiceIsTerminated); /* another kind */
    settle();
    assert_int_equal(seen.matches, 0);
    assert_int_equal(seen.interests, 0);
    assert_int_equal(next_id(iterator), 0);
    IOObjectRelease(iterator);
}

static int answer_short(struct fake_host *self, struct wire_message *request,
                        struct wire_message *reply)
{
    self->last_token = wire_get_u64(request);
    wire_put_u32(reply, 2);
    wire_put_u64(reply, 3);
    return 0;
}

static int answer_not_ready(struct fake_host *self, struct wire_message *request,
                            struct wire_message *reply)
{
    (void)self;
    (void)request;
    reply->header.status = kIOReturnNotReady;
    return 0;
}

static void matching_is_consumed_and_nothing_left_whatever_fails(void **state)
{
    static const io_name_t odd = "IOServiceOdd";
    const struct {
        IONotificationPortRef port;
        const char *type;
        IOServiceMatchingCallback callback;
        fake_answer_fn answer;
        bool is_odd_key;
        kern_return_t status;
    } rows[] = {
        {NULL, publish, on_match, NULL, false, kIOReturnBadArgument},
        {port, publish, NULL, NULL, false, kIOReturnBadArgument},
        {port, odd, on_match, NULL, false, kIOReturnUnsupported},
        {port, publish, on_match, NULL, true, kIOReturnUnsupported},
        {port, publish, on_match, answer_short, false, kIOReturnIPCError},
        {port, publish, on_match, answer_not_ready, false, kIOReturnNotReady},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        io_iterator_t iterator = 7;
        CFMutableDictionaryRef matching = IOServiceMatching("IOService");
        CFRetain(matching);
        if (rows[i].is_odd_key) {
            CFDictionarySetValue(matching, kCFBooleanTrue, kCFBooleanTrue);
        }
        host.answer[WIRE_NOTIFY_ADD] = rows[i].answer;
        assert_int_equal(IOServiceAddMatchingNotification(rows[i].port, rows[i].type, matching,
                                                          rows[i].callback, &seen, &iterator),
                         rows[i].status);
        assert_int_equal(iterator, 7);
        assert_int_equal(CFGetRetainCount(matching), 1);
        CFRelease(matching);
    }
    assert_int_equal(host.seen[WIRE_NOTIFY_REMOVE], host.seen[WIRE_NOTIFY_ADD]);
    io_iterator_t iterator;
    assert_int_equal(
        IOServiceAddMatchingNotification(port, publish, NULL, on_match, &seen, &iterator),
        kIOReturnBadArgument);
}

static void on_interest(void *refcon, io_service_t service, natural_t type, void *argument)
{
    io_name_t name;
    (void)argument;
    assert_ptr_equal(refcon, &seen);
    seen.interests++;
    seen.service = service;
    seen.type = type;
    seen.before_status = IORegistryEntryGetName(seen.before, name);
    IORegistryEntryGetRegistryEntryID(service, &seen.service_id);
}

static io_object_t add_interest(io_service_t service)
{
    io_object_t notification = IO_OBJECT_NULL;
    seen.before = service;
    assert_int_equal(
        IOServiceAddInterestNotification(port, service, general, on_interest, &seen, &notification),
        0);
    return notification;
}

static io_service_t one_service(void)
{
    host.entry_count = 1;
    return IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService"));
}

static void the_message_comes_after_death_with_a_fresh_name(void **state)
{
    (void)state;
    io_service_t service = one_service();
    io_object_t notification = add_interest(service);
    fake_host_send_dead(&host, FAKE_FIRST_ENTRY);
    fake_host_send_interest(&host, host.last_token, FAKE_FIRST_ENTRY,
                            kIOMessageServiceIsTerminated);
    settle();
    assert_int_equal(seen.interests, 1);
    assert_int_equal(seen.type, kIOMessageServiceIsTerminated);
    assert_int_equal(seen.before_status, MACH_SEND_INVALID_DEST);
    assert_int_not_equal(seen.service, service);
    assert_int_equal(seen.service_id, FAKE_FIRST_ENTRY);
    assert_int_equal(IOObjectRelease(seen.service), KERN_INVALID_NAME); /* borrowed for the call */
    /* Too late to be interested. */
    io_object_t late = 7;
    assert_int_equal(
        IOServiceAddInterestNotification(port, service, general, on_interest, &seen, &late),
        MACH_SEND_INVALID_DEST);
    assert_int_equal(late, 7);
    IOObjectRelease(notification);
    IOObjectRelease(service);
}

static void other_messages_keep_the_name_and_may_repeat(void **state)
{
    (void)state;
    io_service_t service = one_service();
    io_object_t notification = add_interest(service);
    for (int i = 0; i < 3; i++) {
        fake_host_send_interest(&host, host.last_token, FAKE_FIRST_ENTRY,
                                kIOMessageServicePropertyChange);
    }
    settle();
    assert_int_equal(seen.interests, 3);
    assert_int_equal(seen.service, service);
    IOObjectRelease(notification);
    assert_int_equal(IOObjectRelease(service), 0); /* the calls took none of ours */
    assert_int_equal(IOObjectRelease(service), KERN_INVALID_NAME);
}

static void a_release_suppresses_a_message(void **state)
{
    (void)state;
    io_service_t service = one_service();
    io_object_t notification = add_interest(service);
    IONotificationPortSetDispatchQueue(port, NULL);
    fake_host_send_interest(&host, host.last_token, FAKE_FIRST_ENTRY,
                            kIOMessageServiceIsTerminated);
    IOObjectRelease(notification);
    IONotificationPortSetDispatchQueue(port, queue);
    settle();
    assert_int_equal(seen.interests, 0);
    IOObjectRelease(service);
}

static void interest_of_odd_kinds_is_refused(void **state)
{
    static const io_name_t odd = "IOOddInterest";
    io_object_t notification = 7;
    (void)state;
    io_service_t service = one_service();
    assert_int_equal(
        IOServiceAddInterestNotification(port, service, odd, on_interest, &seen, &notification),
        kIOReturnUnsupported);
    assert_int_equal(
        IOServiceAddInterestNotification(port, service, general, NULL, &seen, &notification),
        kIOReturnBadArgument);
    host.answer[WIRE_INTEREST_ADD] = answer_not_ready;
    assert_int_equal(
        IOServiceAddInterestNotification(port, service, general, on_interest, &seen, &notification),
        kIOReturnNotReady);
    assert_int_equal(notification, 7);
    IOObjectRelease(service);
}

static void the_end_of_the_host_is_the_end_of_its_services(void **state)
{
    (void)state;
    io_service_t service = one_service();
    io_object_t notification = add_interest(service);
    fake_host_die(&host);
    settle();
    assert_int_equal(seen.interests, 1);
    assert_int_equal(seen.type, kIOMessageServiceIsTerminated);
    assert_int_equal(seen.before_status, MACH_SEND_INVALID_DEST);
    assert_int_equal(IOObjectRelease(notification), 0);
    assert_int_equal(IOObjectRelease(service), 0);
}

static void without_a_host_nothing_can_be_awaited(void **state)
{
    io_iterator_t iterator = 7;
    (void)state;
    wire_local_set(NULL);
    assert_int_equal(IOServiceAddMatchingNotification(port, publish, IOServiceMatching("IOService"),
                                                      on_match, &seen, &iterator),
                     kIOReturnNoDevice);
    assert_int_equal(iterator, 7);
}

#define NOTIFY_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NOTIFY_TEST(nothing_fires_until_drained_and_then_once),
        NOTIFY_TEST(an_arrival_before_the_answer_is_kept),
        NOTIFY_TEST(only_1024_are_remembered),
        NOTIFY_TEST(more_that_match_already_than_are_remembered),
        NOTIFY_TEST(a_release_suppresses_what_waits),
        NOTIFY_TEST(tokens_that_are_nobodys_are_ignored),
        NOTIFY_TEST(matching_is_consumed_and_nothing_left_whatever_fails),
        NOTIFY_TEST(the_message_comes_after_death_with_a_fresh_name),
        NOTIFY_TEST(other_messages_keep_the_name_and_may_repeat),
        NOTIFY_TEST(a_release_suppresses_a_message),
        NOTIFY_TEST(interest_of_odd_kinds_is_refused),
        NOTIFY_TEST(the_end_of_the_host_is_the_end_of_its_services),
        NOTIFY_TEST(without_a_host_nothing_can_be_awaited),
    };
    return cmocka_run_group_tests_name("iokit_notify", tests, NULL, NULL);
}
