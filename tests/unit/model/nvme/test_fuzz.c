/*
 * A repeatable walk of random admin and I/O commands, doorbells, PRPs, registers, storage results
 * and resets. The sanitizers look for accesses out of bounds; the walk checks that no op moves
 * more than its share, that it gets somewhere, and that a reset brings the controller back.
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

#define STEPS 100000

static struct driver driver;
static uint64_t seed;
static unsigned answers, failures;

/* xorshift64* */
static uint64_t next(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(uint64_t limit)
{
    return (next() >> 8) % limit;
}

static uint64_t address(void)
{
    switch (below(16)) {
    case 0:
        return next();
    case 1:
        return FAKE_MEMORY_START + below(FAKE_MEMORY_BYTES + 4096); /* queues too, any offset */
    case 2:
        return UINT64_MAX - below(8192);
    case 3:
    case 4:
    case 5:
        return DATA + below(DATA_BYTES / 4) * 4;
    default:
        return DATA + below(DATA_BYTES / 4096) * 4096;
    }
}

static uint32_t dword(void)
{
    static const uint32_t edges[] = {
        0, 1, 2, 3, 4, 7, 0xff, 4095, 0x10001, 0xffff, 0x80000001, 0xffffffff, 0x1f0001, 0x30003};
    return below(3) != 0 ? edges[below(sizeof(edges) / sizeof(edges[0]))]
                         : (uint32_t)below(below(2) != 0 ? 0x10000 : UINT64_C(1) << 32);
}

static uint32_t nsid(void)
{
    return below(8) != 0 ? 1 + (uint32_t)below(2) : below(2) != 0 ? NSID_ALL : dword();
}

static struct command io_command(void)
{
    static const uint8_t opcodes[] = {0, 1, 1, 2, 2, 4, 5, 8, 9, 0x0c};
    return (struct command){
        .opcode = below(32) != 0 ? opcodes[below(sizeof(opcodes))] : (uint8_t)next(),
        .flags = below(32) != 0 ? 0 : (uint8_t)next(),
        .nsid = nsid(),
        .prp1 = address(),
        .prp2 = address(),
        .dw10 = below(8) != 0 ? (uint32_t)below(2000) : dword(),
        .dw11 = below(16) != 0 ? 0 : dword(),
        .dw12 = below(4) != 0 ? (uint32_t)below(256) | (uint32_t)below(2) << 30 : dword(),
    };
}

static struct command admin_command(void)
{
    static const uint8_t opcodes[] = {0, 1, 2, 4, 5, 6, 8, 9, 0x0a, 0x0c, 0x80, 0x18};
    return (struct command){
        .opcode = below(32) != 0 ? opcodes[below(sizeof(opcodes))] : (uint8_t)next(),
        .flags = below(32) != 0 ? 0 : (uint8_t)next(),
        .nsid = nsid(),
        .prp1 = address(),
        .prp2 = address(),
        .dw10 = below(2) != 0 ? (uint32_t)(1 + below(5)) | (uint32_t)below(32) << 16 : dword(),
        .dw11 = below(2) != 0 ? (uint32_t)(1 + below(4)) << 16 | 3 : dword(),
        .dw12 = below(2) != 0 ? 0 : dword(),
        .dw13 = below(4) != 0 ? 0 : dword(),
    };
}

static void lists_fill(void)
{
    uint8_t *memory = driver_memory(&driver, DATA);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t entry = address();
        memcpy(memory + below(DATA_BYTES / 8) * 8, &entry, sizeof(entry));
    }
}

static void restart(void)
{
    driver_register_set(&driver, 0x14, 0);
    while (fake_storage_step(&driver.fake, 0)) {
    }
    driver_enable(&driver);
    fake_run(&driver.fake, 16);
    assert_int_equal(driver_register(&driver, 0x1c) & ~0x10u, 1);
    driver_create_queues(&driver, 1, 32);
    driver_create_queues(&driver, 2, 8);
}

static void collect(void)
{
    struct completion completion;
    for (unsigned queue = 0; queue < 3; queue++) {
        for (unsigned i = 0; i < 40 && driver_poll(&driver, queue, &completion); i++) {
            answers++;
            failures += completion.status != 0 ? 1 : 0;
        }
    }
}

static void step(void)
{
    struct command command;

    switch (below(20)) {
    case 0:
        driver_ring(&driver, (unsigned)below(below(4) != 0 ? 8 : 1024), dword());
        break;
    case 1:
        if (below(8) == 0)
            fake_write(&driver.fake, 0, below(0x40) / 4 * 4, 4, dword());
        break;
    case 2:
        if (below(8) == 0)
            fake_reset(&driver.fake, (enum model_reset)below(3));
        break;
    case 3:
        lists_fill();
        break;
    case 4:
        if (below(8) == 0)
            fake_write(&driver.fake, 0, below(0x4000) / 4 * 4, 4, dword());
        break;
    case 5:
    case 6:
        command = admin_command();
        driver_submit(&driver, 0, &command);
        break;
    case 7:
    case 8:
        fake_storage_step(&driver.fake, below(8) != 0 ? 0 : below(2) != 0 ? -EIO : -ENOSPC);
        break;
    case 9:
        if (below(4) == 0)
            driver.next_cid -= 3; /* ids again */
        break;
    case 10:
        if (below(64) == 0)
            fake_config_write(&driver.fake, 4, 2, (uint32_t)below(8));
        break;
    case 11:
    case 12:
        collect();
        break;
    default:
        command = io_command();
        driver_submit(&driver, 1 + (unsigned)below(2), &command);
        break;
    }
    fake_run(&driver.fake, (unsigned)below(4));
    assert_true(driver.fake.dma_longest <= 0x20000);
}

static void walk(const char *const *options, uint64_t begin)
{
    driver_start(&driver, options);
    seed = begin;
    answers = failures = 0;
    restart();
    for (unsigned i = 0; i < STEPS; i++) {
        if (i % 200 == 0 || (driver_register(&driver, 0x1c) & 3) != 1)
            restart();
        step();
    }
    /* A walk that never got anywhere would prove nothing. */
    assert_true(answers > 15000);
    assert_true(failures > 2500 && failures < answers);
    fake_reset(&driver.fake, MODEL_RESET_HOT);
    restart();
    assert_int_equal(driver_io(&driver, 1, 0, 1), 0); /* heals what was marked */
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    driver_stop(&driver);
}

static void memory_holds(void **state)
{
    (void)state;
    walk((const char *const[]){"size=1M", "namespaces=2", "queues=4", NULL}, 0x9e3779b97f4a7c15);
    walk((const char *const[]){"size=5000", "namespaces=8", "queues=64", NULL}, 0x0123456789abcdef);
}

static void storage_holds(void **state)
{
    (void)state;
    walk((const char *const[]){"drive=a", "drive=b", "queues=4", NULL}, 0x243f6a8885a308d3);
    walk((const char *const[]){"drive=a", "block=4096", "queues=4", NULL}, 0x13198a2e03707344);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_holds),
        cmocka_unit_test(storage_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
