/*
 * Unit tests of call slots: what goes by them, who wakes whom, and what a peer may do wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slot_pair.h"
#include "wire/spin.h"

/* Calls of count scalars with a reply that holds ANSWER more of each. */
static void check_call(struct pair *pair, uint32_t count, uint64_t call_id)
{
    uint64_t scalars[WIRE_MAX_SCALARS];
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    for (uint32_t i = 0; i < count; i++) {
        scalars[i] = call_id * 31 + i;
    }
    put_call(&request, 0, scalars, count, WIRE_MAX_SCALARS);
    request.header.call_id = call_id;
    request.header.sequence = 77;
    assert_true(wire_slot_takes(&request));
    assert_int_equal(pair_call(pair, &request, &reply), 0);
    assert_int_equal(reply.header.type, WIRE_CALL);
    assert_int_equal(reply.header.status, 0);
    assert_true(reply.header.call_id == call_id && reply.header.sequence == 77);
    assert_int_equal(wire_get_u32(&reply), count);
    assert_int_equal(wire_get_u32(&reply), 0);
    assert_true(wire_get_u64(&reply) == 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(wire_get_u64(&reply) == scalars[i] + ANSWER);
    }
    assert_true(wire_is_consumed(&reply));
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

static void calls_and_their_replies(void **state)
{
    struct pair *pair = *state;
    pthread_t host = start_host(pair);
    for (uint32_t count = 0; count <= WIRE_MAX_SCALARS; count++) {
        check_call(pair, count, UINT64_MAX - count);
    }
    stop_host(pair, host);
}

static void a_status_without_scalars(void **state)
{
    struct pair *pair = *state;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    pthread_t host = start_host(pair);
    put_call(&request, 0xe00002c2, NULL, 0, 0);
    assert_int_equal(pair_call(pair, &request, &reply), 0);
    assert_int_equal((uint32_t)reply.header.status, 0xe00002c2);
    assert_int_equal(reply.length, 0);
    stop_host(pair, host);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

static void accesses_and_their_values(void **state)
{
    struct pair *pair = *state;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    pthread_t host = start_host(pair);
    wire_message_reset(&request, WIRE_ACCESS);
    for (uint64_t word = 1; word <= 4; word++) {
        wire_put_u64(&request, word);
    }
    assert_true(wire_slot_takes(&request));
    assert_int_equal(pair_call(pair, &request, &reply), 0);
    assert_int_equal(reply.header.type, WIRE_ACCESS);
    assert_true(wire_get_u64(&reply) == 4 + ANSWER);
    assert_true(wire_is_consumed(&reply));
    stop_host(pair, host);
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

/* Fields of a CALL's payload, by offset, that keep it out of a slot. */
static void what_does_not_go_by_slot(void **state)
{
    static const struct {
        size_t offset;
        uint32_t value;
    } wrong[] = {{4, WIRE_CALL_ASYNC},
                 {4, 2},
                 {8, 1},
                 {8, 17},
                 {8, UINT32_MAX},
                 {12, 17},
                 {16, 1},
                 {20, 1},
                 {24, 1},
                 {28, 1}};
    static const uint64_t scalars[2] = {1, 2};
    struct wire_message request;
    (void)state;
    wire_message_init(&request);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        put_call(&request, 8, scalars, 2, 1);
        assert_true(wire_slot_takes(&request));
        memcpy(request.payload + wrong[i].offset, &wrong[i].value, 4);
        assert_false(wire_slot_takes(&request));
    }
    put_call(&request, 8, scalars, 2, 1);
    for (size_t length = 0; length < request.length; length++) {
        struct wire_message shorter = request;
        shorter.length = length;
        assert_false(wire_slot_takes(&shorter));
    }
    wire_put_u32(&request, 0);
    assert_false(wire_slot_takes(&request));
    put_call(&request, 8, scalars, 2, 1);
    wire_put_fd(&request, dup(0));
    assert_false(wire_slot_takes(&request));
    put_call(&request, 8, scalars, 2, 1);
    request.is_bad = true;
    assert_false(wire_slot_takes(&request));
    static const uint16_t types[] = {0, WIRE_HELLO, WIRE_MAP, WIRE_CLOSE, WIRE_SLOTS, WIRE_KICK};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        put_call(&request, 8, scalars, 2, 1);
        request.header.type = types[i];
        assert_false(wire_slot_takes(&request));
    }
    wire_message_reset(&request, WIRE_ACCESS);
    wire_put_bytes(&request, scalars, sizeof(scalars));
    assert_false(wire_slot_takes(&request));
    wire_message_destroy(&request);
}

/* What a client may have put there comes out as something that is refused. */
static void malformed_requests(void **state)
{
    static const struct {
        uint16_t type, count;
        uint64_t first;
        uint16_t type_out;
    } wrong[] = {
        {0, 1, 0, 0},
        {WIRE_CLOSE, 0, 0, 0},
        {WIRE_MAP, 1, 0, 0},
        {WIRE_CALL + 256, 1, 0, 0},
        {UINT16_MAX, UINT16_MAX, UINT64_MAX, 0},
        {WIRE_CALL, 0, 8, WIRE_CALL},
        {WIRE_CALL, 1, UINT64_C(1) << 32, WIRE_CALL},
        {WIRE_CALL, 2, 8, WIRE_CALL},
        {WIRE_CALL, 18, UINT64_C(17) << 32, WIRE_CALL},
        {WIRE_CALL, UINT16_MAX, UINT64_MAX, WIRE_CALL},
        {WIRE_ACCESS, 3, 0, 0},
        {WIRE_ACCESS, 5, 0, 0},
        {WIRE_ACCESS, UINT16_MAX, 0, 0},
    };
    struct pair *pair = *state;
    struct wire_slot *slot = slot_of(pair, 7);
    struct wire_message request;
    wire_message_init(&request);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        slot->type = wrong[i].type;
        slot->count = wrong[i].count;
        slot->words[0] = wrong[i].first;
        slot->mark = WIRE_SLOT_REQUEST;
        assert_true(wire_slot_host_take(&pair->host, 7, &request));
        assert_int_equal(slot->mark, WIRE_SLOT_TAKEN);
        assert_int_equal(request.header.type, wrong[i].type_out);
        assert_int_equal(request.length, 0);
    }
    wire_message_destroy(&request);
}

static void marks_that_are_no_request(void **state)
{
    static const uint32_t marks[] = {0,     2,     3,     4,          5,         0x100,
                                     0x102, 0x103, 0x201, 0x80000001, UINT32_MAX};
    struct pair *pair = *state;
    struct wire_message request;
    wire_message_init(&request);
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        slot_of(pair, 0)->mark = marks[i];
        assert_false(wire_slot_host_take(&pair->host, 0, &request));
        assert_true(slot_of(pair, 0)->mark == marks[i]);
    }
    slot_of(pair, 0)->mark = WIRE_SLOT_REQUEST | WIRE_SLOT_WAITING;
    assert_true(wire_slot_host_take(&pair->host, 0, &request));
    assert_int_equal(slot_of(pair, 0)->mark, WIRE_SLOT_TAKEN | WIRE_SLOT_WAITING);
    wire_message_destroy(&request);
}

/* A host that lies in its reply: nothing of it is taken for a result. */
static void malformed_replies(void **state)
{
    static const uint16_t counts[] = {WIRE_MAX_SCALARS + 1, WIRE_SLOT_WORDS, 0x8000, UINT16_MAX};
    struct pair *pair = *state;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    put_call(&request, 0, NULL, 0, 16);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        slot_of(pair, 0)->count = counts[i];
        slot_of(pair, 0)->status = 0;
        wire_slot_get_reply(slot_of(pair, 0), &request, &reply);
        assert_int_equal(reply.length, 0);
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
}

static unsigned count_requests(struct pair *pair)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        count += (slot_of(pair, i)->mark & ~(uint32_t)WIRE_SLOT_WAITING) == WIRE_SLOT_REQUEST;
    }
    return count;
}

/* 31 calls that nobody answers, and one too many. */
static void no_slot_is_free(void **state)
{
    struct pair *pair = *state;
    pthread_t threads[WIRE_SLOT_COUNT];
    struct caller callers[WIRE_SLOT_COUNT];
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        callers[i] = (struct caller){.pair = pair};
        threads[i] = start_call(&callers[i]);
    }
    while (count_requests(pair) < WIRE_SLOT_COUNT) {
        usleep(1000);
    }
    struct caller more = {.pair = pair};
    call_in_thread(&more);
    assert_int_equal(more.error, -EAGAIN);
    pthread_t host = start_host(pair);
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].error, 0);
    }
    check_call(pair, 3, 1);
    stop_host(pair, host);
}

/* Memory that a client does not take. */
static void memory_that_could_shrink(void **state)
{
    (void)state;
    int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, 16384), 0);
    assert_null(wire_slot_client_create(fd));
    close(fd);
    fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, 8191), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_null(wire_slot_client_create(fd));
    close(fd);
    assert_null(wire_slot_client_create(0));
    assert_null(wire_slot_client_create(-1));
}

/* Many threads, a host between sleeping and polling. */
struct worker {
    struct pair *pair;
    uint64_t number;
    unsigned wrong;
};

static void *work(void *opaque)
{
    struct worker *worker = opaque;
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t scalars[3] = {worker->number << 32 | i, i, ~i};
        put_call(&request, 0, scalars, 3, 3);
        int error = pair_call(worker->pair, &request, &reply);
        bool is_right = !error && reply.header.status == 0 && wire_get_u32(&reply) == 3 &&
                        wire_get_bytes(&reply, 12);
        for (int s = 0; s < 3; s++) {
            is_right = is_right && wire_get_u64(&reply) == scalars[s] + ANSWER;
        }
        worker->wrong += !is_right;
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return NULL;
}

static void run_threads(struct pair *pair, unsigned polls)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    pair->polls = polls;
    pthread_t host = start_host(pair);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.pair = pair, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
    }
    stop_host(pair, host);
}

static void threads_and_a_host_that_sleeps(void **state)
{
    run_threads(*state, 0);
}

static void threads_and_a_host_that_polls(void **state)
{
    run_threads(*state, 2000);
}

/* Who may poll. */
static void one_less_than_processors_poll(void **state)
{
    (void)state;
    struct wire_turn turns[64];
    struct wire_turn more;
    unsigned limit = wire_processor_count() - 1 < 64 ? wire_processor_count() - 1 : 64;
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < limit; i++) {
            assert_true(wire_turn_begin(&turns[i]));
        }
        if (wire_turn_begin(&more)) { /* one that was forgotten, on a machine out of breath */
            assert_true(more.begin_ns - turns[more.index].stamp_ns > 4000000);
            wire_turn_end(&more);
        }
        for (unsigned i = 0; i < limit; i++) {
            wire_turn_end(&turns[i]);
        }
    }
}

static void a_turn_lasts_while_nobody_else_wants_it(void **state)
{
    (void)state;
    struct wire_turn turn;
    struct wire_turn more[64];
    unsigned others = 0;
    if (!wire_turn_begin(&turn)) {
        skip(); /* one processor */
    }
    usleep(10000); /* longer than a turn, and than one is forgotten */
    assert_true(wire_turn_keep(&turn));
    assert_true(wire_turn_keep(&turn));
    while (others < 64 && wire_turn_begin(&more[others])) {
        others++;
    }
    if (others < 64) {
        assert_false(wire_turn_keep(&turn)); /* somebody wants it, and it has been long */
    }
    while (others > 0) {
        wire_turn_end(&more[--others]);
    }
    wire_turn_end(&turn);
}

/* Whoever does not come back to keep his turn does not keep others from having one. */
static void a_turn_that_is_forgotten_is_taken_over(void **state)
{
    (void)state;
    struct wire_turn first;
    struct wire_turn second;
    if (!wire_turn_begin(&first)) {
        skip(); /* one processor */
    }
    usleep(10000);
    assert_true(wire_turn_begin(&second));
    if (second.index == first.index) {
        assert_false(wire_turn_keep(&first));
        wire_turn_end(&first); /* does nothing to the second one's */
        assert_true(wire_turn_keep(&second));
    } else {
        wire_turn_end(&first);
    }
    wire_turn_end(&second);
}

static void off_by_environment(void **state)
{
    (void)state;
    unsetenv("DEXTLINK_SLOTS");
    assert_true(wire_slots_are_wanted());
    setenv("DEXTLINK_SLOTS", "off", 1);
    assert_false(wire_slots_are_wanted());
    setenv("DEXTLINK_SLOTS", "on", 1);
    assert_true(wire_slots_are_wanted());
    unsetenv("DEXTLINK_SLOTS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        slot_test(calls_and_their_replies),
        slot_test(a_status_without_scalars),
        slot_test(accesses_and_their_values),
        cmocka_unit_test(what_does_not_go_by_slot),
        slot_test(malformed_requests),
        slot_test(marks_that_are_no_request),
        slot_test(malformed_replies),
        slot_test(no_slot_is_free),
        cmocka_unit_test(memory_that_could_shrink),
        slot_test(threads_and_a_host_that_sleeps),
        slot_test(threads_and_a_host_that_polls),
        cmocka_unit_test(one_less_than_processors_poll),
        cmocka_unit_test(a_turn_lasts_while_nobody_else_wants_it),
        cmocka_unit_test(a_turn_that_is_forgotten_is_taken_over),
        cmocka_unit_test(off_by_environment),
    };
    return cmocka_run_group_tests_name("wire slots", tests, NULL, NULL);
}
