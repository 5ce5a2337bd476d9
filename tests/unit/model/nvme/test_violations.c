/*
 * What a driver may do wrong with one command, and what NVM Express 1.4 gives for it: the status,
 * whether a retry makes sense, and the entry of the error log with the byte and bit of the command.
 * Sections are the specification's.
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

#define LOG_PAGE    (DATA + 0x80000)
#define BIT(n)      ((n) << 8)
#define NOWHERE     0xffff
#define OTHER_SPACE 0x1000

static struct driver driver;

struct violation {
    const char *what;
    unsigned queue;
    struct command command;
    uint16_t status;
    uint16_t location; /* byte, and bit from bit 8 */
    bool may_retry;
};

static uint64_t number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* 5.14.1.1: the newest entry comes first. */
static void check_log(const struct violation *violation, const struct completion *completion)
{
    const struct command get = {.opcode = 2, .prp1 = LOG_PAGE, .dw10 = 15u << 16 | 1};
    const uint8_t *entry = driver_memory(&driver, LOG_PAGE);

    assert_int_equal(driver_run(&driver, 0, &get, NULL), 0);
    assert_int_equal(number(entry + 8, 2), violation->queue);
    assert_int_equal(number(entry + 10, 2), completion->cid);
    assert_int_equal(number(entry + 12, 2) >> 1 & 0x7ff, violation->status);
    assert_int_equal(number(entry + 14, 2), violation->location);
    assert_int_equal(number(entry + 24, 4), violation->command.nsid);
}

static void run_all(const struct violation *violations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct violation *violation = &violations[i];
        struct completion completion;
        uint16_t status = driver_run(&driver, violation->queue, &violation->command, &completion);
        if (status != violation->status)
            fail_msg("%s: status 0x%03x", violation->what, status);
        if (completion.is_final == violation->may_retry)
            fail_msg("%s: do not retry is %d", violation->what, completion.is_final);
        check_log(violation, &completion);
    }
}

/* A table's row; the rest are members of struct command. AGAIN: a retry may succeed. */
#define BAD(what, queue, status, location, ...)                                                    \
    {                                                                                              \
        what, queue, {__VA_ARGS__}, status, location, false                                        \
    }
#define AGAIN(what, queue, status, location, ...)                                                  \
    {                                                                                              \
        what, queue, {__VA_ARGS__}, status, location, true                                         \
    }
#define RUN(table) run_all(table, sizeof(table) / sizeof((table)[0]))

static void admin_commands(void **state)
{
    static const struct violation violations[] = {
        BAD("4.2 fused", 0, 0x002, 1, .opcode = 6, .flags = 1, .prp1 = DATA, .dw10 = 1),
        BAD("4.2 SGL in an admin command", 0, 0x002, 1 | BIT(6), .opcode = 6, .flags = 0x40,
            .prp1 = DATA, .dw10 = 1),
        BAD("5 no such opcode", 0, 0x001, 0, .opcode = 0x7f),
        BAD("5.16 Keep Alive without KAS", 0, 0x001, 0, .opcode = 0x18),
        BAD("5.15 unknown CNS", 0, 0x002, 40, .opcode = 6, .prp1 = DATA, .dw10 = 0x1f),
        BAD("5.15 CNS of a later version (06h)", 0, 0x002, 40, .opcode = 6, .prp1 = DATA,
            .dw10 = 0x06),
        BAD("5.15.1 namespace 0", 0, 0x00b, 4, .opcode = 6, .prp1 = DATA, .dw10 = 0),
        BAD("5.15.1 all namespaces, no management", 0, 0x00b, 4, .opcode = 6, .nsid = NSID_ALL,
            .prp1 = DATA, .dw10 = 0),
        BAD("5.15.3 list behind the last", 0, 0x00b, 4, .opcode = 6, .nsid = 0xfffffffe,
            .prp1 = DATA, .dw10 = 2),
        BAD("5.15.4 no such namespace", 0, 0x00b, 4, .opcode = 6, .nsid = 3, .prp1 = DATA,
            .dw10 = 3),
        BAD("4.3 PRP 1 not of dwords", 0, 0x013, 24, .opcode = 6, .prp1 = DATA + 2, .dw10 = 1),
        BAD("4.3 PRP 2 with an offset", 0, 0x013, 32, .opcode = 6, .prp1 = DATA + 8,
            .prp2 = DATA + 0x1008, .dw10 = 1),
        AGAIN("4.3 memory that is not there", 0, 0x004, NOWHERE, .opcode = 6, .prp1 = OTHER_SPACE,
              .dw10 = 1),
        BAD("5.14 no such log page", 0, 0x109, 40, .opcode = 2, .prp1 = DATA, .dw10 = 0x70),
        BAD("5.14 log of a namespace", 0, 0x002, 4, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .dw10 = 2),
        BAD("5.14 more than MDTS", 0, 0x002, 42, .opcode = 2, .prp1 = DATA, .dw10 = 0x80000002),
        BAD("5.14 offset not of dwords", 0, 0x002, 48, .opcode = 2, .prp1 = DATA, .dw10 = 2,
            .dw12 = 2),
        BAD("5.14 offset past the end", 0, 0x002, 48, .opcode = 2, .prp1 = DATA, .dw10 = 2,
            .dw12 = 516),
        BAD("5.23 format that is not listed", 0, 0x10a, 40, .opcode = 0x80, .nsid = 1, .dw10 = 2),
        BAD("5.23 protection information", 0, 0x10a, 40, .opcode = 0x80, .nsid = 1, .dw10 = 0x20),
        BAD("5.23 cryptographic erase", 0, 0x002, 41 | BIT(1), .opcode = 0x80, .nsid = 1,
            .dw10 = 2 << 9),
        BAD("5.23 no such namespace", 0, 0x00b, 4, .opcode = 0x80, .nsid = 9),
    };
    (void)state;
    driver_start(&driver, (const char *const[]){"queues=4", "namespaces=2", "size=1M", NULL});
    RUN(violations);
    driver_stop(&driver);
}

static void features(void **state)
{
    static const struct violation violations[] = {
        BAD("5.21 no such feature", 0, 0x002, 40, .opcode = 9, .dw10 = 0x7f),
        BAD("5.21 Save of what is not saveable", 0, 0x10d, 43 | BIT(7), .opcode = 9,
            .dw10 = 0x80000006),
        BAD("5.21 not of a namespace", 0, 0x10f, 4, .opcode = 9, .nsid = 1, .dw10 = 6),
        BAD("5.13 reserved Select", 0, 0x002, 41, .opcode = 0x0a, .dw10 = 0x406),
        BAD("5.13 no such feature", 0, 0x002, 40, .opcode = 0x0a, .dw10 = 0),
        BAD("5.21.1.2 power state 1 of 1", 0, 0x002, 44, .opcode = 9, .dw10 = 2, .dw11 = 1),
        BAD("5.21.1.4 sensor that is not there", 0, 0x002, 46, .opcode = 9, .dw10 = 4,
            .dw11 = 0x10000),
        BAD("5.21.1.4 reserved threshold type", 0, 0x002, 46 | BIT(4), .opcode = 9, .dw10 = 4,
            .dw11 = 0x200000),
        BAD("5.21.1.4 the same of Get Features", 0, 0x002, 46 | BIT(4), .opcode = 0x0a, .dw10 = 4,
            .dw11 = 0x300000),
        BAD("5.21.1.5 DULBE", 0, 0x002, 46, .opcode = 9, .nsid = 1, .dw10 = 5, .dw11 = 0x10000),
        BAD("5.21.1.5 all namespaces in Get Features", 0, 0x00b, 4, .opcode = 0x0a,
            .nsid = NSID_ALL, .dw10 = 5),
        BAD("5.21.1.7 FFFFh submission queues", 0, 0x002, 44, .opcode = 9, .dw10 = 7,
            .dw11 = 0xffff),
        BAD("5.21.1.7 FFFFh completion queues", 0, 0x002, 46, .opcode = 9, .dw10 = 7,
            .dw11 = 0xffff0000),
        BAD("5.21.1.9 no such vector", 0, 0x002, 44, .opcode = 9, .dw10 = 9, .dw11 = 5),
        BAD("5.21.1.11 reserved events", 0, 0x002, 44, .opcode = 9, .dw10 = 0x0b, .dw11 = 0x80),
        BAD("5.21.1.12 autonomous transitions without APSTA", 0, 0x002, 40, .opcode = 9,
            .prp1 = DATA, .dw10 = 0x0c, .dw11 = 1),
        BAD("5.21.1.13 host memory buffer without HMPRE", 0, 0x002, 40, .opcode = 9, .dw10 = 0x0d,
            .dw11 = 1),
        BAD("5.21.1.15 Keep Alive Timer", 0, 0x002, 40, .opcode = 9, .dw10 = 0x0f),
        BAD("5.21.1.22 Host Behavior Support", 0, 0x002, 40, .opcode = 9, .prp1 = DATA,
            .dw10 = 0x16),
    };
    (void)state;
    driver_start(&driver, (const char *const[]){"queues=4", "namespaces=2", NULL});
    RUN(violations);
    driver_stop(&driver);
}

/* Queues 1 exist; 2 were granted but not made. */
static void queues(void **state)
{
    static const struct violation violations[] = {
        BAD("5.3 completion queue 0", 0, 0x101, 40, .opcode = 5, .prp1 = DATA, .dw10 = 0x70000,
            .dw11 = 1),
        BAD("5.3 one that exists", 0, 0x101, 40, .opcode = 5, .prp1 = DATA, .dw10 = 0x70001,
            .dw11 = 1),
        BAD("5.3 more than granted", 0, 0x101, 40, .opcode = 5, .prp1 = DATA, .dw10 = 0x70003,
            .dw11 = 1),
        BAD("5.3 one entry", 0, 0x102, 42, .opcode = 5, .prp1 = DATA, .dw10 = 0x00002, .dw11 = 1),
        BAD("5.3 more than MQES", 0, 0x102, 42, .opcode = 5, .prp1 = DATA, .dw10 = 0x10000002,
            .dw11 = 1),
        BAD("5.3 not contiguous, CQR", 0, 0x002, 44, .opcode = 5, .prp1 = DATA, .dw10 = 0x70002,
            .dw11 = 2),
        BAD("5.3 PRP 1 with an offset", 0, 0x013, 24, .opcode = 5, .prp1 = DATA + 64,
            .dw10 = 0x70002, .dw11 = 1),
        BAD("5.3 vector past the table", 0, 0x108, 46, .opcode = 5, .prp1 = DATA, .dw10 = 0x70002,
            .dw11 = 5 << 16 | 3),
        BAD("5.4 submission queue 0", 0, 0x101, 40, .opcode = 1, .prp1 = DATA, .dw10 = 0x70000,
            .dw11 = 0x10001),
        BAD("5.4 one that exists", 0, 0x101, 40, .opcode = 1, .prp1 = DATA, .dw10 = 0x70001,
            .dw11 = 0x10001),
        BAD("5.4 to the admin completion queue", 0, 0x101, 46, .opcode = 1, .prp1 = DATA,
            .dw10 = 0x70002, .dw11 = 1),
        BAD("5.4 to a queue outside the range", 0, 0x101, 46, .opcode = 1, .prp1 = DATA,
            .dw10 = 0x70002, .dw11 = 0x90001),
        BAD("5.4 to a queue that was not made", 0, 0x100, 46, .opcode = 1, .prp1 = DATA,
            .dw10 = 0x70002, .dw11 = 0x20001),
        BAD("5.4 one entry", 0, 0x102, 42, .opcode = 1, .prp1 = DATA, .dw10 = 2, .dw11 = 0x10001),
        BAD("5.4 not contiguous, CQR", 0, 0x002, 44, .opcode = 1, .prp1 = DATA, .dw10 = 0x70002,
            .dw11 = 0x10000),
        BAD("5.5 completion queue in use", 0, 0x10c, 40, .opcode = 4, .dw10 = 1),
        BAD("5.5 completion queue 0", 0, 0x101, 40, .opcode = 4, .dw10 = 0),
        BAD("5.5 not made", 0, 0x101, 40, .opcode = 4, .dw10 = 2),
        BAD("5.6 submission queue 0", 0, 0x101, 40, .opcode = 0, .dw10 = 0),
        BAD("5.6 not made", 0, 0x101, 40, .opcode = 0, .dw10 = 2),
        BAD("5.21.1.7 Number of Queues, queues exist", 0, 0x00c, NOWHERE, .opcode = 9, .dw10 = 7),
    };
    static const struct violation late[] = {
        BAD("5.21.1.7 Number of Queues, queues existed", 0, 0x00c, NOWHERE, .opcode = 9, .dw10 = 7),
    };
    static const struct command grant = {.opcode = 9, .dw10 = 7, .dw11 = 0x10001};
    (void)state;
    driver_start(&driver, (const char *const[]){"queues=4", NULL});
    assert_int_equal(driver_run(&driver, 0, &grant, NULL), 0);
    driver_create_queues(&driver, 1, 8);
    RUN(violations);
    assert_int_equal(driver_run(&driver, 0, &(struct command){.opcode = 0, .dw10 = 1}, NULL), 0);
    assert_int_equal(driver_run(&driver, 0, &(struct command){.opcode = 4, .dw10 = 1}, NULL), 0);
    RUN(late);
    driver_register_set(&driver, 0x14, 0);
    driver_enable(&driver);
    assert_int_equal(driver_run(&driver, 0, &grant, NULL), 0);
    driver_stop(&driver);
}

/* 3.1.5: entry sizes have to be set before I/O queues are made. */
static void entry_sizes(void **state)
{
    static const struct violation no_iocqes[] = {
        BAD("IOCQES 0", 0, 0x102, 42, .opcode = 5, .prp1 = DATA, .dw10 = 0x70001, .dw11 = 1),
    };
    static const struct violation no_iosqes[] = {
        BAD("IOSQES 0", 0, 0x102, 42, .opcode = 1, .prp1 = DATA, .dw10 = 0x70001, .dw11 = 0x10001),
    };
    (void)state;
    driver_start(&driver, NULL);
    driver_register_set(&driver, 0x14, 0x00060001);
    RUN(no_iocqes);
    driver_register_set(&driver, 0x14, 0x00400001);
    const struct command create = {.opcode = 5, .prp1 = DATA, .dw10 = 0x70001, .dw11 = 1};
    assert_int_equal(driver_run(&driver, 0, &create, NULL), 0);
    RUN(no_iosqes);
    driver_stop(&driver);
}

/* 256 blocks of 4096 bytes; the second namespace is asked for nothing. */
static void io_commands(void **state)
{
    static const struct violation violations[] = {
        BAD("6 no such opcode", 1, 0x001, 0, .opcode = 0x0d, .nsid = 1),
        BAD("6.2 fused", 1, 0x002, 1, .opcode = 2, .flags = 2, .nsid = 1, .prp1 = DATA),
        BAD("4.4 SGL without SGLS", 1, 0x002, 1 | BIT(6), .opcode = 2, .flags = 0x40, .nsid = 1,
            .prp1 = DATA),
        BAD("6.1 namespace 0", 1, 0x00b, 4, .opcode = 2, .prp1 = DATA),
        BAD("6.1 no such namespace", 1, 0x00b, 4, .opcode = 2, .nsid = 3, .prp1 = DATA),
        BAD("6.1 all namespaces in Read", 1, 0x002, 4, .opcode = 2, .nsid = NSID_ALL, .prp1 = DATA),
        BAD("6.1 all namespaces in Write", 1, 0x002, 4, .opcode = 1, .nsid = NSID_ALL,
            .prp1 = DATA),
        BAD("6.8 no such namespace in Flush", 1, 0x00b, 4, .opcode = 0, .nsid = 3),
        BAD("6.9 first block past the end", 1, 0x080, 40, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .dw10 = 256),
        BAD("6.9 last block past the end", 1, 0x080, 40, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .prp2 = DATA + 0x1000, .dw10 = 255, .dw12 = 1),
        BAD("6.9 a range that wraps", 1, 0x080, 40, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .dw10 = 0xffffffff, .dw11 = 0xffffffff, .dw12 = 1),
        BAD("6.15 the same of Write", 1, 0x080, 40, .opcode = 1, .nsid = 1, .prp1 = DATA,
            .dw10 = 256),
        BAD("6.6 of Compare", 1, 0x080, 40, .opcode = 5, .nsid = 1, .prp1 = DATA, .dw10 = 256),
        BAD("6.17 of Write Zeroes", 1, 0x080, 40, .opcode = 8, .nsid = 1, .dw10 = 200, .dw12 = 56),
        BAD("6.16 of Write Uncorrectable", 1, 0x080, 40, .opcode = 4, .nsid = 1, .dw10 = 256),
        BAD("6.14 of Verify", 1, 0x080, 40, .opcode = 0x0c, .nsid = 1, .dw10 = 256),
        BAD("6.7 in the ranges of Dataset Management", 1, 0x080, NOWHERE, .opcode = 9, .nsid = 1,
            .prp1 = DATA + 0x10000, .dw11 = 4),
        BAD("5.15.2 more than MDTS", 1, 0x002, 48, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .dw12 = 32),
        BAD("4.3 PRP 1 not of dwords", 1, 0x013, 24, .opcode = 2, .nsid = 1, .prp1 = DATA + 1),
        BAD("4.3 PRP 2 with an offset", 1, 0x013, 32, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .prp2 = DATA + 0x1010, .dw12 = 1),
        BAD("4.3 list not of qwords", 1, 0x013, 32, .opcode = 2, .nsid = 1, .prp1 = DATA,
            .prp2 = DATA + 0x1004, .dw12 = 2),
        BAD("4.3 list entry with an offset", 1, 0x013, NOWHERE, .opcode = 2, .nsid = 1,
            .prp1 = DATA, .prp2 = DATA + 0x11000, .dw12 = 2),
        AGAIN("4.3 list that is not there", 1, 0x004, NOWHERE, .opcode = 2, .nsid = 1, .prp1 = DATA,
              .prp2 = OTHER_SPACE, .dw12 = 2),
        AGAIN("4.3 data that is not there", 1, 0x004, NOWHERE, .opcode = 1, .nsid = 1,
              .prp1 = OTHER_SPACE),
        BAD("6.6 other data", 1, 0x285, NOWHERE, .opcode = 5, .nsid = 1, .prp1 = DATA + 0x12000),
    };
    (void)state;
    driver_start(&driver,
                 (const char *const[]){"queues=4", "namespaces=2", "size=1M", "block=4096", NULL});
    driver_create_queues(&driver, 1, 8);
    driver_memory(&driver, DATA + 0x10000)[4] = 1;  /* one block … */
    driver_memory(&driver, DATA + 0x10000)[9] = 1;  /* … at 256 */
    driver_memory(&driver, DATA + 0x11000)[0] = 16; /* an entry in the middle of a page */
    driver_pattern(&driver, DATA + 0x12000, 4096, 1);
    RUN(violations);
    driver_stop(&driver);
}

/* 8.19: what writes is refused, what reads is not. */
static void read_only_namespaces(void **state)
{
    static const struct violation violations[] = {
        BAD("Write", 1, 0x020, NOWHERE, .opcode = 1, .nsid = 1, .prp1 = DATA),
        BAD("Write Uncorrectable", 1, 0x020, NOWHERE, .opcode = 4, .nsid = 1),
        BAD("Write Zeroes", 1, 0x020, NOWHERE, .opcode = 8, .nsid = 1),
        BAD("Deallocate", 1, 0x020, NOWHERE, .opcode = 9, .nsid = 1, .prp1 = DATA, .dw11 = 4),
        BAD("Format NVM", 0, 0x020, NOWHERE, .opcode = 0x80, .nsid = 1),
    };
    (void)state;
    driver_start(&driver, (const char *const[]){"readonly", "size=1M", NULL});
    driver_create_queues(&driver, 1, 8);
    RUN(violations);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    assert_int_equal(driver_io(&driver, 5, 0, 1), 0);
    assert_int_equal(driver_io(&driver, 0, 0, 1), 0);
    assert_int_equal(driver_io(&driver, 0x0c, 0, 1), 0);
    driver_stop(&driver);
}

/* 5.14.1.2: Read and Compare are read commands, Write alone is a write command; data read by
 * Verify counts, zeros and marks do not. In thousands of 512 bytes, rounded up. */
static void counts_commands(void **state)
{
    const struct command get = {.opcode = 2, .prp1 = LOG_PAGE, .dw10 = 127u << 16 | 2};
    const uint8_t *log = driver_memory(&driver, LOG_PAGE);
    (void)state;
    driver_start(&driver, (const char *const[]){"size=16M", NULL});
    log = driver_memory(&driver, LOG_PAGE);
    driver_create_queues(&driver, 1, 8);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(driver_io(&driver, 1, 0, 16), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(driver_io(&driver, 2, 0, 16), 0);
    assert_int_equal(driver_io(&driver, 5, 0, 16), 0);
    assert_int_equal(driver_io(&driver, 0x0c, 0, 2000), 0);
    assert_int_equal(driver_io(&driver, 8, 0, 5000), 0);
    assert_int_equal(driver_io(&driver, 4, 0, 1), 0);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0x281);
    assert_int_equal(driver_run(&driver, 0, &get, NULL), 0);
    assert_int_equal(number(log + 32, 8), 3); /* 2048 units read */
    assert_int_equal(number(log + 48, 8), 1); /* 48 written */
    assert_int_equal(number(log + 64, 8), 3);
    assert_int_equal(number(log + 80, 8), 3);
    assert_int_equal(number(log + 160, 8), 1); /* media errors */
    assert_int_equal(number(log + 176, 8), 1); /* entries of the error log */
    driver_stop(&driver);
}

/* 5.2: AERL + 1 requests at a time; the one too many may come again. 5.1: nothing to abort is no
 * error, and says so. */
static void limits(void **state)
{
    static const struct violation too_many[] = {
        AGAIN("5.2 a fifth request", 0, 0x105, NOWHERE, .opcode = 0x0c),
    };
    struct completion completion;
    (void)state;
    driver_start(&driver, NULL);
    for (unsigned i = 0; i < 4; i++)
        driver_submit(&driver, 0, &(struct command){.opcode = 0x0c});
    RUN(too_many);
    const struct command nothing = {.opcode = 8, .dw10 = 0x12340001};
    assert_int_equal(driver_run(&driver, 0, &nothing, &completion), 0);
    assert_int_equal(completion.answer, 1);
    driver_stop(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admin_commands),  cmocka_unit_test(features),
        cmocka_unit_test(queues),          cmocka_unit_test(entry_sizes),
        cmocka_unit_test(io_commands),     cmocka_unit_test(read_only_namespaces),
        cmocka_unit_test(counts_commands), cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
