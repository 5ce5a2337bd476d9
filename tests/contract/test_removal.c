/*
 * Drivers that end under their clients: terminated by one of them, or the device unplugged.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <mach/mach.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "testdev.h"

/* One device a test: what is terminated does not come back. */
static const char *const devices[] = {
    "testdev,addr=10:00.0", "testdev,addr=11:00.0", "testdev,addr=12:00.0",
    "testdev,addr=13:00.0", "testdev,addr=14:00.0", "testdev,addr=15:00.0",
    "testdev,addr=16:00.0", "edu,addr=01:00.0",     NULL,
};

static bool is_listed(uint8_t bus)
{
    AppleDextInstance *list = NULL;
    size_t count = 0;
    bool found = false;
    assert_ok(apple_dext_list(&list, &count));
    for (size_t i = 0; i < count; i++) {
        found |= list[i].bus == bus;
    }
    apple_dext_free_list(list);
    return found;
}

struct expectation {
    io_connect_t connection;
    kern_return_t status;
};

static bool calls_give(void *opaque)
{
    const struct expectation *want = opaque;
    uint64_t value;
    return apple_dext_config_read(want->connection, 0, 4, &value) == want->status;
}

/* Termination is asynchronous: the caller's own call has to return first. */
static void assert_dies(io_connect_t c, kern_return_t status)
{
    assert_true(contract_eventually(calls_give, &(struct expectation){c, status}));
}

static volatile uint32_t *map(io_connect_t c, uint8_t bar)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size;
    uint8_t type;
    assert_ok(apple_dext_map_bar(c, bar, &address, &size, &type));
    return (volatile uint32_t *)(uintptr_t)address;
}

static bool is_not_listed(void *bus)
{
    return !is_listed(*(uint8_t *)bus);
}

static void terminate_ends_it_for_all(void **state)
{
    static uint8_t memory[4096];
    uint64_t out;
    uint64_t bytes;
    io_connect_t user = contract_claimed(0x10);
    io_connect_t other = contract_claimed(0x10);
    io_connect_t unclaimed = contract_connect(0x10);
    dma_register(user, 0x100000, memory, sizeof(memory));
    /* Whoever has no claim may not touch, and this is a touch. */
    assert_status(apple_dext_terminate(unclaimed), kIOReturnNotOpen);
    assert_true(is_listed(0x10));
    assert_ok(apple_dext_terminate(other));
    assert_dies(user, MACH_SEND_INVALID_DEST);
    assert_dies(other, MACH_SEND_INVALID_DEST);
    assert_dies(unclaimed, MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_claim(user), MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_mmio_read(user, 0, 0, 4, &out), MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_register_dma(user, 0, (uintptr_t)memory, 16, &out, &bytes),
                  MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_reset_device(user), MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_terminate(user), MACH_SEND_INVALID_DEST);
    assert_true(contract_eventually(is_not_listed, &(uint8_t){0x10})); /* behind its connections */
    assert_int_equal(apple_dext_connect(0x10, 0, 0), IO_OBJECT_NULL);
    contract_disconnect(user);
    contract_disconnect(unclaimed);
}

static void mappings_stay_until_disconnect(void **state)
{
    io_connect_t user = contract_claimed(0x11);
    volatile uint32_t *shared = map(user, 4);
    volatile uint32_t *regs = map(user, 0);
    *shared = 0x600dcafe;
    assert_int_equal(*regs, TESTDEV_ID_VALUE);
    io_connect_t other = contract_claimed(0x11);
    assert_ok(apple_dext_terminate(other));
    assert_dies(other, MACH_SEND_INVALID_DEST);
    assert_dies(user, kIOReturnBadArgument); /* a dead connection that has mappings */
    assert_int_equal(*shared, 0x600dcafe);
    *shared = 0x1;
    assert_int_equal(*shared, 0x1);
    assert_int_equal(*regs, UINT32_MAX); /* registers: nobody answers */
    *regs = 0;
    contract_disconnect(user);
}

static uint8_t target[1 << 20]; /* of a copy that is under way */

/* Nothing arrives any more: the memory is the client's alone. */
static bool is_left_alone(void *opaque)
{
    (void)opaque;
    memset(target, 0x5a, sizeof(target));
    usleep(10000);
    for (size_t i = 0; i < sizeof(target); i += 64) {
        if (target[i] != 0x5a) {
            return false;
        }
    }
    return true;
}

static void start_filling_target(io_connect_t c)
{
    uint64_t bus = dma_register(c, 0x100000, target, sizeof(target));
    reg_write(c, TESTDEV_COPY_PATTERN, 8, UINT64_C(0x1111111111111111));
    reg_write(c, TESTDEV_COPY_DESTINATION, 8, bus);
    reg_write(c, TESTDEV_COPY_LENGTH, 8, sizeof(target));
    reg_write(c, TESTDEV_COPY_COMMAND, 4, COMMAND_FILL);
}

static void held_things_go_with_the_driver(void **state)
{
    io_connect_t c = contract_claimed(0x12);
    start_filling_target(c);
    assert_ok(apple_dext_terminate(c));
    assert_dies(c, MACH_SEND_INVALID_DEST);
    assert_true(contract_eventually(is_left_alone, NULL)); /* soon after its connections */
}

static _Atomic unsigned handler_runs;

static void count_run(void *opaque)
{
    (void)opaque;
    handler_runs++;
}

static void notice_of_a_dead_driver(void **state)
{
    uint32_t vectors;
    io_connect_t c = contract_claimed(0x13);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    AppleDextInterruptNotify *notify = apple_dext_interrupt_notify_create(c, count_run, NULL);
    assert_non_null(notify);
    assert_ok(apple_dext_terminate(c));
    assert_dies(c, MACH_SEND_INVALID_DEST);
    assert_int_equal(handler_runs, 0); /* the system makes up no completion */
    assert_status(apple_dext_interrupt_notify_rearm(notify), MACH_SEND_INVALID_DEST);
    apple_dext_interrupt_notify_destroy(notify);
    assert_null(apple_dext_interrupt_notify_create(c, count_run, NULL));
}

/* From here on the embedded host is asked to pull the device. */

static void remove_device(const char *address)
{
    char *cause = NULL;
    if (dext_host_remove_device(contract_embedded_host(), address, &cause)) {
        fail_msg("%s", cause);
    }
}

static void add_device(const char *specification)
{
    char *cause = NULL;
    if (dext_host_add_device(contract_embedded_host(), specification, &cause)) {
        fail_msg("%s", cause);
    }
}

static void unplugged_and_plugged_again(void **state)
{
    AppleDextInstance before;
    AppleDextInstance after;
    uint64_t value = 0;
    io_connect_t c = contract_claimed(0x14);
    assert_ok(apple_dext_get_identity(c, &before));
    remove_device("14:00.0");
    assert_status(apple_dext_config_read(c, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_false(is_listed(0x14));
    assert_int_equal(dext_host_remove_device(contract_embedded_host(), "14:00.0", NULL), -ENOENT);
    add_device("testdev,addr=14:00.0");
    io_connect_t again = contract_claimed(0x14);
    assert_ok(apple_dext_get_identity(again, &after));
    assert_true(before.entry_id != after.entry_id);
    assert_string_equal(before.name, after.name); /* the name survives replug */
    assert_string_equal(before.root, after.root);
    assert_true(reg_read(again, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    assert_status(apple_dext_config_read(c, 0, 4, &value), MACH_SEND_INVALID_DEST);
    contract_disconnect(c);
}

struct user {
    io_connect_t connection;
    volatile uint32_t *regs;
    _Atomic bool is_warm;
    _Atomic unsigned odd_codes;
    kern_return_t last;
};

static void *use_until_dead(void *opaque)
{
    struct user *user = opaque;
    static uint8_t memory[4096];
    for (;;) {
        uint64_t value;
        uint64_t bytes;
        kern_return_t codes[3] = {
            apple_dext_config_read(user->connection, 0, 4, &value),
            apple_dext_register_dma(user->connection, 0x100000, (uintptr_t)memory, 4096, &value,
                                    &bytes),
            apple_dext_unregister_dma(user->connection, 0x100000),
        };
        (void)*user->regs;
        user->is_warm = true;
        for (unsigned call = 0; call < 3; call++) {
            if (codes[call] == kIOReturnSuccess) {
                continue;
            }
            user->last = codes[call];
            /* In between: the device has gone, its driver not yet. */
            user->odd_codes +=
                codes[call] != kIOReturnNoDevice && codes[call] != kIOReturnNotFound &&
                codes[call] != MACH_SEND_INVALID_DEST && codes[call] != MIG_SERVER_DIED &&
                codes[call] != kIOReturnBadArgument;
        }
        if (codes[0] == MACH_SEND_INVALID_DEST || codes[0] == kIOReturnBadArgument) {
            return NULL;
        }
    }
}

static void unplugged_during_use(void **state)
{
    struct user user = {.connection = contract_claimed(0x15)};
    pthread_t thread;
    user.regs = map(user.connection, 0);
    assert_int_equal(pthread_create(&thread, NULL, use_until_dead, &user), 0);
    while (!user.is_warm) {
        usleep(1000);
    }
    remove_device("15:00.0");
    pthread_join(thread, NULL);
    assert_int_equal(user.odd_codes, 0);
    assert_status(user.last, kIOReturnBadArgument);
    assert_int_equal(*user.regs, UINT32_MAX);
    contract_disconnect(user.connection);
    DextHostUsage usage;
    dext_host_get_usage(contract_embedded_host(), &usage);
    assert_true(usage.connections == 0 && usage.claims == 0 && usage.regions == 0);
}

static void device_pulled_during_a_copy(void **state)
{
    io_connect_t c = contract_claimed(0x16);
    start_filling_target(c);
    remove_device("16:00.0");
    assert_true(is_left_alone(NULL)); /* at once: it is not there to write */
    contract_disconnect(c);
    assert_true(is_listed(0x01)); /* the others are as before */
    io_connect_t edu = contract_claimed(EDU);
    uint64_t value;
    assert_ok(apple_dext_mmio_read(edu, 0, 0, 4, &value));
    assert_true(value == 0x010000ed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(terminate_ends_it_for_all),
        contract_test(mappings_stay_until_disconnect),
        contract_test(held_things_go_with_the_driver),
        contract_test(notice_of_a_dead_driver),
        contract_test_when(unplugged_and_plugged_again, WHEN_EMBEDDED),
        contract_test_when(unplugged_during_use, WHEN_EMBEDDED),
        contract_test_when(device_pulled_during_a_copy, WHEN_EMBEDDED),
    };
    const struct contract_suite suite = {.name = "removal",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
