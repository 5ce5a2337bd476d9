/*
 * Resets that work, resets that do not, and devices that are dead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "testdev.h"

static const char *const devices[] = {
    "edu,addr=01:00.0",
    "testdev,addr=02:00.0",
    "testdev,addr=03:00.0,reset=noflr",
    "testdev,addr=04:00.0,reset=hotonly",
    "testdev,addr=05:00.0,reset=ignored",
    "testdev,addr=06:00.0,reset=stuck",
    "testdev,addr=07:00.0,reset=retry",
    "testdev,addr=08:00.0,reset=dead",
    "testdev,addr=09:00.0,ready_after_ns=800000000",
    NULL,
};

enum {
    NO_FLR = 0x03,
    HOT_ONLY = 0x04,
    IGNORED = 0x05,
    STUCK = 0x06,
    RETRY = 0x07,
    DEAD = 0x08,
    SLOW = 0x09
};

enum { RESET_FUNCTION = 1, RESET_POWER = 2, RESET_HOT = 3 };

static uint64_t device_generation(io_connect_t c)
{
    AppleDextDeviceState device;
    assert_ok(apple_dext_get_device_state(c, &device));
    assert_int_equal(device.presence, APPLE_DEXT_PRESENT);
    return device.generation;
}

static void check_reset(uint8_t bus, uint32_t kind)
{
    io_connect_t c = contract_claimed(bus);
    uint64_t generation = reg_read(c, TESTDEV_GENERATION, 4);
    uint64_t seen = device_generation(c);
    uint64_t command = 0;
    reg_write(c, TESTDEV_SCRATCH_4, 4, 0x12345678);
    assert_ok(apple_dext_reset_device(c));
    assert_true(reg_read(c, TESTDEV_GENERATION, 4) == generation + 1);
    assert_int_equal(reg_read(c, TESTDEV_LAST_RESET, 4), kind);
    assert_int_equal(reg_read(c, TESTDEV_SCRATCH_4, 4), 0);
    assert_true(device_generation(c) == seen + 1);
    assert_ok(apple_dext_config_read(c, 4, 2, &command));
    assert_int_equal(command & 6, 6); /* memory space and bus mastering as before */
}

static void function_level_comes_first(void **state)
{
    check_reset(TESTDEV, RESET_FUNCTION);
}

static void power_where_there_is_no_function_level(void **state)
{
    check_reset(NO_FLR, RESET_POWER);
}

static void hot_where_there_is_nothing_else(void **state)
{
    check_reset(HOT_ONLY, RESET_HOT);
}

static void reset_that_is_ignored_is_no_error(void **state)
{
    io_connect_t c = contract_claimed(IGNORED);
    assert_ok(apple_dext_reset_device(c));
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
}

static void edu_is_reset_hot(void **state)
{
    uint64_t value = 0;
    io_connect_t c = contract_claimed(EDU);
    assert_ok(apple_dext_mmio_write(c, 0, 0x04, 4, 0x1234));
    assert_ok(apple_dext_reset_device(c));
    assert_ok(apple_dext_mmio_read(c, 0, 0x00, 4, &value));
    assert_true(value == 0x010000ed);
    assert_ok(apple_dext_mmio_read(c, 0, 0x04, 4, &value));
    assert_true(value != (uint32_t)~0x1234u);
}

struct look {
    io_connect_t connection;
    uint64_t pending[4];
};

static bool has_pending(void *opaque)
{
    struct look *look = opaque;
    assert_ok(apple_dext_read_pending_irqs(look->connection, look->pending));
    return look->pending[0] != 0;
}

static void what_clients_hold_survives(void **state)
{
    static uint8_t memory[4096];
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;
    uint32_t vectors;
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, 0x100000, memory, sizeof(memory));
    assert_ok(apple_dext_map_bar(c, 0, &address, &size, &type));
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    assert_ok(apple_dext_reset_device(c));
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)address, TESTDEV_ID_VALUE);
    assert_int_equal(device_write(c, bus, 4, 0x31415926), ERROR_NONE);
    assert_memory_equal(memory, "\x26\x59\x41\x31", 4);
    reg_write(c, TESTDEV_FIRE, 4, 5);
    struct look look = {.connection = c};
    assert_true(contract_eventually(has_pending, &look));
    assert_true(look.pending[0] == 0x20);
}

static void slow_device_is_waited_for(void **state)
{
    struct timespec start;
    struct timespec end;
    io_connect_t c = contract_claimed(SLOW);
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_ok(apple_dext_reset_device(c));
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 >=
                799);
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    assert_int_equal(reg_read(c, TESTDEV_LAST_RESET, 4), RESET_FUNCTION);
}

struct resetter {
    io_connect_t connection;
    pthread_t thread;
    _Atomic bool is_over;
    kern_return_t status;
};

static void *reset_in_thread(void *opaque)
{
    struct resetter *resetter = opaque;
    resetter->status = apple_dext_reset_device(resetter->connection);
    resetter->is_over = true;
    return NULL;
}

static void resetter_start(struct resetter *resetter, uint8_t bus)
{
    *resetter = (struct resetter){.connection = contract_claimed(bus)};
    assert_int_equal(pthread_create(&resetter->thread, NULL, reset_in_thread, resetter), 0);
}

static kern_return_t resetter_end(struct resetter *resetter)
{
    pthread_join(resetter->thread, NULL);
    contract_disconnect(resetter->connection);
    return resetter->status;
}

static bool is_resetting(io_connect_t onlooker)
{
    AppleDextDeviceState device;
    assert_ok(apple_dext_get_device_state(onlooker, &device));
    return device.presence == APPLE_DEXT_RESETTING;
}

/* The device is away for 800 ms, for whatever is done by those who do not touch it: on a machine
 * that needs longer, or was away itself, it is tried again. */
enum { ATTEMPTS = 60 };

enum { A_LIST, ANOTHER_DEVICE, STATISTICS, EVERYTHING };

static void do_what_waits_for_nobody(unsigned what, io_connect_t other, io_connect_t onlooker)
{
    AppleDextStatistics statistics;
    AppleDextInstance *list = NULL;
    size_t count = 0;
    uint64_t value = 0;
    switch (what) {
    case A_LIST:
        assert_ok(apple_dext_list(&list, &count));
        apple_dext_free_list(list);
        break;
    case ANOTHER_DEVICE:
        assert_ok(apple_dext_config_read(other, 0, 4, &value));
        break;
    default:
        assert_ok(apple_dext_get_statistics(onlooker, &statistics));
    }
}

/* From one of them on; which is the first that was not done during the reset. */
static unsigned use_others_during_a_reset(io_connect_t onlooker, unsigned what)
{
    uint64_t value = 0;
    struct resetter resetter;
    uint64_t generation = device_generation(onlooker);
    io_connect_t other = contract_claimed(TESTDEV);
    resetter_start(&resetter, SLOW);
    wait_for_reset(onlooker, &resetter.is_over);
    for (; what < EVERYTHING; what++) {
        do_what_waits_for_nobody(what, other, onlooker);
        if (!is_resetting(onlooker)) {
            break;
        }
    }
    io_connect_t user = contract_claimed(SLOW);
    assert_ok(apple_dext_config_read(user, 0, 4, &value)); /* this waits */
    assert_true(value == 0x7e571234);
    assert_true(device_generation(onlooker) == generation + 1);
    contract_disconnect(user);
    contract_disconnect(other);
    assert_ok(resetter_end(&resetter));
    return what;
}

static void a_reset_holds_up_nobody_else(void **state)
{
    int attempts = 0;
    unsigned what = 0;
    io_connect_t onlooker = contract_connect(SLOW);
    while ((what = use_others_during_a_reset(onlooker, what)) < EVERYTHING) {
        assert_true(++attempts < ATTEMPTS);
    }
}

static void *count_in_thread(void *opaque)
{
    DextHostUsage usage;
    dext_host_get_usage(opaque, &usage);
    return NULL;
}

/* Counting what a host holds waits for a dext in a reset; nobody waits for who counts. */
static bool connect_while_somebody_counts(io_connect_t onlooker)
{
    pthread_t count;
    struct resetter resetter;
    resetter_start(&resetter, SLOW);
    wait_for_reset(onlooker, &resetter.is_over);
    assert_int_equal(pthread_create(&count, NULL, count_in_thread, contract_embedded_host()), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* it waits by then, most times */
    contract_disconnect(contract_connect(TESTDEV));
    bool took_no_time = is_resetting(onlooker);
    pthread_join(count, NULL);
    assert_ok(resetter_end(&resetter));
    return took_no_time;
}

static void counting_holds_up_nobody(void **state)
{
    int attempts = 0;
    io_connect_t onlooker = contract_connect(SLOW);
    while (!connect_while_somebody_counts(onlooker)) {
        assert_true(++attempts < ATTEMPTS);
    }
}

/* Side by side: each takes its deadlines. */
static void devices_that_do_not_come_back(void **state)
{
    static const struct {
        uint8_t bus;
        kern_return_t status;
    } rows[] = {
        {STUCK, kIOReturnSuccess}, {RETRY, kIOReturnNotResponding}, {DEAD, kIOReturnNotResponding}};
    struct resetter resetters[3];
    io_connect_t connections[3];
    for (size_t i = 0; i < 3; i++) {
        connections[i] = contract_claimed(rows[i].bus);
        resetter_start(&resetters[i], rows[i].bus);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_status(resetter_end(&resetters[i]), rows[i].status);
    }
    uint64_t value = 0;
    /* A hot reset revives the stuck one. */
    assert_int_equal(reg_read(connections[0], TESTDEV_LAST_RESET, 4), RESET_HOT);
    /* The one that answers retry for ever: its vendor ID is 0x0001, everything else ones. */
    assert_ok(apple_dext_config_read(connections[1], 0, 2, &value));
    assert_true(value == 0x0001);
    assert_status(apple_dext_config_read(connections[2], 0, 2, &value), kIOReturnNoDevice);
    assert_true(value == 0xffff);
}

static void kill_device(io_connect_t c)
{
    reg_write(c, TESTDEV_DIE, 4, TESTDEV_DIE_VALUE);
}

static void dead_is_not_ones(void **state)
{
    uint8_t bytes[64];
    uint64_t value = 0;
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;
    io_connect_t c = contract_claimed(HOT_ONLY);
    assert_ok(apple_dext_map_bar(c, 0, &address, &size, &type));
    reg_write(c, TESTDEV_DIE, 4, 0x12345678); /* another value does nothing */
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    kill_device(c);
    assert_status(apple_dext_config_read(c, 0, 4, &value), kIOReturnNoDevice);
    assert_true(value == UINT32_MAX);
    assert_status(apple_dext_config_read(c, 0x2e, 1, &value), kIOReturnNoDevice);
    assert_true(value == 0xff);
    for (unsigned width = 1; width <= 8; width *= 2) {
        value = 0;
        assert_status(apple_dext_mmio_read(c, 0, 0x50, width, &value), kIOReturnNoDevice);
        assert_true(value == UINT64_MAX >> (64 - 8 * width));
    }
    memset(bytes, 0, sizeof(bytes));
    assert_status(apple_dext_config_read_block(c, 3, bytes, sizeof(bytes)), kIOReturnNoDevice);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(bytes[i], 0xff);
    }
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)address, UINT32_MAX);
    *(volatile uint32_t *)((uintptr_t)address + TESTDEV_SCRATCH_4) = 1; /* vanishes */

    assert_ok(apple_dext_reset_device(c));
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    assert_int_equal(reg_read(c, TESTDEV_LAST_RESET, 4), RESET_HOT);
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)address, TESTDEV_ID_VALUE);
}

static void registry_knows_a_dead_device(void **state)
{
    AppleDextInstance who;
    io_connect_t c = contract_claimed(HOT_ONLY);
    kill_device(c);
    io_connect_t other = contract_claimed(HOT_ONLY);
    assert_ok(apple_dext_get_identity(other, &who));
    assert_true(who.has_ids);
    assert_int_equal(who.device_id, 0x7e57); /* never ones */
    assert_ok(apple_dext_reset_device(other));
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
}

static void direct_memory_outlives_the_device(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;
    io_connect_t c = contract_claimed(HOT_ONLY);
    assert_ok(apple_dext_map_bar(c, 4, &address, &size, &type));
    volatile uint32_t *word = (volatile uint32_t *)(uintptr_t)address;
    *word = 0x600dcafe;
    kill_device(c);
    assert_int_equal(*word, 0x600dcafe);
    assert_ok(apple_dext_reset_device(c));
    assert_int_equal(*word, 0x600dcafe);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(function_level_comes_first),
        contract_test(power_where_there_is_no_function_level),
        contract_test(hot_where_there_is_nothing_else),
        contract_test(reset_that_is_ignored_is_no_error),
        contract_test(edu_is_reset_hot),
        contract_test(what_clients_hold_survives),
        contract_test(slow_device_is_waited_for),
        contract_test(a_reset_holds_up_nobody_else),
        contract_test_when(counting_holds_up_nobody, WHEN_EMBEDDED),
        contract_test_when(devices_that_do_not_come_back, WHEN_4K), /* seconds */
        contract_test(dead_is_not_ones),
        contract_test(registry_knows_a_dead_device),
        contract_test(direct_memory_outlives_the_device),
    };
    const struct contract_suite suite = {.name = "reset",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
