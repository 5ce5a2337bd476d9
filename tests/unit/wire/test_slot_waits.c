/*
 * Unit tests of waiting for call slots: who wakes whom, and what becomes of a call whose host ends.
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
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slot_pair.h"

static void serve_and_join(struct pair *pair, pthread_t thread, const struct caller *caller)
{
    assert_int_equal(host_serve(pair), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(caller->error, 0);
}

static void a_host_that_sleeps_is_rung(void **state)
{
    struct pair *pair = *state;
    struct caller caller = {.pair = pair};
    for (unsigned i = 1; i <= 3; i++) {
        pthread_t thread = start_call(&caller);
        while (pair->host.shared->awake != WIRE_HOST_RUNG) {
            usleep(100);
        }
        assert_true(slot_has_request(pair, 0));
        wire_slot_host_sleep(&pair->host); /* does not: the word is no longer what was stored */
        serve_and_join(pair, thread, &caller);
        wire_slot_host_set_awake(&pair->host, WIRE_HOST_ASLEEP);
    }
}

static void a_host_that_is_awake_is_not_rung(void **state)
{
    static const uint32_t awake[] = {1, 2, WIRE_HOST_SOMEWHERE, WIRE_HOST_RUNG};
    struct pair *pair = *state;
    struct caller caller = {.pair = pair};
    for (unsigned i = 0; i < sizeof(awake) / sizeof(*awake); i++) {
        wire_slot_host_set_awake(&pair->host, awake[i]);
        pthread_t thread = start_call(&caller);
        while (!slot_has_request(pair, 0)) {
            usleep(100);
        }
        serve_and_join(pair, thread, &caller);
        assert_int_equal(pair->host.shared->awake, awake[i]);
    }
}

/* Awake, and yet it takes no request: told once, by the other way. */
static void a_host_that_takes_nothing_is_kicked(void **state)
{
    struct pair *pair = *state;
    struct caller caller = {.pair = pair};
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_SOMEWHERE);
    for (unsigned i = 1; i <= 2; i++) {
        pthread_t thread = start_call(&caller);
        while (pair->kicks < i) {
            usleep(100);
        }
        usleep(10000); /* several looks of the client's */
        assert_int_equal(pair->kicks, i);
        serve_and_join(pair, thread, &caller);
    }
}

static void a_client_that_sleeps_is_woken(void **state)
{
    struct pair *pair = *state;
    struct caller caller = {.pair = pair};
    for (unsigned i = 1; i <= 3; i++) {
        pthread_t thread = start_call(&caller);
        while (!(slot_of(pair, 0)->reply.mark & WIRE_SLOT_WAITING)) {
            usleep(100);
        }
        serve_and_join(pair, thread, &caller);
        assert_int_equal(pair->woken, i);
    }
}

/* Ends of a host. */

static int call_once(struct pair *pair)
{
    struct caller caller = {.pair = pair};
    call_in_thread(&caller);
    return caller.error;
}

static void *end_host_later(void *opaque)
{
    struct pair *pair = opaque;
    while (!(slot_of(pair, 0)->reply.mark & WIRE_SLOT_WAITING)) {
        usleep(100);
    }
    wire_slot_host_end(&pair->host);
    return NULL;
}

static void a_host_that_ends_wakes_who_waits(void **state)
{
    struct pair *pair = *state;
    pthread_t thread;
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_SOMEWHERE);
    assert_int_equal(pthread_create(&thread, NULL, end_host_later, pair), 0);
    assert_int_equal(call_once(pair), -ECONNRESET);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void ending_marks_every_slot(void **state)
{
    struct pair *pair = *state;
    slot_of(pair, 3)->reply.mark = wire_slot_mark(5);
    wire_slot_host_end(&pair->host);
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        assert_int_equal(slot_of(pair, i)->reply.mark,
                         (i == 3 ? wire_slot_mark(5) : 0) | WIRE_SLOT_ENDED);
    }
    assert_int_equal(call_once(pair), -ENOTCONN); /* it had ended before */
    assert_false(slot_has_request(pair, 0));
}

static void a_host_that_was_dead_before(void **state)
{
    struct pair *pair = *state;
    close(pair->ends[1]);
    pair->ends[1] = -1;
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_SOMEWHERE); /* as it died */
    assert_int_equal(call_once(pair), -ENOTCONN);
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_ASLEEP);
    assert_int_equal(call_once(pair), -ENOTCONN);
}

static void a_host_that_dies_with_the_request(void **state)
{
    struct pair *pair = *state;
    pair->hangs_up = true;
    pthread_t host = start_host(pair);
    assert_int_equal(call_once(pair), -ECONNRESET);
    assert_int_equal(pthread_join(host, NULL), 0);
}

/* Looks of a client that waits, whether its host is alive. */
static _Atomic unsigned looks;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int result = __real_poll(fds, count, timeout_ms);
    looks++;
    return result;
}

static void *hang_up_later(void *opaque)
{
    struct pair *pair = opaque;
    while (looks == 0) { /* the client has seen it alive */
        usleep(100);
    }
    close(pair->ends[1]);
    pair->ends[1] = -1;
    return NULL;
}

static void a_host_that_stops_and_dies(void **state)
{
    struct pair *pair = *state;
    pthread_t thread;
    looks = 0;
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_SOMEWHERE);
    assert_int_equal(pthread_create(&thread, NULL, hang_up_later, pair), 0);
    assert_int_equal(call_once(pair), -ECONNRESET);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *scribble_later(void *opaque)
{
    struct pair *pair = opaque;
    while (!(slot_of(pair, 0)->reply.mark & WIRE_SLOT_WAITING)) {
        usleep(100);
    }
    slot_of(pair, 0)->reply.mark = 0xdead0000;
    wire_slot_wake(&slot_of(pair, 0)->reply.mark, 1);
    return NULL;
}

static void a_host_that_scribbles(void **state)
{
    struct pair *pair = *state;
    pthread_t thread;
    wire_slot_host_set_awake(&pair->host, WIRE_HOST_SOMEWHERE);
    assert_int_equal(pthread_create(&thread, NULL, scribble_later, pair), 0);
    assert_int_equal(call_once(pair), -EBADMSG);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        slot_test(a_host_that_sleeps_is_rung),
        slot_test(a_host_that_is_awake_is_not_rung),
        slot_test(a_host_that_takes_nothing_is_kicked),
        slot_test(a_client_that_sleeps_is_woken),
        slot_test(a_host_that_ends_wakes_who_waits),
        slot_test(ending_marks_every_slot),
        slot_test(a_host_that_was_dead_before),
        slot_test(a_host_that_dies_with_the_request),
        slot_test(a_host_that_stops_and_dies),
        slot_test(a_host_that_scribbles),
    };
    return cmocka_run_group_tests_name("wire slot waits", tests, NULL, NULL);
}
