/*
 * Admin commands: every one, and every status they can end with.
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

static uint32_t data32(unsigned offset)
{
    const uint8_t *at = driver_memory(&driver, DATA + offset);
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint16_t admin(struct command command)
{
    return driver_run(&driver, 0, &command, NULL);
}

static uint16_t identify(uint32_t cns, uint32_t nsid)
{
    memset(driver_memory(&driver, DATA), 0xa5, 4096);
    return admin((struct command){.opcode = 6, .nsid = nsid, .prp1 = DATA, .dw10 = cns});
}

static uint16_t create_cq(uint32_t dw10, uint32_t dw11, uint64_t prp1)
{
    return admin((struct command){.opcode = 5, .prp1 = prp1, .dw10 = dw10, .dw11 = dw11});
}

static uint16_t create_sq(uint32_t dw10, uint32_t dw11, uint64_t prp1)
{
    return admin((struct command){.opcode = 1, .prp1 = prp1, .dw10 = dw10, .dw11 = dw11});
}

static uint16_t get_feature(uint32_t dw10, uint32_t dw11, uint32_t nsid, uint32_t *answer)
{
    struct completion completion;
    const struct command command = {
        .opcode = 0x0a, .nsid = nsid, .prp1 = DATA, .dw10 = dw10, .dw11 = dw11};
    uint16_t status = driver_run(&driver, 0, &command, &completion);
    *answer = completion.answer;
    return status;
}

static uint16_t set_feature(uint32_t dw10, uint32_t dw11, uint32_t nsid)
{
    return admin(
        (struct command){.opcode = 9, .nsid = nsid, .prp1 = DATA, .dw10 = dw10, .dw11 = dw11});
}

static uint16_t get_log(uint8_t log, uint32_t bytes, uint64_t offset)
{
    memset(driver_memory(&driver, DATA), 0xa5, 4096);
    return admin((struct command){.opcode = 2,
                                  .nsid = NSID_ALL,
                                  .prp1 = DATA,
                                  .prp2 = DATA + 0x1000,
                                  .dw10 = (bytes / 4 - 1) << 16 | log,
                                  .dw12 = (uint32_t)offset,
                                  .dw13 = (uint32_t)(offset >> 32)});
}

static void identifies(void **state)
{
    (void)state;
    driver_start(&driver, (const char *const[]){"namespaces=3", "serial=ABC-1", "size=1M",
                                                "block=4096", NULL});
    const uint8_t *data = driver_memory(&driver, DATA);
    assert_int_equal(identify(1, 0), 0);
    assert_int_equal(data32(0) & 0xffff, 0x1234);
    assert_memory_equal(data + 4, "ABC-1               ", 20);
    assert_memory_equal(data + 24, "dextlink NVMe  ", 15);
    assert_int_equal(data[77], 5); /* MDTS */
    assert_int_equal(data32(80), 0x00010400);
    assert_int_equal(data32(88), 10000000);    /* RTD3E: a file may take long to flush */
    assert_int_equal(data[111], 1);            /* I/O controller */
    assert_int_equal(data32(256) & 0xffff, 2); /* OACS */
    assert_int_equal(data[512], 0x66);
    assert_int_equal(data[513], 0x44);
    assert_int_equal(data32(516), 3);             /* NN */
    assert_int_equal(data32(520) & 0xffff, 0xdf); /* ONCS */
    assert_int_equal(data[525] & 1, 1);           /* VWC */
    assert_int_equal(data32(536), 0);             /* SGLS */
    assert_memory_equal(data + 768, "nqn.2014-08.org.nvmexpress:uuid:", 32);
    assert_int_equal(strlen((const char *)data + 768), 32 + 36);

    assert_int_equal(identify(0, 3), 0);
    assert_int_equal(data32(0), 256); /* NSZE: 1 MiB of 4096 */
    assert_int_equal(data32(8), 256);
    assert_int_equal(data[25], 1);     /* NLBAF */
    assert_int_equal(data[26], 1);     /* FLBAS */
    assert_int_equal(data[33] & 7, 1); /* deallocated reads zeros */
    assert_int_equal(data[130], 9);    /* LBADS of each format */
    assert_int_equal(data[134], 12);
    assert_int_equal(identify(0, 0), 0x00b);
    assert_int_equal(identify(0, 4), 0x00b);
    assert_int_equal(identify(0, NSID_ALL), 0x00b);

    assert_int_equal(identify(2, 0), 0);
    assert_int_equal(data32(0), 1);
    assert_int_equal(data32(8), 3);
    assert_int_equal(data32(12), 0);
    assert_int_equal(identify(2, 2), 0);
    assert_int_equal(data32(0), 3);
    assert_int_equal(data32(4), 0);
    assert_int_equal(identify(2, 0xfffffffe), 0x00b);
    assert_int_equal(identify(2, NSID_ALL), 0x00b);

    assert_int_equal(identify(3, 1), 0);
    assert_int_equal(data32(0), 0x1003); /* UUID, 16 bytes */
    assert_int_equal(data32(20), 0);     /* the end */
    uint32_t first = data32(4);
    assert_int_equal(identify(3, 2), 0);
    assert_int_not_equal(data32(4), first);
    assert_int_equal(identify(3, 9), 0x00b);
    assert_int_equal(identify(4, 1), 0x002);
    driver_stop(&driver);
}

static void creates_queues(void **state)
{
    (void)state;
    driver_start(&driver, (const char *const[]){"queues=4", NULL});
    assert_int_equal(create_cq(7 << 16 | 0, 3, DATA), 0x101);
    assert_int_equal(create_cq(7 << 16 | 5, 3, DATA), 0x101);
    assert_int_equal(create_cq(0 << 16 | 1, 3, DATA), 0x102);
    assert_int_equal(create_cq(4096u << 16 | 1, 3, DATA), 0x102);
    assert_int_equal(create_cq(7 << 16 | 1, 2, DATA), 0x002); /* not contiguous */
    assert_int_equal(create_cq(7 << 16 | 1, 3, DATA + 8), 0x013);
    assert_int_equal(create_cq(7 << 16 | 1, 5 << 16 | 3, DATA), 0x108); /* vectors 0 to 4 */
    assert_int_equal(create_cq(7 << 16 | 1, 4 << 16 | 3, DATA), 0);
    assert_int_equal(create_cq(7 << 16 | 1, 4 << 16 | 3, DATA), 0x101); /* there already */
    assert_int_equal(create_cq(4095u << 16 | 2, 1, DATA), 0);

    assert_int_equal(create_sq(7 << 16 | 0, 1 << 16 | 1, DATA), 0x101);
    assert_int_equal(create_sq(7 << 16 | 5, 1 << 16 | 1, DATA), 0x101);
    assert_int_equal(create_sq(7 << 16 | 1, 0 << 16 | 1, DATA), 0x101);
    assert_int_equal(create_sq(7 << 16 | 1, 5 << 16 | 1, DATA), 0x101);
    assert_int_equal(create_sq(7 << 16 | 1, 3 << 16 | 1, DATA), 0x100);
    assert_int_equal(create_sq(0 << 16 | 1, 1 << 16 | 1, DATA), 0x102);
    assert_int_equal(create_sq(4096u << 16 | 1, 1 << 16 | 1, DATA), 0x102);
    assert_int_equal(create_sq(7 << 16 | 1, 1 << 16 | 0, DATA), 0x002);
    assert_int_equal(create_sq(7 << 16 | 1, 1 << 16 | 1, DATA + 0x800), 0x013);
    assert_int_equal(create_sq(7 << 16 | 1, 1 << 16 | 1, DATA), 0);
    assert_int_equal(create_sq(7 << 16 | 1, 1 << 16 | 1, DATA), 0x101);

    driver_register_set(&driver, 0x14, 0x00400001); /* IOSQES not set, then IOCQES */
    assert_int_equal(create_sq(7 << 16 | 2, 1 << 16 | 1, DATA), 0x102);
    driver_register_set(&driver, 0x14, 0x00060001);
    assert_int_equal(create_cq(7 << 16 | 3, 3, DATA), 0x102);
    driver_register_set(&driver, 0x14, 0x00460001);
    assert_int_equal(admin((struct command){.opcode = 4, .dw10 = 0}), 0x101);
    assert_int_equal(admin((struct command){.opcode = 4, .dw10 = 1}), 0x10c); /* still used */
    assert_int_equal(admin((struct command){.opcode = 0, .dw10 = 0}), 0x101);
    assert_int_equal(admin((struct command){.opcode = 0, .dw10 = 2}), 0x101);
    assert_int_equal(admin((struct command){.opcode = 0, .dw10 = 1}), 0);
    assert_int_equal(admin((struct command){.opcode = 4, .dw10 = 1}), 0);
    assert_int_equal(admin((struct command){.opcode = 4, .dw10 = 1}), 0x101);
    driver_stop(&driver);
}

static void gets_and_sets_features(void **state)
{
    uint32_t answer;
    static const struct {
        uint8_t feature;
        uint32_t initial, set, then;
    } plain[] = {
        {0x01, 0x00000003, 0x01020304, 0x01020304}, /* arbitration */
        {0x02, 0, 0x20, 0x20},                      /* power: state 0, workload hint */
        {0x04, 343, 350, 350},                      /* composite temperature, over */
        {0x06, 1, 0, 0},                            /* write cache */
        {0x08, 0, 0x0a05, 0x0a05},                  /* coalescing */
        {0x0a, 0, 1, 1},                            /* atomicity */
        {0x0b, 0, 0x102, 0x102},                    /* events */
    };
    (void)state;
    driver_start(&driver, (const char *const[]){"queues=4", "namespaces=2", NULL});
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        uint8_t id = plain[i].feature;
        assert_int_equal(get_feature(id, 0, 0, &answer), 0);
        assert_int_equal(answer, plain[i].initial);
        assert_int_equal(set_feature(id, plain[i].set, 0), 0);
        assert_int_equal(get_feature(id, 0, 0, &answer), 0);
        assert_int_equal(answer, plain[i].then);
        for (uint32_t select = 1; select <= 2; select++) { /* default, saved */
            assert_int_equal(get_feature(id | select << 8, 0, 0, &answer), 0);
            assert_int_equal(answer, plain[i].initial);
        }
        assert_int_equal(get_feature(id | 3 << 8, 0, 0, &answer), 0);
        assert_int_equal(answer, 4); /* changeable */
        assert_int_equal(set_feature(id | 0x80000000u, 0, 0), 0x10d);
        assert_int_equal(set_feature(id, plain[i].set, 1), 0x10f);
        assert_int_equal(set_feature(id, plain[i].set, 3), 0x00b);
        assert_int_equal(get_feature(id | 4 << 8, 0, 0, &answer), 0x002);
    }
    static const uint8_t unsupported[] = {0x00, 0x03, 0x0c, 0x0d, 0x0f, 0x10, 0x11, 0x80, 0xff};
    for (size_t i = 0; i < sizeof(unsupported); i++) {
        assert_int_equal(get_feature(unsupported[i], 0, 0, &answer), 0x002);
        assert_int_equal(set_feature(unsupported[i], 0, 0), 0x002);
    }
    assert_int_equal(set_feature(0x02, 1, 0), 0x002);             /* one power state */
    assert_int_equal(set_feature(0x04, 1 << 16 | 300, 0), 0x002); /* no such sensor */
    assert_int_equal(set_feature(0x04, 2 << 20 | 300, 0), 0x002);
    assert_int_equal(set_feature(0x09, 0x10004, 0), 0);
    assert_int_equal(get_feature(0x09, 4, 0, &answer), 0);
    assert_int_equal(answer, 0x10004);
    assert_int_equal(set_feature(0x09, 5, 0), 0x002);
    assert_int_equal(get_feature(0x09, 5, 0, &answer), 0x002);
    assert_int_equal(set_feature(0x05, 0x10001, 1), 0x002); /* DULBE */
    assert_int_equal(set_feature(0x05, 0x1234, 2), 0);
    assert_int_equal(get_feature(0x05, 0, 2, &answer), 0);
    assert_int_equal(answer, 0x1234);
    assert_int_equal(get_feature(0x05, 0, 1, &answer), 0);
    assert_int_equal(answer, 0);
    assert_int_equal(set_feature(0x05, 7, NSID_ALL), 0);
    assert_int_equal(get_feature(0x05, 0, 1, &answer), 0);
    assert_int_equal(answer, 7);
    assert_int_equal(get_feature(0x05, 0, NSID_ALL, &answer), 0x00b);
    assert_int_equal(set_feature(0x05, 7, 3), 0x00b);
    assert_int_equal(get_feature(0x05 | 3 << 8, 0, 1, &answer), 0);
    assert_int_equal(answer, 6); /* changeable, of a namespace */
    driver_stop(&driver);
}

static void grants_queues(void **state)
{
    struct completion completion;
    struct command command = {.opcode = 9, .dw10 = 7, .dw11 = 63 << 16 | 1};
    (void)state;
    driver_start(&driver, (const char *const[]){"queues=4", NULL});
    assert_int_equal(driver_run(&driver, 0, &command, &completion), 0);
    assert_int_equal(completion.answer, 3 << 16 | 1);
    assert_int_equal(set_feature(7, 0xffff, 0), 0x002);
    assert_int_equal(set_feature(7, 0xffff0000u, 0), 0x002);
    driver_create_queues(&driver, 1, 8);
    assert_int_equal(create_sq(7 << 16 | 3, 1 << 16 | 1, DATA), 0x101); /* two granted */
    assert_int_equal(set_feature(7, 0, 0), 0x00c);
    driver_stop(&driver);
}

static void keeps_time(void **state)
{
    uint32_t answer;
    (void)state;
    driver_start(&driver, NULL);
    const uint8_t stamp[8] = {0x00, 0x10, 0x20, 0x30, 0x40, 0x01, 0, 0};
    memcpy(driver_memory(&driver, DATA), stamp, 8);
    assert_int_equal(set_feature(0x0e, 0, 0), 0);
    fake_advance(&driver.fake, UINT64_C(5000000));
    assert_int_equal(get_feature(0x0e, 0, 0, &answer), 0);
    assert_int_equal(data32(0), 0x30201005);
    assert_int_equal(data32(4), 0x00020140); /* origin: set by the host */
    driver_register_set(&driver, 0x14, 0);
    driver_enable(&driver);
    fake_advance(&driver.fake, UINT64_C(7000000));
    assert_int_equal(get_feature(0x0e, 0, 0, &answer), 0);
    assert_int_equal(data32(0), 7);
    assert_int_equal(data32(4), 0);
    driver_stop(&driver);
}

static void gives_logs(void **state)
{
    (void)state;
    driver_start(&driver, NULL);
    const uint8_t *data = driver_memory(&driver, DATA);
    driver_create_queues(&driver, 1, 8);
    assert_int_equal(driver_io(&driver, 1, 0, 8), 0);
    assert_int_equal(driver_io(&driver, 2, 0, 8), 0);
    assert_int_equal(driver_io(&driver, 2, 0x20000, 1), 0x080);
    assert_int_equal(get_log(1, 128, 0), 0);
    assert_int_equal(data32(0), 1);                               /* error count */
    assert_int_equal(data32(8) & 0xffff, 1);                      /* SQID */
    assert_int_equal(data32(12) & 0xfffe, (0x080 | 0x6000) << 1); /* DNR, More */
    assert_int_equal(data32(12) >> 16, 40);                       /* dword 10: the first block */
    assert_int_equal(data32(16), 0x20000);
    assert_int_equal(data32(24), 1);
    assert_int_equal(data32(64), 0);
    assert_int_equal(driver_io(&driver, 0x55, 0, 1), 0x001);
    assert_int_equal(get_log(1, 128, 0), 0);
    assert_int_equal(data32(0), 2); /* the newest first */
    assert_int_equal(data32(64), 1);

    assert_int_equal(get_log(2, 512, 0), 0);
    assert_int_equal(data[0], 0);
    assert_int_equal(data[1] | data[2] << 8, 310);
    assert_int_equal(data[3], 100);
    assert_int_equal(data32(32), 1); /* data units */
    assert_int_equal(data32(48), 1);
    assert_int_equal(data32(64), 1); /* commands */
    assert_int_equal(data32(80), 1);
    assert_int_equal(data32(176), 2);
    assert_int_equal(get_log(3, 512, 0), 0);
    assert_int_equal(data[0], 1);
    assert_memory_equal(data + 8, "1.0     ", 8);
    assert_int_equal(get_log(5, 4096, 0), 0);
    assert_int_equal(data32(0x06 * 4) & 1, 1);
    assert_int_equal(data32(0x18 * 4), 0);     /* Keep Alive */
    assert_int_equal(data32(0x80 * 4) & 3, 3); /* Format changes blocks */
    assert_int_equal(data32(1024 + 0x01 * 4) & 3, 3);
    assert_int_equal(data32(1024 + 0x02 * 4) & 3, 1);
    assert_int_equal(get_log(5, 8192, 0), 0);
    assert_int_equal(driver_memory(&driver, DATA)[4096], 0); /* past the end */
    assert_int_equal(get_log(5, 8, 1024 + 4), 0);
    assert_int_equal(data32(0) & 3, 3);
    assert_int_equal(get_log(5, 8, 4096), 0);
    assert_int_equal(data32(0), 0);
    assert_int_equal(get_log(5, 8, 4100), 0x002);
    assert_int_equal(get_log(5, 8, 2), 0x002);
    assert_int_equal(get_log(5, 8, UINT64_C(1) << 40), 0x002);
    assert_int_equal(get_log(0, 8, 0), 0x109);
    assert_int_equal(get_log(6, 8, 0), 0x109);
    assert_int_equal(get_log(1, 0x20004, 0), 0x002); /* over MDTS */
    assert_int_equal(admin((struct command){.opcode = 2, .nsid = 1, .prp1 = DATA, .dw10 = 2}), 2);
    driver_stop(&driver);
}

static void refuses_what_it_has_not(void **state)
{
    struct completion completion;
    (void)state;
    driver_start(&driver, NULL);
    static const uint8_t opcodes[] = {0x03, 0x07, 0x0d, 0x10, 0x11, 0x14, 0x15,
                                      0x18, 0x19, 0x1a, 0x1c, 0x1d, 0x1e, 0x7c,
                                      0x7f, 0x81, 0x82, 0x84, 0x86, 0xc0, 0xff};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        const struct command command = {.opcode = opcodes[i]};
        assert_int_equal(driver_run(&driver, 0, &command, &completion), 0x001);
        assert_true(completion.is_final);
    }
    assert_int_equal(admin((struct command){.opcode = 6, .flags = 0x01, .prp1 = DATA, .dw10 = 1}),
                     2);
    assert_int_equal(admin((struct command){.opcode = 6, .flags = 0x40, .prp1 = DATA, .dw10 = 1}),
                     2);
    assert_int_equal(admin((struct command){.opcode = 6, .prp1 = DATA + 2, .dw10 = 1}), 0x013);
    assert_int_equal(admin((struct command){.opcode = 6, .prp1 = 0x1000, .dw10 = 1}), 0x004);
    driver_stop(&driver);
}

static void aborts(void **state)
{
    struct completion completion;
    (void)state;
    driver_start(&driver, NULL);
    uint16_t waiting = driver_submit(&driver, 0, &(struct command){.opcode = 0x0c});
    uint16_t cid =
        driver_submit(&driver, 0, &(struct command){.opcode = 8, .dw10 = (uint32_t)waiting << 16});
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, waiting);
    assert_int_equal(completion.status, 0x007);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, cid);
    assert_int_equal(completion.status, 0);
    assert_int_equal(completion.answer, 0);
    const struct command nothing = {.opcode = 8, .dw10 = 0x7777u << 16 | 9};
    assert_int_equal(driver_run(&driver, 0, &nothing, &completion), 0);
    assert_int_equal(completion.answer, 1);
    driver_stop(&driver);
}

static void limits_and_tells_events(void **state)
{
    struct completion completion;
    const struct command wait = {.opcode = 0x0c};
    (void)state;
    driver_start(&driver, (const char *const[]){"size=1M", NULL});
    for (unsigned i = 0; i < 4; i++)
        driver_submit(&driver, 0, &wait);
    assert_int_equal(driver_run(&driver, 0, &wait, &completion), 0x105);
    driver.next_cid = 1; /* in use by a waiting request */
    assert_int_equal(driver_run(&driver, 0, &wait, &completion), 0x003);
    driver.next_cid = 100;

    assert_int_equal(set_feature(0x0b, 0x102, 0), 0);
    driver_submit(&driver, 0, &(struct command){.opcode = 9, .dw10 = 4, .dw11 = 300});
    fake_run(&driver.fake, 10);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, 100 + 1);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, 0);
    assert_int_equal(completion.answer, 0x020101); /* health: temperature, log page 2 */
    assert_int_equal(get_log(2, 512, 0), 0);
    assert_int_equal(driver_memory(&driver, DATA)[0], 2);

    driver_submit(&driver, 0, &(struct command){.opcode = 0x80, .nsid = 1, .dw10 = 1});
    fake_run(&driver.fake, 100);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.status, 0);
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, 1);
    assert_int_equal(completion.answer, 0x040002); /* notice: namespace, log page 4 */
    assert_int_equal(identify(0, 1), 0);
    assert_int_equal(data32(0), 256);
    assert_int_equal(get_log(4, 4096, 0), 0);
    assert_int_equal(data32(0), 1);
    assert_int_equal(data32(4), 0);
    assert_int_equal(get_log(4, 4096, 0), 0);
    assert_int_equal(data32(0), 0); /* told once */
    driver_stop(&driver);
}

static void formats(void **state)
{
    (void)state;
    driver_start(&driver, (const char *const[]){"size=8M", "namespaces=2", NULL});
    driver_create_queues(&driver, 1, 8);
    driver_pattern(&driver, DATA, 4096, 1);
    assert_int_equal(driver_io(&driver, 1, 16000, 8), 0);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = 0}), 0x00b);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = 3}), 0x00b);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = 1, .dw10 = 2}), 0x10a);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = 1, .dw10 = 1 << 5}), 0x10a);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = 1, .dw10 = 2 << 9}), 0x002);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = NSID_ALL, .dw10 = 1 << 9}), 0);
    assert_int_equal(driver_io(&driver, 2, 16000, 8), 0);
    uint8_t zeros[4096] = {0};
    assert_memory_equal(driver_memory(&driver, DATA), zeros, 4096);
    assert_int_equal(admin((struct command){.opcode = 0x80, .nsid = 1, .dw10 = 1}), 0);
    assert_int_equal(driver_io(&driver, 2, 2048, 1), 0x080);
    assert_int_equal(driver_io(&driver, 2, 2047, 1), 0);
    assert_int_equal(identify(0, 2), 0);
    assert_int_equal(data32(0), 16384);
    driver_stop(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identifies),
        cmocka_unit_test(creates_queues),
        cmocka_unit_test(gets_and_sets_features),
        cmocka_unit_test(grants_queues),
        cmocka_unit_test(keeps_time),
        cmocka_unit_test(gives_logs),
        cmocka_unit_test(refuses_what_it_has_not),
        cmocka_unit_test(aborts),
        cmocka_unit_test(limits_and_tells_events),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
