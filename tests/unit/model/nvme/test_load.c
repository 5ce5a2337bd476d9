/*
 * What a command costs under load, counted: interrupts for many completions, and no allocation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocations.h"
#include "driver.h"

#define DEPTH  32
#define ROUNDS 20

static struct driver driver;

/* DEPTH commands submitted, carried out, and their completions taken. */
static void load_once(const struct command *command)
{
    struct completion completion;

    for (unsigned i = 0; i < DEPTH; i++)
        driver_submit(&driver, 1, command);
    fake_run(&driver.fake, 10000);
    while (fake_storage_step(&driver.fake, 0))
        fake_run(&driver.fake, 10000);
    for (unsigned i = 0; i < DEPTH; i++) {
        assert_true(driver_poll(&driver, 1, &completion));
        assert_int_equal(completion.status, 0);
    }
    assert_false(driver_poll(&driver, 1, &completion));
}

static void start(const char *option)
{
    const char *const options[] = {option, NULL};
    driver_start(&driver, options);
    driver_create_queues(&driver, 1, 2 * DEPTH);
}

static void one_interrupt_for_many(void **state)
{
    static const uint8_t opcodes[] = {1, 2}; /* Write, Read */
    (void)state;
    start("size=4M");
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        const struct command command = {.opcode = opcodes[i], .nsid = 1, .prp1 = DATA, .dw12 = 7};
        unsigned before = driver.fake.message_count;
        for (unsigned round = 0; round < ROUNDS; round++)
            load_once(&command);
        assert_int_equal(driver.fake.message_count - before, ROUNDS);
    }
    driver_stop(&driver);
}

static void wait_for_operations(unsigned count)
{
    while (driver.fake.operation_count < count)
        fake_run(&driver.fake, 10000);
    assert_int_equal(driver.fake.operation_count, count);
}

/* On a file: what ends together is told together, of each queue once. */
static void one_interrupt_for_what_ends_together(void **state)
{
    static const uint8_t opcodes[] = {0, 1, 2}; /* Flush, Write, Read */
    struct completion completion;
    (void)state;
    start("drive=a");
    for (unsigned i = 0; i < 2 * sizeof(opcodes); i++) {
        const struct command command = {
            .opcode = opcodes[i / 2], .nsid = 1, .prp1 = DATA, .dw12 = 7};
        driver.fake.submits_direct = i % 2 != 0;
        for (unsigned n = 0; n < DEPTH; n++)
            driver_submit(&driver, 1, &command);
        wait_for_operations(DEPTH);
        unsigned before = driver.fake.message_count;
        fake_storage_finish(&driver.fake, DEPTH / 2);
        assert_int_equal(driver.fake.message_count - before, 1);
        fake_storage_finish(&driver.fake, DEPTH / 2 - 1);
        fake_storage_finish(&driver.fake, 1);
        assert_int_equal(driver.fake.message_count - before, 3);
        for (unsigned n = 0; n < DEPTH; n++) {
            assert_true(driver_poll(&driver, 1, &completion));
            assert_int_equal(completion.status, 0);
        }
    }
    driver_stop(&driver);
}

static void allocates_nothing(const char *option)
{
    static const uint8_t opcodes[] = {0, 1, 2, 5}; /* Flush, Write, Read, Compare */

    allocations = 0;
    start(option);
    assert_int_not_equal(allocations, 0); /* they are counted */
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        /* 8 KiB: two pages */
        const struct command command = {
            .opcode = opcodes[i], .nsid = 1, .prp1 = DATA, .prp2 = DATA + 0x1000, .dw12 = 15};
        load_once(&command);
        allocations = 0;
        for (unsigned round = 0; round < ROUNDS; round++)
            load_once(&command);
        assert_int_equal(allocations, 0);
    }
    driver_stop(&driver);
}

static void allocates_nothing_in_memory(void **state)
{
    (void)state;
    allocates_nothing("size=4M");
}

static void allocates_nothing_on_a_file(void **state)
{
    (void)state;
    allocates_nothing("drive=a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_interrupt_for_many),
        cmocka_unit_test(one_interrupt_for_what_ends_together),
        cmocka_unit_test(allocates_nothing_in_memory),
        cmocka_unit_test(allocates_nothing_on_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
