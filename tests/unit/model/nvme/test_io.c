/*
 * NVM commands, PRPs, queue wrap, and storage that takes its time or fails.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "driver.h"

static struct driver driver;

static void start(const char *option)
{
    driver_start(&driver, (const char *const[]){option, NULL});
    driver_create_queues(&driver, 1, 64);
}

static uint16_t run(struct command command)
{
    command.nsid = command.nsid == 0 ? 1 : command.nsid;
    return driver_run(&driver, 1, &command, NULL);
}

static void put64(uint64_t bus, uint64_t value)
{
    uint8_t *at = driver_memory(&driver, bus);
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static bool is_zero(uint64_t bus, size_t bytes)
{
    const uint8_t *at = driver_memory(&driver, bus);
    return at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

static void reads_and_writes(void **state)
{
    (void)state;
    static const char *const blocks[] = {"block=512", "block=4096"};
    for (unsigned large = 0; large < 2; large++) {
        uint32_t size = large ? 4096 : 512;
        start(blocks[large]);
        uint64_t last = (UINT64_C(64) << 20) / size - 1;
        driver_pattern(&driver, DATA, 8192, 7);
        assert_int_equal(driver_io(&driver, 1, 5, 8192 / size), 0);
        driver_pattern(&driver, DATA, size, 8);
        assert_int_equal(driver_io(&driver, 1, last, 1), 0);
        memset(driver_memory(&driver, DATA), 0, 8192);
        assert_int_equal(driver_io(&driver, 2, 5, 8192 / size), 0);
        assert_true(driver_matches(&driver, DATA, 8192, 7));
        assert_int_equal(driver_io(&driver, 2, last, 1), 0);
        assert_true(driver_matches(&driver, DATA, size, 8));
        for (unsigned i = 0; i < 4; i++) { /* write, read, write uncorrectable, compare */
            static const uint8_t opcodes[] = {1, 2, 4, 5};
            assert_int_equal(driver_io(&driver, opcodes[i], last, 2), 0x080);
            assert_int_equal(driver_io(&driver, opcodes[i], UINT64_MAX, 1), 0x080);
        }
        assert_int_equal(driver_io(&driver, 2, 0, 0x20000 / size + 1), 0x002); /* over MDTS */
        assert_int_equal(run((struct command){.opcode = 2, .nsid = 2, .prp1 = DATA}), 0x00b);
        assert_int_equal(run((struct command){.opcode = 2, .nsid = NSID_ALL, .prp1 = DATA}), 0x002);
        assert_int_equal(run((struct command){.opcode = 2, .flags = 1, .prp1 = DATA}), 0x002);
        assert_int_equal(run((struct command){.opcode = 2, .flags = 0x40, .prp1 = DATA}), 0x002);
        assert_int_equal(run((struct command){.opcode = 0x0d}), 0x001);
        assert_int_equal(run((struct command){.opcode = 0x00}), 0); /* flush */
        assert_int_equal(run((struct command){.opcode = 0x00, .nsid = NSID_ALL}), 0);
        assert_int_equal(run((struct command){.opcode = 0x00, .nsid = 2}), 0x00b);
        driver_stop(&driver);
    }
}

/* 4.3: what PRP entries may look like. */
static void follows_prps(void **state)
{
    const uint64_t list = DATA + 0x80000, chain = DATA + 0x81000;
    (void)state;
    start("size=4M");
    driver_pattern(&driver, DATA + 0x204, 4096, 1);
    struct command command = {.opcode = 1, .prp1 = DATA + 0x204, .prp2 = DATA + 0x1000, .dw12 = 7};
    assert_int_equal(run(command), 0);
    command = (struct command){.opcode = 2, .prp1 = DATA + 0x3000, .dw12 = 7};
    assert_int_equal(run(command), 0);
    assert_true(driver_matches(&driver, DATA + 0x3000, 4096, 1));

    /* 128 KiB from an offset: 33 pages, the list at the end of its page and chained */
    driver_pattern(&driver, DATA + 0xffc, 0x20000, 2);
    for (unsigned i = 0; i < 32; i++)
        put64(i < 2 ? list + 0xfe8 + 8 * i : chain + 8 * (i - 2), DATA + 0x1000 * (i + 1));
    put64(list + 0xff8, chain);
    command =
        (struct command){.opcode = 1, .prp1 = DATA + 0xffc, .prp2 = list + 0xfe8, .dw12 = 255};
    assert_int_equal(run(command), 0);
    memset(driver_memory(&driver, DATA + 0xffc), 0, 0x20000);
    command.opcode = 2;
    assert_int_equal(run(command), 0);
    assert_true(driver_matches(&driver, DATA + 0xffc, 0x20000, 2));

    /* a page of the list that is only the pointer to the next */
    put64(list + 0xff8, chain);
    for (unsigned i = 0; i < 32; i++)
        put64(chain + 8 * i, DATA + 0x1000 * (i + 1));
    command.prp2 = list + 0xff8;
    memset(driver_memory(&driver, DATA + 0xffc), 0, 0x20000);
    assert_int_equal(run(command), 0);
    assert_true(driver_matches(&driver, DATA + 0xffc, 0x20000, 2));

    command = (struct command){.opcode = 2, .prp1 = DATA + 2, .dw12 = 7};
    assert_int_equal(run(command), 0x013); /* not a dword */
    command = (struct command){.opcode = 2, .prp1 = DATA, .prp2 = DATA + 0x1008, .dw12 = 15};
    assert_int_equal(run(command), 0x013); /* second entry with an offset */
    command = (struct command){.opcode = 2, .prp1 = DATA, .prp2 = list + 4, .dw12 = 31};
    assert_int_equal(run(command), 0x013); /* list not a qword */
    put64(list, DATA + 0x1000);
    put64(list + 8, DATA + 0x2004);
    command = (struct command){.opcode = 2, .prp1 = DATA, .prp2 = list, .dw12 = 31};
    assert_int_equal(run(command), 0x013); /* entry with an offset */
    put64(list + 0xff8, chain + 8);
    command.prp2 = list + 0xff8;
    assert_int_equal(run(command), 0x013); /* next list with an offset */
    put64(list + 0xff8, list);             /* no loop: its entries are entries */
    assert_int_equal(run(command), 0x013);
    command.prp2 = 0x2000;
    assert_int_equal(run(command), 0x004); /* list nowhere */
    command = (struct command){.opcode = 2, .prp1 = 0x1000, .dw12 = 0};
    assert_int_equal(run(command), 0x004);
    command = (struct command){.opcode = 1, .prp1 = FAKE_MEMORY_START + FAKE_MEMORY_BYTES - 256};
    assert_int_equal(run(command), 0x004); /* half of it there */
    command = (struct command){.opcode = 1, .prp1 = UINT64_MAX - 3, .prp2 = 0, .dw12 = 0};
    assert_int_equal(run(command), 0x004);
    driver_stop(&driver);
}

/* Memory pages of 16 KiB: another PRP geometry. */
static void takes_large_pages(void **state)
{
    (void)state;
    start("size=4M");
    driver_register_set(&driver, 0x14, 0);
    driver_register_set(&driver, 0x14, 0x00460101);
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    for (unsigned i = 0; i < 2; i++)
        driver.queues[i] = (struct queue){driver.queues[i].sq, driver.queues[i].cq, 32, 0, 0, true};
    memset(driver_memory(&driver, driver.queues[0].cq), 0, 0x1000);
    driver_create_queues(&driver, 1, 32);
    driver_pattern(&driver, DATA + 0x1004, 0x4000, 3);
    struct command command = {
        .opcode = 1, .prp1 = DATA + 0x1004, .prp2 = DATA + 0x4000, .dw12 = 31};
    assert_int_equal(run(command), 0);
    command = (struct command){.opcode = 2, .prp1 = DATA + 0x8000, .dw12 = 31};
    assert_int_equal(run(command), 0);
    assert_true(driver_matches(&driver, DATA + 0x8000, 0x4000, 3));
    command = (struct command){.opcode = 2, .prp1 = DATA + 4, .prp2 = DATA + 0x1000, .dw12 = 31};
    assert_int_equal(run(command), 0x013);
    driver_stop(&driver);
}

static void compares_and_verifies(void **state)
{
    (void)state;
    start("size=4M");
    driver_pattern(&driver, DATA, 8192, 4);
    assert_int_equal(driver_io(&driver, 1, 0, 16), 0);
    assert_int_equal(driver_io(&driver, 5, 0, 16), 0);
    driver_memory(&driver, DATA)[8191] ^= 1;
    assert_int_equal(driver_io(&driver, 5, 0, 16), 0x285);
    assert_int_equal(driver_io(&driver, 5, 0, 15), 0);
    assert_int_equal(driver_io(&driver, 0x0c, 0, 8192), 0); /* more than MDTS: no transfer */
    assert_int_equal(driver_io(&driver, 0x0c, 1, 8192), 0x080);
    assert_int_equal(run((struct command){.opcode = 5, .prp1 = 0x1000}), 0x004);
    driver_stop(&driver);
}

static void marks_uncorrectable(void **state)
{
    struct completion completion;
    (void)state;
    start("size=4M");
    assert_int_equal(driver_io(&driver, 4, 10, 4), 0);
    assert_int_equal(driver_io(&driver, 2, 0, 10), 0);
    assert_int_equal(driver_io(&driver, 2, 14, 1), 0);
    static const uint8_t readers[] = {0x02, 0x05, 0x0c};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(driver_io(&driver, readers[i], 5, 8), 0x281);
    const struct command log = {.opcode = 2, .prp1 = DATA, .dw10 = 15u << 16 | 1};
    assert_int_equal(driver_run(&driver, 0, &log, &completion), 0);
    assert_int_equal(driver_memory(&driver, DATA)[16], 10); /* the first bad block */
    assert_int_equal(driver_io(&driver, 1, 11, 2), 0);      /* heals the middle */
    assert_int_equal(driver_io(&driver, 2, 11, 2), 0);
    assert_int_equal(driver_io(&driver, 2, 10, 1), 0x281);
    assert_int_equal(driver_io(&driver, 2, 13, 1), 0x281);
    assert_int_equal(driver_io(&driver, 8, 13, 1), 0); /* write zeroes */
    assert_int_equal(driver_io(&driver, 2, 11, 4), 0);
    for (unsigned i = 0; i < 1023; i++)
        assert_int_equal(driver_io(&driver, 4, 100 + 2 * i, 1), 0);
    assert_int_equal(driver_io(&driver, 4, 4000, 1), 0x006); /* as many as it remembers */
    assert_int_equal(driver_io(&driver, 4, 99, 2100), 0);    /* one range instead */
    assert_int_equal(driver_io(&driver, 2, 2198, 1), 0x281);
    assert_int_equal(driver_io(&driver, 2, 2199, 1), 0);
    driver_stop(&driver);
}

static void zeroes_and_deallocates(void **state)
{
    (void)state;
    start("size=8M");
    driver_pattern(&driver, DATA, 8192, 5);
    assert_int_equal(driver_io(&driver, 1, 16, 16), 0);
    assert_int_equal(driver_io(&driver, 8, 20, 4), 0);
    assert_int_equal(driver_io(&driver, 2, 16, 16), 0);
    assert_true(driver_matches(&driver, DATA, 2048, 5));
    assert_true(is_zero(DATA + 2048, 2048));
    assert_false(is_zero(DATA + 4096, 512));
    assert_int_equal(driver_io(&driver, 8, 0, 16384), 0); /* in pieces */
    assert_int_equal(driver_io(&driver, 8, 1, 16384), 0x080);
    assert_int_equal(driver_io(&driver, 2, 16, 16), 0);
    assert_true(is_zero(DATA, 8192));

    driver_pattern(&driver, DATA, 8192, 6);
    assert_int_equal(driver_io(&driver, 1, 0, 16), 0);
    uint64_t ranges = DATA + 0x4000;
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t spans[3][2] = {{2, 1}, {9, 0}, {4, 3}};
        put64(ranges + 16 * i, (uint64_t)spans[i][1] << 32);
        put64(ranges + 16 * i + 8, spans[i][0]);
    }
    struct command dsm = {.opcode = 9, .prp1 = ranges, .dw10 = 2, .dw11 = 3};
    assert_int_equal(run(dsm), 0); /* hints only */
    assert_int_equal(driver_io(&driver, 2, 0, 16), 0);
    assert_true(driver_matches(&driver, DATA, 8192, 6));
    dsm.dw11 = 4;
    assert_int_equal(run(dsm), 0);
    assert_int_equal(driver_io(&driver, 2, 0, 16), 0);
    assert_true(is_zero(DATA + 1024, 512));
    assert_true(is_zero(DATA + 2048, 1536));
    assert_true(driver_matches(&driver, DATA, 1024, 6));
    assert_false(is_zero(DATA + 1536, 512));
    assert_false(is_zero(DATA + 4608, 512));
    put64(ranges + 32 + 8, 16384); /* the last range is bad: none is touched */
    put64(ranges, UINT64_C(1) << 32);
    put64(ranges + 8, 0);
    assert_int_equal(run(dsm), 0x080);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    assert_true(driver_matches(&driver, DATA, 512, 6));
    dsm.prp1 = 0x1000;
    assert_int_equal(run(dsm), 0x004);
    driver_stop(&driver);
}

/* 200 commands through 8 entries: tails wrap, phase bits turn, a full completion queue waits. */
static void wraps_queues(void **state)
{
    struct completion completion;
    (void)state;
    start("size=4M");
    driver_create_queues(&driver, 2, 8);
    const struct command read = {.opcode = 2, .nsid = 1, .prp1 = DATA};
    unsigned before = driver.fake.message_count;
    for (unsigned round = 0; round < 29; round++) {
        for (unsigned i = 0; i < 7; i++)
            driver_submit(&driver, 2, &read);
        fake_run(&driver.fake, 100);
        for (unsigned i = 0; i < 7; i++) {
            assert_true(driver_poll(&driver, 2, &completion));
            assert_int_equal(completion.status, 0);
            assert_int_equal(completion.cid, (uint16_t)(driver.next_cid - 7 + i));
        }
        assert_false(driver_poll(&driver, 2, &completion));
    }
    assert_int_equal(driver.fake.message_count, before + 29);
    assert_int_equal(driver.fake.messages[before].data, 0x42);

    /* completions not taken: seven fit, the others come when there is room */
    for (unsigned i = 0; i < 7; i++)
        driver_submit(&driver, 2, &read);
    fake_run(&driver.fake, 100);
    for (unsigned i = 0; i < 7; i++)
        driver_submit(&driver, 2, &read);
    assert_true(fake_run(&driver.fake, 100) < 100);
    for (unsigned i = 0; i < 14; i++) {
        assert_true(driver_poll(&driver, 2, &completion));
        fake_run(&driver.fake, 100);
    }
    assert_false(driver_poll(&driver, 2, &completion));
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    driver_stop(&driver);
}

static void host_storage_reads_and_writes(void **state)
{
    struct completion completion;
    (void)state;
    start("drive=a");
    driver_pattern(&driver, DATA, 8192, 9);
    assert_int_equal(driver_io(&driver, 1, 3, 16), 0);
    assert_memory_equal(driver.fake.storages[0].bytes + 1536, driver_memory(&driver, DATA), 8192);
    memset(driver_memory(&driver, DATA), 0, 8192);
    assert_int_equal(driver_io(&driver, 2, 3, 16), 0);
    assert_true(driver_matches(&driver, DATA, 8192, 9));

    const struct command fua = {.opcode = 1, .nsid = 1, .prp1 = DATA, .dw12 = 1u << 30};
    driver_submit(&driver, 1, &fua);
    fake_run(&driver.fake, 10);
    assert_true(driver.fake.operations[0].is_durable);
    assert_false(driver_poll(&driver, 1, &completion)); /* not before storage has it */
    fake_storage_step(&driver.fake, 0);
    assert_true(driver_poll(&driver, 1, &completion));
    driver_submit(&driver, 1, &(struct command){.opcode = 1, .nsid = 1, .prp1 = DATA});
    fake_run(&driver.fake, 10);
    assert_false(driver.fake.operations[0].is_durable);
    fake_storage_step(&driver.fake, 0);
    assert_true(driver_poll(&driver, 1, &completion));
    const struct command no_cache = {.opcode = 9, .dw10 = 6};
    assert_int_equal(driver_run(&driver, 0, &no_cache, NULL), 0);
    driver_submit(&driver, 1, &(struct command){.opcode = 1, .nsid = 1, .prp1 = DATA});
    fake_run(&driver.fake, 10);
    assert_true(driver.fake.operations[0].is_durable);
    driver_stop(&driver);
}

static void host_storage_fails(void **state)
{
    static const struct {
        uint8_t opcode;
        int error;
        uint16_t status;
    } cases[] = {
        {2, -EIO, 0x281},    {1, -EIO, 0x280},   {1, -ENOSPC, 0x081}, {0, -EIO, 0x280},
        {5, -EIO, 0x281},    {8, -EIO, 0x280},   {0x0c, -EIO, 0x281}, {8, -ENOSPC, 0x081},
        {2, -ENOSPC, 0x281}, {1, -EBADF, 0x280},
    };
    struct completion completion;
    (void)state;
    start("drive=a");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct command command = {
            .opcode = cases[i].opcode, .nsid = 1, .prp1 = DATA, .dw10 = 77};
        driver_pattern(&driver, DATA, 512, 10);
        driver_submit(&driver, 1, &command);
        fake_run(&driver.fake, 10);
        assert_true(fake_storage_step(&driver.fake, cases[i].error));
        fake_run(&driver.fake, 10);
        assert_true(driver_poll(&driver, 1, &completion));
        assert_int_equal(completion.status, cases[i].status);
        assert_true(driver_matches(&driver, DATA, 512, 10)); /* a failed read writes nothing */
        const struct command log = {.opcode = 2, .prp1 = DATA, .dw10 = 15u << 16 | 1};
        assert_int_equal(driver_run(&driver, 0, &log, NULL), 0);
        const uint8_t *entry = driver_memory(&driver, DATA);
        assert_int_equal(entry[0], i + 1);
        assert_int_equal((entry[12] | entry[13] << 8) >> 1 & 0x7ff, cases[i].status);
        assert_int_equal(entry[16], cases[i].opcode == 0 ? 0 : 77);
    }
    driver_stop(&driver);
}

/* A write from before a reset lands before anything that comes after it. */
static void resets_wait_for_storage(void **state)
{
    const struct command write = {.opcode = 1, .nsid = 1, .prp1 = DATA};
    struct completion completion;
    (void)state;
    start("drive=a");
    driver_pattern(&driver, DATA, 512, 11);
    driver_submit(&driver, 1, &write);
    fake_run(&driver.fake, 10);
    assert_int_equal(driver.fake.operation_count, 1);
    driver_register_set(&driver, 0x14, 0);
    assert_int_equal(driver_register(&driver, 0x1c), 1); /* still busy */
    fake_storage_step(&driver.fake, 0);
    assert_int_equal(driver_register(&driver, 0x1c), 0);
    assert_int_equal(fake_run(&driver.fake, 10), 0);

    driver_enable(&driver);
    driver_create_queues(&driver, 1, 64);
    driver_submit(&driver, 1, &write);
    fake_run(&driver.fake, 10);
    fake_reset(&driver.fake, MODEL_RESET_FUNCTION);
    assert_int_equal(driver_register(&driver, 0x1c), 0);
    driver_enable(&driver);
    assert_int_equal(driver_register(&driver, 0x1c), 0); /* not ready before it is over */
    driver_ring(&driver, 0, 1);
    fake_storage_step(&driver.fake, -EIO);
    assert_int_equal(driver_register(&driver, 0x1c), 1);
    driver_create_queues(&driver, 1, 64);
    assert_false(driver_poll(&driver, 1, &completion));
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    driver_stop(&driver);
}

static void shutdown_flushes(void **state)
{
    struct completion completion;
    (void)state;
    driver_start(&driver, (const char *const[]){"drive=a", "drive=b", NULL});
    driver_create_queues(&driver, 1, 8);
    driver_submit(&driver, 1, &(struct command){.opcode = 1, .nsid = 2, .prp1 = DATA});
    fake_run(&driver.fake, 10);
    driver_register_set(&driver, 0x14, 0x00464001);
    assert_int_equal(driver_register(&driver, 0x1c), 0x5); /* SHST: under way */
    fake_storage_step(&driver.fake, 0);
    assert_true(driver_poll(&driver, 1, &completion)); /* the write ends first */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(driver_register(&driver, 0x1c), 0x5);
        assert_int_equal(driver.fake.operation_count, 1);
        assert_int_equal(driver.fake.operations[0].action, MODEL_STORAGE_FLUSH);
        assert_int_equal(driver.fake.operations[0].storage, i);
        fake_storage_step(&driver.fake, 0);
    }
    assert_int_equal(driver_register(&driver, 0x1c), 0x9);
    assert_false(fake_storage_step(&driver.fake, 0));
    driver_stop(&driver);
}

static void queue_deletion_waits(void **state)
{
    struct completion completion;
    (void)state;
    start("drive=a");
    driver_submit(&driver, 1, &(struct command){.opcode = 1, .nsid = 1, .prp1 = DATA});
    driver_submit(&driver, 1, &(struct command){.opcode = 2, .nsid = 1, .prp1 = DATA});
    fake_run(&driver.fake, 10);
    driver_submit(&driver, 0, &(struct command){.opcode = 0, .dw10 = 1});
    fake_run(&driver.fake, 10);
    assert_false(driver_poll(&driver, 0, &completion));
    fake_storage_step(&driver.fake, 0);
    assert_false(driver_poll(&driver, 0, &completion));
    fake_storage_step(&driver.fake, 0);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_true(driver_poll(&driver, 1, &completion));
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.status, 0);
    driver_stop(&driver);
}

/* Duplicate ids, and Format between commands under way. */
static void conflicts_are_refused(void **state)
{
    struct completion completion;
    (void)state;
    start("drive=a");
    const struct command read = {.opcode = 2, .nsid = 1, .prp1 = DATA};
    driver_submit(&driver, 1, &read);
    driver.next_cid--;
    driver_submit(&driver, 1, &read);
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status, 0x003);
    driver_submit(&driver, 0, &(struct command){.opcode = 0x80, .nsid = 1});
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.status, 0x00c);
    fake_storage_step(&driver.fake, 0);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status, 0);

    driver_submit(&driver, 0, &(struct command){.opcode = 0x80, .nsid = 1});
    fake_run(&driver.fake, 10);
    driver_submit(&driver, 1, &read);
    driver_submit(&driver, 0, &(struct command){.opcode = 0x80, .nsid = 1});
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.status, 0x084);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.status, 0x084);
    fake_storage_step(&driver.fake, 0);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.status, 0);
    driver_stop(&driver);
}

static void read_only_refuses_writes(void **state)
{
    (void)state;
    driver_start(&driver, (const char *const[]){"drive=a", "readonly", NULL});
    driver_create_queues(&driver, 1, 8);
    static const uint8_t writers[] = {0x01, 0x04, 0x08};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(driver_io(&driver, writers[i], 0, 1), 0x020);
    assert_int_equal(run((struct command){.opcode = 9, .prp1 = DATA, .dw11 = 4}), 0x020);
    const struct command format = {.opcode = 0x80, .nsid = 1};
    assert_int_equal(driver_run(&driver, 0, &format, NULL), 0x020);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    assert_int_equal(run((struct command){.opcode = 0}), 0);
    const struct command identify = {.opcode = 6, .nsid = 1, .prp1 = DATA};
    assert_int_equal(driver_run(&driver, 0, &identify, NULL), 0);
    assert_int_equal(driver_memory(&driver, DATA)[99] & 1, 1);
    driver_stop(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),      cmocka_unit_test(follows_prps),
        cmocka_unit_test(takes_large_pages),     cmocka_unit_test(compares_and_verifies),
        cmocka_unit_test(marks_uncorrectable),   cmocka_unit_test(zeroes_and_deallocates),
        cmocka_unit_test(wraps_queues),          cmocka_unit_test(host_storage_reads_and_writes),
        cmocka_unit_test(host_storage_fails),    cmocka_unit_test(resets_wait_for_storage),
        cmocka_unit_test(shutdown_flushes),      cmocka_unit_test(queue_deletion_waits),
        cmocka_unit_test(conflicts_are_refused), cmocka_unit_test(read_only_refuses_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
