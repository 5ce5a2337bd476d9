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

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <mach/mach.h>

#include "fake_peer.h"
#include "iokit/greeting.h"
#include "wire/no_host.h"

#define PATIENCE_MS       60000
#define PATIENCE_SHORT_MS 100 /* for what never comes */
#define PATIENCE_LONG_MS  600000
#define FULL_CLIENTS      8 /* more than a queue of 0 lets in */

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
    io_greeting_set_patience_ms(PATIENCE_LONG_MS);
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

/* What a look for services is answered where there is no session. */
static kern_return_t look(void)
{
    io_iterator_t iterator = 7;
    kern_return_t status =
        IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching("IOService"), &iterator);
    assert_int_equal(iterator, IO_OBJECT_NULL);
    return status;
}

static void assert_reason(const char *part)
{
    char reason[256];
    wire_no_host_text(reason, sizeof(reason));
    if (!strstr(reason, part)) {
        fail_msg("\"%s\" does not say \"%s\"", reason, part);
    }
}

static void a_host_that_never_greets_is_given_up(void **state)
{
    static const enum fake_manner manners[] = {FAKE_SILENT, FAKE_STALL};
    (void)state;
    io_greeting_set_patience_ms(PATIENCE_SHORT_MS);
    for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
        peer.manner[WIRE_HELLO] = manners[i];
        assert_int_equal(look(), kIOReturnTimeout);
        assert_reason(peer.path);
        assert_reason("does not answer within 1 s");
    }
    io_greeting_set_patience_ms(PATIENCE_LONG_MS);
    peer.manner[WIRE_HELLO] = FAKE_PLAIN;
    io_service_t service = first_service();
    assert_int_not_equal(service, IO_OBJECT_NULL);
    IOObjectRelease(service);
    char reason[256];
    wire_no_host_text(reason, sizeof(reason));
    assert_string_equal(reason, "");
}

/* A listener whose queue is full: what made a receive time-out on the socket useless, for a caller
 * hangs in connect before there is anything to receive. */
struct full_listener {
    char directory[64];
    struct sockaddr_un address;
    int fd;
    int waiting[FULL_CLIENTS]; /* clients that were let into the queue */
    unsigned count;
};

static int connect_without_waiting(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        assert_int_equal(errno, EAGAIN);
        close(fd);
        return -1;
    }
    return fd;
}

static void full_listener_start(struct full_listener *full)
{
    *full = (struct full_listener){.address.sun_family = AF_UNIX};
    strcpy(full->directory, "/tmp/full-listener-XXXXXX");
    assert_non_null(mkdtemp(full->directory));
    snprintf(full->address.sun_path, sizeof(full->address.sun_path), "%s/host", full->directory);
    full->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(full->fd >= 0);
    assert_int_equal(bind(full->fd, (struct sockaddr *)&full->address, sizeof(full->address)), 0);
    assert_int_equal(listen(full->fd, 0), 0);
    int fd;
    while ((fd = connect_without_waiting(&full->address)) >= 0) {
        assert_true(full->count < FULL_CLIENTS);
        full->waiting[full->count++] = fd;
    }
    setenv("DEXTLINK_SOCKET", full->address.sun_path, 1);
}

static void full_listener_stop(struct full_listener *full)
{
    for (unsigned i = 0; i < full->count; i++) {
        close(full->waiting[i]);
    }
    close(full->fd);
    unlink(full->address.sun_path);
    rmdir(full->directory);
    setenv("DEXTLINK_SOCKET", peer.path, 1);
}

static void a_host_that_takes_no_connection_is_given_up(void **state)
{
    struct full_listener full;
    (void)state;
    full_listener_start(&full);
    io_greeting_set_patience_ms(PATIENCE_SHORT_MS);
    assert_int_equal(look(), kIOReturnTimeout);
    assert_reason(full.address.sun_path);
    assert_reason("takes no connections within 1 s");
    full_listener_stop(&full);
}

static void *empty_queue(void *opaque)
{
    struct full_listener *full = opaque;
    for (unsigned i = 0; i < full->count; i++) {
        close(accept(full->fd, NULL, NULL));
    }
    close(accept(full->fd, NULL, NULL)); /* the one that looks for a host */
    return NULL;
}

static void a_queue_that_empties_lets_the_next_in(void **state)
{
    struct full_listener full;
    pthread_t thread;
    (void)state;
    full_listener_start(&full);
    io_greeting_set_patience_ms(PATIENCE_LONG_MS);
    assert_int_equal(pthread_create(&thread, NULL, empty_queue, &full), 0);
    assert_int_equal(look(), KERN_SUCCESS); /* no host, but it was heard */
    assert_reason("hangs up");
    pthread_join(thread, NULL);
    full_listener_stop(&full);
}

/* Where nobody serves nothing matches, and that is no failure. */
static void no_host_is_not_a_silent_one(void **state)
{
    (void)state;
    setenv("DEXTLINK_SOCKET", "/nowhere/host", 1);
    assert_int_equal(look(), KERN_SUCCESS);
    assert_reason("no dextd at /nowhere/host: No such file or directory");
    setenv("DEXTLINK_SOCKET", "", 1);
    assert_int_equal(look(), KERN_SUCCESS);
    assert_reason("no path to look for a dextd at");
    setenv("DEXTLINK_SOCKET", peer.path, 1);
}

static void *continue_later(void *opaque)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000},
              NULL); /* most times a client waits by then */
    kill(*(const pid_t *)opaque, SIGCONT);
    return NULL;
}

/* A host in another process, stopped before anybody connects. Its path goes where the host is
 * looked for. */
static pid_t start_stopped_host(struct fake_peer *host)
{
    int ends[2];
    int status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        fake_peer_start(host);
        if (write(ends[1], host, sizeof(*host)) == sizeof(*host)) {
            raise(SIGSTOP);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ends[0], host, sizeof(*host)), sizeof(*host));
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    setenv("DEXTLINK_SOCKET", host->path, 1);
    return pid;
}

static void a_host_that_is_stopped_and_goes_on_is_found(void **state)
{
    struct fake_peer host;
    pthread_t thread;
    (void)state;
    io_greeting_set_patience_ms(PATIENCE_LONG_MS);
    pid_t pid = start_stopped_host(&host);
    assert_int_equal(pthread_create(&thread, NULL, continue_later, &pid), 0);
    io_service_t service = first_service();
    pthread_join(thread, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(host.path);
    rmdir(host.directory);
    setenv("DEXTLINK_SOCKET", peer.path, 1);
    assert_int_not_equal(service, IO_OBJECT_NULL);
    IOObjectRelease(service);
}

static void a_host_that_stays_stopped_is_given_up(void **state)
{
    struct fake_peer host;
    (void)state;
    io_greeting_set_patience_ms(PATIENCE_SHORT_MS);
    pid_t pid = start_stopped_host(&host);
    assert_int_equal(look(), kIOReturnTimeout);
    assert_reason(host.path);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(host.path);
    rmdir(host.directory);
    setenv("DEXTLINK_SOCKET", peer.path, 1);
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

/* How a call channel may die, and what the call it dies over returns. */
static const struct {
    enum fake_manner manner;
    kern_return_t status;
} channel_ends[] = {
    {FAKE_HANG_UP, MIG_SERVER_DIED},
    {FAKE_DIE_IN_FRAME, MIG_SERVER_DIED},
    {FAKE_RUBBISH, kIOReturnIPCError},
    {FAKE_OTHER_REPLY, kIOReturnIPCError},
};

static void a_call_channel_may_die_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(channel_ends) / sizeof(channel_ends[0]); i++) {
        io_connect_t connection = open_first();
        io_connect_t other = open_first();
        peer.manner[WIRE_CALL] = channel_ends[i].manner;
        assert_int_equal(call(connection), channel_ends[i].status);
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
    (void)state;
    for (size_t i = 0; i < sizeof(channel_ends) / sizeof(channel_ends[0]); i++) {
        io_connect_t connection = open_first();
        peer.manner[WIRE_SLOTS] = channel_ends[i].manner;
        for (int calls = 0; calls < 3; calls++) {
            assert_int_equal(call(connection), KERN_SUCCESS);
        }
        assert_int_equal(call(connection), channel_ends[i].status);
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
        SESSION_TEST(a_host_that_takes_no_connection_is_given_up),
        SESSION_TEST(a_queue_that_empties_lets_the_next_in),
        SESSION_TEST(no_host_is_not_a_silent_one),
        SESSION_TEST(a_host_that_is_stopped_and_goes_on_is_found),
        SESSION_TEST(a_host_that_stays_stopped_is_given_up),
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
