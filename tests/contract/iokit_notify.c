/*
 * IOKit itself: asynchronous completions, notification ports, arrivals and terminations.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOMessage.h>
#include <mach/mach.h>
#include <mach/mig_errors.h>
#include <stdatomic.h>
#include <unistd.h>

#include "testdev.h"

/* 11 to 15: terminated by their tests. */
static const char *const devices[] = {"testdev,addr=02:00.0", "testdev,addr=11:00.0",
                                      "testdev,addr=12:00.0", "testdev,addr=13:00.0",
                                      "testdev,addr=14:00.0", NULL};

struct listener {
    IONotificationPortRef port;
    dispatch_queue_t queue;
    _Atomic unsigned runs, drained;
    _Atomic uint32_t last_type;
    _Atomic io_service_t last_service;
    _Atomic IOReturn last_result;
    _Atomic bool drains;
};

static void nothing(void *opaque)
{
    (void)opaque;
}

static void listener_open(struct listener *listener)
{
    listener->queue = dispatch_queue_create("contract", DISPATCH_QUEUE_SERIAL);
    listener->port = IONotificationPortCreate(kIOMainPortDefault);
    assert_non_null(listener->port);
    IONotificationPortSetDispatchQueue(listener->port, listener->queue);
}

static void listener_close(struct listener *listener)
{
    IONotificationPortDestroy(listener->port);
    dispatch_sync_f(listener->queue, NULL, nothing);
    dispatch_release(listener->queue);
}

static void on_completion(void *refcon, IOReturn result)
{
    struct listener *listener = refcon;
    listener->last_result = result;
    listener->runs++;
}

static kern_return_t wait_interrupt(io_connect_t c, struct listener *listener)
{
    uint64_t reference[kIOAsyncCalloutCount] = {0};
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)on_completion;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)listener;
    return IOConnectCallAsyncScalarMethod(c, 15, IONotificationPortGetMachPort(listener->port),
                                          reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
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

static io_connect_t set_up(uint8_t bus)
{
    uint32_t vectors;
    io_connect_t c = contract_claimed(bus);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    return c;
}

static void wait_is_one_shot(void **state)
{
    struct listener listener = {0};
    uint64_t words[4];
    io_connect_t c = set_up(TESTDEV);
    listener_open(&listener);
    assert_ok(wait_interrupt(c, &listener));
    usleep(20000);
    assert_int_equal(listener.runs, 0);
    reg_write(c, TESTDEV_FIRE, 4, 1);
    assert_reaches(listener.runs, 1);
    assert_status(listener.last_result, kIOReturnSuccess);
    reg_write(c, TESTDEV_FIRE, 4, 2);
    usleep(20000);
    assert_int_equal(listener.runs, 1);
    assert_ok(wait_interrupt(c, &listener)); /* pending already: completes at once */
    assert_reaches(listener.runs, 2);
    assert_ok(apple_dext_read_pending_irqs(c, words));
    assert_true(words[0] == 6);
    listener_close(&listener);
}

static void newer_wait_replaces_an_older(void **state)
{
    struct listener old = {0};
    struct listener new = {0};
    io_connect_t c = set_up(TESTDEV);
    listener_open(&old);
    listener_open(&new);
    assert_ok(wait_interrupt(c, &old));
    assert_ok(wait_interrupt(c, &new));
    reg_write(c, TESTDEV_FIRE, 4, 1);
    assert_reaches(new.runs, 1);
    usleep(20000);
    assert_int_equal(old.runs, 0);
    listener_close(&old);
    listener_close(&new);
}

static void wait_checks_its_arguments(void **state)
{
    struct listener listener = {0};
    uint64_t many[9] = {0};
    io_connect_t c = contract_claimed(TESTDEV);
    listener_open(&listener);
    assert_status(wait_interrupt(c, &listener), kIOReturnNotReady);
    io_connect_t ready = set_up(TESTDEV);
    /* Without a completion: an ordinary call, or no port. */
    assert_status(IOConnectCallScalarMethod(ready, 15, NULL, 0, NULL, NULL), kIOReturnBadArgument);
    assert_status(
        IOConnectCallAsyncScalarMethod(ready, 15, MACH_PORT_NULL, many, 3, NULL, 0, NULL, NULL),
        kIOReturnBadArgument);
    assert_status(IOConnectCallAsyncScalarMethod(ready, 15,
                                                 IONotificationPortGetMachPort(listener.port), many,
                                                 9, NULL, 0, NULL, NULL),
                  MIG_ARRAY_TOO_LARGE);
    assert_status(IOConnectCallAsyncScalarMethod(ready, 15,
                                                 IONotificationPortGetMachPort(listener.port), many,
                                                 0, NULL, 0, NULL, NULL),
                  kIOReturnBadArgument);
    listener_close(&listener);
    assert_int_equal(listener.runs, 0);
}

static void close_makes_up_no_completion(void **state)
{
    struct listener listener = {0};
    io_connect_t c = set_up(TESTDEV);
    listener_open(&listener);
    assert_ok(wait_interrupt(c, &listener));
    contract_disconnect(c);
    usleep(20000);
    assert_int_equal(listener.runs, 0);
    listener_close(&listener);
}

static void destroyed_port_hears_nothing(void **state)
{
    struct listener listener = {0};
    io_connect_t c = set_up(TESTDEV);
    listener_open(&listener);
    assert_ok(wait_interrupt(c, &listener));
    listener_close(&listener);
    reg_write(c, TESTDEV_FIRE, 4, 1);
    usleep(20000);
    assert_int_equal(listener.runs, 0);
}

static void on_completion_destroy(void *refcon, IOReturn result)
{
    struct listener *listener = refcon;
    IONotificationPortDestroy(listener->port);
    on_completion(refcon, result);
}

static void port_destroyed_inside_its_callback(void **state)
{
    struct listener listener = {0};
    uint64_t reference[kIOAsyncCalloutCount] = {0};
    io_connect_t c = set_up(TESTDEV);
    listener_open(&listener);
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)on_completion_destroy;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)&listener;
    assert_ok(IOConnectCallAsyncScalarMethod(c, 15, IONotificationPortGetMachPort(listener.port),
                                             reference, kIOAsyncCalloutCount, NULL, 0, NULL, NULL));
    reg_write(c, TESTDEV_FIRE, 4, 1);
    assert_reaches(listener.runs, 1);
    dispatch_sync_f(listener.queue, NULL, nothing);
    dispatch_release(listener.queue);
}

static void port_without_a_queue_keeps_messages(void **state)
{
    struct listener listener = {0};
    io_connect_t c = set_up(TESTDEV);
    listener_open(&listener);
    IONotificationPortSetDispatchQueue(listener.port, NULL);
    assert_ok(wait_interrupt(c, &listener));
    reg_write(c, TESTDEV_FIRE, 4, 1);
    usleep(20000);
    assert_int_equal(listener.runs, 0);
    IONotificationPortSetDispatchQueue(listener.port, listener.queue);
    assert_reaches(listener.runs, 1);
    listener_close(&listener);
}

/* Termination. */

static void on_interest(void *refcon, io_service_t service, uint32_t type, void *argument)
{
    struct listener *listener = refcon;
    (void)argument;
    if (type == kIOMessageServiceIsTerminated) {
        listener->last_type = type;
        listener->last_service = service;
        listener->runs++;
    }
}

static io_service_t service_on(uint8_t bus)
{
    AppleDextInstance *list = NULL;
    size_t count = 0;
    uint64_t id = 0;
    assert_ok(apple_dext_list(&list, &count));
    for (size_t i = 0; i < count; i++) {
        id = list[i].bus == bus ? list[i].entry_id : id;
    }
    apple_dext_free_list(list);
    assert_true(id != 0);
    return IOServiceGetMatchingService(0, IORegistryEntryIDMatching(id));
}

static void terminate(uint8_t bus)
{
    io_connect_t c = contract_claimed(bus);
    assert_ok(apple_dext_terminate(c));
}

static void interest_hears_of_termination(void **state)
{
    struct listener listener = {0};
    io_object_t interest = 0;
    io_object_t late = 0;
    uint64_t id;
    io_service_t service = service_on(0x11);
    io_connect_t c = contract_claimed(0x11);
    listener_open(&listener);
    assert_status(IOServiceAddInterestNotification(listener.port, service, "NoSuchInterest",
                                                   on_interest, &listener, &interest),
                  kIOReturnUnsupported);
    assert_ok(IOServiceAddInterestNotification(listener.port, service, kIOGeneralInterest,
                                               on_interest, &listener, &interest));
    terminate(0x11);
    assert_reaches(listener.runs, 1);
    assert_int_equal(listener.last_type, 0xe0000010);
    /* The connection died first; the message came with a handle of its own. */
    uint64_t value;
    assert_status(apple_dext_config_read(c, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_int_not_equal(listener.last_service, service);
    assert_status(IORegistryEntryGetRegistryEntryID(service, &id), MACH_SEND_INVALID_DEST);
    kern_return_t status = IOServiceAddInterestNotification(
        listener.port, service, kIOGeneralInterest, on_interest, &listener, &late);
    assert_true(status == MACH_SEND_INVALID_DEST || status == kIOReturnUnsupported);
    usleep(10000);
    assert_int_equal(listener.runs, 1);
    assert_ok(IOObjectRelease(interest));
    assert_ok(IOObjectRelease(service));
    listener_close(&listener);
}

static void released_interest_hears_nothing(void **state)
{
    struct listener listener = {0};
    io_object_t interest = 0;
    io_service_t service = service_on(0x12);
    listener_open(&listener);
    IONotificationPortSetDispatchQueue(listener.port, NULL); /* messages only queue */
    assert_ok(IOServiceAddInterestNotification(listener.port, service, kIOGeneralInterest,
                                               on_interest, &listener, &interest));
    terminate(0x12);
    usleep(50000);
    assert_ok(IOObjectRelease(interest)); /* with one queued */
    IONotificationPortSetDispatchQueue(listener.port, listener.queue);
    usleep(20000);
    assert_int_equal(listener.runs, 0);
    IOObjectRelease(service);
    listener_close(&listener);
}

static void termination_makes_up_no_completion(void **state)
{
    struct listener listener = {0};
    struct listener witness = {0};
    io_object_t interest = 0;
    io_service_t service = service_on(0x13);
    io_connect_t c = contract_claimed(0x13);
    uint64_t vectors;
    uint32_t count = 1;
    /* Not by the library, which would map the IRQ state: a dead handle with mappings closes well.
     */
    assert_ok(IOConnectCallScalarMethod(c, 13, NULL, 0, &vectors, &count));
    listener_open(&listener);
    listener_open(&witness);
    assert_ok(wait_interrupt(c, &listener));
    assert_ok(IOServiceAddInterestNotification(witness.port, service, kIOGeneralInterest,
                                               on_interest, &witness, &interest));
    terminate(0x13);
    assert_reaches(witness.runs, 1); /* behind the death of the handles */
    usleep(20000);
    assert_int_equal(listener.runs, 0);
    assert_ok(IOObjectRelease(interest));
    assert_ok(IOObjectRelease(service));
    listener_close(&listener);
    listener_close(&witness);
    /* The handle is the client's to close, dead or not; then it is nobody's. */
    assert_status(IOServiceClose(c), MACH_SEND_INVALID_DEST);
}

/* Matching. */

static void on_match(void *refcon, io_iterator_t iterator)
{
    struct listener *listener = refcon;
    listener->runs++;
    if (listener->drains) {
        for (io_service_t service; (service = IOIteratorNext(iterator)) != 0;) {
            listener->drained++;
            IOObjectRelease(service);
        }
    }
}

static unsigned drain(io_iterator_t iterator)
{
    unsigned count = 0;
    for (io_service_t service; (service = IOIteratorNext(iterator)) != 0; count++) {
        IOObjectRelease(service);
    }
    return count;
}

static void terminated_notification(void **state)
{
    struct listener listener = {.drains = true};
    io_iterator_t iterator = 0;
    listener_open(&listener);
    CFMutableDictionaryRef matching = IOServiceNameMatching("VFIOUserPCIDriver");
    CFRetain(matching);
    assert_ok(IOServiceAddMatchingNotification(listener.port, kIOTerminatedNotification, matching,
                                               on_match, &listener, &iterator));
    assert_int_equal(CFGetRetainCount(matching), 1); /* consumed */
    CFRelease(matching);
    assert_int_equal(drain(iterator), 0); /* starts empty, and is armed by this */
    terminate(0x14);
    assert_reaches(listener.drained, 1);
    assert_int_equal(listener.runs, 1);
    assert_ok(IOObjectRelease(iterator));
    listener_close(&listener);
}

static void add_device(const char *specification)
{
    char *cause = NULL;
    if (dext_host_add_device(contract_embedded_host(), specification, &cause)) {
        fail_msg("%s", cause);
    }
}

static void remove_device(const char *address)
{
    assert_int_equal(dext_host_remove_device(contract_embedded_host(), address, NULL), 0);
}

static void arrivals(void **state)
{
    struct listener listener = {0};
    io_iterator_t iterator = 0;
    listener_open(&listener);
    assert_ok(IOServiceAddMatchingNotification(listener.port, kIOFirstMatchNotification,
                                               IOServiceNameMatching("VFIOUserPCIDriver"), on_match,
                                               &listener, &iterator));
    add_device("edu,addr=20:00.0");
    usleep(20000);
    assert_int_equal(listener.runs, 0); /* unarmed until it is drained */
    assert_true(drain(iterator) >= 2);  /* those there were, and the new one */
    add_device("edu,addr=21:00.0");
    assert_reaches(listener.runs, 1);
    add_device("edu,addr=22:00.0");
    usleep(20000);
    assert_int_equal(listener.runs, 1); /* one call an arming */
    io_service_t newest = IOIteratorNext(iterator);
    io_service_t want = service_on(0x22);
    assert_int_equal(newest, want); /* last in, first out */
    IOObjectRelease(newest);
    IOObjectRelease(want);
    assert_int_equal(drain(iterator), 1);
    listener.drains = true;
    add_device("edu,addr=23:00.0");
    assert_reaches(listener.drained, 1);
    assert_int_equal(listener.runs, 2);
    assert_ok(IOObjectRelease(iterator));
    add_device("edu,addr=24:00.0");
    usleep(20000);
    assert_int_equal(listener.runs, 2);
    listener_close(&listener);
    static const char *const added[] = {"20:00.0", "21:00.0", "22:00.0", "23:00.0", "24:00.0"};
    for (size_t i = 0; i < 5; i++) {
        remove_device(added[i]);
    }
}

static void released_matching_hears_nothing(void **state)
{
    struct listener listener = {0};
    io_iterator_t iterator = 0;
    listener_open(&listener);
    IONotificationPortSetDispatchQueue(listener.port, NULL);
    assert_ok(IOServiceAddMatchingNotification(listener.port, kIOMatchedNotification,
                                               IOServiceNameMatching("VFIOUserPCIDriver"), on_match,
                                               &listener, &iterator));
    drain(iterator);
    add_device("edu,addr=20:00.0");
    usleep(20000);
    assert_ok(IOObjectRelease(iterator)); /* with a message queued */
    IONotificationPortSetDispatchQueue(listener.port, listener.queue);
    usleep(20000);
    assert_int_equal(listener.runs, 0);
    listener_close(&listener);
    remove_device("20:00.0");
}

static void bad_matching_requests_consume_too(void **state)
{
    struct listener listener = {0};
    io_iterator_t iterator = 0;
    CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
    CFRetain(matching);
    listener_open(&listener);
    assert_int_not_equal(IOServiceAddMatchingNotification(listener.port, "NoSuchType", matching,
                                                          on_match, &listener, &iterator),
                         kIOReturnSuccess);
    assert_int_equal(CFGetRetainCount(matching), 1);
    CFRelease(matching);
    assert_int_not_equal(IOServiceAddMatchingNotification(listener.port, kIOMatchedNotification,
                                                          NULL, on_match, &listener, &iterator),
                         kIOReturnSuccess);
    listener_close(&listener);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(wait_is_one_shot),
        contract_test(newer_wait_replaces_an_older),
        contract_test(wait_checks_its_arguments),
        contract_test(close_makes_up_no_completion),
        contract_test(destroyed_port_hears_nothing),
        contract_test(port_destroyed_inside_its_callback),
        contract_test(port_without_a_queue_keeps_messages),
        contract_test(interest_hears_of_termination),
        contract_test(released_interest_hears_nothing),
        contract_test(termination_makes_up_no_completion),
        contract_test(terminated_notification),
        contract_test_when(arrivals, WHEN_EMBEDDED),
        contract_test_when(released_matching_hears_nothing, WHEN_EMBEDDED),
        contract_test(bad_matching_requests_consume_too),
    };
    const struct contract_suite suite = {.name = "iokit_notify",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
