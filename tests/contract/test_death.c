/*
 * The host dies while it is used: every call returns, nothing hangs, and a new host is found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "testdev.h"

/* A reset of testdev waits for the device: its calls, and those behind them, are under way. */
static const char *const devices[] = {"edu,addr=01:00.0",
                                      "testdev,addr=02:00.0,ready_after_ns=30000000000",
                                      "testdev,addr=03:00.0", NULL};
enum { QUICK = 0x03 };

/* One thread in a call, or in one call after another. */
struct caller {
    pthread_t thread;
    io_connect_t connection;
    _Atomic bool has_begun, has_ended;
    bool repeats;
    kern_return_t first_failure;
    kern_return_t (*call)(io_connect_t connection);
};

static kern_return_t read_config(io_connect_t connection)
{
    uint64_t value;
    return apple_dext_config_read(connection, 0, 4, &value);
}

static void *call_in_thread(void *opaque)
{
    struct caller *caller = opaque;
    do {
        caller->has_begun = true;
        caller->first_failure = caller->call(caller->connection);
    } while (caller->repeats && caller->first_failure == kIOReturnSuccess);
    caller->has_ended = true;
    return NULL;
}

static void caller_start(struct caller *caller)
{
    assert_int_equal(pthread_create(&caller->thread, NULL, call_in_thread, caller), 0);
    while (!caller->has_begun) {
        usleep(1000);
    }
}

static void caller_join(struct caller *caller)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 120;
    assert_int_equal(pthread_timedjoin_np(caller->thread, NULL, &deadline), 0);
}

/* The codes of a host that went: during the call, or before it. An embedded host takes its devices
 * away first. */
static void assert_is_death(kern_return_t status)
{
    if (status != MIG_SERVER_DIED && status != MACH_SEND_INVALID_DEST &&
        (contract.is_remote || status != kIOReturnNoDevice)) {
        assert_status(status, MIG_SERVER_DIED);
    }
}

static void assert_stays_dead(io_connect_t c, kern_return_t want)
{
    static uint8_t memory[4096];
    uint64_t pending[4];
    uint64_t a;
    uint64_t b;
    uint8_t index;
    uint8_t type;
    uint32_t vectors;
    AppleDextStatistics statistics;
    assert_status(apple_dext_claim(c), want);
    assert_status(read_config(c), want);
    assert_status(apple_dext_config_write(c, 0x3c, 1, 0), want);
    assert_status(apple_dext_get_bar_info(c, 0, &index, &a, &type),
                  want == kIOReturnBadArgument ? kIOReturnBadArgument : want);
    assert_status(apple_dext_register_dma(c, 0, (uintptr_t)memory, 16, &a, &b), want);
    assert_status(apple_dext_unregister_dma(c, 0), want);
    assert_status(apple_dext_read_pending_irqs(c, pending), want);
    assert_status(apple_dext_setup_interrupts(c, &vectors), want);
    assert_status(apple_dext_reset_device(c), want);
    assert_status(apple_dext_get_statistics(c, &statistics), want);
    assert_status(apple_dext_terminate(c), want);
}

static void start(void)
{
    contract_host_start(devices);
}

/* false: the reset gave up, as it does after seconds, before the host could be killed. */
static bool kill_under_calls(void)
{
    start();
    io_connect_t onlooker = contract_connect(TESTDEV);
    struct caller callers[] = {
        {.connection = contract_claimed(TESTDEV), .call = apple_dext_reset_device},
        {.connection = contract_claimed(TESTDEV), .call = read_config},
        {.connection = contract_claimed(EDU), .call = read_config, .repeats = true},
        {.connection = contract_claimed(EDU), .call = read_config, .repeats = true},
    };
    caller_start(&callers[0]);
    wait_for_reset(onlooker, &callers[0].has_ended); /* the next one waits behind it */
    for (size_t i = 1; i < 4; i++) {
        caller_start(&callers[i]);
    }
    usleep(50000);
    contract_host_kill();
    for (size_t i = 0; i < 4; i++) {
        caller_join(&callers[i]);
    }
    bool is_in_time = callers[0].first_failure != kIOReturnNotResponding;
    for (size_t i = 0; i < 4; i++) {
        if (is_in_time || callers[i].repeats) {
            assert_is_death(callers[i].first_failure);
        }
        assert_stays_dead(callers[i].connection, MACH_SEND_INVALID_DEST);
        contract_disconnect(callers[i].connection);
    }
    contract_disconnect(onlooker);
    assert_int_equal(apple_dext_connect(EDU, 0, 0), IO_OBJECT_NULL);
    return is_in_time;
}

static void calls_under_way_return(void **state)
{
    int attempts = 0;
    while (!kill_under_calls()) {
        assert_true(++attempts < 30);
    }
}

/* A call says that its host died; those behind it say what is left. */
static bool death_is_known(void *opaque)
{
    return read_config(*(io_connect_t *)opaque) != MIG_SERVER_DIED;
}

static void connections_with_mappings(void **state)
{
    mach_vm_address_t regs;
    mach_vm_address_t shared;
    mach_vm_size_t size;
    uint8_t type;
    start();
    io_connect_t c = contract_claimed(QUICK);
    assert_ok(apple_dext_map_bar(c, 0, &regs, &size, &type));
    assert_ok(apple_dext_map_bar(c, 4, &shared, &size, &type));
    *(volatile uint32_t *)(uintptr_t)shared = 0x600dcafe;
    contract_host_kill();
    assert_true(contract_eventually(death_is_known, &c));
    assert_stays_dead(c, kIOReturnBadArgument);
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)shared, 0x600dcafe);
    assert_int_equal(*(volatile uint32_t *)(uintptr_t)regs, UINT32_MAX);
    contract_disconnect(c);
}

struct look {
    io_connect_t connection;
    kern_return_t status;
};

static bool look_fails(void *opaque)
{
    struct look *look = opaque;
    uint64_t pending[4];
    look->status = apple_dext_read_pending_irqs(look->connection, pending);
    return look->status != kIOReturnSuccess;
}

/* Looks at an empty IRQ state page are told too, if not at once. */
static void polled_interrupts(void **state)
{
    uint32_t vectors;
    uint64_t pending[4];
    start();
    io_connect_t c = contract_claimed(QUICK);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    assert_ok(apple_dext_read_pending_irqs(c, pending));
    contract_host_kill();
    struct look look = {.connection = c};
    assert_true(contract_eventually(look_fails, &look));
    assert_is_death(look.status);
    assert_true(contract_eventually(death_is_known, &c));
    assert_stays_dead(c, MACH_SEND_INVALID_DEST);
    contract_disconnect(c);
}

static void ignore_interrupt(void *opaque)
{
    (void)opaque;
}

static void notices_are_destroyed(void **state)
{
    uint32_t vectors;
    start();
    io_connect_t c = contract_claimed(QUICK);
    assert_ok(apple_dext_setup_interrupts(c, &vectors));
    AppleDextInterruptNotify *notify =
        apple_dext_interrupt_notify_create(c, ignore_interrupt, NULL);
    assert_non_null(notify);
    reg_write(c, TESTDEV_TIMER_PERIOD, 8, 20000);
    reg_write(c, TESTDEV_TIMER_CONTROL, 4, 1);
    contract_host_kill();
    assert_int_not_equal(apple_dext_interrupt_notify_rearm(notify), kIOReturnSuccess);
    apple_dext_interrupt_notify_destroy(notify);
    contract_disconnect(c);
}

static void new_host_at_the_same_place(void **state)
{
    uint64_t value = 0;
    for (int life = 0; life < 3; life++) {
        start();
        io_connect_t old = contract_claimed(QUICK);
        assert_true(reg_read(old, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
        contract_host_kill();
        start();
        io_connect_t c = contract_claimed(QUICK);
        assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
        assert_status(apple_dext_config_read(old, 0, 4, &value), MACH_SEND_INVALID_DEST);
        contract_disconnect(old);
        assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
        contract_disconnect(c);
        contract_host_kill();
    }
}

static void no_host_at_all(void **state)
{
    AppleDextInstance *list = (AppleDextInstance *)1;
    size_t count = 1;
    assert_ok(apple_dext_list(&list, &count));
    assert_null(list);
    assert_int_equal(count, 0);
    assert_int_equal(apple_dext_connect(EDU, 0, 0), IO_OBJECT_NULL);
}

static void orderly_end(void **state)
{
    start();
    io_connect_t c = contract_claimed(QUICK);
    assert_true(reg_read(c, TESTDEV_ID, 4) == TESTDEV_ID_VALUE);
    contract_disconnect(c);
    contract_host_end(); /* asserts exit 0, and that it removed its socket */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(no_host_at_all),
        contract_test(calls_under_way_return),
        contract_test(connections_with_mappings),
        contract_test(polled_interrupts),
        contract_test(notices_are_destroyed),
        contract_test(new_host_at_the_same_place),
        contract_test(no_host_at_all),
        contract_test(orderly_end),
    };
    const struct contract_suite suite = {.name = "death",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0]),
                                         .has_own_host = true};
    return contract_main(argc, argv, &suite);
}
