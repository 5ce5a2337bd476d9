/*
 * Unit tests of handles, matching and registry entries: reference counts, names, what is consumed,
 * and hosts that describe a registry there cannot be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include "fake_host.h"

#define MANY 10000

static struct fake_host host;
static const io_name_t plane = kIOServicePlane;
static const io_name_t class_name = "IOUserService";

static void start(size_t entry_count)
{
    memset(&host, 0, sizeof(host));
    host.entry_count = entry_count;
    fake_host_start(&host);
}

static int start_with_three(void **state)
{
    (void)state;
    start(3);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_host_stop(&host);
    return 0;
}

static io_service_t first_service(void)
{
    return IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
}

static io_iterator_t all_services(void)
{
    io_iterator_t iterator = IO_OBJECT_NULL;
    assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault,
                                                  IOServiceMatching("IOUserService"), &iterator),
                     0);
    return iterator;
}

static void a_service_has_one_name_with_a_count(void **state)
{
    (void)state;
    io_service_t first = first_service();
    io_service_t again = first_service();
    assert_int_not_equal(first, IO_OBJECT_NULL);
    assert_int_equal(first, again);
    assert_int_equal(IOObjectRelease(first), 0);
    assert_int_equal(IOObjectRetain(first), 0);
    assert_int_equal(IOObjectRelease(first), 0);
    assert_int_equal(IOObjectRelease(first), 0);
    assert_int_equal(IOObjectRelease(first), KERN_INVALID_NAME);
    assert_int_equal(IOObjectRetain(first), KERN_INVALID_NAME);
    assert_int_equal(IOObjectRelease(IO_OBJECT_NULL), 0);
    assert_int_equal(IOObjectRelease(MACH_PORT_DEAD), 0);
    again = first_service();
    assert_int_not_equal(first, again); /* a name is not another's at once */
    IOObjectRelease(again);
}

static void iterators_hand_out_each_service_once(void **state)
{
    (void)state;
    io_iterator_t iterator = all_services();
    io_service_t services[3];
    for (int i = 0; i < 3; i++) {
        uint64_t id = 0;
        services[i] = IOIteratorNext(iterator);
        assert_int_equal(IORegistryEntryGetRegistryEntryID(services[i], &id), 0);
        assert_int_equal(id, FAKE_FIRST_ENTRY + i);
    }
    assert_int_equal(IOIteratorNext(iterator), IO_OBJECT_NULL);
    IOIteratorReset(iterator);
    assert_int_equal(IOIteratorNext(iterator), services[0]);
    IOObjectRelease(services[0]);
    for (int i = 0; i < 3; i++) {
        IOObjectRelease(services[i]);
    }
    assert_true(IOIteratorIsValid(iterator));
    IOObjectRelease(iterator);
    assert_false(IOIteratorIsValid(iterator));
    assert_int_equal(IOIteratorNext(iterator), IO_OBJECT_NULL);
    assert_int_equal(IOIteratorNext(IO_OBJECT_NULL), IO_OBJECT_NULL);
}

static void no_match_is_success_without_an_iterator(void **state)
{
    (void)state;
    host.entry_count = 0;
    assert_int_equal(all_services(), IO_OBJECT_NULL);
    assert_int_equal(first_service(), IO_OBJECT_NULL);
}

static void matching_is_consumed_on_every_path(void **state)
{
    io_iterator_t iterator = 0;
    (void)state;
    for (int path = 0; path < 4; path++) {
        CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
        CFRetain(matching);
        if (path == 3) { /* no such key travels */
            CFDictionarySetValue(matching, kCFBooleanTrue, kCFBooleanTrue);
        }
        if (path == 0) {
            IOObjectRelease(IOServiceGetMatchingService(kIOMainPortDefault, matching));
        } else if (path == 1) {
            assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault, matching, NULL),
                             kIOReturnBadArgument);
        } else if (path == 2) {
            host.is_dead = true;
            IOServiceGetMatchingServices(kIOMainPortDefault, matching, &iterator);
            assert_int_equal(iterator, 0);
            host.is_dead = false;
        } else {
            assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault, matching, &iterator),
                             kIOReturnUnsupported);
        }
        assert_int_equal(CFGetRetainCount(matching), 1);
        CFRelease(matching);
    }
    assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault, NULL, &iterator),
                     kIOReturnBadArgument);
    assert_int_equal(IOServiceGetMatchingService(kIOMainPortDefault, NULL), IO_OBJECT_NULL);
}

static void a_property_table_is_not_consumed(void **state)
{
    boolean_t matches = 7;
    CFDictionaryRef matching = IOServiceMatching("IOUserService");
    (void)state;
    io_service_t service = first_service();
    assert_int_equal(IOServiceMatchPropertyTable(service, matching, &matches), 0);
    assert_int_equal(matches, 1);
    assert_int_equal(CFGetRetainCount(matching), 1);
    host.entry_count = 0;
    assert_int_equal(IOServiceMatchPropertyTable(service, matching, &matches), 0);
    assert_int_equal(matches, 0);
    IOObjectRelease(service);
    CFRelease(matching);
}

static void a_departed_service_is_a_dead_name_until_released(void **state)
{
    io_name_t name;
    io_connect_t connection = 7;
    (void)state;
    io_service_t service = first_service();
    fake_host_send_dead(&host, FAKE_FIRST_ENTRY);
    assert_int_equal(IORegistryEntryGetName(service, name), MACH_SEND_INVALID_DEST);
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection),
                     MACH_SEND_INVALID_DEST);
    assert_int_equal(connection, 0);
    assert_int_equal(IOObjectRetain(service), 0);
    /* Met again (a notification of its end), it has a fresh name. */
    io_service_t fresh = first_service();
    assert_int_not_equal(fresh, service);
    assert_int_equal(IORegistryEntryGetName(fresh, name), 0);
    assert_string_equal(name, "fake");
    io_service_t again = first_service();
    assert_int_equal(again, fresh);
    IOObjectRelease(again);
    IOObjectRelease(fresh);
    assert_int_equal(IOObjectRelease(service), 0);
    assert_int_equal(IOObjectRelease(service), 0);
    assert_int_equal(IOObjectRelease(service), KERN_INVALID_NAME);
}

static void death_takes_the_connections_of_that_service_only(void **state)
{
    io_connect_t connections[2];
    io_connect_t other;
    (void)state;
    io_iterator_t iterator = all_services();
    io_service_t service = IOIteratorNext(iterator);
    io_service_t second = IOIteratorNext(iterator);
    IOObjectRelease(iterator);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connections[i]), 0);
    }
    assert_int_equal(IOServiceOpen(second, mach_task_self(), 0, &other), 0);
    fake_host_send_dead(&host, FAKE_FIRST_ENTRY);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(IOConnectCallScalarMethod(connections[i], 0, NULL, 0, NULL, NULL),
                         MACH_SEND_INVALID_DEST);
        assert_int_equal(IOServiceClose(connections[i]), MACH_SEND_INVALID_DEST);
        assert_int_equal(IOObjectRelease(connections[i]), KERN_INVALID_NAME);
    }
    assert_int_equal(IOConnectCallScalarMethod(other, 0, NULL, 0, NULL, NULL), 0);
    assert_int_equal(IOServiceClose(other), 0);
    IOObjectRelease(service);
    IOObjectRelease(second);
}

static void opening_is_for_this_task_and_a_service(void **state)
{
    io_connect_t connection = 7;
    (void)state;
    io_service_t service = first_service();
    io_iterator_t iterator = all_services();
    assert_int_equal(IOServiceOpen(service, 0, 0, &connection), kIOReturnBadArgument);
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, NULL), kIOReturnBadArgument);
    assert_int_equal(IOServiceOpen(iterator, mach_task_self(), 0, &connection),
                     kIOReturnBadArgument);
    assert_int_equal(connection, 0);
    IOObjectRelease(iterator);
    IOObjectRelease(service);
}

/* A host whose replies are cut, padded or beside the point. */

static int answer_nothing(struct fake_host *self, struct wire_message *request,
                          struct wire_message *reply)
{
    (void)self;
    (void)request;
    (void)reply;
    return 0;
}

static int answer_many_that_are_none(struct fake_host *self, struct wire_message *request,
                                     struct wire_message *reply)
{
    (void)self;
    (void)request;
    wire_put_u32(reply, UINT32_MAX);
    wire_put_u64(reply, FAKE_FIRST_ENTRY);
    return 0;
}

static int answer_a_string(struct fake_host *self, struct wire_message *request,
                           struct wire_message *reply)
{
    (void)self;
    (void)request;
    struct wire_value *value = wire_value_string("no dictionary");
    wire_put_value(reply, value);
    wire_value_free(value);
    return 0;
}

/* Text where lists belong, numbers where text belongs, and a name longer than its buffer. */
static int answer_wrong_types(struct fake_host *self, struct wire_message *request,
                              struct wire_message *reply)
{
    char text[400];
    (void)self;
    (void)request;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct wire_value *entry = wire_value_dictionary();
    wire_value_set(entry, WIRE_ENTRY_NAME, wire_value_string(text));
    wire_value_set(entry, WIRE_ENTRY_CLASS, wire_value_number(7, 32));
    wire_value_set(entry, WIRE_ENTRY_CONFORMS, wire_value_string("IOUserService"));
    wire_value_set(entry, WIRE_ENTRY_PARENT, wire_value_string("above"));
    wire_value_set(entry, WIRE_ENTRY_CHILDREN, wire_value_string("below"));
    wire_value_set(entry, WIRE_ENTRY_PROPERTIES, wire_value_string("none"));
    wire_put_value(reply, entry);
    wire_value_free(entry);
    return 0;
}

static void short_and_lying_replies_are_errors(void **state)
{
    io_connect_t connection = 7;
    io_iterator_t iterator = 7;
    io_name_t name;
    (void)state;
    io_service_t service = first_service();
    host.answer[WIRE_MATCH] = answer_nothing;
    assert_int_equal(
        IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("x"), &iterator),
        kIOReturnIPCError);
    assert_int_equal(iterator, 0);
    host.answer[WIRE_MATCH] = answer_many_that_are_none;
    assert_int_equal(
        IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("x"), &iterator),
        kIOReturnIPCError);
    host.answer[WIRE_ENTRY] = answer_nothing;
    assert_int_equal(IORegistryEntryGetName(service, name), kIOReturnIPCError);
    host.answer[WIRE_ENTRY] = answer_a_string;
    assert_int_equal(IORegistryEntryGetName(service, name), kIOReturnIPCError);
    host.answer[WIRE_OPEN] = answer_nothing;
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), kIOReturnIPCError);
    assert_int_equal(connection, 0);
    IOObjectRelease(service);
}

static void an_entry_of_wrong_types_is_an_entry_without(void **state)
{
    io_name_t name = "unchanged";
    io_registry_entry_t parent = 7;
    CFMutableDictionaryRef properties = NULL;
    (void)state;
    io_service_t service = first_service();
    host.answer[WIRE_ENTRY] = answer_wrong_types;
    assert_int_equal(IORegistryEntryGetName(service, name), kIOReturnBadArgument);
    assert_string_equal(name, "unchanged");
    assert_int_equal(IOObjectGetClass(service, name), kIOReturnInternalError);
    assert_false(IOObjectConformsTo(service, class_name));
    assert_int_equal(IORegistryEntryGetParentEntry(service, plane, &parent), kIOReturnNoDevice);
    assert_int_equal(parent, 0);
    assert_int_equal(IORegistryEntryCreateCFProperties(service, &properties, NULL, 0),
                     kIOReturnInternalError);
    assert_null(IORegistryEntryCreateCFProperty(service, CFSTR("id"), NULL, 0));
    assert_null(IORegistryEntrySearchCFProperty(service, plane, CFSTR("id"), NULL,
                                                kIORegistryIterateRecursively));
    IOObjectRelease(service);
}

/* Every entry is its own parent, and has two children of the same kind. */
static int answer_a_loop(struct fake_host *self, struct wire_message *request,
                         struct wire_message *reply)
{
    (void)self;
    int64_t id = (int64_t)wire_get_u64(request);
    struct wire_value *entry = wire_value_dictionary();
    struct wire_value *children = wire_value_array();
    wire_value_append(children, wire_value_number(id, 64));
    wire_value_append(children, wire_value_number(id + 1, 64));
    wire_value_set(entry, WIRE_ENTRY_PARENT, wire_value_number(id, 64));
    wire_value_set(entry, WIRE_ENTRY_CHILDREN, children);
    wire_put_value(reply, entry);
    wire_value_free(entry);
    return 0;
}

static void a_search_in_a_loop_ends(void **state)
{
    (void)state;
    io_service_t service = first_service();
    host.answer[WIRE_ENTRY] = answer_a_loop;
    assert_null(
        IORegistryEntrySearchCFProperty(service, plane, CFSTR("none"), NULL,
                                        kIORegistryIterateRecursively | kIORegistryIterateParents));
    assert_true(host.seen[WIRE_ENTRY] <= 32);
    assert_null(IORegistryEntrySearchCFProperty(service, plane, CFSTR("none"), NULL,
                                                kIORegistryIterateRecursively));
    assert_true(host.seen[WIRE_ENTRY] <= 65536 + 32);
    IOObjectRelease(service);
}

/* Of this thread: what others do to the machine does not count. */
static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static io_service_t many[MANY];

static double seconds_of_many_handles(void)
{
    start(MANY);
    double start_time = seconds_now();
    io_iterator_t iterator = all_services();
    for (int i = 0; i < MANY; i++) {
        many[i] = IOIteratorNext(iterator);
        assert_int_not_equal(many[i], 0);
    }
    IOIteratorReset(iterator);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(IOIteratorNext(iterator), many[i]);
        IOObjectRelease(many[i]);
    }
    for (int i = 0; i < MANY; i++) {
        fake_host_send_dead(&host, FAKE_FIRST_ENTRY + (uint64_t)i);
    }
    double seconds = seconds_now() - start_time;
    print_message("# %d services: %.3f us an iteration, twice, and a death\n", MANY,
                  seconds / MANY * 1e6);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(IOObjectRelease(many[i]), 0);
    }
    IOObjectRelease(iterator);
    fake_host_stop(&host);
    return seconds;
}

/* A search among all of them took above 100 us each, every time; slow machines and sanitizers are
 * far below. */
static void ten_thousand_handles_cost_no_more_each_than_one(void **state)
{
    int attempts = 0;
    (void)state;
    while (seconds_of_many_handles() >= 1.0) {
        assert_true(++attempts < 10);
    }
}

static int child_of_fork(io_service_t service, io_connect_t connection, io_iterator_t iterator)
{
    io_name_t name;
    int wrong = 0;
    wrong |= (IORegistryEntryGetName(service, name) != MACH_SEND_INVALID_DEST) << 0;
    wrong |=
        (IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL) != MACH_SEND_INVALID_DEST)
        << 1;
    wrong |= (IOServiceClose(connection) != MACH_SEND_INVALID_DEST) << 2;
    wrong |= (IOObjectRelease(service) != KERN_INVALID_NAME) << 3;
    wrong |= (IOIteratorNext(iterator) != IO_OBJECT_NULL) << 4;
    wrong |= (first_service() != IO_OBJECT_NULL) << 5; /* the host is the parent's */
    wrong |= (host.seen[WIRE_CLOSE] != 0 || host.seen[WIRE_CALL] != 0) << 6;
    return wrong;
}

static void handles_do_not_survive_a_fork_and_the_parents_are_untouched(void **state)
{
    io_connect_t connection;
    int status = -1;
    (void)state;
    io_service_t service = first_service();
    io_iterator_t iterator = all_services();
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(child_of_fork(service, connection, iterator));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL), 0);
    assert_int_equal(IOServiceClose(connection), 0);
    IOObjectRelease(iterator);
    IOObjectRelease(service);
}

#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, start_with_three, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(a_service_has_one_name_with_a_count),
        REGISTRY_TEST(iterators_hand_out_each_service_once),
        REGISTRY_TEST(no_match_is_success_without_an_iterator),
        REGISTRY_TEST(matching_is_consumed_on_every_path),
        REGISTRY_TEST(a_property_table_is_not_consumed),
        REGISTRY_TEST(a_departed_service_is_a_dead_name_until_released),
        REGISTRY_TEST(death_takes_the_connections_of_that_service_only),
        REGISTRY_TEST(opening_is_for_this_task_and_a_service),
        REGISTRY_TEST(short_and_lying_replies_are_errors),
        REGISTRY_TEST(an_entry_of_wrong_types_is_an_entry_without),
        REGISTRY_TEST(a_search_in_a_loop_ends),
        cmocka_unit_test(ten_thousand_handles_cost_no_more_each_than_one),
        REGISTRY_TEST(handles_do_not_survive_a_fork_and_the_parents_are_untouched),
    };
    return cmocka_run_group_tests_name("iokit_registry", tests, NULL, NULL);
}
