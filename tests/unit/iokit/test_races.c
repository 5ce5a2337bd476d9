/*
 * Unit tests of what threads do to each other: close and map against calls and trapped accesses,
 * events against release and destruction, the end of a host against everything, fork against all
 * locks. Most say something only under a sanitizer, or by hanging.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <IOKit/OSMessageNotification.h>
#include <dispatch/dispatch.h>

#include "fake_host.h"
#include "iokit/trap.h"

#define ROUNDS  200
#define CALLERS 3

static const io_name_t publish = kIOPublishNotification;
static const io_name_t general = kIOGeneralInterest;

static struct fake_host host;
static io_service_t service;
static io_connect_t connection;
static atomic_bool is_over;
static atomic_uint wrong;
static atomic_uint progress;
static int memory_fd;

static void start_host(void)
{
    memset(&host, 0, sizeof(host));
    host.entry_count = 1;
    fake_host_start(&host);
    service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService"));
    assert_int_not_equal(service, IO_OBJECT_NULL);
    assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
}

static int start(void **state)
{
    (void)state;
    is_over = false;
    wrong = 0;
    progress = 0;
    memory_fd = fake_host_memory(4096);
    start_host();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    IOServiceClose(connection);
    IOObjectRelease(service);
    fake_host_stop(&host);
    close(memory_fd);
    return wrong ? -1 : 0;
}

static void wait_a_millisecond(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void start_threads(pthread_t *threads, size_t count, void *(*main)(void *))
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, main, NULL), 0);
    }
}

static void end_threads(pthread_t *threads, size_t count)
{
    is_over = true;
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static bool is_success_or_dead(kern_return_t status)
{
    return status == KERN_SUCCESS || status == MACH_SEND_INVALID_DEST ||
           status == kIOReturnBadArgument;
}

static void *call_always(void *opaque)
{
    while (!is_over) {
        uint64_t output[2];
        uint32_t count = 2;
        kern_return_t status = IOConnectCallScalarMethod(connection, 0, NULL, 0, output, &count);
        wrong += !is_success_or_dead(status) || (status == 0 && (count != 2 || output[1] != 1));
        progress++;
    }
    return opaque;
}

static void calls_meet_a_close(void **state)
{
    pthread_t threads[CALLERS];
    (void)state;
    for (int round = 0; round < 20; round++) {
        is_over = false;
        progress = 0;
        start_threads(threads, CALLERS, call_always);
        while (progress < 10) {
            wait_a_millisecond();
        }
        assert_int_equal(IOServiceClose(connection), 0);
        end_threads(threads, CALLERS);
        assert_int_equal(IOServiceOpen(service, mach_task_self(), 0, &connection), 0);
    }
}

/* A call that the host answers when it is told to. */
static atomic_bool may_answer;

static int answer_when_told(struct fake_host *self, struct wire_message *request,
                            struct wire_message *reply)
{
    (void)self;
    (void)request;
    while (!may_answer) {
        wait_a_millisecond();
    }
    progress++;
    wire_put_u64(reply, 0);
    wire_put_u64(reply, 0);
    return 0;
}

static void *call_once(void *opaque)
{
    wrong += IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL) != 0;
    return opaque;
}

static void *close_once(void *opaque)
{
    wrong += IOServiceClose(connection) != 0;
    wrong += progress != 1; /* the call was over first */
    return opaque;
}

static void close_waits_for_a_call_under_way(void **state)
{
    pthread_t caller;
    pthread_t closer;
    (void)state;
    may_answer = false;
    host.answer[WIRE_CALL] = answer_when_told;
    start_threads(&caller, 1, call_once);
    while (host.seen[WIRE_CALL] == 0) {
        wait_a_millisecond();
    }
    start_threads(&closer, 1, close_once);
    for (int i = 0; i < 20; i++) {
        wait_a_millisecond();
    }
    assert_int_equal(host.seen[WIRE_CLOSE], 0);
    may_answer = true;
    end_threads(&closer, 1);
    end_threads(&caller, 1);
    assert_int_equal(host.seen[WIRE_CLOSE], 1);
}

/* Type 1 is registers, type 2 a page of memory. */
static int answer_map(struct fake_host *self, struct wire_message *request,
                      struct wire_message *reply)
{
    (void)self;
    bool is_memory = wire_get_u64(request) == 2;
    wire_put_u64(reply, 4096);
    wire_put_u32(reply, 0);
    wire_put_u32(reply, is_memory);
    if (is_memory) {
        fake_put_range(reply, 0, 4096, 0, 0);
        wire_put_fd(reply, fcntl(memory_fd, F_DUPFD_CLOEXEC, 0));
    }
    return 0;
}

static volatile uint32_t *registers;

static void *access_always(void *opaque)
{
    static atomic_uint next_register;
    unsigned own = ++next_register;
    while (!is_over) {
        wrong += registers[0] != 0x55667788;
        registers[own] = 1;
        progress++;
    }
    return opaque;
}

/* A trapped access takes the connection's lock in the fault handler, with writers waiting. */
static void trapped_accesses_meet_mapping_and_calls(void **state)
{
    pthread_t accessors[CALLERS];
    pthread_t callers[CALLERS];
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    (void)state;
    if (!trap_is_supported()) {
        skip();
    }
    host.answer[WIRE_MAP] = answer_map;
    assert_int_equal(
        IOConnectMapMemory64(connection, 1, mach_task_self(), &address, &size, kIOMapAnywhere), 0);
    registers = (volatile uint32_t *)(uintptr_t)address;
    start_threads(accessors, CALLERS, access_always);
    start_threads(callers, CALLERS, call_always);
    for (int round = 0; round < ROUNDS; round++) {
        mach_vm_address_t memory = 0;
        assert_int_equal(
            IOConnectMapMemory64(connection, 2, mach_task_self(), &memory, &size, kIOMapAnywhere),
            0);
        assert_int_equal(IOConnectUnmapMemory64(connection, 2, mach_task_self(), memory), 0);
    }
    while (progress == 0) { /* a busy machine may not have begun the threads yet */
        wait_a_millisecond();
    }
    end_threads(accessors, CALLERS);
    end_threads(callers, CALLERS);
}

static _Atomic mach_port_t wake_port; /* of the port that is there, or was */

static void on_completion(void *refcon, IOReturn result)
{
    wrong += refcon != &host || result != KERN_SUCCESS;
}

/* Every kind of event, whether anybody waits for it or not. */
static void *send_always(void *opaque)
{
    uint64_t reference[8] = {0};
    reference[kIOAsyncCalloutFuncIndex] = (uintptr_t)on_completion;
    reference[kIOAsyncCalloutRefconIndex] = (uintptr_t)&host;
    while (!is_over) {
        uint64_t token = host.last_token;
        fake_host_send_match(&host, token, FAKE_FIRST_ENTRY);
        fake_host_send_interest(&host, token, FAKE_FIRST_ENTRY, kIOMessageServicePropertyChange);
        fake_host_send_dead(&host, FAKE_FIRST_ENTRY + 1);
        fake_host_send_completion(&host, wake_port, reference, 0, NULL, 0);
        sched_yield();
    }
    return opaque;
}

static void on_match(void *refcon, io_iterator_t iterator)
{
    io_service_t found;
    (void)refcon;
    while ((found = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
        IOObjectRelease(found);
    }
}

static void on_interest(void *refcon, io_service_t which, natural_t type, void *argument)
{
    (void)refcon;
    (void)argument;
    wrong += which == IO_OBJECT_NULL;
    wrong += type != kIOMessageServicePropertyChange;
}

static void nothing(void *context)
{
    (void)context;
}

static void events_meet_release_and_destruction(void **state)
{
    pthread_t sender;
    (void)state;
    dispatch_queue_t queue = dispatch_queue_create("test", DISPATCH_QUEUE_SERIAL);
    start_threads(&sender, 1, send_always);
    for (int round = 0; round < ROUNDS; round++) {
        io_iterator_t matching = IO_OBJECT_NULL;
        io_object_t interest = IO_OBJECT_NULL;
        IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
        IONotificationPortSetDispatchQueue(port, queue);
        wake_port = IONotificationPortGetMachPort(port);
        assert_int_equal(IOServiceAddMatchingNotification(port, publish,
                                                          IOServiceMatching("IOService"), on_match,
                                                          NULL, &matching),
                         0);
        on_match(NULL, matching);
        assert_int_equal(
            IOServiceAddInterestNotification(port, service, general, on_interest, NULL, &interest),
            0);
        if (round % 2) {
            IONotificationPortDestroy(port);
        }
        sched_yield();
        IOObjectRelease(matching);
        IOObjectRelease(interest);
        if (round % 2 == 0) {
            IONotificationPortDestroy(port);
        }
    }
    end_threads(&sender, 1);
    dispatch_sync_f(queue, NULL, nothing);
    dispatch_release(queue);
}

static void *use_everything(void *opaque)
{
    while (!is_over) {
        io_name_t name;
        io_connect_t own = IO_OBJECT_NULL;
        io_service_t found =
            IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService"));
        IORegistryEntryGetName(found, name);
        if (IOServiceOpen(found, mach_task_self(), 0, &own) == 0) {
            wrong += !is_success_or_dead(IOConnectCallScalarMethod(own, 0, NULL, 0, NULL, NULL));
            IOServiceClose(own);
        }
        wrong += IOObjectRelease(found) != KERN_SUCCESS;
        progress++;
    }
    return opaque;
}

static void the_end_of_a_host_meets_everything(void **state)
{
    pthread_t users[CALLERS];
    (void)state;
    for (int round = 0; round < 20; round++) {
        is_over = false;
        progress = 0;
        start_threads(users, CALLERS, use_everything);
        while (progress < 10) {
            wait_a_millisecond();
        }
        fake_host_die(&host);
        end_threads(users, CALLERS);
        kern_return_t status = IOServiceClose(connection);
        assert_int_equal(status, MACH_SEND_INVALID_DEST);
        IOObjectRelease(service);
        fake_host_stop(&host);
        start_host();
    }
}

/* Children of any moment can use what is theirs: no lock is held for ever. */
static void fork_meets_everything(void **state)
{
    pthread_t users[CALLERS];
    (void)state;
    start_threads(users, CALLERS, use_everything);
    for (int round = 0; round < 10; round++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(120); /* a child that hangs dies of it */
            io_service_t none =
                IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService"));
            kern_return_t released = IOObjectRelease(service);
            _exit(none != IO_OBJECT_NULL || released != KERN_INVALID_NAME);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    end_threads(users, CALLERS);
}

#define RACE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RACE_TEST(calls_meet_a_close),
        RACE_TEST(close_waits_for_a_call_under_way),
        RACE_TEST(trapped_accesses_meet_mapping_and_calls),
        RACE_TEST(events_meet_release_and_destruction),
        RACE_TEST(the_end_of_a_host_meets_everything),
        RACE_TEST(fork_meets_everything),
    };
    return cmocka_run_group_tests_name("iokit_races", tests, NULL, NULL);
}
