/*
 * The test device's copy engine and single accesses against docs/testdev.md.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "fake_host.h"

#define BUS(offset) (FAKE_MEMORY_START + (offset))
#define END         BUS(FAKE_MEMORY_BYTES)

#define COPY        0x001
#define FILL        0x002
#define CRC         0x003
#define ABORT       0x00f
#define IRQ         0x100
#define FROM_LOCAL  0x200
#define TO_LOCAL    0x400

enum { IDLE, RUNNING, DONE, FAILED, ABORTED };

static struct fake_host fake_storage;

static int start(void **state)
{
    fake_start(&fake_storage, "testdev", NULL);
    fake_enable(&fake_storage);
    for (size_t i = 0; i < FAKE_MEMORY_BYTES / 2; i++)
        fake_storage.memory[i] = (uint8_t)(i * 31 + (i >> 8));
    *state = &fake_storage;
    return 0;
}

static int stop(void **state)
{
    fake_stop(*state);
    return 0;
}

static void command(struct fake_host *fake, uint64_t source, uint64_t destination, uint64_t length,
                    uint32_t value)
{
    fake_write(fake, 0, 0x200, 8, source);
    fake_write(fake, 0, 0x208, 8, destination);
    fake_write(fake, 0, 0x210, 8, length);
    fake_write(fake, 0, 0x22c, 4, value);
}

static unsigned status(struct fake_host *fake)
{
    return (unsigned)fake_read(fake, 0, 0x228, 4);
}

static void expect_end(struct fake_host *fake, unsigned wanted, unsigned error, uint64_t done,
                       uint64_t fault)
{
    fake_run(fake, 100000);
    assert_int_equal(status(fake), wanted);
    assert_int_equal(fake_read(fake, 0, 0x240, 4), error);
    assert_true(fake_read(fake, 0, 0x230, 8) == done);
    assert_true(fake_read(fake, 0, 0x238, 8) == fault);
}

static void copies_any_size(void **state)
{
    struct fake_host *fake = *state;
    static const uint32_t lengths[] = {0, 1, 7, 63, 64, 4097, 65536, 65537, 300001};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t *target = fake->memory + FAKE_MEMORY_BYTES / 2 + 17;
        memset(target - 1, 0xee, lengths[i] + 2);
        command(fake, BUS(3), BUS(FAKE_MEMORY_BYTES / 2 + 17), lengths[i], COPY);
        assert_int_equal(status(fake), RUNNING);
        expect_end(fake, DONE, 0, lengths[i], 0);
        assert_memory_equal(target, fake->memory + 3, lengths[i]);
        assert_int_equal(target[-1], 0xee);
        assert_int_equal(target[lengths[i]], 0xee);
    }
    assert_true(fake->dma_longest <= 65536);
}

static void copies_in_place(void **state)
{
    struct fake_host *fake = *state;
    uint8_t *target = fake->memory + FAKE_MEMORY_BYTES / 2;

    fake->copies_direct = true;
    memset(target, 0xee, 200001);
    command(fake, BUS(3), BUS(FAKE_MEMORY_BYTES / 2), 200000, COPY);
    expect_end(fake, DONE, 0, 200000, 0);
    assert_memory_equal(target, fake->memory + 3, 200000);
    assert_int_equal(target[200000], 0xee);
    assert_int_not_equal(fake->copied_direct, 0);
    assert_int_equal(fake->dma_calls, fake->copied_direct); /* no other access */
    /* What is wrong with a source is found out by reading it. */
    command(fake, BUS(FAKE_MEMORY_BYTES) - 100, BUS(0), 200, COPY);
    expect_end(fake, FAILED, 1, 0, BUS(FAKE_MEMORY_BYTES) - 100);
    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES) - 100, 200, COPY);
    expect_end(fake, FAILED, 2, 0, BUS(0) + FAKE_MEMORY_BYTES - 100);
}

static void tells_how_long_it_took(void **state)
{
    struct fake_host *fake = *state;

    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES / 2), 300000, COPY); /* two steps */
    assert_int_equal(fake_run(fake, 1), 1);
    assert_true(fake_read(fake, 0, 0x248, 8) == 0);
    fake->now_ns += 777;
    expect_end(fake, DONE, 0, 300000, 0);
    assert_true(fake_read(fake, 0, 0x248, 8) == 777);
    command(fake, BUS(0), BUS(0), 16, COPY | 0x800);
    expect_end(fake, FAILED, 6, 0, 0);
    assert_true(fake_read(fake, 0, 0x248, 8) == 0); /* it never began */
}

static void works_in_bounded_steps(void **state)
{
    struct fake_host *fake = *state;
    unsigned pcie = config_space_find(fake->model->config, 0x10);

    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES / 2), FAKE_MEMORY_BYTES / 2, COPY);
    assert_int_equal(fake->dma_calls, 0); /* not within the register write */
    assert_int_equal(fake_config_read(fake, pcie + 10, 2), 0x20);
    fake_advance(fake, 9999);
    assert_int_equal(fake->dma_calls, 0);
    assert_int_equal(fake_run(fake, 1), 1);
    assert_true(fake_read(fake, 0, 0x230, 8) == 256 * 1024);
    assert_int_equal(status(fake), RUNNING);
    command(fake, 0, 0, 0, COPY); /* ignored while it runs */
    expect_end(fake, DONE, 0, FAKE_MEMORY_BYTES / 2, 0);
    assert_int_equal(fake_config_read(fake, pcie + 10, 2), 0);
    assert_memory_equal(fake->memory, fake->memory + FAKE_MEMORY_BYTES / 2, FAKE_MEMORY_BYTES / 2);
}

static void requests_keep_to_their_size(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x220, 4, 64);
    command(fake, BUS(1), BUS(FAKE_MEMORY_BYTES / 2), 6400, COPY);
    assert_int_equal(fake_run(fake, 1), 1);
    assert_true(fake->dma_longest <= 64);
    assert_int_equal(fake->dma_calls, 128); /* 64 requests of one tick, each read and written */
    expect_end(fake, DONE, 0, 6400, 0);
    assert_memory_equal(fake->memory + 1, fake->memory + FAKE_MEMORY_BYTES / 2, 6400);
    static const uint32_t wrong[] = {0, 1, 32, 65, 96, 131072, 0x80000000};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fake_write(fake, 0, 0x220, 4, wrong[i]);
        command(fake, BUS(0), BUS(4096), 16, COPY);
        expect_end(fake, FAILED, 7, 0, 0);
    }
}

static void fills_and_sums(void **state)
{
    struct fake_host *fake = *state;

    memcpy(fake->memory, "123456789", 9);
    command(fake, BUS(0), 0, 9, CRC);
    expect_end(fake, DONE, 0, 9, 0);
    assert_int_equal(fake_read(fake, 0, 0x244, 4), 0xcbf43926); /* the check value of CRC-32 */

    memset(fake->memory, 0, 300000);
    command(fake, BUS(0), 0, 300000, CRC);
    expect_end(fake, DONE, 0, 300000, 0);
    assert_int_equal(fake_read(fake, 0, 0x244, 4), 0xf6b2e2fb);
    command(fake, BUS(0), 0, 0, CRC);
    expect_end(fake, DONE, 0, 0, 0);
    assert_int_equal(fake_read(fake, 0, 0x244, 4), 0);

    fake_write(fake, 0, 0x218, 8, UINT64_C(0x8877665544332211));
    command(fake, 0, BUS(65535), 70001, FILL);
    expect_end(fake, DONE, 0, 70001, 0);
    for (unsigned i = 0; i < 70001; i++)
        assert_int_equal(fake->memory[65535 + i], 0x11 * (i % 8 + 1));
    assert_int_equal(fake->memory[65535 + 70001], 0);
    assert_int_equal(fake->memory[65534], 0);
}

static void interrupts_at_the_end(void **state)
{
    struct fake_host *fake = *state;
    unsigned msix = config_space_find(fake->model->config, 0x11);

    fake_write(fake, 0, 0x8000 + 16 * 9, 8, 0xfee00000);
    fake_write(fake, 0, 0x8008 + 16 * 9, 8, 77);
    fake_config_write(fake, msix + 2, 2, 0x8000);
    fake_write(fake, 0, 0x224, 4, 9);
    command(fake, BUS(0), BUS(4096), 16, COPY);
    expect_end(fake, DONE, 0, 16, 0);
    assert_int_equal(fake->message_count, 0);
    command(fake, BUS(0), BUS(4096), 16, COPY | IRQ);
    assert_int_equal(fake->message_count, 0);
    fake_write(fake, 0, 0x224, 4, 10); /* the command took the vector along */
    expect_end(fake, DONE, 0, 16, 0);
    assert_int_equal(fake->message_count, 1);
    assert_int_equal(fake->messages[0].data, 77);
    fake_write(fake, 0, 0x224, 4, 9);
    command(fake, 0x1000, BUS(4096), 16, COPY | IRQ);
    expect_end(fake, FAILED, 1, 0, 0x1000);
    assert_int_equal(fake->message_count, 2);
    command(fake, BUS(0), BUS(4096), 16, COPY | IRQ);
    fake_write(fake, 0, 0x22c, 4, ABORT);
    expect_end(fake, ABORTED, 0, 0, 0);
    assert_int_equal(fake->message_count, 3);
}

static void aborts(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x22c, 4, ABORT); /* nothing to abort */
    assert_int_equal(status(fake), IDLE);
    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES / 2), FAKE_MEMORY_BYTES / 2, COPY);
    fake_run(fake, 1);
    fake_write(fake, 0, 0x22c, 4, ABORT);
    expect_end(fake, ABORTED, 0, 256 * 1024, 0);
    assert_int_equal(fake->memory[FAKE_MEMORY_BYTES / 2 + 256 * 1024], 0);
    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES / 2), 16, COPY);
    expect_end(fake, DONE, 0, 16, 0);
}

static void faults_stop_where_they_are(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x220, 4, 4096);
    command(fake, END - 8192, BUS(0), 8193, COPY);
    expect_end(fake, FAILED, 1, 8192, END);
    command(fake, BUS(0), END - 4096, 4200, COPY);
    expect_end(fake, FAILED, 2, 4096, END);
    command(fake, 0, 0, 16, FILL);
    expect_end(fake, FAILED, 2, 0, 0);
    fake->read_only_end = BUS(4096);
    command(fake, BUS(8192), BUS(0), 16, COPY);
    expect_end(fake, FAILED, 2, 0, BUS(0));
    command(fake, BUS(0), 0, 16, CRC);
    expect_end(fake, DONE, 0, 16, 0);
    fake_config_write(fake, 0x04, 2, 0x0002);
    command(fake, BUS(0), BUS(8192), 16, COPY);
    expect_end(fake, FAILED, 3, 0, BUS(0));
}

static void nonsense_is_refused_untouched(void **state)
{
    struct fake_host *fake = *state;
    static const struct {
        uint64_t source, destination, length;
        uint32_t command, error;
    } cases[] = {
        {UINT64_MAX, BUS(0), 2, COPY, 5},
        {BUS(0), UINT64_MAX - 10, 100, COPY, 5},
        {0, 2, UINT64_MAX, FILL, 5},
        {2, 0, UINT64_MAX, CRC, 5},
        {BUS(0), BUS(0), 16, 0, 6},
        {BUS(0), BUS(0), 16, 4, 6},
        {BUS(0), BUS(0), 16, 14, 6},
        {BUS(0), BUS(0), 16, COPY | 0x800, 6},
        {BUS(0), BUS(0), 16, COPY | 0x80000000, 6},
        {0x3ffff1, BUS(0), 16, COPY | FROM_LOCAL, 4},
        {BUS(0), 0x400001, 0, COPY | TO_LOCAL, 4},
        {0, UINT64_MAX, 2, FILL | TO_LOCAL, 4},
        {1, 0, UINT64_MAX, CRC | FROM_LOCAL, 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        command(fake, cases[i].source, cases[i].destination, cases[i].length, cases[i].command);
        expect_end(fake, FAILED, cases[i].error, 0, 0);
    }
    assert_int_equal(fake->dma_calls, 0);
}

static void local_memory_is_bar_2(void **state)
{
    struct fake_host *fake = *state;
    uint8_t *lower = fake->attached[2][0];
    uint8_t *upper = fake->attached[2][1];

    /* Across lower range, trapped window and upper range: 0x200000 and 0x204000 are the seams. */
    command(fake, BUS(5), 0x200000 - 100, 0x4000 + 200, COPY | TO_LOCAL);
    expect_end(fake, DONE, 0, 0x4000 + 200, 0);
    assert_memory_equal(lower + 0x200000 - 100, fake->memory + 5, 100);
    for (unsigned i = 0; i < 0x4000; i++)
        assert_int_equal(fake_read(fake, 2, 0x200000 + i, 1), fake->memory[5 + 100 + i]);
    assert_memory_equal(upper, fake->memory + 5 + 100 + 0x4000, 100);

    command(fake, 0x200000 - 100, BUS(FAKE_MEMORY_BYTES / 2), 0x4000 + 200, COPY | FROM_LOCAL);
    expect_end(fake, DONE, 0, 0x4000 + 200, 0);
    assert_memory_equal(fake->memory + 5, fake->memory + FAKE_MEMORY_BYTES / 2, 0x4000 + 200);

    command(fake, 0x200000 - 100, 0x3ffff0, 16, COPY | FROM_LOCAL | TO_LOCAL);
    expect_end(fake, DONE, 0, 16, 0);
    assert_memory_equal(upper + 0x1fbff0, fake->memory + 5, 16); /* the last bytes of the BAR */

    fake_write(fake, 0, 0x218, 8, 0);
    command(fake, 0, 0, 0x400000, FILL | TO_LOCAL);
    expect_end(fake, DONE, 0, 0x400000, 0);
    command(fake, 0x1ffffc, 0, 8, CRC | FROM_LOCAL);
    expect_end(fake, DONE, 0, 8, 0);
    assert_int_equal(fake_read(fake, 0, 0x244, 4), 0x6522df69); /* of eight zero bytes */
}

static void sleep_and_reset_stop_it(void **state)
{
    struct fake_host *fake = *state;
    unsigned power = config_space_find(fake->model->config, 0x01);

    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES / 2), FAKE_MEMORY_BYTES / 2, COPY);
    fake_config_write(fake, power + 4, 2, 3);
    assert_int_equal(fake_run(fake, 10), 0);
    fake_config_write(fake, power + 4, 2, 0);
    assert_int_equal(status(fake), IDLE);
    fake_enable(fake);
    command(fake, BUS(0), BUS(FAKE_MEMORY_BYTES / 2), FAKE_MEMORY_BYTES / 2, COPY);
    fake_reset(fake, MODEL_RESET_HOT);
    assert_int_equal(status(fake), IDLE);
    assert_int_equal(fake_run(fake, 10), 0);
    assert_int_equal(fake->dma_calls, 0);
    assert_int_equal(fake_read(fake, 0, 0x220, 4), 65536);
}

static void access_once(struct fake_host *fake, uint64_t address, uint64_t data, uint32_t command)
{
    fake_write(fake, 0, 0x280, 8, address);
    fake_write(fake, 0, 0x288, 8, data);
    fake_write(fake, 0, 0x290, 4, command);
}

static void single_accesses(void **state)
{
    struct fake_host *fake = *state;

    memcpy(fake->memory, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
    access_once(fake, BUS(0), 0, 8);
    assert_true(fake_read(fake, 0, 0x288, 8) == UINT64_C(0x8877665544332211));
    access_once(fake, BUS(1), 0, 2);
    assert_true(fake_read(fake, 0, 0x288, 8) == 0x3322);
    access_once(fake, BUS(3), UINT64_C(0xa1a2a3a4a5a6a7a8), 0x101);
    assert_memory_equal(fake->memory, "\x11\x22\x33\xa8\x55\x66\x77\x88", 8);
    access_once(fake, BUS(4), UINT64_C(0xa1a2a3a4a5a6a7a8), 0x104);
    assert_memory_equal(fake->memory, "\x11\x22\x33\xa8\xa8\xa7\xa6\xa5", 8);
    assert_int_equal(fake_read(fake, 0, 0x294, 4), 0);
    assert_int_equal(fake->dma_calls, 4);

    access_once(fake, 0x1000, 0, 4);
    assert_int_equal(fake_read(fake, 0, 0x294, 4), 1);
    assert_true(fake_read(fake, 0, 0x288, 8) == 0xffffffff);
    access_once(fake, 0x1000, 0, 0x108);
    assert_int_equal(fake_read(fake, 0, 0x294, 4), 2);
    fake_config_write(fake, 0x04, 2, 0x0002);
    access_once(fake, BUS(0), 0, 8);
    assert_int_equal(fake_read(fake, 0, 0x294, 4), 3);
    assert_true(fake_read(fake, 0, 0x288, 8) == UINT64_MAX);
    fake->dma_calls = 0;
    static const uint32_t wrong[] = {0, 3, 16, 0x100, 0x204, 0x80000004};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        access_once(fake, BUS(0), 0, wrong[i]);
        assert_int_equal(fake_read(fake, 0, 0x294, 4), 6);
    }
    access_once(fake, UINT64_MAX - 6, 0, 8);
    assert_int_equal(fake_read(fake, 0, 0x294, 4), 5);
    assert_int_equal(fake->dma_calls, 0);
}

static void halves_make_a_whole(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x204, 4, 0x11223344);
    fake_write(fake, 0, 0x200, 4, 0x55667788);
    assert_true(fake_read(fake, 0, 0x200, 8) == UINT64_C(0x1122334455667788));
    assert_int_equal(fake_read(fake, 0, 0x204, 4), 0x11223344);
    fake_write(fake, 0, 0x202, 2, 0);
    fake_write(fake, 0, 0x207, 1, 0);
    assert_true(fake_read(fake, 0, 0x200, 8) == UINT64_C(0x1122334455667788));
    assert_int_equal(fake_read(fake, 0, 0x202, 2), 0xffff);
    fake_write(fake, 0, 0x230, 8, 5); /* read-only */
    assert_true(fake_read(fake, 0, 0x230, 8) == 0);
    fake_write(fake, 0, 0x220, 8, UINT64_C(0x0000000100000040)); /* two registers: not one access */
    assert_int_equal(fake_read(fake, 0, 0x220, 4), 65536);
}

int main(void)
{
#define FRESH(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        FRESH(copies_any_size),
        FRESH(copies_in_place),
        FRESH(tells_how_long_it_took),
        FRESH(works_in_bounded_steps),
        FRESH(requests_keep_to_their_size),
        FRESH(fills_and_sums),
        FRESH(interrupts_at_the_end),
        FRESH(aborts),
        FRESH(faults_stop_where_they_are),
        FRESH(nonsense_is_refused_untouched),
        FRESH(local_memory_is_bar_2),
        FRESH(sleep_and_reset_stop_it),
        FRESH(single_accesses),
        FRESH(halves_make_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
