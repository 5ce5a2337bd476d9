/*
 * Unit tests: watching driver instances come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_test.h"

enum { WAIT_MS = 120000, EVENTS = 64 };

/* What a handler does, and what it saw. */
struct witness {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    AppleDextWatch *watch;
    unsigned count;
    AppleDextEvent events[EVENTS];
    AppleDextInstance instances[EVENTS];
    bool must_block; /* the handler waits while this is set */
    bool is_running;
    bool destroys;
    bool is_over; /* the owner's opinion: nothing may come after this */
    unsigned late;
};

static void witness_init(struct witness *witness)
{
    memset(witness, 0, sizeof(*witness));
    pthread_mutex_init(&witness->lock, NULL);
    pthread_cond_init(&witness->changed, NULL);
}

static void witness_deinit(struct witness *witness)
{
    assert_int_equal(witness->late, 0);
    pthread_cond_destroy(&witness->changed);
    pthread_mutex_destroy(&witness->lock);
}

static void see(void *opaque, AppleDextEvent event, const AppleDextInstance *instance)
{
    struct witness *witness = opaque;
    AppleDextWatch *own = NULL;

    pthread_mutex_lock(&witness->lock);
    witness->late += witness->is_over;
    witness->is_running = true;
    witness->events[witness->count % EVENTS] = event;
    witness->instances[witness->count % EVENTS] = *instance;
    witness->count++;
    pthread_cond_broadcast(&witness->changed);
    while (witness->must_block || (witness->destroys && witness->watch == NULL)) {
        pthread_cond_wait(&witness->changed, &witness->lock);
    }
    witness->is_running = false;
    if (witness->destroys) {
        own = witness->watch;
        witness->is_over = true;
    }
    pthread_mutex_unlock(&witness->lock);
    if (own != NULL) {
        apple_dext_watch_destroy(own);
    }
}

static struct timespec deadline(void)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_MS / 1000;
    return end;
}

static void expect_count(struct witness *witness, unsigned count)
{
    struct timespec end = deadline();
    int late = 0;

    pthread_mutex_lock(&witness->lock);
    while (witness->count < count && late == 0) {
        late = pthread_cond_timedwait(&witness->changed, &witness->lock, &end);
    }
    unsigned seen = witness->count;
    pthread_mutex_unlock(&witness->lock);
    assert_int_equal(seen, count);
}

static void expect_event(const struct witness *witness, unsigned index, AppleDextEvent event,
                         const char *root, uint8_t bus)
{
    assert_int_equal(witness->events[index], event);
    assert_string_equal(witness->instances[index].root, root);
    assert_int_equal(witness->instances[index].bus, bus);
    assert_true(witness->instances[index].has_ids);
}

static void begin(struct witness *witness)
{
    AppleDextWatch *watch = apple_dext_watch_create(see, witness);
    assert_non_null(watch);
    pthread_mutex_lock(&witness->lock);
    witness->watch = watch;
    pthread_cond_broadcast(&witness->changed);
    pthread_mutex_unlock(&witness->lock);
}

static void end(struct witness *witness)
{
    apple_dext_watch_destroy(witness->watch);
    pthread_mutex_lock(&witness->lock);
    witness->is_over = true;
    pthread_mutex_unlock(&witness->lock);
}

static void those_that_are_there_arrive_in_order(void **state)
{
    struct witness witness;
    (void)state;
    fake_add_device("pci-bridge9", "7:0:0", 0x1234, 0x11e8);
    fake_add_device("pci-bridge0", "0:3:0", 0x1234, 0x11e8);
    fake_add((struct fake_entry){.parent = FAKE_NO_PARENT, /* another dext's */
                                 .class_name = "IOUserService",
                                 .name = "other",
                                 .user_class = "OtherDriver"});
    witness_init(&witness);
    begin(&witness);
    expect_count(&witness, 3);
    end(&witness);
    expect_event(&witness, 0, APPLE_DEXT_ARRIVED, "pci-bridge0", 0);
    expect_event(&witness, 1, APPLE_DEXT_ARRIVED, "pci-bridge0", 1);
    expect_event(&witness, 2, APPLE_DEXT_ARRIVED, "pci-bridge9", 7);
    witness_deinit(&witness);
}

static void arrivals_and_departures_come_as_they_happen(void **state)
{
    struct witness witness;
    (void)state;
    witness_init(&witness);
    begin(&witness);
    expect_count(&witness, 1);
    int entry = fake_add_device("pci-bridge1", "5:0:0", 0xabcd, 0x0001);
    fake_arrive(entry);
    expect_count(&witness, 2);
    expect_event(&witness, 1, APPLE_DEXT_ARRIVED, "pci-bridge1", 5);
    fake_depart(entry);
    expect_count(&witness, 3);
    expect_event(&witness, 2, APPLE_DEXT_DEPARTED, "pci-bridge1", 5);
    assert_int_equal(witness.instances[2].vendor_id, 0xabcd);
    assert_true(witness.instances[2].entry_id == witness.instances[1].entry_id);
    /* The place is taken again by another attachment. */
    entry = fake_add_device("pci-bridge1", "5:0:0", 0xabcd, 0x0001);
    fake_arrive(entry);
    expect_count(&witness, 4);
    assert_true(witness.instances[3].entry_id != witness.instances[1].entry_id);
    end(&witness);
    assert_int_equal(witness.count, 4); /* further messages about one that is gone are no events */
    witness_deinit(&witness);
}

static void an_arrival_is_told_once(void **state)
{
    struct witness witness;
    (void)state;
    witness_init(&witness);
    begin(&witness);
    expect_count(&witness, 1);
    fake_arrive(2); /* the standard device, again */
    int entry = fake_add_device("pci-bridge1", "5:0:0", 0xabcd, 0x0001);
    fake_arrive(entry);
    expect_count(&witness, 2);
    end(&witness);
    expect_event(&witness, 1, APPLE_DEXT_ARRIVED, "pci-bridge1", 5);
    witness_deinit(&witness);
}

static void the_departure_of_an_open_device_included(void **state)
{
    struct witness witness;
    (void)state;
    witness_init(&witness);
    io_connect_t port = fake_connect(true);
    begin(&witness);
    expect_count(&witness, 1);
    fake_depart(2);
    expect_count(&witness, 2);
    expect_event(&witness, 1, APPLE_DEXT_DEPARTED, "pci-bridge0", 1);
    apple_dext_disconnect(port);
    end(&witness);
    witness_deinit(&witness);
}

static void one_that_went_at_once_is_no_event(void **state)
{
    struct witness witness;
    (void)state;
    witness_init(&witness);
    begin(&witness);
    expect_count(&witness, 1);
    int entry = fake_add_device("pci-bridge1", "5:0:0", 0xabcd, 0x0001);
    fake.entries[entry].interest_is_refused = true;
    fake_arrive(entry);
    entry = fake_add_device("pci-bridge2", "6:0:0", 0xabcd, 0x0001);
    fake_arrive(entry);
    expect_count(&witness, 2);
    expect_event(&witness, 1, APPLE_DEXT_ARRIVED, "pci-bridge2", 6);
    assert_true(fake_log_contains("watch: pci-bridge1"));
    end(&witness);
    witness_deinit(&witness);
}

static void destroy_in_the_handler_is_the_end(void **state)
{
    struct witness witness;
    const struct timespec pause = {.tv_nsec = 20000000};
    (void)state;
    fake_add_device("pci-bridge9", "7:0:0", 0x1234, 0x11e8); /* would be the second event */
    witness_init(&witness);
    witness.destroys = true;
    begin(&witness);
    expect_count(&witness, 1);
    fake_depart(2);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    pthread_mutex_lock(&witness.lock);
    assert_int_equal(witness.count, 1);
    pthread_mutex_unlock(&witness.lock);
    fake_check_balance(); /* it was freed behind the handler */
    witness_deinit(&witness);
}

static void *release_later(void *opaque)
{
    struct witness *witness = opaque;
    const struct timespec pause = {.tv_nsec = 30000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    pthread_mutex_lock(&witness->lock);
    witness->must_block = false;
    pthread_cond_broadcast(&witness->changed);
    pthread_mutex_unlock(&witness->lock);
    return NULL;
}

static void destroy_waits_for_the_running_handler(void **state)
{
    struct witness witness;
    pthread_t thread;
    (void)state;
    witness_init(&witness);
    witness.must_block = true;
    begin(&witness);
    expect_count(&witness, 1);
    assert_int_equal(pthread_create(&thread, NULL, release_later, &witness), 0);
    apple_dext_watch_destroy(witness.watch);
    assert_false(witness.is_running);
    pthread_join(thread, NULL);
    witness_deinit(&witness);
}

static void destroy_races_everything(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct witness witness;
        fake.entry_count = 3;
        fake.entries[2].is_gone = false;
        witness_init(&witness);
        begin(&witness);
        int entry = fake_add_device("pci-bridge1", "5:0:0", 0xabcd, 0x0001);
        fake_arrive(entry);
        if (i % 2 == 0) {
            expect_count(&witness, 2);
        }
        fake_depart(2);
        fake_depart(entry);
        end(&witness);
        witness_deinit(&witness);
    }
}

static void claims_are_read(void **state)
{
    AppleDextInstance *list = NULL;
    size_t count = 0;
    (void)state;
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_int_equal(list[0].has_claims, 0);
    apple_dext_free_list(list);

    fake.entries[2].has_claims = true;
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_int_equal(list[0].has_claims, 1);
    assert_int_equal(list[0].claims, 0);
    assert_string_equal(list[0].claimed_by, "");
    apple_dext_free_list(list);

    fake.entries[2].claimed_by[0] = "pid 12, qemu";
    fake.entries[2].claimed_by[1] = "pid 13, dextctl";
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_int_equal(list[0].claims, 2);
    assert_string_equal(list[0].claimed_by, "pid 12, qemu; pid 13, dextctl");
    apple_dext_free_list(list);

    static const char name[] = "a name of sixty-two characters, which is nearly what can be had";
    fake.entries[2].claimed_by[0] = fake.entries[2].claimed_by[1] = name;
    fake.entries[2].claimed_by[2] = name;
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_int_equal(list[0].claims, 3);
    assert_int_equal(strlen(list[0].claimed_by), sizeof(list[0].claimed_by) - 1);
    apple_dext_free_list(list);
}

static void create_fails_without_a_host(void **state)
{
    struct witness witness;
    (void)state;
    witness_init(&witness);
    assert_null(apple_dext_watch_create(NULL, NULL));
    fake.watch_status = kIOReturnNoDevice;
    assert_null(apple_dext_watch_create(see, &witness));
    assert_true(fake_log_contains("no watch: 0xe00002c0"));
    apple_dext_watch_destroy(NULL);
    witness_deinit(&witness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(those_that_are_there_arrive_in_order),
        CLIENT_TEST(arrivals_and_departures_come_as_they_happen),
        CLIENT_TEST(an_arrival_is_told_once),
        CLIENT_TEST(the_departure_of_an_open_device_included),
        CLIENT_TEST(one_that_went_at_once_is_no_event),
        CLIENT_TEST(destroy_in_the_handler_is_the_end),
        CLIENT_TEST(destroy_waits_for_the_running_handler),
        CLIENT_TEST(destroy_races_everything),
        CLIENT_TEST(claims_are_read),
        CLIENT_TEST(create_fails_without_a_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
