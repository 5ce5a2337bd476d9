/*
 * Unit tests of sessions over sockets: hosts that go at any moment, that send rubbish, and the next
 * host found after each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include "fake_peer.h"

#define PATIENCE_MS 60000

static struct fake_peer peer;
static const io_name_t plane = kIOServicePlane;

static io_service_t first_service(void)
{
    return IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService"));
}

static void wait_a_millisecond(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int start(void **state)
{
    (void)state;
    fake_peer_start(&peer);
    return 0;
}

/* Every socket is closed in the end: nothing in the client keeps one. */
static int stop(void **state)
{
    (void)state;
    fake_peer_stop(&peer);
    for (int i = 0; i < PATIENCE_MS && peer.threads > 0; i++) {
        IOObjectRelease(first_service()); /* none, once the client has noticed */
        wait_a_millisecond();
    }
    assert_int_equal(peer.threads, 0);
    return 0;
}

static io_connect_t open_first(void)
{
    io_connect_t connection = IO_OBJECT_NULL;
    io_service_t service = first_service();
    assert_int_not_equal(service, IO_OBJECT_NULL);
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
    IOObjectRelease(service);
    return connection;
}

static kern_return_t call(io_connect_t connection)
{
    return IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL);
}

static void a_host_that_greets_badly_is_none(void **state)
{
    static const enum fake_manner manners[] = {FAKE_HANG_UP,     FAKE_DIE_IN_FRAME, FAKE_RUBBISH,
                                               FAKE_OTHER_REPLY, FAKE_REFUSE,       FAKE_NO_FD};
    (void)state;
    for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
        peer.manner[WIRE_HELLO] = manners[i];
        assert_int_equal(first_service(), IO_OBJECT_NULL);
        assert_int_equal(peer.clients, i + 1);
    }
    peer.manner[WIRE_HELLO] = FAKE_PLAIN; /* and each time a new host may be found */
    io_service_t service = first_service();
    assert_int_not_equal(service, IO_OBJECT_NULL);
    IOObjectRelease(service);
}

static void a_host_that_never_greets_is_given_up(void **state)
{
    static const enum fake_manner manners[] = {FAKE_SILENT, FAKE_STALL};
    (void)state;
    for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
        peer.manner[WIRE_HELLO] = manners[i];
        assert_int_equal(first_service(), IO_OBJECT_NULL);
    }
    peer.manner[WIRE_HELLO] = FAKE_PLAIN;
    io_service_t service = first_service();
    assert_int_not_equal(service, IO_OBJECT_NULL);
    IOObjectRelease(service);
}

/* The control channel fails, the event channel stays: the session is over all the same. */
static void a_failed_request_ends_the_session(void **state)
{
    static const struct {
        enum fake_manner manner;
        kern_return_t status;
    } rows[] = {
        {FAKE_HANG_UP, MIG_SERVER_DIED},
        {FAKE_DIE_IN_FRAME, MIG_SERVER_DIED},
        {FAKE_RUBBISH, kIOReturnIPCError},
        {FAKE_OTHER_REPLY, kIOReturnIPCError},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        io_name_t name;
        io_registry_entry_t parent = 7;
        io_connect_t connection = open_first();
        io_service_t service = first_service();
        peer.manner[WIRE_ENTRY] = rows[i].manner;
        assert_int_equal(IORegistryEntryGetName(service, name), rows[i].status);
        assert_int_equal(IORegistryEntryGetParentEntry(service, plane, &parent),
                         MACH_SEND_INVALID_DEST);
        assert_int_equal(call(connection), MACH_SEND_INVALID_DEST);
        assert_int_equal(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
        assert_int_equal(IOObjectRelease(service), 0);
        service = first_service();
        assert_int_not_equal(service, IO_OBJECT_NULL);
        assert_int_equal(peer.clients, i + 2);
        assert_int_equal(IOObjectRelease(service), 0);
    }
}

/* Whoever looks for services need not be told that the host he knew is another by now. */
static void a_host_replaced_unnoticed_is_found(void **state)
{
    io_iterator_t iterator = 7;
    (void)state;
    IOObjectRelease(first_service());
    peer.manner[WIRE_MATCH] = FAKE_HANG_UP_ONCE;
    io_service_t service = first_service();
    assert_int_not_equal(service, IO_OBJECT_NULL);
    assert_int_equal(IOObjectRelease(service), 0);
    assert_int_equal(peer.clients, 2);
    peer.manner[WIRE_MATCH] = FAKE_HANG_UP; /* nor has he to wait until one stays */
    assert_int_equal(
        IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("IOService"), &iterator),
        MIG_SERVER_DIED);
    assert_int_equal(iterator, IO_OBJECT_NULL);
    assert_int_equal(peer.clients, 3);
}

static void a_call_channel_may_die_alone(void **state)
{
    static const struct {
        enum fake_manner manner;
        kern_return_t status;
    } rows[] = {
        {FAKE_HANG_UP, MIG_SERVER_DIED},
        {FAKE_DIE_IN_FRAME, MIG_SERVER_DIED},
        {FAKE_RUBBISH, kIOReturnIPCError},
        {FAKE_OTHER_REPLY, kIOReturnIPCError},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        io_connect_t connection = open_first();
        io_connect_t other = open_first();
        peer.manner[WIRE_CALL] = rows[i].manner;
        assert_int_equal(call(connection), rows[i].status);
        peer.manner[WIRE_CALL] = FAKE_PLAIN;
        assert_int_equal(call(connection), MACH_SEND_INVALID_DEST);
        assert_int_equal(call(other), KERN_SUCCESS);
        assert_int_equal(IOServiceClose(connection), KERN_SUCCESS);
        assert_int_equal(IOServiceClose(other), KERN_SUCCESS);
    }
    assert_int_equal(peer.clients, 1);
}

/* The fourth call asks for call slots. Without them calls go by frames, and nobody asks again. */
static void a_host_without_call_slots(void **state)
{
    static const enum fake_manner manners[] = {FAKE_REFUSE, FAKE_NO_FD, FAKE_PLAIN};
    (void)state;
    for (unsigned i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
        io_connect_t connection = open_first();
        peer.manner[WIRE_SLOTS] = manners[i];
        for (unsigned calls = 0; calls < 20; calls++) {
            assert_int_equal(peer.seen[WIRE_SLOTS], calls < 4 ? i : i + 1);
            assert_int_equal(call(connection), KERN_SUCCESS);
        }
        assert_int_equal(peer.seen[WIRE_CALL], (i + 1) * 20);
        assert_int_equal(IOServiceClose(connection), KERN_SUCCESS);
    }
    setenv("DEXTLINK_SLOTS", "off", 1);
    io_connect_t connection = open_first();
    for (int calls = 0; calls < 20; calls++) {
        assert_int_equal(call(connection), KERN_SUCCESS);
    }
    unsetenv("DEXTLINK_SLOTS");
    assert_int_equal(peer.seen[WIRE_SLOTS], 3);
    assert_int_equal(IOServiceClose(connection), KERN_SUCCESS);
}

static void a_call_channel_may_die_over_call_slots(void **state)
{
    static const struct {
        enum fake_manner manner;
        kern_return_t status;
    } rows[] = {
        {FAKE_HANG_UP, MIG_SERVER_DIED},
        {FAKE_DIE_IN_FRAME, MIG_SERVER_DIED},
        {FAKE_RUBBISH, kIOReturnIPCError},
        {FAKE_OTHER_REPLY, kIOReturnIPCError},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        io_connect_t connection = open_first();
        peer.manner[WIRE_SLOTS] = rows[i].manner;
        for (int calls = 0; calls < 3; calls++) {
            assert_int_equal(call(connection), KERN_SUCCESS);
        }
        assert_int_equal(call(connection), rows[i].status);
        assert_int_equal(call(connection), MACH_SEND_INVALID_DEST);
        assert_int_equal(IOServiceClose(connection), KERN_SUCCESS);
    }
}

static void an_open_without_a_channel_fails(void **state)
{
    io_connect_t connection = 7;
    (void)state;
    io_service_t service = first_service();
    peer.manner[WIRE_OPEN] = FAKE_NO_FD;
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), kIOReturnIPCError);
    assert_int_equal(connection, 0);
    IOObjectRelease(service);
}

/* Until the client has noticed, its calls go through; then all is dead. */
static void wait_until_dead(io_connect_t connection)
{
    int i = 0;
    while (call(connection) != MACH_SEND_INVALID_DEST && i++ < PATIENCE_MS) {
        wait_a_millisecond();
    }
    assert_int_equal(call(connection), MACH_SEND_INVALID_DEST);
}

static void the_end_of_events_is_the_end_of_the_host(void **state)
{
    (void)state;
    io_connect_t connection = open_first();
    io_service_t service = first_service();
    fake_peer_hang_up_events(&peer);
    wait_until_dead(connection);
    io_service_t fresh = first_service(); /* of the next session */
    assert_int_not_equal(fresh, service);
    assert_int_equal(peer.clients, 2);
    assert_int_equal(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
    assert_int_equal(IOObjectRelease(service), 0);
    assert_int_equal(IOObjectRelease(fresh), 0);
}

static void rubbish_for_events_is_the_end_of_the_host(void **state)
{
    static const char rubbish[64] = "no frame";
    (void)state;
    io_connect_t connection = open_first();
    assert_int_equal(send(peer.event_fd, rubbish, sizeof(rubbish), MSG_NOSIGNAL), sizeof(rubbish));
    wait_until_dead(connection);
    assert_int_equal(IOServiceClose(connection), MACH_SEND_INVALID_DEST);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_host_that_greets_badly_is_none),
        SESSION_TEST(a_host_that_never_greets_is_given_up),
        SESSION_TEST(a_failed_request_ends_the_session),
        SESSION_TEST(a_host_replaced_unnoticed_is_found),
        SESSION_TEST(a_call_channel_may_die_alone),
        SESSION_TEST(a_host_without_call_slots),
        SESSION_TEST(a_call_channel_may_die_over_call_slots),
        SESSION_TEST(an_open_without_a_channel_fails),
        SESSION_TEST(the_end_of_events_is_the_end_of_the_host),
        SESSION_TEST(rubbish_for_events_is_the_end_of_the_host),
    };
    return cmocka_run_group_tests_name("iokit_session", tests, NULL, NULL);
}
