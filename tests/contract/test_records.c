/*
 * What the driver keeps of its clients' calls, and its list of DMA segments, as any client sees
 * them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "testdev.h"

/* One departs in a test. */
static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0",
                                      "testdev,addr=03:00.0", "edu,addr=04:00.0,extensions=off",
                                      NULL};
enum { LEAVING = 0x03, BARE = 0x04 };

#define KEPT 1024
#define IOVA UINT64_C(0x100000)

static uint8_t memory[65536] __attribute__((aligned(16384)));
static AppleDextCall calls[KEPT];

/* Reads from *cursor on; asserts that nothing was lost. */
static size_t read_on(io_connect_t c, uint64_t *cursor)
{
    size_t count = KEPT;
    uint64_t lost = 77;
    assert_ok(apple_dext_read_calls(c, cursor, calls, &count, &lost));
    assert_true(lost == 0);
    return count;
}

static uint64_t cursor_now(io_connect_t c)
{
    uint64_t cursor = APPLE_DEXT_CALLS_NEW;
    assert_true(read_on(c, &cursor) == 0);
    return cursor;
}

static void calls_are_told_with_their_inputs_and_codes(void **state)
{
    uint64_t value = 0, bus, bytes;
    (void)state;
    io_connect_t c = contract_connect(TESTDEV);
    uint64_t cursor = cursor_now(c);
    assert_ok(apple_dext_claim(c));
    assert_ok(apple_dext_config_read(c, 4, 2, &value));
    assert_ok(apple_dext_mmio_write(c, BAR0_INDEX, TESTDEV_SCRATCH_4, 4, 0x1234));
    assert_status(apple_dext_unregister_dma(c, IOVA), kIOReturnNotFound);
    assert_ok(apple_dext_register_dma(c, IOVA, (uintptr_t)memory, 16384, &bus, &bytes));
    size_t count = read_on(c, &cursor);
    /* The library may ask more than it was asked for, but not for these. */
    static const struct {
        uint32_t selector;
        kern_return_t code;
        uint8_t inputs, hidden;
        uint64_t input[4];
    } want[] = {{1, 0, 0, 0, {0}},
                {8, 0, 2, 0, {4, 2}},
                {12, 0, 4, 0, {BAR0_INDEX, TESTDEV_SCRATCH_4, 4, 0x1234}},
                {6, kIOReturnNotFound, 1, 0, {IOVA}},
                {5, 0, 3, 2, {IOVA, 0, 16384}}};
    size_t found = 0;
    for (size_t i = 0; i < count && found < 5; i++) {
        assert_int_equal(calls[i].process, getpid());
        assert_int_equal(calls[i].client, calls[0].client);
        if (calls[i].selector == want[found].selector) {
            assert_int_equal(calls[i].kind, APPLE_DEXT_CALL_METHOD);
            assert_status(calls[i].code, want[found].code);
            assert_int_equal(calls[i].input_count, want[found].inputs);
            assert_int_equal(calls[i].hidden, want[found].hidden);
            assert_memory_equal(calls[i].inputs, want[found].input, sizeof(want[found].input));
            found++;
        }
    }
    assert_int_equal(found, 5);
    assert_int_equal(read_on(c, &cursor), 0);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
}

static void accesses_through_a_mapping_are_calls(void **state)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size;
    uint8_t type;
    (void)state;
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t cursor = cursor_now(c);
    assert_ok(apple_dext_map_bar(c, 0, &address, &size, &type));
    *(volatile uint32_t *)(address + TESTDEV_SCRATCH_4) = 0x55;
    (void)*(volatile uint16_t *)(address + TESTDEV_SCRATCH_2);
    size_t count = read_on(c, &cursor);
    assert_true(count >= 3);
    const AppleDextCall *map = &calls[count - 3];
    assert_true(map->kind == APPLE_DEXT_CALL_MAP && map->input_count == 1 && map->inputs[0] == 1);
    static const uint64_t store[4] = {1, TESTDEV_SCRATCH_4, 4, 0x55};
    static const uint64_t load[4] = {1, TESTDEV_SCRATCH_2, 2, 0};
    assert_int_equal(map[1].kind, APPLE_DEXT_CALL_STORE);
    assert_memory_equal(map[1].inputs, store, sizeof(store));
    assert_int_equal(map[2].kind, APPLE_DEXT_CALL_LOAD);
    assert_int_equal(map[2].input_count, 3);
    assert_memory_equal(map[2].inputs, load, sizeof(load));
    assert_ok(apple_dext_unmap_bar(c, 0, address));
}

static void an_overrun_is_counted(void **state)
{
    uint64_t value;
    (void)state;
    io_connect_t c = contract_claimed(TESTDEV);
    io_connect_t onlooker = contract_connect(TESTDEV);
    uint64_t first = cursor_now(onlooker);
    for (unsigned i = 0; i < KEPT + 100; i++) {
        assert_ok(apple_dext_mmio_read(c, BAR0_INDEX, TESTDEV_SCRATCH_4, 4, &value));
    }
    uint64_t end = cursor_now(onlooker);
    assert_true(end >= first + KEPT + 100);
    uint64_t cursor = first, lost = 0;
    size_t count = KEPT;
    assert_ok(apple_dext_read_calls(onlooker, &cursor, calls, &count, &lost));
    assert_true(cursor == end && count == KEPT && lost == end - first - KEPT);
    assert_true(calls[0].sequence == end - KEPT && calls[KEPT - 1].sequence == end - 1);
    assert_int_equal(calls[KEPT - 1].selector, 11);
}

static void cursors_behind_and_ahead(void **state)
{
    AppleDextStatistics statistics;
    (void)state;
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(apple_dext_get_statistics(c, &statistics));
    uint64_t end = cursor_now(c);
    static const uint64_t ahead[] = {1, 2, 1000000, UINT64_C(1) << 63};
    for (size_t i = 0; i < 4; i++) {
        uint64_t cursor = end + ahead[i];
        assert_int_equal(read_on(c, &cursor), 0);
        assert_true(cursor == end);
    }
    uint64_t cursor = end - 1, lost = 77;
    assert_int_equal(read_on(c, &cursor), 1);
    assert_int_equal(calls[0].selector, 67);
    assert_true(cursor == end && calls[0].sequence == end - 1);
    /* From the beginning, in bits: each once, in order. */
    cursor = 0;
    uint64_t expected = end > KEPT ? end - KEPT : 0;
    for (size_t count = 7; count > 0;) {
        assert_ok(apple_dext_read_calls(c, &cursor, calls, &count, &lost));
        assert_true(lost == 0 || expected == lost);
        for (size_t i = 0; i < count; i++) {
            assert_true(calls[i].sequence == expected++);
        }
        count = count == 0 ? 0 : 7;
    }
    assert_true(expected == end);
}

#define WORKERS 3
#define ROUNDS  200

struct worker {
    io_connect_t connection;
    uint64_t offset;
    unsigned failures;
};

static _Atomic unsigned working;

/* Each with an offset of its own, so that a record that mixes two calls is seen. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t value;
    for (unsigned i = 0; i < ROUNDS; i++) {
        worker->failures +=
            apple_dext_config_read(worker->connection, worker->offset, 4, &value) != 0;
    }
    working--;
    return NULL;
}

static void clients_side_by_side(void **state)
{
    struct worker workers[WORKERS] = {0};
    pthread_t threads[WORKERS];
    uint32_t client_of[16] = {0};
    uint64_t seen = 0, missed = 0;
    (void)state;
    io_connect_t onlooker = contract_connect(TESTDEV);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] =
            (struct worker){.connection = contract_claimed(TESTDEV), .offset = 0x30 + 4 * i};
    }
    uint64_t cursor = cursor_now(onlooker);
    uint64_t first = cursor;
    working = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (bool is_last = false; !is_last;) {
        size_t count = KEPT;
        uint64_t lost;
        is_last = working == 0;
        assert_ok(apple_dext_read_calls(onlooker, &cursor, calls, &count, &lost));
        for (size_t i = 0; i < count; i++) {
            uint32_t *client = &client_of[calls[i].inputs[0] / 4 % 16];
            assert_true(calls[i].selector == 8 && calls[i].inputs[1] == 4 && calls[i].code == 0);
            assert_true(*client == 0 || *client == calls[i].client);
            *client = calls[i].client;
        }
        seen += count;
        missed += lost;
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    assert_true(seen + missed == WORKERS * ROUNDS && cursor == first + seen + missed);
}

static size_t list(io_connect_t c, AppleDextDmaSegment *segments, size_t room)
{
    uint64_t cursor = 0;
    size_t total = 0;
    do {
        size_t count = room - total;
        assert_true(count > 0);
        assert_ok(apple_dext_list_dma_segments(c, &cursor, segments + total, &count));
        total += count;
    } while (cursor != 0);
    return total;
}

static const AppleDextDmaSegment *segment_at(const AppleDextDmaSegment *segments, size_t count,
                                             uint64_t bus)
{
    for (size_t i = 0; i < count; i++) {
        if (segments[i].bus_addr == bus) {
            return &segments[i];
        }
    }
    fail_msg("no segment at 0x%llx", (unsigned long long)bus);
    return NULL;
}

static void segments_of_all_clients_are_listed(void **state)
{
    AppleDextDmaSegment segments[8];
    uint64_t buffer, length;
    mach_vm_address_t address;
    mach_vm_size_t size;
    (void)state;
    io_connect_t one = contract_claimed(TESTDEV);
    io_connect_t other = contract_claimed(TESTDEV);
    io_connect_t onlooker = contract_connect(TESTDEV);
    assert_int_equal(list(onlooker, segments, 8), 0);
    uint64_t first = dma_register(one, IOVA, memory, 16384);
    uint64_t second = dma_register(other, 2 * IOVA, memory + 16384, 20000);
    assert_ok(apple_dext_allocate_dma_buffer(other, 5000, 0, &buffer, &length, &address, &size));
    size_t count = list(onlooker, segments, 8);
    assert_int_equal(count, 3);
    const AppleDextDmaSegment *a = segment_at(segments, count, first);
    const AppleDextDmaSegment *b = segment_at(segments, count, second);
    const AppleDextDmaSegment *c = segment_at(segments, count, buffer);
    assert_true(a->iova == IOVA && a->bus_len == 16384 && !a->is_buffer);
    assert_true(b->iova == 2 * IOVA && b->bus_len == 20000 && !b->is_buffer);
    assert_true(c->iova == 0 && c->bus_len == 5000 && c->is_buffer);
    assert_true(a->client != b->client && b->client == c->client);
    assert_ok(apple_dext_unregister_dma(one, IOVA));
    count = list(onlooker, segments, 8);
    assert_int_equal(count, 2);
    segment_at(segments, count, second);
    assert_ok(apple_dext_free_dma_buffer(other, address));
}

static void a_list_goes_on_where_it_stopped(void **state)
{
    AppleDextDmaSegment segments[32];
    uint64_t cursor = 0, last = 0;
    unsigned total = 0;
    (void)state;
    io_connect_t c = contract_claimed(TESTDEV);
    for (uint64_t i = 0; i < 20; i++) {
        dma_register(c, IOVA + i * 65536, memory, 16384 * (i % 3 + 1));
    }
    do {
        size_t count = 3;
        assert_ok(apple_dext_list_dma_segments(c, &cursor, segments, &count));
        for (size_t i = 0; i < count; i++) {
            assert_true(segments[i].bus_addr > last);
            last = segments[i].bus_addr;
        }
        total += (unsigned)count;
    } while (cursor != 0);
    assert_int_equal(total, 20);
    cursor = last;
    size_t count = 3;
    assert_ok(apple_dext_list_dma_segments(c, &cursor, segments, &count));
    assert_true(count == 1 && cursor == 0 && segments[0].bus_addr == last);
}

static void the_real_driver_tells_neither(void **state)
{
    AppleDextDmaSegment segment;
    uint64_t cursor = 0, lost;
    size_t count = 1;
    (void)state;
    io_connect_t c = contract_connect(BARE);
    assert_status(apple_dext_read_calls(c, &cursor, calls, &count, &lost), kIOReturnUnsupported);
    assert_status(apple_dext_list_dma_segments(c, &cursor, &segment, &count), kIOReturnUnsupported);
    assert_true(cursor == 0 && count == 1);
}

static bool is_refused(void *opaque)
{
    uint64_t cursor = 0, lost;
    size_t count = KEPT;
    return apple_dext_read_calls(*(io_connect_t *)opaque, &cursor, calls, &count, &lost) !=
           kIOReturnSuccess;
}

/* A driver that ended has no record; one whose device was reset keeps its own. */
static void what_remains_of_a_driver_that_ended(void **state)
{
    uint64_t cursor = 0, lost;
    size_t count = KEPT;
    AppleDextDmaSegment segment;
    (void)state;
    io_connect_t c = contract_claimed(LEAVING);
    assert_ok(apple_dext_reset_device(c));
    assert_ok(apple_dext_read_calls(c, &cursor, calls, &count, &lost));
    assert_true(count > 0 && calls[0].sequence == 0);
    assert_ok(apple_dext_terminate(c));
    assert_true(contract_eventually(is_refused, &c));
    assert_status(apple_dext_read_calls(c, &cursor, calls, &count, &lost), MACH_SEND_INVALID_DEST);
    count = 1;
    cursor = 0;
    assert_status(apple_dext_list_dma_segments(c, &cursor, &segment, &count),
                  MACH_SEND_INVALID_DEST);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(calls_are_told_with_their_inputs_and_codes),
        contract_test(accesses_through_a_mapping_are_calls),
        contract_test(an_overrun_is_counted),
        contract_test(cursors_behind_and_ahead),
        contract_test(clients_side_by_side),
        contract_test(segments_of_all_clients_are_listed),
        contract_test(a_list_goes_on_where_it_stopped),
        contract_test(the_real_driver_tells_neither),
        contract_test(what_remains_of_a_driver_that_ended),
    };
    const struct contract_suite suite = {.name = "records",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
