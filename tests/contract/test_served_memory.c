/*
 * DMA into memory that the client answers for: the device has the same bytes as from any other
 * memory, and what a callback does not do is a fault of the device and of nothing else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "iokit/served_memory.h"
#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0", NULL};

#define SOURCE      UINT64_C(0x100000)
#define DESTINATION UINT64_C(0x900000)
#define BYTES       (1 << 20)
#define PATIENCE    "10"
#define DEADLINE_MS 10000 /* of an access, docs/wire.md: what DEXTLINK_PATIENCE says */

/* What stands behind a range, and how the callback behaves. */
struct store {
    struct iokit_served *served;
    uint64_t address;
    uint8_t *bytes;
    _Atomic int error;
    atomic_uint reads, writes;
    atomic_uint turns; /* see store_sync */
    atomic_bool waits;
    atomic_bool is_running;
    sem_t gate;
};

/* The order of stores and callbacks is made by a socket, or two and a host between: who looks for
 * races must be shown it in another way. Round stores to bytes, and before they are looked at. */
static void store_sync(struct store *store)
{
    store->turns++;
}

static int store_begin(struct store *store)
{
    store_sync(store);
    store->is_running = true;
    if (store->waits) {
        sem_wait(&store->gate);
    }
    store->is_running = false;
    return store->error;
}

static int store_read(void *context, uint64_t offset, void *buffer, size_t length)
{
    struct store *store = context;
    store->reads++;
    int error = store_begin(store);
    memcpy(buffer, store->bytes + offset, length);
    store_sync(store);
    return error;
}

static int store_write(void *context, uint64_t offset, const void *buffer, size_t length)
{
    struct store *store = context;
    store->writes++;
    int error = store_begin(store);
    if (!error) {
        memcpy(store->bytes + offset, buffer, length);
    }
    store_sync(store);
    return error;
}

static const struct iokit_served_ops store_ops = {.read = store_read, .write = store_write};

static struct store *store_open(void)
{
    struct store *store = calloc(1, sizeof(*store));
    store->bytes = calloc(1, BYTES);
    sem_init(&store->gate, 0, 0);
    assert_int_equal(iokit_served_create(&store->served), 0);
    assert_int_equal(iokit_served_add(store->served, BYTES, &store_ops, store, &store->address), 0);
    return store;
}

static void store_close(struct store *store)
{
    iokit_served_destroy(store->served);
    sem_destroy(&store->gate);
    free(store->bytes);
    free(store);
}

static void store_fill(struct store *store, uint64_t offset, size_t bytes, unsigned seed)
{
    store_sync(store);
    pattern_fill(store->bytes + offset, bytes, seed);
    store_sync(store);
}

static void store_set(struct store *store, int byte)
{
    store_sync(store);
    memset(store->bytes, byte, BYTES);
    store_sync(store);
}

/* What is there now. */
static const uint8_t *store_bytes(struct store *store)
{
    store_sync(store);
    return store->bytes;
}

static const void *at(const struct store *store, uint64_t offset)
{
    return (const void *)(uintptr_t)(store->address + offset);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void device_reads_and_writes_served_memory(void **state)
{
    struct store *store = store_open();
    uint8_t *plain = malloc(BYTES);
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t served = dma_register(c, SOURCE, at(store, 0), BYTES);
    uint64_t other = dma_register(c, DESTINATION, plain, BYTES);
    for (unsigned seed = 1; seed <= 2; seed++) {
        uint64_t word = 0;
        store_fill(store, 0, BYTES, seed);
        memset(plain, 0, BYTES);
        engine_copy(c, served, other, BYTES);
        assert_true(pattern_matches(plain, BYTES, seed));
        store_set(store, 0);
        engine_copy(c, other, served, BYTES);
        assert_true(pattern_matches(store_bytes(store), BYTES, seed));
        assert_ok(apple_dext_probe_dma(c, SOURCE, BYTES - 8, &word));
        assert_memory_equal(&word, store_bytes(store) + BYTES - 8, 8);
    }
    assert_ok(apple_dext_unregister_dma(c, SOURCE));
    assert_int_equal(engine_run(c, COMMAND_FILL, 0, served, BYTES), COPY_FAILED);
    assert_true(pattern_matches(store_bytes(store), BYTES, 2));
    contract_disconnect(c);
    store_close(store);
    free(plain);
}

static void from_served_to_served(void **state)
{
    struct store *from = store_open();
    struct store *to = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t source = dma_register(c, SOURCE, at(from, 0), BYTES);
    uint64_t destination = dma_register(c, DESTINATION, at(to, 0), BYTES);
    store_fill(from, 0, BYTES, 7);
    engine_copy(c, source, destination, BYTES);
    assert_true(pattern_matches(store_bytes(to), BYTES, 7));
    assert_int_equal(from->writes, 0);
    assert_int_equal(to->reads, 0);
    contract_disconnect(c);
    store_close(from);
    store_close(to);
}

/* Registrations need not be the whole range, nor aligned; the bytes beside them are safe. */
static void parts_of_a_range(void **state)
{
    static const size_t sizes[] = {8, 4095, 4097, 65537};
    static const size_t starts[] = {1, 13, 4091};
    struct store *store = store_open();
    uint8_t *plain = malloc(65537);
    io_connect_t c = contract_claimed(TESTDEV);
    pattern_fill(plain, 65537, 3);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t j = 0; j < sizeof(starts) / sizeof(starts[0]); j++) {
            store_set(store, 0x5a);
            uint64_t to = dma_register(c, DESTINATION, at(store, starts[j]), sizes[i]);
            uint64_t from = dma_register(c, SOURCE, plain, sizes[i]);
            engine_copy(c, from, to, sizes[i]);
            assert_true(pattern_matches(store_bytes(store) + starts[j], sizes[i], 3));
            assert_int_equal(store_bytes(store)[starts[j] - 1], 0x5a);
            assert_int_equal(store_bytes(store)[starts[j] + sizes[i]], 0x5a);
            assert_int_equal(device_write(c, to + sizes[i], 1, 0), ERROR_WRITE);
            assert_ok(apple_dext_unregister_dma(c, DESTINATION));
            assert_ok(apple_dext_unregister_dma(c, SOURCE));
        }
    }
    contract_disconnect(c);
    store_close(store);
    free(plain);
}

static void accesses_of_every_width(void **state)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, SOURCE, at(store, 100), 64);
    for (unsigned width = 1; width <= 8; width *= 2) {
        uint64_t value = 0;
        store_set(store, 0x5a);
        assert_int_equal(device_write(c, bus + 17, width, UINT64_C(0x8877665544332211)),
                         ERROR_NONE);
        for (unsigned i = 0; i < 64; i++) {
            assert_int_equal(store_bytes(store)[100 + i],
                             i >= 17 && i < 17 + width ? 0x11 * (i - 16) : 0x5a);
        }
        assert_int_equal(device_read(c, bus + 17, width, &value), ERROR_NONE);
        assert_memory_equal(&value, store_bytes(store) + 117, width);
    }
    contract_disconnect(c);
    store_close(store);
}

static void edu_reads_and_writes_it(void **state)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(EDU);
    uint64_t bus = dma_register(c, SOURCE, at(store, 0), 600);
    store_fill(store, 0, 300, 9);
    edu_move(c, bus, 0x40000, 300);
    edu_move(c, 0x40000, bus + 300, 300);
    assert_true(pattern_matches(store_bytes(store) + 300, 300, 9));
    contract_disconnect(c);
    store_close(store);
}

static void an_error_is_a_fault(void **state)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, SOURCE, at(store, 0), 4096);
    uint64_t value = 0;
    uint64_t word = 0;
    uint64_t faults = fault_count(c);
    store->error = -ENODEV;
    assert_int_equal(device_read(c, bus, 8, &value), ERROR_READ);
    assert_true(value == UINT64_MAX);
    assert_int_equal(device_write(c, bus, 8, 1), ERROR_WRITE);
    assert_true(fault_count(c) == faults + 2);
    assert_status(apple_dext_probe_dma(c, SOURCE, 0, &word), kIOReturnVMError);
    assert_int_equal(store_bytes(store)[0], 0);
    store->error = 0;
    assert_int_equal(device_write(c, bus, 8, 0x11), ERROR_NONE);
    assert_int_equal(store_bytes(store)[0], 0x11);
    contract_disconnect(c);
    store_close(store);
}

static void registrations_that_are_not_inside(void **state)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t address = 0;
    uint64_t length = 0;
    assert_status(apple_dext_register_dma(c, SOURCE, store->address, BYTES + 1, &address, &length),
                  kIOReturnVMError);
    assert_status(apple_dext_register_dma(c, SOURCE, store->address - 1, 2, &address, &length),
                  kIOReturnVMError);
    dma_register(c, SOURCE, at(store, BYTES - 1), 1);
    contract_disconnect(c);
    store_close(store);
}

/* What was registered faults once the range is served no more. */
static void removed_under_the_device(void **state)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t value = 0;
    uint64_t address = 0;
    uint64_t length = 0;
    uint64_t bus = dma_register(c, SOURCE, at(store, 0), 4096);
    assert_int_equal(device_read(c, bus, 4, &value), ERROR_NONE);
    assert_int_equal(iokit_served_remove(store->served, store->address), 0);
    unsigned reads = store->reads;
    assert_int_equal(device_read(c, bus, 4, &value), ERROR_READ);
    assert_int_equal(store->reads, reads);
    assert_ok(apple_dext_unregister_dma(c, SOURCE));
    assert_int_not_equal(
        apple_dext_register_dma(c, SOURCE, store->address, 4096, &address, &length),
        kIOReturnSuccess);
    contract_disconnect(c);
    store_close(store);
}

struct task {
    io_connect_t connection;
    uint64_t bus;
    pthread_t thread;
    uint64_t result;
    atomic_bool is_done;
};

static void *read_in_thread(void *opaque)
{
    struct task *task = opaque;
    uint64_t ignored;
    apple_dext_mmio_write(task->connection, BAR0_INDEX, TESTDEV_ACCESS_ADDRESS, 8, task->bus);
    apple_dext_mmio_write(task->connection, BAR0_INDEX, TESTDEV_ACCESS_COMMAND, 4, 8);
    apple_dext_mmio_read(task->connection, BAR0_INDEX, TESTDEV_ACCESS_DATA, 8, &ignored);
    apple_dext_mmio_read(task->connection, BAR0_INDEX, TESTDEV_ACCESS_STATUS, 4, &task->result);
    task->is_done = true;
    return NULL;
}

static void *unregister_in_thread(void *opaque)
{
    struct task *task = opaque;
    task->result = (uint32_t)apple_dext_unregister_dma(task->connection, SOURCE);
    task->is_done = true;
    return NULL;
}

static void task_start(struct task *task, void *(*main)(void *))
{
    task->is_done = false;
    assert_int_equal(pthread_create(&task->thread, NULL, main, task), 0);
}

static bool callback_runs(void *opaque)
{
    const struct store *store = opaque;
    return store->is_running;
}

/* What depends on the deadline is tried again on a machine that was away as long. */
enum { ATTEMPTS = 30 };

/* The access ends with the right bytes, and then the region. false: the access ended by its
 * deadline. */
static bool unregister_during_an_access(void)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    struct task reading = {.connection = c, .bus = dma_register(c, SOURCE, at(store, 0), 4096)};
    struct task unregistering = {.connection = c};
    store->waits = true;
    task_start(&reading, read_in_thread);
    assert_true(contract_eventually(callback_runs, store));
    task_start(&unregistering, unregister_in_thread);
    usleep(50000);
    bool was_done = unregistering.is_done;
    store->waits = false;
    sem_post(&store->gate);
    pthread_join(reading.thread, NULL);
    pthread_join(unregistering.thread, NULL);
    assert_int_equal(unregistering.result, kIOReturnSuccess);
    bool is_in_time = reading.result == ERROR_NONE;
    assert_false(is_in_time && was_done);
    contract_disconnect(c);
    store_close(store);
    return is_in_time;
}

static void unregistering_waits_for_an_access(void **state)
{
    int attempts = 0;
    while (!unregister_during_an_access()) {
        assert_true(++attempts < ATTEMPTS);
    }
}

/* The service is dead, whatever it says now: it is not asked, and nobody waits for it. */
static void check_dead_service(struct store *store, const struct task *reading)
{
    uint64_t shortest = UINT64_MAX;
    uint64_t value = 0;
    uint64_t address = 0;
    unsigned reads = store->reads;
    store->waits = false;
    sem_post(&store->gate);
    for (int attempt = 0; attempt < ATTEMPTS && shortest >= DEADLINE_MS; attempt++) {
        uint64_t begin = now_ms();
        assert_int_equal(device_read(reading->connection, reading->bus, 8, &value), ERROR_READ);
        shortest = now_ms() - begin;
    }
    assert_true(shortest < DEADLINE_MS);
    assert_int_equal(store->reads, reads);
    assert_int_equal(iokit_served_add(store->served, 4096, &store_ops, store, &address), -ENOTCONN);
    assert_true(reg_read(reading->connection, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
}

/* Nobody answers: the device faults after the deadline, then at once, and other devices never
 * wait. false: the other one was answered, but it was asked too late to tell. */
static bool ask_while_nobody_answers(void)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    io_connect_t edu = contract_claimed(EDU);
    uint64_t value = 0;
    struct task reading = {.connection = c, .bus = dma_register(c, SOURCE, at(store, 0), 4096)};
    store->waits = true;
    uint64_t begin = now_ms();
    task_start(&reading, read_in_thread);
    assert_true(contract_eventually(callback_runs, store));
    assert_ok(apple_dext_mmio_read(edu, 0, 0, 4, &value));
    assert_true(value == 0x010000ed);
    bool is_in_time = !reading.is_done;
    pthread_join(reading.thread, NULL);
    assert_int_equal(reading.result, ERROR_READ);
    assert_true(now_ms() - begin >= DEADLINE_MS - 1);
    check_dead_service(store, &reading);
    contract_disconnect(c);
    contract_disconnect(edu);
    store_close(store);
    return is_in_time;
}

static void a_callback_that_never_answers(void **state)
{
    int attempts = 0;
    while (!ask_while_nobody_answers()) {
        assert_true(++attempts < ATTEMPTS);
    }
}

/* Two devices in one range at once: one service, each with its own bytes. */
static void two_devices_at_once(void **state)
{
    struct store *store = store_open();
    io_connect_t c = contract_claimed(TESTDEV);
    io_connect_t edu = contract_claimed(EDU);
    uint64_t other = dma_register(edu, SOURCE, at(store, BYTES / 2), 4096);
    uint64_t bus = dma_register(c, SOURCE, at(store, 0), BYTES / 2);
    uint64_t to = dma_register(c, DESTINATION, at(store, BYTES / 2 + 4096), BYTES / 2 - 4096);
    store_fill(store, 0, BYTES / 2 + 4096, 4);
    edu_start(edu, other, 0x40000, 4000);
    engine_copy(c, bus, to, BYTES / 2 - 4096);
    edu_end(edu);
    assert_true(pattern_matches(store_bytes(store) + BYTES / 2 + 4096, BYTES / 2 - 4096, 4));
    contract_disconnect(c);
    contract_disconnect(edu);
    store_close(store);
}

static bool fds_are_back(void *opaque)
{
    return contract_count_fds(0) == *(int *)opaque;
}

static void services_are_limited(void **state)
{
    struct iokit_served *served[17] = {NULL};
    int before = contract_count_fds(0);
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(iokit_served_create(&served[i]), 0);
    }
    assert_int_equal(iokit_served_create(&served[16]), -ENOSPC);
    for (size_t i = 0; i < 16; i++) {
        iokit_served_destroy(served[i]);
    }
    assert_int_equal(iokit_served_create(&served[0]), 0);
    iokit_served_destroy(served[0]);
    if (contract.is_remote) {
        assert_true(contract_eventually(fds_are_back, &before));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(device_reads_and_writes_served_memory),
        contract_test(from_served_to_served),
        contract_test(parts_of_a_range),
        contract_test(accesses_of_every_width),
        contract_test(edu_reads_and_writes_it),
        contract_test(an_error_is_a_fault),
        contract_test(registrations_that_are_not_inside),
        contract_test(removed_under_the_device),
        contract_test(unregistering_waits_for_an_access),
        contract_test_when(a_callback_that_never_answers, WHEN_4K), /* seconds */
        contract_test(two_devices_at_once),
        contract_test(services_are_limited),
    };
    const struct contract_suite suite = {.name = "served_memory",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0]),
                                         .patience = PATIENCE};
    return contract_main(argc, argv, &suite);
}
