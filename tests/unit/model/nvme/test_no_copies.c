/*
 * Commands on files whose data goes between the file and the client's memory without a copy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "driver.h"

static struct driver driver;

/* What the host can read without waiting is answered without an operation; but for FUA. */
static void reads_at_once_what_can_be(void **state)
{
    static const char *const drive[] = {"drive=a", NULL};
    struct command read = {.opcode = 2, .nsid = 1, .prp1 = DATA + 0x4000, .dw10 = 8, .dw12 = 7};
    struct completion completion;
    (void)state;
    driver_start(&driver, drive);
    driver_create_queues(&driver, 1, 8);
    driver_pattern(&driver, DATA, 4096, 9);
    assert_int_equal(driver_io(&driver, 1, 8, 8), 0);
    driver.fake.reads_now = true;
    driver_submit(&driver, 1, &read);
    fake_run(&driver.fake, 10);
    assert_int_equal(driver.fake.operation_count, 0);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status, 0);
    assert_true(driver_matches(&driver, DATA + 0x4000, 4096, 9));
    assert_int_equal(driver.fake.reads_done_now, 1);
    read.dw12 |= 0x40000000;
    assert_int_equal(driver_run(&driver, 1, &read, NULL), 0);
    read.opcode = 5; /* compares what it reads */
    assert_int_equal(driver_run(&driver, 1, &read, NULL), 0);
    assert_int_equal(driver.fake.reads_done_now, 1);
    /* Memory that is not there has its status from the operation. */
    read = (struct command){.opcode = 2, .nsid = 1, .prp1 = 0x1000, .dw12 = 7};
    assert_int_equal(driver_run(&driver, 1, &read, NULL), 0x004);
    driver_stop(&driver);
}

/* The operation under way is held up; the controller begins another, which ends well. */
static void done_again(void)
{
    struct completion completion;
    assert_true(fake_storage_step(&driver.fake, -ECANCELED));
    fake_run(&driver.fake, 10);
    assert_int_equal(driver.fake.operation_count, 1);
    assert_false(driver_poll(&driver, 1, &completion));
    assert_true(fake_storage_step(&driver.fake, 0));
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status, 0);
}

/* Data that the host can take from the client's memory itself is not copied before. */
static void writes_straight_from_memory(void **state)
{
    static const char *const drive[] = {"drive=a", NULL};
    struct command write = {.opcode = 1, .nsid = 1, .prp1 = DATA + 0x4000, .dw10 = 8, .dw12 = 7};
    (void)state;
    driver_start(&driver, drive);
    driver_create_queues(&driver, 1, 8);
    driver.fake.submits_direct = true;
    driver_pattern(&driver, DATA + 0x4000, 4096, 5);
    assert_int_equal(driver_run(&driver, 1, &write, NULL), 0);
    assert_int_equal(driver.fake.submitted_direct, 1);
    assert_int_equal(driver_io(&driver, 2, 8, 8), 0);
    assert_true(driver_matches(&driver, DATA, 4096, 5));
    /* Its errors are those of any write; memory that is not there fails as without it. */
    driver_submit(&driver, 1, &write);
    while (driver.fake.operation_count == 0)
        fake_run(&driver.fake, 1);
    assert_true(fake_storage_step(&driver.fake, -ENOSPC));
    struct completion completion;
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status & 0x7ff, 0x081);
    /* What was held up is done again, with what is there then. */
    driver_submit(&driver, 1, &write);
    while (driver.fake.operation_count == 0)
        fake_run(&driver.fake, 1);
    driver_pattern(&driver, DATA + 0x4000, 4096, 6);
    done_again();
    driver.fake.submits_direct = false;
    assert_int_equal(driver_io(&driver, 2, 8, 8), 0);
    assert_true(driver_matches(&driver, DATA, 4096, 6));
    driver.fake.submits_direct = true;
    write.prp1 = 0x1000;
    assert_int_equal(driver_run(&driver, 1, &write, NULL) & 0x7ff, 0x004);
    assert_int_equal(driver.fake.submitted_direct, 4); /* with the read between */
    driver_stop(&driver);
}

static unsigned start_direct_read(const struct command *read)
{
    unsigned before = driver.fake.submitted_direct;

    driver_submit(&driver, 1, read);
    while (driver.fake.operation_count == 0)
        fake_run(&driver.fake, 1);
    return driver.fake.submitted_direct - before;
}

/* What is not at hand goes to the client's memory without a copy too. */
static void reads_straight_to_memory(void **state)
{
    static const char *const drive[] = {"drive=a", "direct", NULL};
    struct command read = {.opcode = 2, .nsid = 1, .prp1 = DATA + 0x4000, .dw10 = 8, .dw12 = 7};
    struct completion completion;
    (void)state;
    driver_start(&driver, drive);
    assert_true(driver.fake.storages[0].is_uncached);
    driver_create_queues(&driver, 1, 8);
    driver_pattern(&driver, DATA, 4096, 5);
    assert_int_equal(driver_io(&driver, 1, 8, 8), 0);
    driver.fake.submits_direct = true;
    assert_int_equal(start_direct_read(&read), 1);
    assert_false(driver_matches(&driver, DATA + 0x4000, 4096, 5));
    assert_true(fake_storage_step(&driver.fake, 0));
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status, 0);
    assert_true(driver_matches(&driver, DATA + 0x4000, 4096, 5));
    /* An error is one; what was held up is done again, the other way. */
    assert_int_equal(start_direct_read(&read), 1);
    assert_true(fake_storage_step(&driver.fake, -EIO));
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status & 0x7ff, 0x281);
    driver_pattern(&driver, DATA + 0x4000, 4096, 6);
    assert_int_equal(start_direct_read(&read), 1);
    done_again();
    assert_true(driver_matches(&driver, DATA + 0x4000, 4096, 5));
    driver_stop(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_at_once_what_can_be),
        cmocka_unit_test(writes_straight_from_memory),
        cmocka_unit_test(reads_straight_to_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
