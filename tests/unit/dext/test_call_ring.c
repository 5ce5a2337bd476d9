/*
 * The ring of calls: numbers, what is overwritten, cursors, and many threads at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "dext/call_ring.h"

#define KEPT 1024 /* the documented number */

static struct dext_call_record records[2 * KEPT];

/* Every field of a record can be told from its value, so that a torn one is seen. */
static struct dext_call_record make(uint64_t value)
{
    return (struct dext_call_record){.sequence = 77, /* of no meaning */
                                     .start_ns = value,
                                     .duration_ns = value + 1,
                                     .inputs = {value + 2, value + 3, value + 4, value + 5},
                                     .selector = (uint32_t)value,
                                     .code = (uint32_t)value + 1,
                                     .client = (uint32_t)value + 2,
                                     .process = (uint32_t)value + 3,
                                     .kind = (uint8_t)value,
                                     .input_count = (uint8_t)(value >> 1),
                                     .hidden = (uint8_t)(value >> 2)};
}

static bool is_whole(const struct dext_call_record *record)
{
    struct dext_call_record want = make(record->start_ns);
    for (size_t i = 0; i < 4; i++) {
        if (record->inputs[i] != want.inputs[i]) {
            return false;
        }
    }
    return record->duration_ns == want.duration_ns && record->selector == want.selector &&
           record->code == want.code && record->client == want.client &&
           record->process == want.process && record->kind == want.kind &&
           record->input_count == want.input_count && record->hidden == want.hidden;
}

static int ring_set_up(void **state)
{
    *state = calloc(1, sizeof(struct call_ring));
    return *state ? 0 : -1;
}

static int ring_tear_down(void **state)
{
    free(*state);
    return 0;
}

static void add(struct call_ring *ring, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct dext_call_record record = make(first + i);
        call_ring_add(ring, &record);
    }
}

/* Read all from a cursor; what must come out. */
static void expect(struct call_ring *ring, uint64_t cursor, uint64_t first, size_t count,
                   uint64_t lost, uint64_t next)
{
    uint64_t missing = 99;
    assert_int_equal(call_ring_read(ring, &cursor, records, 2 * KEPT, &missing), count);
    assert_int_equal(missing, lost);
    assert_int_equal(cursor, next);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(records[i].sequence, first + i);
        assert_int_equal(records[i].start_ns, first + i);
        assert_true(is_whole(&records[i]));
    }
}

static void an_empty_ring_has_nothing(void **state)
{
    expect(*state, 0, 0, 0, 0, 0);
    expect(*state, 5, 0, 0, 0, 0);
    expect(*state, UINT64_MAX, 0, 0, 0, 0);
}

static void records_come_back_in_order(void **state)
{
    add(*state, 0, 3);
    expect(*state, 0, 0, 3, 0, 3);
    expect(*state, 2, 2, 1, 0, 3);
    expect(*state, 3, 0, 0, 0, 3);
    expect(*state, UINT64_MAX, 0, 0, 0, 3);
    add(*state, 3, 2);
    expect(*state, 3, 3, 2, 0, 5);
}

static void what_is_overwritten_is_counted(void **state)
{
    add(*state, 0, KEPT);
    expect(*state, 0, 0, KEPT, 0, KEPT);
    add(*state, KEPT, 1);
    expect(*state, 0, 1, KEPT, 1, KEPT + 1);
    expect(*state, 1, 1, KEPT, 0, KEPT + 1);
    add(*state, KEPT + 1, 3 * KEPT);
    expect(*state, 0, 3 * KEPT + 1, KEPT, 3 * KEPT + 1, 4 * KEPT + 1);
    expect(*state, 3 * KEPT, 3 * KEPT + 1, KEPT, 1, 4 * KEPT + 1);
    expect(*state, 4 * KEPT, 4 * KEPT, 1, 0, 4 * KEPT + 1);
}

static void a_small_room_is_filled_bit_by_bit(void **state)
{
    uint64_t cursor = 0, lost = 99;
    add(*state, 0, KEPT + 10);
    assert_int_equal(call_ring_read(*state, &cursor, NULL, 0, &lost), 0);
    assert_int_equal(lost, 10);
    assert_int_equal(cursor, 10);
    for (uint64_t i = 0; i < KEPT / 4; i++) {
        assert_int_equal(call_ring_read(*state, &cursor, records, 4, &lost), 4);
        assert_int_equal(lost, 0);
        assert_int_equal(records[3].sequence, 13 + 4 * i);
    }
    assert_int_equal(call_ring_read(*state, &cursor, records, 4, &lost), 0);
    assert_int_equal(cursor, KEPT + 10);
}

/* A thread that was stopped in the middle of a record: 1 + 2n is what its slot then says. */
static void a_stopped_writer_holds_nobody_up(void **state)
{
    struct call_ring *ring = *state;
    add(ring, 0, 7);
    ring->slots[5].stamp = 2 * 5 + 1;
    expect(ring, 0, 0, 5, 0, 5); /* may still come */
    expect(ring, 6, 6, 1, 0, 7);
    add(ring, 7, KEPT - 7 + 5); /* up to the slot that is taken */
    expect(ring, 6, 6, KEPT - 1, 0, KEPT + 5);
    add(ring, KEPT + 6, 4); /* past it: one number stays without a record */
    assert_int_equal(ring->slots[5].stamp, 2 * 5 + 1);
    uint64_t cursor = KEPT, lost = 99;
    assert_int_equal(call_ring_read(ring, &cursor, records, 2 * KEPT, &lost), 9);
    assert_int_equal(lost, 1);
    assert_int_equal(cursor, KEPT + 10);
    assert_int_equal(records[4].sequence, KEPT + 4);
    assert_int_equal(records[5].sequence, KEPT + 6);
    ring->slots[5].stamp = 2 * 5 + 2; /* it went on */
    add(ring, KEPT + 10, KEPT);
    expect(ring, KEPT + 10, KEPT + 10, KEPT, 0, 2 * KEPT + 10);
}

#define WRITERS 3
#define ADDED   20000

static struct call_ring *shared;
static _Atomic unsigned writers_left;

static void *writer(void *argument)
{
    add(shared, (uintptr_t)argument * ADDED, ADDED);
    writers_left--;
    return NULL;
}

struct reader {
    uint64_t seen, lost, torn;
};

static void *reader(void *argument)
{
    struct reader *reader = argument;
    struct dext_call_record own[64];
    uint64_t cursor = 0, last[WRITERS] = {0};
    bool is_over = false;
    for (;;) {
        uint64_t lost, before = cursor;
        bool was_over = writers_left == 0;
        size_t count = call_ring_read(shared, &cursor, own, 64, &lost);
        reader->torn += cursor - before != count + lost;
        for (size_t i = 0; i < count; i++) {
            unsigned who = (unsigned)(own[i].start_ns / ADDED);
            /* One thread's calls come in its order. */
            reader->torn +=
                !is_whole(&own[i]) || who >= WRITERS || own[i].start_ns < last[who % WRITERS];
            last[who % WRITERS] = own[i].start_ns;
        }
        reader->seen += count;
        reader->lost += lost;
        if (is_over && count == 0) {
            return NULL;
        }
        is_over = was_over;
    }
}

static void threads_add_and_read(void **state)
{
    pthread_t threads[WRITERS + 2];
    struct reader readers[2] = {0};
    shared = *state;
    writers_left = WRITERS;
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[WRITERS + i], NULL, reader, &readers[i]), 0);
    }
    for (size_t i = 0; i < WRITERS + 2; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t cursor = UINT64_MAX, lost;
    call_ring_read(shared, &cursor, records, 1, &lost);
    assert_true(cursor >= WRITERS * ADDED); /* a number may stay without a record */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(readers[i].torn, 0);
        assert_int_equal(readers[i].seen + readers[i].lost, cursor);
        assert_true(readers[i].seen > 0);
    }
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, ring_set_up, ring_tear_down)
    const struct CMUnitTest tests[] = {
        RING_TEST(an_empty_ring_has_nothing),        RING_TEST(records_come_back_in_order),
        RING_TEST(what_is_overwritten_is_counted),   RING_TEST(a_small_room_is_filled_bit_by_bit),
        RING_TEST(a_stopped_writer_holds_nobody_up), RING_TEST(threads_add_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
