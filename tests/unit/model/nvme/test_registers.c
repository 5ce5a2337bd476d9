/*
 * Registers, enable, shutdown, resets, doorbells and their events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "driver.h"

static struct driver driver;

static void reads_as_specified(void **state)
{
    (void)state;
    fake_start(&driver.fake, "nvme", NULL);
    fake_enable(&driver.fake);
    uint64_t cap = fake_read(&driver.fake, 0, 0, 8);
    assert_int_equal(cap & 0xffff, 4095);  /* MQES */
    assert_int_equal(cap >> 16 & 1, 1);    /* CQR */
    assert_int_equal(cap >> 17 & 3, 0);    /* AMS */
    assert_true((cap >> 24 & 0xff) > 0);   /* TO */
    assert_int_equal(cap >> 32 & 0xf, 0);  /* DSTRD */
    assert_int_equal(cap >> 36 & 1, 1);    /* NSSRS */
    assert_int_equal(cap >> 37 & 0xff, 1); /* CSS: NVM */
    assert_int_equal(cap >> 48 & 0xf, 0);  /* MPSMIN */
    assert_int_equal(cap >> 52 & 0xf, 4);  /* MPSMAX */
    assert_int_equal(cap >> 56, 0);        /* no CMB, no PMR */
    assert_int_equal(driver_register(&driver, 0x08), 0x00010400);
    assert_int_equal(driver_register(&driver, 0x14), 0);
    assert_int_equal(driver_register(&driver, 0x1c), 0);
    assert_int_equal(driver_register(&driver, 0x38), 0); /* CMBLOC */
    assert_int_equal(fake_config_read(&driver.fake, 9, 1), 0x02);
    assert_int_equal(fake_config_read(&driver.fake, 10, 2), 0x0108);
    assert_int_equal(fake_read(&driver.fake, 0, 0x14, 1), 0xff);
    fake_write(&driver.fake, 0, 0x14, 2, 1);
    assert_int_equal(driver_register(&driver, 0x14), 0);
    fake_write(&driver.fake, 0, 0x2c, 4, 0x12);
    fake_write(&driver.fake, 0, 0x28, 4, 0xabcdefff);
    assert_true(fake_read(&driver.fake, 0, 0x28, 8) == UINT64_C(0x12abcde000));
    driver_register_set(&driver, 0x0c, 0x5);
    driver_register_set(&driver, 0x10, 0x4);
    assert_int_equal(driver_register(&driver, 0x0c), 1);
    assert_int_equal(driver_register(&driver, 0x10), 1);
    fake_stop(&driver.fake);
}

/* 3.1.5, 3.1.6: RDY follows EN; what a disable keeps. */
static void enables_and_disables(void **state)
{
    (void)state;
    driver_start(&driver, NULL);
    driver_create_queues(&driver, 1, 8);
    driver_register_set(&driver, 0x14, 0x00460000);
    assert_int_equal(driver_register(&driver, 0x1c), 0);
    assert_int_equal(driver_register(&driver, 0x24), 31 << 16 | 31);
    assert_true(fake_read(&driver.fake, 0, 0x28, 8) == driver.queues[0].sq);
    driver_enable(&driver);
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    driver_create_queues(&driver, 1, 8); /* the old ones are gone */
    driver_stop(&driver);
}

static void refuses_bad_enable(void **state)
{
    static const struct {
        uint32_t cc, aqa;
        uint64_t asq;
    } bad[] = {
        {0x00460281, 0x001f001f, DATA},          /* MPS 5 */
        {0x00460011, 0x001f001f, DATA},          /* CSS 1 */
        {0x00460801, 0x001f001f, DATA},          /* AMS 1 */
        {0x00460001, 0x001f0000, DATA},          /* one submission entry */
        {0x00460001, 0x0000001f, DATA},          /* one completion entry */
        {0x00460101, 0x001f001f, DATA + 0x1000}, /* not aligned to 16 KiB */
    };
    (void)state;
    fake_start(&driver.fake, "nvme", NULL);
    fake_enable(&driver.fake);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        driver_register_set(&driver, 0x24, bad[i].aqa);
        fake_write(&driver.fake, 0, 0x28, 8, bad[i].asq);
        fake_write(&driver.fake, 0, 0x30, 8, DATA + 0x4000);
        driver_register_set(&driver, 0x14, bad[i].cc);
        assert_int_equal(driver_register(&driver, 0x1c), 2); /* CFS, not RDY */
        driver_register_set(&driver, 0x14, 0);
        assert_int_equal(driver_register(&driver, 0x1c), 0);
    }
    fake_stop(&driver.fake);
}

static void shuts_down(void **state)
{
    (void)state;
    for (uint32_t how = 1; how <= 2; how++) {
        driver_start(&driver, NULL);
        driver_register_set(&driver, 0x14, 0x00460001 | how << 14);
        fake_run(&driver.fake, 10);
        assert_int_equal(driver_register(&driver, 0x1c), 0x9); /* RDY, SHST complete */
        driver_submit(&driver, 0, &(struct command){.opcode = 0x06, .dw10 = 1, .prp1 = DATA});
        fake_run(&driver.fake, 10);
        struct completion completion;
        assert_false(driver_poll(&driver, 0, &completion)); /* nothing runs any more */
        driver_register_set(&driver, 0x14, 0);
        assert_int_equal(driver_register(&driver, 0x1c), 0);
        driver_enable(&driver);
        assert_int_equal(driver_register(&driver, 0x1c), 1);
        driver_stop(&driver);
    }
}

static void resets(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        driver_start(&driver, NULL);
        driver_create_queues(&driver, 1, 8);
        driver_submit(&driver, 1, &(struct command){.opcode = 2, .nsid = 1, .prp1 = DATA});
        unsigned sent = driver.fake.message_count;
        fake_reset(&driver.fake, (enum model_reset)kind);
        assert_int_equal(driver_register(&driver, 0x1c), 0);
        assert_int_equal(driver_register(&driver, 0x14), 0);
        assert_int_equal(driver_register(&driver, 0x24), 0);
        assert_int_equal(fake_run(&driver.fake, 10), 0);
        assert_int_equal(driver.fake.message_count, sent);
        driver_enable(&driver);
        driver_create_queues(&driver, 1, 8);
        assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
        driver_stop(&driver);
    }
    driver_start(&driver, NULL);
    driver_register_set(&driver, 0x20, 0x4e564d64); /* not "NVMe" */
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    driver_register_set(&driver, 0x20, 0x4e564d65);
    assert_int_equal(driver_register(&driver, 0x1c), 0x10); /* NSSRO */
    driver_register_set(&driver, 0x1c, 0x10);
    assert_int_equal(driver_register(&driver, 0x1c), 0);
    driver_stop(&driver);
}

/* Without bus mastering or in D3hot nothing moves, and nothing is lost. */
static void waits_for_mastering(void **state)
{
    struct completion completion;
    (void)state;
    driver_start(&driver, NULL);
    unsigned power = config_space_find(driver.fake.model->config, 0x01);
    fake_config_write(&driver.fake, 4, 2, 2);
    driver_submit(&driver, 0, &(struct command){.opcode = 0x06, .dw10 = 1, .prp1 = DATA});
    assert_int_equal(fake_run(&driver.fake, 10), 0);
    fake_config_write(&driver.fake, power + 4, 2, 3);
    assert_int_equal(driver_register(&driver, 0x1c), 0xffffffff);
    fake_config_write(&driver.fake, 4, 2, 6);
    assert_int_equal(fake_run(&driver.fake, 10), 0);
    fake_config_write(&driver.fake, power + 4, 2, 0);
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.status, 0);
    driver_stop(&driver);
}

static void event_expect(uint16_t cid, uint32_t answer)
{
    struct completion completion;
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, cid);
    assert_int_equal(completion.status, 0);
    assert_int_equal(completion.answer, answer);
}

static void log_read(uint8_t log)
{
    const struct command command = {
        .opcode = 2, .nsid = NSID_ALL, .prp1 = DATA, .dw10 = 15u << 16 | log};
    assert_int_equal(driver_run(&driver, 0, &command, NULL), 0);
}

/* Figure 147: invalid doorbell register, invalid doorbell value. */
static void complains_about_doorbells(void **state)
{
    const struct command wait = {.opcode = 0x0c};
    struct completion completion;
    (void)state;
    driver_start(&driver, NULL);
    driver_create_queues(&driver, 1, 8);
    static const struct {
        unsigned index;
        uint32_t value;
        uint32_t answer;
    } bad[] = {
        {4, 1, 0x010000},                      /* submission queue 2 does not exist */
        {5, 1, 0x010000},                      /* completion queue 2 */
        {1000, 1, 0x010000}, {2, 8, 0x010100}, /* past the end */
        {2, 0, 0x010100},                      /* the value it has */
        {3, 1, 0x010100},                      /* nothing to take */
        {3, 8, 0x010100},    {3, 0x10000, 0x010100},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint16_t cid = driver_submit(&driver, 0, &wait);
        fake_run(&driver.fake, 10);
        assert_false(driver_poll(&driver, 0, &completion));
        driver_ring(&driver, bad[i].index, bad[i].value);
        event_expect(cid, bad[i].answer);
        /* masked until the log is read: a second one waits */
        cid = driver_submit(&driver, 0, &wait);
        driver_ring(&driver, bad[i].index, bad[i].value);
        fake_run(&driver.fake, 10);
        assert_false(driver_poll(&driver, 0, &completion));
        uint16_t log = driver_submit(
            &driver, 0, &(struct command){.opcode = 2, .prp1 = DATA, .dw10 = 15u << 16 | 1});
        fake_run(&driver.fake, 10);
        assert_true(driver_poll(&driver, 0, &completion));
        assert_int_equal(completion.cid, log);
        event_expect(cid, bad[i].answer);
        log_read(1);
        assert_int_equal(driver_memory(&driver, DATA)[8], bad[i].index / 2 & 0xff); /* SQID */
    }
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    driver_stop(&driver);
}

/* More commands than there is room for. */
static void refuses_overfull_queue(void **state)
{
    const struct command wait = {.opcode = 0x0c};
    (void)state;
    driver_start(&driver, NULL);
    driver_create_queues(&driver, 1, 8);
    uint16_t cid = driver_submit(&driver, 0, &wait);
    fake_run(&driver.fake, 10);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    driver_ring(&driver, 2, 7); /* six to do */
    driver_ring(&driver, 2, 2); /* the ring round: over what is not taken yet */
    driver_register_set(&driver, 0x14, 0x00460001);
    event_expect(cid, 0x010100);
    driver_stop(&driver);
}

static void fails_on_unreachable_queues(void **state)
{
    (void)state;
    driver_start(&driver, NULL);
    driver_register_set(&driver, 0x14, 0);
    fake_write(&driver.fake, 0, 0x28, 8, 0x1000);
    driver_register_set(&driver, 0x14, 0x00460001);
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    driver_ring(&driver, 0, 1);
    fake_run(&driver.fake, 10);
    assert_int_equal(driver_register(&driver, 0x1c), 3); /* CFS */
    driver_register_set(&driver, 0x14, 0);
    fake_write(&driver.fake, 0, 0x28, 8, driver.queues[0].sq);
    fake_write(&driver.fake, 0, 0x30, 8, 0x1000);
    driver_register_set(&driver, 0x14, 0x00460001);
    driver_ring(&driver, 0, 1);
    fake_run(&driver.fake, 10);
    assert_int_equal(driver_register(&driver, 0x1c), 3);
    driver_stop(&driver);
}

static void shows_the_pin(void **state)
{
    struct completion completion;
    (void)state;
    driver_start(&driver, NULL);
    unsigned msix = config_space_find(driver.fake.model->config, 0x11);
    fake_config_write(&driver.fake, msix + 2, 2, 0);
    driver_submit(&driver, 0, &(struct command){.opcode = 0x06, .dw10 = 1, .prp1 = DATA});
    fake_run(&driver.fake, 10);
    assert_int_equal(fake_config_read(&driver.fake, 6, 2) & 8, 8);
    driver_register_set(&driver, 0x0c, 1);
    assert_int_equal(fake_config_read(&driver.fake, 6, 2) & 8, 0);
    driver_register_set(&driver, 0x10, 1);
    assert_int_equal(fake_config_read(&driver.fake, 6, 2) & 8, 8);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(fake_config_read(&driver.fake, 6, 2) & 8, 0);
    driver_stop(&driver);
}

static void options_are_checked(void **state)
{
    static const char *const bad[][2] = {
        {"drive=missing", "nvme: drive=missing: no such file"},
        {"drive=busy", "nvme: drive=busy: in use by somebody else"},
        {"drive=tiny", "nvme: drive=tiny: smaller than 4096 bytes"},
        {"drive=", "nvme: drive=: wanted a file"},
        {"serial=", "nvme: serial=: wanted 1 to 20 printable characters"},
        {"serial=012345678901234567890",
         "nvme: serial=012345678901234567890: wanted 1 to 20 printable characters"},
        {"queues=65", "nvme: queues=65: wanted a number from 1 to 64"},
        {"queues=0", "nvme: queues=0: wanted a number from 1 to 64"},
        {"block=1024", "nvme: block=1024: wanted one of 512, 4096"},
        {"readonly=1", "nvme: readonly=1: wanted no value"},
        {"direct=on", "nvme: direct=on: wanted no value"},
        {"direct", "nvme: direct: wanted a drive with it"},
        {"namespaces=9", "nvme: namespaces=9: wanted a number from 1 to 8"},
        {"size=4095", "nvme: size=4095: wanted a number from 4096 to 68719476736"},
    };
    static const char *const nine[] = {"drive=a", "drive=a", "drive=a", "drive=a", "drive=a",
                                       "drive=a", "drive=a", "drive=a", "drive=a", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        fake_expect_refused("nvme", (const char *const[]){bad[i][0], NULL}, bad[i][1]);
    fake_expect_refused("nvme", nine, "nvme: option 'drive' given too often");
    fake_expect_refused("nvme", (const char *const[]){"direct", "drive=cached", NULL},
                        "nvme: drive=cached: direct: its file system has no way round the page "
                        "cache (O_DIRECT)");
    fake_expect_refused("nvme", (const char *const[]){"drive=odd", "direct", NULL},
                        "nvme: drive=odd: direct: its size is no multiple of 4096 bytes");
    fake_expect_refused("nvme", (const char *const[]){"queues=1", "queues=1", NULL},
                        "nvme: option 'queues' given twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_specified),
        cmocka_unit_test(enables_and_disables),
        cmocka_unit_test(refuses_bad_enable),
        cmocka_unit_test(shuts_down),
        cmocka_unit_test(resets),
        cmocka_unit_test(waits_for_mastering),
        cmocka_unit_test(complains_about_doorbells),
        cmocka_unit_test(refuses_overfull_queue),
        cmocka_unit_test(fails_on_unreachable_queues),
        cmocka_unit_test(shows_the_pin),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
