/*
 * Clients come, work and go on several threads while interrupts fire and the device reaches for
 * their memory. What it finds, a sanitizer reports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#define CLIENTS 3
#define ROUNDS  150

static struct fixture fixture;
static _Atomic bool is_over;
static _Atomic unsigned failures; /* cmocka's asserts are for the main thread */
static _Atomic uint64_t bus_addresses[CLIENTS];

static void expect(bool is_so)
{
    failures += !is_so;
}

static void live_once(unsigned index, unsigned round)
{
    struct fake_client *context = &fixture.contexts[index];
    struct dext_client *client = NULL;
    struct dext_memory memory;
    uint64_t out[16];
    *context = (struct fake_client){.host = &fixture.host};
    expect(dext_client_open(fixture.dext, 0, context, &client) == 0);
    expect(CALL0(client, 1, out) == 0);
    expect(CALL(client, 5, out, 0x1000, 0x10000, 65536) == 0);
    bus_addresses[index] = out[1];
    expect(CALL0(client, 13, out) == 0);
    for (unsigned i = 0; i < 4; i++) {
        expect(fake_wait(client, round) == 0);
        expect(CALL(client, 16, out, UINT64_MAX, i, 0, UINT64_MAX) == 0);
        expect(CALL0(client, 14, out) == 0);
        expect(CALL0(client, 68, out) == 0);
        expect(CALL(client, 8, out, 0, 4) == 0 && out[0] == 0x56781234);
        expect(CALL(client, 5, out, 0x100000 + i * 0x10000, 0x10000, 4096) == 0);
    }
    expect(CALL(client, 3, out, 4096, 0) == 0);
    expect(dext_client_memory_for_type(client, 7, &memory) == 0);
    expect(CALL(client, 6, out, 0x100000) == 0);
    dext_client_stop(client);
    context->is_stopped = true;
}

static void *client_thread(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        live_once(index, round);
    }
    return NULL;
}

static void *device_thread(void *argument)
{
    (void)argument;
    uint64_t word;
    for (unsigned i = 0; !is_over; i++) {
        fake_device_fire(fixture.device, i % 256);
        (void)dart_device_read(fixture.device->provider.dart, bus_addresses[i % CLIENTS], &word,
                               sizeof(word));
        (void)dart_device_write(fixture.device->provider.dart, bus_addresses[i % CLIENTS] + 4096,
                                &word, sizeof(word));
    }
    return NULL;
}

static void clients_come_and_go_under_fire(void **state)
{
    (void)state;
    pthread_t clients[CLIENTS], device;
    fixture_set_up(&fixture, NULL, NULL);
    assert_int_equal(pthread_create(&device, NULL, device_thread, NULL), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&clients[i], NULL, client_thread, (void *)(uintptr_t)i), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i], NULL);
    }
    is_over = true;
    pthread_join(device, NULL);
    assert_int_equal(failures, 0);
    fixture_tear_down(&fixture);
}

/* Waits and vectors race: no wake is lost, however they meet. */
static void *fire_once(void *argument)
{
    fake_device_fire(argument, 7);
    return NULL;
}

static void no_wake_is_lost(void **state)
{
    (void)state;
    uint64_t out[16];
    fixture_set_up(&fixture, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&fixture, 0);
    assert_code(CALL0(client, 13, out), 0);
    for (unsigned round = 1; round <= 300; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, fire_once, fixture.device), 0);
        assert_code(fake_wait(client, round), 0);
        pthread_join(thread, NULL);
        assert_int_equal(fixture.contexts[0].completions, round);
        assert_code(CALL0(client, 14, out), 0);
        assert_u64(out[0], 0x80);
    }
    fixture_tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_come_and_go_under_fire),
        cmocka_unit_test(no_wake_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
