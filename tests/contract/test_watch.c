/*
 * Arrivals and departures as they happen, and who holds claims.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "testdev.h"

static const char *const devices[] = {
    "edu,addr=01:00.0",     "testdev,addr=02:00.0", "testdev,addr=10:00.0",
    "testdev,addr=11:00.0", "testdev,addr=12:00.0", NULL,
};

enum { EVENTS = 256 };

struct witness {
    pthread_mutex_t lock;
    AppleDextWatch *watch;
    unsigned count;
    AppleDextEvent events[EVENTS];
    AppleDextInstance instances[EVENTS];
};

static void see(void *opaque, AppleDextEvent event, const AppleDextInstance *instance)
{
    struct witness *witness = opaque;
    pthread_mutex_lock(&witness->lock);
    witness->events[witness->count % EVENTS] = event;
    witness->instances[witness->count % EVENTS] = *instance;
    witness->count++;
    pthread_mutex_unlock(&witness->lock);
}

/* How many events of this kind were about BUS:00.0. */
static unsigned times(struct witness *witness, AppleDextEvent event, uint8_t bus)
{
    unsigned found = 0;
    pthread_mutex_lock(&witness->lock);
    for (unsigned i = 0; i < witness->count; i++) {
        found += witness->events[i] == event && witness->instances[i].bus == bus;
    }
    pthread_mutex_unlock(&witness->lock);
    return found;
}

struct expectation {
    struct witness *witness;
    AppleDextEvent event;
    uint8_t bus;
    unsigned times;
};

static bool is_met(void *opaque)
{
    const struct expectation *want = opaque;
    return times(want->witness, want->event, want->bus) >= want->times;
}

static void expect(struct witness *witness, AppleDextEvent event, uint8_t bus, unsigned count)
{
    struct expectation want = {witness, event, bus, count};
    assert_true(contract_eventually(is_met, &want));
    assert_int_equal(times(witness, event, bus), count);
}

static struct witness *begin(void)
{
    struct witness *witness = calloc(1, sizeof(*witness));
    assert_non_null(witness);
    pthread_mutex_init(&witness->lock, NULL);
    witness->watch = apple_dext_watch_create(see, witness);
    assert_non_null(witness->watch);
    return witness;
}

static void end(struct witness *witness)
{
    apple_dext_watch_destroy(witness->watch);
    pthread_mutex_destroy(&witness->lock);
    free(witness); /* nothing may come any more: a sanitizer would see it */
}

static void those_there_arrive_in_the_order_of_the_list(void **state)
{
    AppleDextInstance *list = NULL;
    size_t count = 0;
    struct witness *witness = begin();
    assert_ok(apple_dext_list(&list, &count));
    expect(witness, APPLE_DEXT_ARRIVED, list[count - 1].bus, 1);
    pthread_mutex_lock(&witness->lock);
    assert_int_equal(witness->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(witness->events[i], APPLE_DEXT_ARRIVED);
        assert_string_equal(witness->instances[i].name, list[i].name);
        assert_true(witness->instances[i].entry_id == list[i].entry_id);
        assert_int_equal(witness->instances[i].device_id, list[i].device_id);
    }
    pthread_mutex_unlock(&witness->lock);
    apple_dext_free_list(list);
    end(witness);
}

static void an_open_device_departs(void **state)
{
    struct witness *witness = begin();
    struct witness *other = begin();
    uint64_t value;
    io_connect_t c = contract_claimed(0x10);
    expect(witness, APPLE_DEXT_ARRIVED, 0x10, 1);
    expect(other, APPLE_DEXT_ARRIVED, 0x10, 1);
    assert_ok(apple_dext_terminate(c));
    expect(witness, APPLE_DEXT_DEPARTED, 0x10, 1);
    expect(other, APPLE_DEXT_DEPARTED, 0x10, 1);
    assert_status(apple_dext_config_read(c, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_int_equal(times(witness, APPLE_DEXT_DEPARTED, 0x02), 0);
    contract_disconnect(c);
    end(witness);
    end(other);
    struct witness *later = begin(); /* it is not there any more */
    expect(later, APPLE_DEXT_ARRIVED, 0x12, 1);
    assert_int_equal(times(later, APPLE_DEXT_ARRIVED, 0x10), 0);
    end(later);
}

static AppleDextWatch *_Atomic own_watch;
static _Atomic unsigned own_runs;

static void destroy_own(void *opaque, AppleDextEvent event, const AppleDextInstance *instance)
{
    while (!own_watch) { /* it may run before create has returned */
        usleep(100);
    }
    own_runs++;
    apple_dext_watch_destroy(own_watch);
}

static bool has_run(void *opaque)
{
    return own_runs > 0;
}

static void the_handler_may_end_its_watch(void **state)
{
    own_watch = apple_dext_watch_create(destroy_own, NULL);
    assert_non_null(own_watch);
    assert_true(contract_eventually(has_run, NULL));
    io_connect_t c = contract_claimed(0x11);
    assert_ok(apple_dext_terminate(c));
    contract_disconnect(c);
    usleep(20000);
    assert_int_equal(own_runs, 1);
}

static void watches_come_and_go(void **state)
{
    for (unsigned i = 0; i < 50; i++) {
        struct witness *witness = begin();
        if (i % 3 == 0) {
            expect(witness, APPLE_DEXT_ARRIVED, EDU, 1);
        }
        end(witness);
    }
}

static void hot_plug(void **state)
{
    char *cause = NULL;
    struct witness *witness = begin();
    DextHost *host = contract_embedded_host();
    io_connect_t c = contract_claimed(0x12);
    expect(witness, APPLE_DEXT_ARRIVED, 0x12, 1);
    for (unsigned round = 1; round <= 5; round++) {
        assert_int_equal(dext_host_remove_device(host, "12:00.0", &cause), 0);
        expect(witness, APPLE_DEXT_DEPARTED, 0x12, round);
        assert_int_equal(dext_host_add_device(host, "testdev,addr=12:00.0", &cause), 0);
        expect(witness, APPLE_DEXT_ARRIVED, 0x12, round + 1);
        assert_int_equal(dext_host_add_device(host, "edu,addr=33:00.0", &cause), 0);
        expect(witness, APPLE_DEXT_ARRIVED, 0x33, round);
        assert_int_equal(dext_host_remove_device(host, "33:00.0", &cause), 0);
        expect(witness, APPLE_DEXT_DEPARTED, 0x33, round);
    }
    /* Of one that goes, what is told is what it was; and it is another that comes. */
    pthread_mutex_lock(&witness->lock);
    unsigned last = witness->count - 1;
    assert_int_equal(witness->instances[last].device_id, 0x11e8);
    assert_true(witness->instances[last].entry_id == witness->instances[last - 1].entry_id);
    assert_true(witness->instances[last].entry_id != witness->instances[last - 4].entry_id);
    pthread_mutex_unlock(&witness->lock);
    contract_disconnect(c);
    end(witness);
}

/* How many claims the registry speaks of at BUS:00.0. */
static unsigned claims_at(uint8_t bus, char claimed_by[128])
{
    AppleDextInstance *list = NULL;
    size_t count = 0;
    unsigned claims = 9999;
    assert_ok(apple_dext_list(&list, &count));
    for (size_t i = 0; i < count; i++) {
        if (list[i].bus == bus) {
            assert_int_equal(list[i].has_claims, 1);
            claims = list[i].claims;
            memcpy(claimed_by, list[i].claimed_by, 128);
        }
    }
    apple_dext_free_list(list);
    return claims;
}

static bool is_unclaimed(void *opaque)
{
    char who[128];
    return claims_at(TESTDEV, who) == 0 && who[0] == '\0';
}

static void the_registry_says_who_holds_claims(void **state)
{
    char who[128];
    char me[32];
    snprintf(me, sizeof(me), "pid %d, test_contract_", (int)getpid());
    assert_int_equal(claims_at(TESTDEV, who), 0);
    io_connect_t idle = contract_connect(TESTDEV);
    assert_int_equal(claims_at(TESTDEV, who), 0); /* open is not claimed */
    io_connect_t first = contract_claimed(TESTDEV);
    assert_ok(apple_dext_claim(first)); /* again: no second claim */
    assert_int_equal(claims_at(TESTDEV, who), 1);
    assert_memory_equal(who, me, strlen(me) - strlen("test_contract_") + 4);
    io_connect_t second = contract_claimed(TESTDEV);
    assert_int_equal(claims_at(TESTDEV, who), 2);
    assert_non_null(strstr(who, "; pid "));
    contract_disconnect(first);
    contract_disconnect(second);
    assert_true(contract_eventually(is_unclaimed, NULL));
    contract_disconnect(idle);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(those_there_arrive_in_the_order_of_the_list),
        contract_test(an_open_device_departs),
        contract_test(the_handler_may_end_its_watch),
        contract_test(watches_come_and_go),
        contract_test_when(hot_plug, WHEN_EMBEDDED),
        contract_test(the_registry_says_who_holds_claims),
    };
    const struct contract_suite suite = {.name = "watch",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
