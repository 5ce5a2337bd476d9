/*
 * Several clients of one device: who comes, who goes, in which order, and threads of one client.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "testdev.h"

static const char *const devices[] = {"testdev,addr=02:00.0", NULL};

#define IOVA(client) (UINT64_C(0x100000) * ((client) + 1))

/* One of three clients that use everything there is. */
struct client {
    io_connect_t connection;
    uint64_t bus;
    volatile uint8_t *regs, *shared;
    uint8_t memory[4096];
};

static volatile uint8_t *map(io_connect_t c, uint8_t bar)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size;
    uint8_t type;
    assert_ok(apple_dext_map_bar(c, bar, &address, &size, &type));
    return (volatile uint8_t *)(uintptr_t)address;
}

static void client_start(struct client *client, unsigned number)
{
    uint32_t vectors;
    client->connection = contract_claimed(TESTDEV);
    client->bus =
        dma_register(client->connection, IOVA(number), client->memory, sizeof(client->memory));
    client->regs = map(client->connection, 0);
    client->shared = map(client->connection, 4);
    assert_ok(apple_dext_setup_interrupts(client->connection, &vectors));
}

struct look {
    io_connect_t connection;
    unsigned vector;
};

static bool has_pending(void *opaque)
{
    const struct look *look = opaque;
    uint64_t pending[4] = {0};
    assert_ok(apple_dext_read_pending_irqs(look->connection, pending));
    return pending[0] >> look->vector & 1;
}

/* Stop is asynchronous. */
static bool is_left(void *opaque)
{
    AppleDextStatistics now;
    assert_ok(apple_dext_get_statistics(*(io_connect_t *)opaque, &now));
    return now.claims == 0 && now.live_regions == 0;
}

/* Everything works: config, both kinds of mapping, DMA both ways, interrupts. */
static void client_check(struct client *client, unsigned vector)
{
    uint64_t pending[4] = {0};
    uint64_t command = 0;
    assert_ok(apple_dext_config_read(client->connection, 4, 2, &command));
    assert_int_equal(command & 6, 6);
    assert_int_equal(*(volatile uint32_t *)client->regs, TESTDEV_ID_VALUE);
    *client->shared = (uint8_t)vector;
    assert_int_equal(*client->shared, vector);
    pattern_fill(client->memory, 2048, vector);
    engine_copy(client->connection, client->bus, client->bus + 2048, 2048);
    assert_true(pattern_matches(client->memory + 2048, 2048, vector));
    assert_ok(apple_dext_read_pending_irqs(client->connection, pending));
    reg_write(client->connection, TESTDEV_FIRE, 4, vector);
    assert_true(contract_eventually(has_pending, &(struct look){client->connection, vector}));
}

static void leaving_in_every_order(void **state)
{
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static struct client clients[3];
    uint64_t value;
    io_connect_t onlooker = contract_connect(TESTDEV);
    for (size_t order = 0; order < 6; order++) {
        for (unsigned i = 0; i < 3; i++) {
            client_start(&clients[i], i);
        }
        for (unsigned gone = 0; gone < 3; gone++) {
            for (unsigned i = gone; i < 3; i++) {
                client_check(&clients[orders[order][i]], 1 + orders[order][i]);
            }
            contract_disconnect(clients[orders[order][gone]].connection);
        }
        assert_true(contract_eventually(is_left, &onlooker));
        assert_status(apple_dext_config_read(onlooker, 0, 4, &value), kIOReturnNotOpen);
    }
}

static struct client a, b;

static bool is_out_of_reach(void *opaque)
{
    (void)opaque;
    return device_write(b.connection, a.bus, 1, 0) != ERROR_NONE;
}

static void a_leaving_client_takes_its_own_only(void **state)
{
    client_start(&a, 0);
    client_start(&b, 1);
    contract_disconnect(a.connection);
    assert_true(contract_eventually(is_out_of_reach, NULL));
    memset(a.memory, 0x5a, sizeof(a.memory));
    assert_int_equal(device_write(b.connection, a.bus, 4, 0), ERROR_WRITE);
    assert_int_equal(a.memory[0], 0x5a);
    client_check(&b, 7);
}

static void a_claim_is_each_clients_own(void **state)
{
    uint64_t value = 0;
    io_connect_t owner = contract_claimed(TESTDEV);
    io_connect_t other = contract_connect(TESTDEV);
    assert_status(apple_dext_config_read(other, 0, 4, &value), kIOReturnNotOpen);
    assert_ok(apple_dext_claim(other));
    assert_ok(apple_dext_config_read(other, 0, 4, &value));
    contract_disconnect(owner);
    assert_ok(apple_dext_config_read(other, 0, 4, &value));
    assert_true(value == 0x7e571234);
}

static void claiming_again_after_all_left(void **state)
{
    uint64_t command;
    for (int i = 0; i < 5; i++) {
        io_connect_t c = contract_claimed(TESTDEV);
        assert_ok(apple_dext_config_read(c, 4, 2, &command));
        assert_int_equal(command & 6, 6);
        assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
        contract_disconnect(c);
    }
}

static void many_connections(void **state)
{
    io_connect_t connections[40];
    AppleDextStatistics now;
    for (size_t i = 0; i < 40; i++) {
        connections[i] = contract_claimed(TESTDEV);
        for (size_t other = 0; other < i; other++) {
            assert_int_not_equal(connections[i], connections[other]);
        }
    }
    assert_ok(apple_dext_get_statistics(connections[0], &now));
    assert_true(now.claims == 40);
    for (size_t i = 0; i < 40; i++) {
        assert_true(reg_read(connections[i], TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    }
}

/* Threads. */

struct work {
    io_connect_t connection;
    unsigned number;
    _Atomic unsigned *failures;
    volatile uint8_t *shared;
};

static void *use_connection(void *opaque)
{
    struct work *work = opaque;
    uint64_t value;
    static uint8_t memory[4][4096];
    for (unsigned i = 0; i < 100; i++) {
        uint64_t bus;
        uint64_t bytes;
        uint64_t iova = IOVA(work->number) + i * 4096;
        *work->failures +=
            apple_dext_config_read(work->connection, 0, 4, &value) != 0 || value != 0x7e571234;
        *work->failures += apple_dext_mmio_write(work->connection, 0,
                                                 TESTDEV_SCRATCH_ANY + work->number * 4, 4, i) != 0;
        *work->failures +=
            apple_dext_mmio_read(work->connection, 0, TESTDEV_SCRATCH_ANY + work->number * 4, 4,
                                 &value) != 0 ||
            value != i;
        *work->failures +=
            apple_dext_register_dma(work->connection, iova, (uintptr_t)memory[work->number], 4096,
                                    &bus, &bytes) != 0;
        *work->failures += apple_dext_unregister_dma(work->connection, iova) != 0;
        volatile uint32_t *word = (volatile uint32_t *)(work->shared + TESTDEV_SCRATCH_ANY);
        *work->failures += word[work->number] != i;
    }
    return NULL;
}

static void threads_on_one_connection(void **state)
{
    _Atomic unsigned failures = 0;
    pthread_t threads[4];
    struct work work[4];
    io_connect_t c = contract_claimed(TESTDEV);
    volatile uint8_t *regs = map(c, 0);
    for (unsigned i = 0; i < 4; i++) {
        work[i] =
            (struct work){.connection = c, .number = i, .failures = &failures, .shared = regs};
        assert_int_equal(pthread_create(&threads[i], NULL, use_connection, &work[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(failures, 0);
}

static void *connect_and_leave(void *opaque)
{
    struct work *work = opaque;
    uint64_t value;
    for (unsigned i = 0; i < 15; i++) {
        io_connect_t c = apple_dext_connect(TESTDEV, 0, 0);
        *work->failures += apple_dext_claim(c) != 0;
        *work->failures +=
            apple_dext_mmio_read(c, 0, 0, 4, &value) != 0 || value != TESTDEV_ID_VALUE;
        apple_dext_disconnect(c);
    }
    return NULL;
}

static void clients_come_and_go_at_once(void **state)
{
    _Atomic unsigned failures = 0;
    pthread_t threads[4];
    struct work work = {.failures = &failures};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, connect_and_leave, &work), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(failures, 0);
}

static void *read_until_closed(void *opaque)
{
    struct work *work = opaque;
    uint64_t value;
    kern_return_t status;
    do {
        status = apple_dext_config_read(work->connection, 0, 4, &value);
    } while (status == kIOReturnSuccess);
    *work->failures += status != MACH_SEND_INVALID_DEST;
    return NULL;
}

static void disconnect_during_calls(void **state)
{
    _Atomic unsigned failures = 0;
    pthread_t threads[3];
    struct work work = {.failures = &failures, .connection = contract_claimed(TESTDEV)};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_closed, &work), 0);
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    contract_disconnect(work.connection);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(leaving_in_every_order),
        contract_test(a_leaving_client_takes_its_own_only),
        contract_test(a_claim_is_each_clients_own),
        contract_test(claiming_again_after_all_left),
        contract_test(many_connections),
        contract_test(threads_on_one_connection),
        contract_test(clients_come_and_go_at_once),
        contract_test(disconnect_during_calls),
    };
    const struct contract_suite suite = {.name = "clients",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
