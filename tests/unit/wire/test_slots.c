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
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slot_pair.h"
#include "wire/spin.h"

/* A call of count scalars, whose reply holds ANSWER more of each. */
static void check_call(struct pair *pair, unsigned count, uint64_t call_id)
{
    uint64_t scalars[WIRE_MAX_SCALARS] = {0};
    struct wire_words words;
    for (unsigned i = 0; i < count; i++) {
        scalars[i] = call_id * 31 + i;
    }
    put_call(&words, 0, scalars, count);
    words.call_id = call_id;
    assert_int_equal(pair_call(pair, &words), 0);
    assert_int_equal(words.status, 0);
    assert_int_equal(words.count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_true(words.words[i] == scalars[i] + ANSWER);
    }
}

static void calls_and_their_replies(void **state)
{
    struct pair *pair = *state;
    pthread_t host = start_host(pair);
    for (unsigned count = 0; count <= WIRE_MAX_SCALARS; count++) {
        check_call(pair, count, UINT64_MAX - count);
    }
    stop_host(pair, host);
}

static void a_status_without_scalars(void **state)
{
    struct pair *pair = *state;
    struct wire_words words;
    pthread_t host = start_host(pair);
    put_call(&words, 0xe00002c2, NULL, 0);
    assert_int_equal(pair_call(pair, &words), 0);
    assert_int_equal((uint32_t)words.status, 0xe00002c2);
    assert_int_equal(words.count, 0);
    stop_host(pair, host);
}

static void accesses_and_their_values(void **state)
{
    struct pair *pair = *state;
    struct wire_words words = {
        .type = WIRE_ACCESS, .count = WIRE_ACCESS_WORDS, .words = {1, 2, 3, 4}};
    pthread_t host = start_host(pair);
    assert_int_equal(pair_call(pair, &words), 0);
    assert_int_equal(words.count, 1);
    assert_true(words.words[0] == 4 + ANSWER);
    stop_host(pair, host);
}

/* All that the host is told arrives, and where the caller runs. */
static void what_the_host_takes(void **state)
{
    struct pair *pair = *state;
    struct wire_slot_request *request = &slot_of(pair, 7)->request;
    struct wire_words words;
    unsigned where;
    assert_false(wire_slot_host_has(&pair->host, 7));
    assert_false(wire_slot_host_take(&pair->host, 7, &words, &where));
    request->where = 513;
    request->type = WIRE_ACCESS;
    request->count = WIRE_WORDS_MAX;
    request->call_id = UINT64_MAX - 1;
    for (unsigned i = 0; i < WIRE_WORDS_MAX; i++) {
        request->words[i] = ~(uint64_t)i;
    }
    request->number = 1;
    assert_true(wire_slot_host_has(&pair->host, 7));
    assert_true(wire_slot_host_take(&pair->host, 7, &words, &where));
    assert_int_equal(where, 513);
    assert_int_equal(words.type, WIRE_ACCESS);
    assert_int_equal(words.count, WIRE_WORDS_MAX);
    assert_true(words.call_id == UINT64_MAX - 1);
    for (unsigned i = 0; i < WIRE_WORDS_MAX; i++) {
        assert_true(words.words[i] == ~(uint64_t)i);
    }
    assert_int_equal(slot_of(pair, 7)->taken, 1);
    assert_false(wire_slot_host_has(&pair->host, 7));
    assert_false(wire_slot_host_take(&pair->host, 7, &words, &where)); /* once */
}

/* More words than there are come out as something that is refused. */
static void malformed_requests(void **state)
{
    static const uint8_t counts[] = {WIRE_WORDS_MAX + 1, 0x80, UINT8_MAX};
    struct pair *pair = *state;
    struct wire_slot_request *request = &slot_of(pair, 7)->request;
    struct wire_words words;
    unsigned where;
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        request->type = WIRE_CALL;
        request->count = counts[i];
        request->number++;
        assert_true(wire_slot_host_take(&pair->host, 7, &words, &where));
        assert_int_equal(words.type, 0);
        assert_int_equal(words.count, 0);
    }
}

/* Any other number than the last is a request, and the mark that answers it has its low 30 bits. */
static void numbers_and_marks(void **state)
{
    static const uint32_t numbers[] = {1, 2, 0x3fffffff, 0, 0x40000000, 0xffffffff, 7};
    struct pair *pair = *state;
    struct wire_slot *slot = slot_of(pair, 0);
    struct wire_words words;
    unsigned where;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        slot->request.number = numbers[i];
        slot->reply.mark |= i % 2 ? WIRE_SLOT_WAITING : 0;
        assert_true(wire_slot_host_take(&pair->host, 0, &words, &where));
        words = (struct wire_words){.count = 1};
        assert_true(wire_slot_host_answer(&pair->host, 0, &words) == (i % 2));
        assert_true(slot->reply.mark == numbers[i] << 2);
    }
}

/* The numbers of one slot come to their end and begin anew. */
static void numbers_wrap(void **state)
{
    struct pair *pair = *state;
    slot_of(pair, 0)->request.number = WIRE_SLOT_NUMBER_MASK - 1;
    slot_of(pair, 0)->reply.mark = wire_slot_mark(WIRE_SLOT_NUMBER_MASK - 1);
    pair->host.taken[0] = WIRE_SLOT_NUMBER_MASK - 1;
    pthread_t host = start_host(pair);
    for (unsigned i = 0; i < 4; i++) {
        check_call(pair, i, i);
    }
    stop_host(pair, host);
    assert_int_equal(slot_of(pair, 0)->request.number, 2);
}

static void *lie(void *opaque)
{
    struct pair *pair = opaque;
    while (!slot_has_request(pair, 0)) {
        usleep(100);
    }
    slot_of(pair, 0)->reply.count = pair->polls;
    slot_of(pair, 0)->reply.mark = wire_slot_mark(slot_of(pair, 0)->request.number);
    wire_slot_wake(&slot_of(pair, 0)->reply.mark, 1);
    return NULL;
}

/* A host that lies in its reply: nothing of it is taken for a result. */
static void malformed_replies(void **state)
{
    static const uint32_t counts[] = {WIRE_MAX_SCALARS + 1, 0x8000, UINT16_MAX + 1, UINT32_MAX};
    struct pair *pair = *state;
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_SOMEWHERE);
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        pthread_t liar;
        struct wire_words words;
        pair->polls = counts[i];
        assert_int_equal(pthread_create(&liar, NULL, lie, pair), 0);
        put_call(&words, 0, NULL, 0);
        assert_int_equal(pair_call(pair, &words), -EBADMSG);
        assert_int_equal(pthread_join(liar, NULL), 0);
        slot_of(pair, 0)->taken = slot_of(pair, 0)->request.number;
    }
}

static unsigned count_requests(struct pair *pair)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        count += slot_has_request(pair, i);
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
    assert_int_equal(ftruncate(fd, 32768), 0);
    assert_null(wire_slot_client_create(fd));
    close(fd);
    fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, 16383), 0);
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
    struct wire_words words;
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t scalars[3] = {worker->number << 32 | i, i, ~i};
        put_call(&words, 0, scalars, 3);
        int error = pair_call(worker->pair, &words);
        bool is_right = !error && words.status == 0 && words.count == 3;
        for (int s = 0; is_right && s < 3; s++) {
            is_right = words.words[s] == scalars[s] + ANSWER;
        }
        worker->wrong += !is_right;
    }
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

/* Processors. */

static uint64_t allowed(void)
{
    cpu_set_t set;
    uint64_t bits = 0;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    for (unsigned i = 0; i < 64; i++) {
        bits |= CPU_ISSET(i, &set) ? UINT64_C(1) << i : 0;
    }
    return bits;
}

static void going_to_each_processor(void **state)
{
    (void)state;
    const uint64_t processors = allowed();
    for (unsigned i = 0; i < 64; i++) {
        assert_true(wire_processors() == processors);
        assert_true(wire_processor_go(i + 1) == (processors >> i & 1));
    }
}

static void only_where_it_may_run(void **state)
{
    (void)state;
    cpu_set_t before;
    cpu_set_t one;
    CPU_ZERO(&one);
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    for (unsigned i = 0; i < 64; i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
            assert_int_equal(wire_processor_here(), i + 1);
            assert_true(wire_processors() == UINT64_C(1) << i);
            assert_false(wire_processor_go(i ? i : 2));
            assert_int_equal(wire_processor_here(), i + 1);
            assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
            return;
        }
    }
    skip();
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
        slot_test(what_the_host_takes),
        slot_test(malformed_requests),
        slot_test(numbers_and_marks),
        slot_test(numbers_wrap),
        slot_test(malformed_replies),
        slot_test(no_slot_is_free),
        cmocka_unit_test(memory_that_could_shrink),
        slot_test(threads_and_a_host_that_sleeps),
        slot_test(threads_and_a_host_that_polls),
        cmocka_unit_test(going_to_each_processor),
        cmocka_unit_test(only_where_it_may_run),
        cmocka_unit_test(off_by_environment),
    };
    return cmocka_run_group_tests_name("wire slots", tests, NULL, NULL);
}
