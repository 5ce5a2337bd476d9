/*
 * IOKit itself: counts and sizes of method calls, mappings, what waits for what.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOMapTypes.h>
#include <mach/mach.h>
#include <mach/mig_errors.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0",
                                      "testdev,addr=03:00.0,ready_after_ns=400000000", NULL};
enum { SLOW = 0x03, SLOW_NS = 400000000 };

static void seventeen_scalars_are_not_sent(void **state)
{
    AppleDextStatistics before;
    AppleDextStatistics after;
    uint64_t in[17] = {0};
    uint64_t out[6];
    uint32_t count = 6;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_get_statistics(c, &before));
    assert_status(IOConnectCallScalarMethod(c, 0, in, 17, out, &count), MIG_ARRAY_TOO_LARGE);
    assert_int_equal(MIG_ARRAY_TOO_LARGE, -307);
    assert_int_equal(count, 6);
    assert_ok(IOConnectCallScalarMethod(c, 0, in, 16, out, &count));
    assert_ok(apple_dext_get_statistics(c, &after));
    assert_true(after.calls == before.calls + 2); /* the good one, and this question */
}

static void room_for_more_than_16_is_16(void **state)
{
    uint64_t out[40];
    uint32_t count = 40;
    io_connect_t c = contract_claimed(TESTDEV);
    memset(out, 0xa5, sizeof(out));
    assert_ok(IOConnectCallScalarMethod(c, 0, NULL, 0, out, &count));
    assert_int_equal(count, 6);
    assert_true(out[0] == TESTDEV && out[3] == 0x1234 && out[4] == 0x7e57);
    assert_true(out[16] == UINT64_C(0xa5a5a5a5a5a5a5a5));
}

static void counts_on_success_and_failure(void **state)
{
    const uint64_t bad[2] = {1, 4};
    const uint64_t good[2] = {0, 4};
    uint64_t out[4] = {0xa5, 0xa5, 0xa5, 0xa5};
    uint8_t bytes[64];
    uint32_t count = 4;
    size_t size = sizeof(bytes);
    io_connect_t c = contract_claimed(TESTDEV);
    memset(bytes, 0xa5, sizeof(bytes));
    assert_status(IOConnectCallMethod(c, 8, bad, 2, NULL, 0, out, &count, bytes, &size),
                  kIOReturnBadArgument);
    assert_int_equal(count, 4);
    assert_int_equal(size, sizeof(bytes));
    assert_true(out[0] == 0xa5 && bytes[0] == 0xa5);
    assert_ok(IOConnectCallScalarMethod(c, 8, good, 2, out, &count));
    assert_int_equal(count, 1);
    assert_true(out[0] == 0x7e571234);
}

/* No selector takes structures: a call that brings some is the driver's to judge, and whatever it
 * says, it says so for every size, inline (up to 4096 bytes) or not. */
static void structures_of_every_size_travel(void **state)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 65536, 1 << 20};
    uint8_t *bytes = calloc(1, 1 << 20);
    uint64_t value;
    io_connect_t c = contract_claimed(TESTDEV);
    kern_return_t first = IOConnectCallStructMethod(c, 1, bytes, 1, NULL, NULL);
    assert_true(first == kIOReturnSuccess || first == kIOReturnBadArgument);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_status(IOConnectCallStructMethod(c, 1, bytes, sizes[i], NULL, NULL), first);
        assert_status(IOConnectCallStructMethod(c, 999, bytes, sizes[i], NULL, NULL),
                      kIOReturnUnsupported);
        size_t room = sizes[i];
        assert_status(IOConnectCallStructMethod(c, 999, NULL, 0, bytes, &room),
                      kIOReturnUnsupported);
        assert_int_equal(room, sizes[i]);
    }
    assert_ok(apple_dext_config_read(c, 0, 4, &value));
    free(bytes);
}

static void null_outputs(void **state)
{
    const uint64_t in[2] = {0, 4};
    io_connect_t c = contract_claimed(TESTDEV);
    /* Room for nothing is too little for a selector that answers. */
    assert_status(IOConnectCallScalarMethod(c, 8, in, 2, NULL, NULL), kIOReturnBadArgument);
    assert_ok(IOConnectCallMethod(c, 1, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL));
}

/* Mappings. */

static kern_return_t map(io_connect_t c, uint32_t type, uint32_t options,
                         mach_vm_address_t *address, mach_vm_size_t *size)
{
    *address = 0;
    *size = 0xa5;
    return IOConnectMapMemory64(c, type, mach_task_self(), address, size, options);
}

static void every_failure_to_map_is_bad_argument(void **state)
{
    static const uint32_t types[] = {0, 2, 4, 6, 7, 8, 255, UINT32_MAX};
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t c = contract_claimed(TESTDEV);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_status(map(c, types[i], kIOMapAnywhere, &address, &size), kIOReturnBadArgument);
        assert_true(address == 0);
    }
    io_connect_t unclaimed = contract_connect(TESTDEV);
    assert_status(map(unclaimed, 1, kIOMapAnywhere, &address, &size), kIOReturnBadArgument);
    assert_status(IOConnectMapMemory64(c, 1, mach_task_self(), NULL, &size, kIOMapAnywhere),
                  kIOReturnBadArgument);
    assert_status(IOConnectMapMemory64(c, 1, mach_task_self(), &address, NULL, kIOMapAnywhere),
                  kIOReturnBadArgument);
}

static void without_anywhere_the_address_counts(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_status(map(c, 5, 0, &address, &size), kIOReturnBadArgument); /* address 0 */
    assert_ok(map(c, 5, kIOMapAnywhere, &address, &size));
    mach_vm_address_t taken = address;
    assert_ok(IOConnectUnmapMemory64(c, 5, mach_task_self(), taken));
    assert_ok(IOConnectMapMemory64(c, 5, mach_task_self(), &address, &size, 0));
    assert_true(address == taken);
    mach_vm_address_t again = taken;
    assert_status(IOConnectMapMemory64(c, 1, mach_task_self(), &again, &size, 0),
                  kIOReturnBadArgument); /* never over something that is there */
    *(volatile uint8_t *)(uintptr_t)taken = 1;
}

static void size_is_exact(void **state)
{
    const uint64_t in[2] = {5000, 0};
    uint64_t out[6];
    uint32_t count = 6;
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(IOConnectCallScalarMethod(c, 3, in, 2, out, &count));
    assert_ok(map(c, 0, kIOMapAnywhere, &address, &size));
    assert_true(size == 5000); /* not rounded to pages */
    assert_true(address % vm_page_size == 0);
    ((volatile uint8_t *)(uintptr_t)address)[4999] = 1;
}

static void one_mapping_a_type_and_one_unmap(void **state)
{
    mach_vm_address_t one;
    mach_vm_address_t two;
    mach_vm_size_t size;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(map(c, 5, kIOMapAnywhere, &one, &size));
    assert_ok(map(c, 5, kIOMapAnywhere, &two, &size));
    assert_true(one == two);
    assert_ok(IOConnectUnmapMemory64(c, 5, mach_task_self(), 0x1234)); /* address is ignored */
    assert_status(IOConnectUnmapMemory64(c, 5, mach_task_self(), one), kIOReturnBadArgument);
    assert_status(IOConnectUnmapMemory64(c, 1, mach_task_self(), one), kIOReturnBadArgument);
}

static void cache_modes_are_mappings_of_their_own(void **state)
{
    mach_vm_address_t one;
    mach_vm_address_t two;
    mach_vm_size_t size;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(map(c, 5, kIOMapAnywhere, &one, &size));
    assert_ok(map(c, 5, kIOMapAnywhere | kIOMapWriteCombineCache, &two, &size));
    assert_true(one != two);
    *(volatile uint32_t *)(uintptr_t)one = 0x600dcafe;
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)two, 0x600dcafe);
}

static void read_only_is_the_drivers_choice(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(map(c, 5, kIOMapAnywhere | kIOMapReadOnly, &address, &size));
    *(volatile uint8_t *)(uintptr_t)address = 1; /* the option is outside what a client may ask */
}

/* What waits for what. */

struct resetter {
    io_connect_t connection;
    io_connect_t other; /* tells that the reset has begun: the state is answered meanwhile */
    uint64_t begun_ns;  /* before the reset was asked for */
    _Atomic bool is_done;
    pthread_t thread;
    kern_return_t status;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *reset_slowly(void *opaque)
{
    struct resetter *resetter = opaque;
    resetter->status = IOConnectCallScalarMethod(resetter->connection, 17, NULL, 0, NULL, NULL);
    resetter->is_done = true;
    return NULL;
}

/* Returns with the reset under way; on a machine that was busy elsewhere for long, over. */
static void start_slow_reset(struct resetter *resetter)
{
    resetter->connection = contract_claimed(SLOW);
    resetter->other = contract_connect(SLOW);
    resetter->begun_ns = clock_ns();
    assert_int_equal(pthread_create(&resetter->thread, NULL, reset_slowly, resetter), 0);
    wait_for_reset(resetter->other, &resetter->is_done);
}

/* The device needs so long: what returned earlier did not wait for it. */
static void end_slow_reset(struct resetter *resetter)
{
    assert_true(clock_ns() - resetter->begun_ns >= SLOW_NS);
    pthread_join(resetter->thread, NULL);
    assert_ok(resetter->status);
}

static void map_waits_for_calls(void **state)
{
    struct resetter resetter = {0};
    mach_vm_address_t address;
    mach_vm_size_t size;
    start_slow_reset(&resetter);
    assert_ok(map(resetter.connection, 5, kIOMapAnywhere, &address, &size));
    end_slow_reset(&resetter);
}

static void close_waits_for_calls(void **state)
{
    struct resetter resetter = {0};
    start_slow_reset(&resetter);
    assert_ok(IOServiceClose(resetter.connection));
    end_slow_reset(&resetter);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(seventeen_scalars_are_not_sent),
        contract_test(room_for_more_than_16_is_16),
        contract_test(counts_on_success_and_failure),
        contract_test(structures_of_every_size_travel),
        contract_test(null_outputs),
        contract_test(every_failure_to_map_is_bad_argument),
        contract_test(without_anywhere_the_address_counts),
        contract_test(size_is_exact),
        contract_test(one_mapping_a_type_and_one_unmap),
        contract_test(cache_modes_are_mappings_of_their_own),
        contract_test(read_only_is_the_drivers_choice),
        contract_test(map_waits_for_calls),
        contract_test(close_waits_for_calls),
    };
    const struct contract_suite suite = {.name = "iokit_calls",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
