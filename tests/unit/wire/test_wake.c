/*
 * Unit tests of wake channels and their bell: order, room, who is woken, rubbish in the page.
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
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/wake.h"

enum { SLOTS = 32, PAGE_BYTES = 256 + 256 * SLOTS, MANY = 20000 };
enum { PUT = 64 / 4, TAKEN = 128 / 4, ATTENDED = 132 / 4 }; /* words of the page */

struct channel {
    struct wire_wake_host *host;
    struct wire_wake_client *client;
    uint32_t *page; /* as a third party sees it */
};

static void channel_open(struct channel *channel)
{
    int fd = -1;
    assert_int_equal(wire_wake_host_create(&channel->host, &fd), 0);
    channel->client = wire_wake_client_create(fd);
    assert_non_null(channel->client);
    channel->page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(channel->page, MAP_FAILED);
    close(fd);
}

static void channel_close(struct channel *channel)
{
    munmap(channel->page, PAGE_BYTES);
    wire_wake_client_destroy(channel->client);
    wire_wake_host_destroy(channel->host);
}

static struct wire_completion numbered(uint32_t number)
{
    struct wire_completion completion = {.wake_port = number, .count = number % 17};
    for (unsigned i = 0; i < 8; i++) {
        completion.reference[i] = UINT64_MAX - number - i;
    }
    completion.status = number * 3;
    for (unsigned i = 0; i < completion.count; i++) {
        completion.arguments[i] = (uint64_t)number << 32 | i;
    }
    return completion;
}

static void assert_took(struct channel *channel, uint32_t number)
{
    struct wire_completion want = numbered(number);
    struct wire_completion got;
    assert_true(wire_wake_take(channel->client, &got));
    assert_int_equal(wire_completion_bytes(&got), 80 + 8 * (number % 17));
    assert_memory_equal(&got, &want, wire_completion_bytes(&want));
}

static void completions_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct channel channel;
    struct wire_completion none;
    channel_open(&channel);
    assert_false(wire_wake_has_completion(channel.client));
    assert_false(wire_wake_take(channel.client, &none));
    for (uint32_t round = 0; round < 100; round += 10) {
        for (uint32_t i = 0; i < 10; i++) {
            struct wire_completion completion = numbered(round + i);
            assert_int_equal(wire_wake_put(channel.host, &completion), WIRE_WAKE_UNSEEN);
        }
        assert_true(wire_wake_has_completion(channel.client));
        for (uint32_t i = 0; i < 10; i++) {
            assert_took(&channel, round + i);
        }
        assert_false(wire_wake_take(channel.client, &none));
    }
    channel_close(&channel);
}

static void there_is_room_for_so_many(void **state)
{
    (void)state;
    struct channel channel;
    struct wire_completion completion = numbered(7);
    channel_open(&channel);
    wire_wake_set_attended(channel.client, true);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct wire_completion one = numbered(i);
        assert_int_equal(wire_wake_put(channel.host, &one), WIRE_WAKE_PUT);
    }
    assert_int_equal(wire_wake_put(channel.host, &completion), WIRE_WAKE_FULL);
    assert_took(&channel, 0);
    completion = numbered(SLOTS);
    assert_int_equal(wire_wake_put(channel.host, &completion), WIRE_WAKE_PUT);
    assert_int_equal(wire_wake_put(channel.host, &completion), WIRE_WAKE_FULL);
    for (uint32_t i = 1; i <= SLOTS; i++) {
        assert_took(&channel, i);
    }
    channel_close(&channel);
}

static void the_host_believes_nothing(void **state)
{
    (void)state;
    static const uint32_t lies[] = {1, 0x7fffffff, 0x80000000, UINT32_MAX - SLOTS};
    struct channel channel;
    struct wire_completion completion = numbered(1);
    channel_open(&channel);
    for (unsigned i = 0; i < 4; i++) {
        memset(channel.page, 0xff, PAGE_BYTES);
        channel.page[TAKEN] = lies[i];
        assert_int_equal(wire_wake_put(channel.host, &completion), WIRE_WAKE_FULL);
    }
    channel.page[TAKEN] = 0; /* and goes on where it was */
    channel.page[ATTENDED] = 0;
    assert_int_equal(wire_wake_put(channel.host, &completion), WIRE_WAKE_UNSEEN);
    assert_int_equal(channel.page[PUT], 1);
    channel_close(&channel);
}

static void the_client_checks_counts(void **state)
{
    (void)state;
    struct channel channel;
    struct wire_completion completion = numbered(5);
    channel_open(&channel);
    wire_wake_put(channel.host, &completion);
    channel.page[(256 + 76) / 4] = 17; /* count */
    assert_true(wire_wake_take(channel.client, &completion));
    assert_int_equal(completion.count, 0);
    assert_true(completion.wake_port == 0);
    channel_close(&channel);
}

static void files_that_are_none(void **state)
{
    (void)state;
    int fd = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, PAGE_BYTES - 1), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_null(wire_wake_client_create(fd));
    close(fd);
    fd = memfd_create("may shrink", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, PAGE_BYTES), 0);
    assert_null(wire_wake_client_create(fd));
    close(fd);
    assert_null(wire_wake_client_create(-1));
    wire_wake_client_destroy(NULL);
    wire_wake_host_destroy(NULL);
}

/* One puts, one sleeps on the bell whenever there is nothing: none may be missed. */
static void *put_many(void *opaque)
{
    struct wire_wake_host *host = opaque;
    for (uint32_t i = 0; i < MANY; i++) {
        struct wire_completion completion = numbered(i);
        while (wire_wake_put(host, &completion) == WIRE_WAKE_FULL) {
            sched_yield();
        }
        if (i % 64 == 0) {
            usleep(20); /* let the other one go to sleep */
        }
    }
    return NULL;
}

static void whoever_sleeps_is_woken(void **state)
{
    (void)state;
    struct channel channel;
    pthread_t thread;
    channel_open(&channel);
    struct wire_bell *bell = wire_wake_bell(channel.client);
    wire_wake_set_attended(channel.client, true);
    assert_int_equal(pthread_create(&thread, NULL, put_many, channel.host), 0);
    for (uint32_t next = 0; next < MANY;) {
        uint32_t listened = wire_bell_listen(bell);
        if (wire_wake_has_completion(channel.client)) {
            assert_took(&channel, next++);
        } else {
            wire_bell_sleep(bell, listened, true);
        }
    }
    pthread_join(thread, NULL);
    channel_close(&channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completions_come_out_as_they_went_in),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(the_host_believes_nothing),
        cmocka_unit_test(the_client_checks_counts),
        cmocka_unit_test(files_that_are_none),
        cmocka_unit_test(whoever_sleeps_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
