/*
 * Unit tests of served memory from the client's side: a scripted host asks, well and badly, and
 * goes at any moment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>

#include "fake_peer.h"
#include "iokit/served_memory.h"

#define BYTES       10000
#define PATIENCE_MS 60000

static struct fake_peer peer;
static unsigned fds_before;

static unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void wait_a_millisecond(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* What stands behind a range. */
struct store {
    unsigned char bytes[BYTES];
    _Atomic int error;
    atomic_uint calls; /* also what shows the order of things to who looks for races */
    atomic_bool is_running;
    sem_t *_Atomic gate; /* NULL: open */
};

static int store_begin(struct store *store)
{
    store->calls++;
    store->is_running = true;
    if (store->gate) {
        sem_wait(store->gate);
    }
    store->is_running = false;
    return store->error;
}

static int store_read(void *context, uint64_t offset, void *buffer, size_t length)
{
    struct store *store = context;
    int error = store_begin(store);
    memcpy(buffer, store->bytes + offset, length);
    return error;
}

static int store_write(void *context, uint64_t offset, const void *buffer, size_t length)
{
    struct store *store = context;
    memcpy(store->bytes + offset, buffer, length);
    return store_begin(store);
}

static const struct iokit_served_ops store_ops = {.read = store_read, .write = store_write};

static int start(void **state)
{
    (void)state;
    fds_before = count_fds();
    fake_peer_start(&peer);
    return 0;
}

/* Nothing of the client or the peer keeps a descriptor. */
static int stop(void **state)
{
    (void)state;
    if (peer.memory_fd >= 0) {
        close(peer.memory_fd);
    }
    fake_peer_stop(&peer);
    for (int i = 0; i < PATIENCE_MS && (peer.threads > 0 || count_fds() > fds_before); i++) {
        IOObjectRelease(
            IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOService")));
        wait_a_millisecond();
    }
    assert_int_equal(peer.threads, 0);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static struct iokit_served *service(void)
{
    struct iokit_served *served = NULL;
    assert_int_equal(iokit_served_create(&served), 0);
    return served;
}

static uint64_t range(struct iokit_served *served, struct store *store)
{
    uint64_t address = 0;
    assert_int_equal(iokit_served_add(served, BYTES, &store_ops, store, &address), 0);
    assert_int_not_equal(address, 0);
    return address;
}

static void ask(uint16_t type, uint64_t address, uint64_t length, const void *bytes, size_t extra)
{
    static uint64_t sequence;
    struct wire_message request;
    wire_message_init(&request);
    wire_message_reset(&request, type);
    request.header.sequence = ++sequence;
    request.header.call_id = 5;
    wire_put_u64(&request, address);
    wire_put_u64(&request, length);
    wire_put_bytes(&request, bytes, extra);
    assert_int_equal(wire_send(peer.memory_fd, &request), 0);
    wire_message_destroy(&request);
}

/* Ask and take the answer, the caller's to destroy; its status. */
static int32_t exchange(struct wire_message *reply, uint16_t type, uint64_t address,
                        uint64_t length, const void *bytes, size_t extra)
{
    static uint64_t sequence;
    wire_message_init(reply);
    ask(type, address, length, bytes, extra);
    assert_int_equal(wire_receive(peer.memory_fd, reply), 0);
    assert_int_equal(reply->header.type, type);
    assert_true(reply->header.sequence > sequence);
    assert_int_equal(reply->header.call_id, 5);
    sequence = reply->header.sequence;
    return reply->header.status;
}

static int32_t status_of(uint16_t type, uint64_t address, uint64_t length, const void *bytes,
                         size_t extra)
{
    struct wire_message reply;
    int32_t status = exchange(&reply, type, address, length, bytes, extra);
    if (status) {
        assert_int_equal(reply.length, 0);
    }
    wire_message_destroy(&reply);
    return status;
}

static void reads_and_writes_reach_the_range(void **state)
{
    static struct store a, b;
    struct wire_message reply;
    struct iokit_served *served = service();
    uint64_t at_a = range(served, &a);
    uint64_t at_b = range(served, &b);
    (void)state;
    for (size_t i = 0; i < BYTES; i++) {
        a.bytes[i] = (unsigned char)(i * 3 + 1);
    }
    a.calls = 0;
    assert_int_equal(exchange(&reply, WIRE_MEMORY_READ, at_a + 7, 4096, NULL, 0), 0);
    assert_int_equal(reply.length, 4096);
    assert_memory_equal(reply.payload, a.bytes + 7, 4096);
    wire_message_destroy(&reply);
    assert_int_equal(status_of(WIRE_MEMORY_WRITE, at_b + BYTES - 5, 5, "hello", 5), 0);
    assert_int_equal(b.calls, 1);
    assert_memory_equal(b.bytes + BYTES - 5, "hello", 5);
    assert_int_equal(b.bytes[BYTES - 6], 0);
    assert_int_equal(status_of(WIRE_MEMORY_READ, at_b + BYTES - 1, 1, NULL, 0), 0);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 2);
    assert_int_equal(peer.seen[WIRE_MEMORY_SERVE], 2);
    iokit_served_destroy(served);
    assert_int_equal(peer.seen[WIRE_MEMORY_CLOSE], 1);
}

static void an_error_of_a_callback_is_the_answer(void **state)
{
    static struct store store;
    struct iokit_served *served = service();
    uint64_t address = range(served, &store);
    (void)state;
    store.error = -ENODEV;
    assert_int_equal(status_of(WIRE_MEMORY_READ, address, 100, NULL, 0), kIOReturnNoDevice);
    assert_int_equal(status_of(WIRE_MEMORY_WRITE, address, 1, "x", 1), kIOReturnNoDevice);
    store.error = 0;
    assert_int_equal(status_of(WIRE_MEMORY_READ, address, 100, NULL, 0), 0);
    iokit_served_destroy(served);
}

/* None reaches a callback, and the service goes on. */
static void requests_that_are_wrong(void **state)
{
    static struct store store;
    static const unsigned char bytes[70000];
    struct iokit_served *served = service();
    uint64_t at = range(served, &store);
    const struct {
        uint16_t type;
        uint64_t address, length;
        size_t extra;
        int32_t status;
    } rows[] = {
        {WIRE_MEMORY_READ, at - 1, 1, 0, kIOReturnVMError},
        {WIRE_MEMORY_READ, at + BYTES, 1, 0, kIOReturnVMError},
        {WIRE_MEMORY_READ, at, BYTES + 1, 0, kIOReturnVMError},
        {WIRE_MEMORY_READ, at + 1, 65536, 0, kIOReturnVMError},
        {WIRE_MEMORY_READ, UINT64_MAX, 2, 0, kIOReturnVMError},
        {WIRE_MEMORY_READ, 0, 1, 0, kIOReturnVMError},
        {WIRE_MEMORY_WRITE, at - 1, 2, 2, kIOReturnVMError},
        {WIRE_MEMORY_READ, at, 0, 0, kIOReturnIPCError},
        {WIRE_MEMORY_READ, at, 65537, 0, kIOReturnIPCError},
        {WIRE_MEMORY_READ, at, UINT64_MAX, 0, kIOReturnIPCError},
        {WIRE_MEMORY_READ, at, 8, 1, kIOReturnIPCError},
        {WIRE_MEMORY_WRITE, at, 8, 7, kIOReturnIPCError},
        {WIRE_MEMORY_WRITE, at, 8, 9, kIOReturnIPCError},
        {WIRE_MEMORY_WRITE, at, 0, 0, kIOReturnIPCError},
        {WIRE_MEMORY_WRITE, at, 70000, 70000, kIOReturnIPCError},
        {WIRE_HELLO, at, 8, 0, kIOReturnIPCError},
        {WIRE_CALL, at, 8, 8, kIOReturnIPCError},
        {0, at, 8, 0, kIOReturnIPCError},
        {UINT16_MAX, at, 8, 0, kIOReturnIPCError},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            status_of(rows[i].type, rows[i].address, rows[i].length, bytes, rows[i].extra),
            rows[i].status);
    }
    assert_int_equal(store.calls, 0);
    assert_int_equal(status_of(WIRE_MEMORY_READ, at, 1, NULL, 0), 0);
    iokit_served_destroy(served);
}

/* The addresses are the caller's, and there is nothing in them. */
static void a_range_is_reserved(void **state)
{
    static struct store store;
    int ends[2];
    uint64_t address = 0;
    struct iokit_served *served = service();
    (void)state;
    assert_int_equal(pipe(ends), 0);
    uint64_t first = range(served, &store);
    uint64_t second = range(served, &store);
    assert_true(first + BYTES <= second || second + BYTES <= first);
    assert_int_equal(write(ends[1], (void *)(uintptr_t)first, 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(iokit_served_add(served, 0, &store_ops, &store, &address), -EINVAL);
    assert_int_equal(iokit_served_add(served, UINT64_MAX, &store_ops, &store, &address), -EINVAL);
    assert_int_equal(iokit_served_add(served, INT64_MAX, &store_ops, &store, &address), -ENOMEM);
    assert_int_equal(iokit_served_remove(served, first + 1), -ENOENT);
    assert_int_equal(iokit_served_remove(served, first), 0);
    assert_int_equal(iokit_served_remove(served, first), -ENOENT);
    assert_int_equal(status_of(WIRE_MEMORY_READ, first, 1, NULL, 0), kIOReturnVMError);
    assert_int_equal(status_of(WIRE_MEMORY_READ, second, 1, NULL, 0), 0);
    assert_int_equal(peer.seen[WIRE_MEMORY_WITHDRAW], 1);
    iokit_served_destroy(served);
    iokit_served_destroy(NULL);
    close(ends[0]);
    close(ends[1]);
}

struct removal {
    struct iokit_served *served;
    uint64_t address;
    int result;
    atomic_bool is_done;
};

static void *remove_main(void *opaque)
{
    struct removal *removal = opaque;
    removal->result = iokit_served_remove(removal->served, removal->address);
    removal->is_done = true;
    return NULL;
}

/* Whether the removal came before the request that waits behind the callback. */
static bool remove_during_a_callback(void)
{
    static struct store store;
    sem_t gate;
    pthread_t thread;
    struct wire_message reply;
    store.calls = 0;
    sem_init(&gate, 0, 0);
    store.gate = &gate;
    struct iokit_served *served = service();
    struct removal removal = {.served = served, .address = range(served, &store)};
    ask(WIRE_MEMORY_READ, removal.address, 16, NULL, 0);
    ask(WIRE_MEMORY_READ, removal.address, 16, NULL, 0); /* waits behind it */
    while (!store.is_running) {
        wait_a_millisecond();
    }
    assert_int_equal(pthread_create(&thread, NULL, remove_main, &removal), 0);
    for (int i = 0; i < 20; i++) {
        wait_a_millisecond();
        assert_false(removal.is_done);
    }
    store.gate = NULL;
    sem_post(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(removal.result, 0);
    wire_message_init(&reply);
    assert_int_equal(wire_receive(peer.memory_fd, &reply), 0);
    assert_int_equal(reply.header.status, 0);
    assert_int_equal(wire_receive(peer.memory_fd, &reply), 0);
    bool is_refused = reply.header.status == kIOReturnVMError;
    assert_true(is_refused || reply.header.status == 0);
    assert_int_equal(store.calls, is_refused ? 1 : 2);
    wire_message_destroy(&reply);
    assert_int_equal(status_of(WIRE_MEMORY_READ, removal.address, 16, NULL, 0), kIOReturnVMError);
    iokit_served_destroy(served);
    sem_destroy(&gate);
    close(peer.memory_fd);
    peer.memory_fd = -1;
    return is_refused;
}

/* Where the removal's thread was late, it is tried again. */
static void removal_waits_for_the_callback(void **state)
{
    int attempts = 0;
    (void)state;
    while (!remove_during_a_callback()) {
        assert_true(++attempts < 100);
    }
}

static void hosts_that_do_not_want_to(void **state)
{
    static const struct {
        enum fake_manner manner;
        int error;
    } rows[] = {
        {FAKE_REFUSE, -ENOTSUP},
        {FAKE_NO_FD, -EBADMSG},
        {FAKE_HANG_UP, -ENOTCONN},
        {FAKE_DIE_IN_FRAME, -ENOTCONN},
    };
    struct iokit_served *served = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        peer.manner[WIRE_MEMORY_OPEN] = rows[i].manner;
        assert_int_equal(iokit_served_create(&served), rows[i].error);
        assert_null(served);
    }
    peer.manner[WIRE_MEMORY_OPEN] = FAKE_PLAIN;
    static struct store store;
    uint64_t address = 0;
    served = service();
    peer.manner[WIRE_MEMORY_SERVE] = FAKE_REFUSE;
    assert_int_equal(iokit_served_add(served, 1, &store_ops, &store, &address), -ENOTSUP);
    assert_int_equal(address, 0);
    peer.manner[WIRE_MEMORY_SERVE] = FAKE_HANG_UP;
    assert_int_equal(iokit_served_add(served, 1, &store_ops, &store, &address), -ENOTCONN);
    assert_int_equal(iokit_served_add(served, 1, &store_ops, &store, &address), -ENOTCONN);
    iokit_served_destroy(served);
}

static void a_host_that_goes(void **state)
{
    static struct store store;
    struct iokit_served *served = service();
    uint64_t address = range(served, &store);
    (void)state;
    /* Inside a request, and with a frame that is none: the service ends, the object stays. */
    assert_int_equal(send(peer.memory_fd, "DXL1 and no more of it than this", 20, 0), 20);
    shutdown(peer.memory_fd, SHUT_RDWR);
    fake_peer_hang_up_events(&peer);
    assert_int_equal(iokit_served_remove(served, address), 0);
    iokit_served_destroy(served);
}

static void without_a_host(void **state)
{
    struct iokit_served *served = NULL;
    (void)state;
    setenv("DEXTLINK_SOCKET", "/nonexistent/host", 1);
    assert_int_equal(iokit_served_create(&served), -ENOTCONN);
    assert_null(served);
}

/* A child has neither thread nor session: it frees what it has, and the parent's goes on. */
static void a_forked_child_can_let_go(void **state)
{
    static struct store store;
    struct iokit_served *served = service();
    uint64_t address = range(served, &store);
    int status = 0;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(120);
        uint64_t other = 0;
        int error = iokit_served_add(served, 1, &store_ops, &store, &other);
        iokit_served_destroy(served);
        _exit(error == -ENOTCONN ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(status_of(WIRE_MEMORY_READ, address, 1, NULL, 0), 0);
    assert_int_equal(peer.seen[WIRE_MEMORY_CLOSE], 0);
    iokit_served_destroy(served);
}

#define SERVED_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED_TEST(reads_and_writes_reach_the_range),
        SERVED_TEST(an_error_of_a_callback_is_the_answer),
        SERVED_TEST(requests_that_are_wrong),
        SERVED_TEST(a_range_is_reserved),
        SERVED_TEST(removal_waits_for_the_callback),
        SERVED_TEST(hosts_that_do_not_want_to),
        SERVED_TEST(a_host_that_goes),
        SERVED_TEST(without_a_host),
        SERVED_TEST(a_forked_child_can_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
