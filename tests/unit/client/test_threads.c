/*
 * Unit tests: many threads on one connection, and disconnect among them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "client_test.h"

enum { THREADS = 4, ROUNDS = 300 };

static void *use_everything(void *opaque)
{
    io_connect_t port = *(io_connect_t *)opaque;
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint64_t value, pending[4];
    uint8_t type;
    uintptr_t failures = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        failures += apple_dext_config_read(port, 0, 4, &value) != kIOReturnSuccess;
        failures += value != 0x11e81234;
        failures += apple_dext_map_bar(port, 0, &address, &size, &type) != kIOReturnSuccess;
        failures += apple_dext_mmio_read(port, 0, 8, 4, &value) != kIOReturnSuccess;
        failures += apple_dext_read_pending_irqs(port, pending) != kIOReturnSuccess;
        failures += apple_dext_unmap_bar(port, 0, address) != kIOReturnSuccess;
    }
    return (void *)failures;
}

static void calls_run_side_by_side(void **state)
{
    io_connect_t port;
    pthread_t threads[THREADS];

    (void)state;
    fake.bars[0] = (struct fake_bar){.values = {0, 0x1000, 0x8}};
    port = fake_connect(true);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_everything, &port), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *failures;
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_false(fake.memory[1].is_mapped);
    assert_int_equal(fake.memory[1].maps, fake.memory[1].unmaps);
    apple_dext_disconnect(port);
}

static void *read_once(void *opaque)
{
    io_connect_t port = *(io_connect_t *)opaque;
    uint64_t value;

    return (void *)(uintptr_t)(apple_dext_config_read(port, 0, 4, &value) != kIOReturnSuccess);
}

static void *disconnect_main(void *opaque)
{
    apple_dext_disconnect(*(io_connect_t *)opaque);
    return NULL;
}

static void disconnect_waits_for_calls_under_way(void **state)
{
    const struct timespec pause = {.tv_nsec = 30000000};
    io_connect_t port = fake_connect(true);
    pthread_t reader, closer;
    uint64_t value;
    void *failed;

    (void)state;
    fake.entries[2].call_hangs = true;
    assert_int_equal(pthread_create(&reader, NULL, read_once, &port), 0);
    while (fake_calls_of(DEXT_SEL_CONFIG_READ) == 0) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    assert_int_equal(pthread_create(&closer, NULL, disconnect_main, &port), 0);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    pthread_mutex_lock(&fake.lock);
    assert_true(fake.port_is_open[port - FAKE_FIRST_PORT]);
    pthread_mutex_unlock(&fake.lock);
    /* New calls are refused at once, and a second disconnect has nothing to do. */
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), MACH_SEND_INVALID_DEST);
    apple_dext_disconnect(port);
    fake_release_hangs();
    pthread_join(reader, &failed);
    assert_null(failed); /* the call that was inside ended well */
    pthread_join(closer, NULL);
    assert_false(fake.port_is_open[port - FAKE_FIRST_PORT]);
}

static void *read_until_closed(void *opaque)
{
    io_connect_t port = *(io_connect_t *)opaque;
    uint64_t value;
    kern_return_t status;

    do {
        status = apple_dext_config_read(port, 0, 4, &value);
    } while (status == kIOReturnSuccess);
    return (void *)(uintptr_t)(status != MACH_SEND_INVALID_DEST);
}

static void disconnect_among_callers_is_safe(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        io_connect_t port = fake_connect(true);
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, read_until_closed, &port), 0);
        }
        apple_dext_disconnect(port);
        for (unsigned i = 0; i < THREADS; i++) {
            void *failed;
            pthread_join(threads[i], &failed);
            assert_null(failed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(calls_run_side_by_side),
        CLIENT_TEST(disconnect_waits_for_calls_under_way),
        CLIENT_TEST(disconnect_among_callers_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
