/*
 * The edu model against QEMU's description of the device. Offsets and values are written out, not
 * taken from the model.
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

static int start(void **state)
{
    static struct fake_host fake;
    fake_start(&fake, "edu", NULL);
    fake_enable(&fake);
    *state = &fake;
    return 0;
}

static int stop(void **state)
{
    fake_stop(*state);
    return 0;
}

/* MSI: enable with address and data a driver would choose. */
static void enable_msi(struct fake_host *fake)
{
    assert_int_equal(fake_config_read(fake, 0x40, 1), 0x05);
    fake_config_write(fake, 0x44, 4, 0xfee01000);
    fake_config_write(fake, 0x48, 4, 0x00000001);
    fake_config_write(fake, 0x4c, 2, 0x4021);
    fake_config_write(fake, 0x42, 2, 0x0001);
}

static void identity_is_qemus(void **state)
{
    struct fake_host *fake = *state;

    assert_int_equal(fake_config_read(fake, 0x00, 4), 0x11e81234);
    assert_int_equal(fake_config_read(fake, 0x08, 4), 0x00ff0010);
    assert_int_equal(fake_config_read(fake, 0x2c, 4), 0x11001af4);
    assert_int_equal(fake_config_read(fake, 0x3c, 2), 0x0100); /* INTA */
    assert_int_equal(fake_config_read(fake, 0x34, 1), 0x40);
    assert_int_equal(fake_config_read(fake, 0x40, 4), 0x00800005);  /* MSI, 64-bit, one, last */
    assert_int_equal(fake_config_read(fake, 0x100, 4), 0xffffffff); /* conventional */
    assert_int_equal(fake_config_read(fake, 0xffe, 2), 0xffff);
    assert_int_equal(fake_read(fake, 0, 0x00, 4), 0x010000ed);
    assert_true(fake->model->shape.bars[0].bytes == 0x100000);
    assert_int_equal(fake->model->shape.bars[0].type, 0);
    for (unsigned bar = 1; bar < 6; bar++)
        assert_true(fake->model->shape.bars[bar].bytes == 0);
    assert_false(fake->model->shape.has_flr);
}

static void bar_sizes_as_one_mebibyte(void **state)
{
    struct fake_host *fake = *state;

    fake_config_write(fake, 0x10, 4, 0xffffffff);
    assert_int_equal(fake_config_read(fake, 0x10, 4), 0xfff00000);
    fake_config_write(fake, 0x10, 4, 0x8123ffff);
    assert_int_equal(fake_config_read(fake, 0x10, 4), 0x81200000);
    fake_config_write(fake, 0x14, 4, 0xffffffff);
    assert_int_equal(fake_config_read(fake, 0x14, 4), 0);
}

static void liveness_inverts(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x04, 4, 0x12345678);
    assert_int_equal(fake_read(fake, 0, 0x04, 4), 0xedcba987);
}

static void widths_are_checked(void **state)
{
    struct fake_host *fake = *state;

    for (unsigned width = 1; width <= 8; width *= 2) {
        if (width == 4)
            continue;
        uint64_t ones = width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;
        assert_true(fake_read(fake, 0, 0x00, width) == ones);
        fake_write(fake, 0, 0x08, width, 5);
        assert_int_equal(fake_read(fake, 0, 0x20, 4), 0); /* nothing is being computed */
    }
    fake_write(fake, 0, 0x80, 8, UINT64_C(0x1122334455667788));
    assert_true(fake_read(fake, 0, 0x80, 8) == UINT64_C(0x1122334455667788));
    assert_int_equal(fake_read(fake, 0, 0x80, 4), 0x55667788);
    assert_int_equal(fake_read(fake, 0, 0x84, 4), 0xffffffff); /* no register there */
    assert_int_equal(fake_read(fake, 0, 0x80, 2), 0xffff);
    fake_write(fake, 0, 0x80, 2, 1);
    assert_true(fake_read(fake, 0, 0x80, 8) == UINT64_C(0x1122334455667788));
    fake_write(fake, 0, 0x80, 4, 0xabcd); /* the whole register, zero-extended */
    assert_true(fake_read(fake, 0, 0x80, 8) == 0xabcd);
    assert_int_equal(fake_read(fake, 0, 0x60, 4), 0xffffffff); /* write-only */
    assert_int_equal(fake_read(fake, 0, 0x64, 4), 0xffffffff);
    assert_int_equal(fake_read(fake, 0, 0xffffc, 4), 0xffffffff);
    fake_write(fake, 0, 0xffff8, 8, 0);
    fake_write(fake, 0, 0x00, 4, 0);
    assert_int_equal(fake_read(fake, 0, 0x00, 4), 0x010000ed);
}

static void factorial_takes_time(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x08, 4, 10);
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0x01);
    assert_int_equal(fake_read(fake, 0, 0x08, 4), 10);
    fake_write(fake, 0, 0x08, 4, 3);    /* ignored while computing */
    fake_write(fake, 0, 0x20, 4, 0x7f); /* bit 0 is read-only, bit 7 off, the rest is nothing */
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0x01);
    fake_advance(fake, 999999);
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0x01);
    fake_advance(fake, 1);
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0x00);
    assert_int_equal(fake_read(fake, 0, 0x08, 4), 3628800);
    assert_int_equal(fake->message_count, 0);

    static const struct {
        uint32_t value, result;
    } cases[] = {
        {0, 1},           {1, 1},  {12, 479001600}, {13, 0x7328cc00}, /* 13! overflows 32 bits */
        {33, 0x80000000}, {34, 0}, {0xffffffff, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_write(fake, 0, 0x08, 4, cases[i].value);
        fake_run(fake, 1);
        assert_int_equal(fake_read(fake, 0, 0x08, 4), cases[i].result);
    }
}

static void factorial_interrupts(void **state)
{
    struct fake_host *fake = *state;

    enable_msi(fake);
    fake_write(fake, 0, 0x20, 4, 0x80);
    fake_write(fake, 0, 0x08, 4, 4);
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0x81);
    fake_run(fake, 1);
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0x80);
    assert_int_equal(fake_read(fake, 0, 0x24, 4), 0x001);
    assert_int_equal(fake->message_count, 1);
    assert_true(fake->messages[0].address == UINT64_C(0x1fee01000));
    assert_int_equal(fake->messages[0].data, 0x4021);
}

static void interrupts_rise_and_fall(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x60, 4, 0x8); /* MSI off: only the pin's status bit shows it */
    assert_int_equal(fake->message_count, 0);
    assert_int_equal(fake_config_read(fake, 0x06, 2) & 0x8, 0x8);
    fake_write(fake, 0, 0x64, 4, 0x8);
    assert_int_equal(fake_config_read(fake, 0x06, 2) & 0x8, 0);

    enable_msi(fake);
    fake_write(fake, 0, 0x60, 4, 0xf0);
    fake_write(fake, 0, 0x60, 4, 0x0f);
    assert_int_equal(fake->message_count, 2);
    assert_int_equal(fake_read(fake, 0, 0x24, 4), 0xff);
    fake_write(fake, 0, 0x64, 4, 0x3c);
    assert_int_equal(fake_read(fake, 0, 0x24, 4), 0xc3);
    fake_write(fake, 0, 0x24, 4, 0); /* read-only */
    assert_int_equal(fake_read(fake, 0, 0x24, 4), 0xc3);
    fake_write(fake, 0, 0x60, 4, 0); /* nothing new, but something stands: sent again */
    assert_int_equal(fake->message_count, 3);
    fake_write(fake, 0, 0x64, 4, 0xffffffff);
    fake_write(fake, 0, 0x60, 4, 0);
    assert_int_equal(fake->message_count, 3);

    fake_config_write(fake, 0x04, 2, 0x0002); /* a message is a bus master's write */
    fake_write(fake, 0, 0x60, 4, 1);
    assert_int_equal(fake->message_count, 3);
}

static void dma(struct fake_host *fake, uint64_t source, uint64_t target, uint64_t count,
                uint32_t command)
{
    fake_write(fake, 0, 0x80, 8, source);
    fake_write(fake, 0, 0x88, 8, target);
    fake_write(fake, 0, 0x90, 8, count);
    fake_write(fake, 0, 0x98, 4, command);
    assert_int_equal(fake_read(fake, 0, 0x98, 4), command);
    fake_run(fake, 1);
    assert_int_equal(fake_read(fake, 0, 0x98, 4), command & ~1u);
}

static void dma_goes_both_ways(void **state)
{
    struct fake_host *fake = *state;

    enable_msi(fake);
    for (unsigned i = 0; i < 4096; i++)
        fake->memory[i] = (uint8_t)(i * 7 + 1);
    dma(fake, FAKE_MEMORY_START, 0x40000, 4096, 1);
    assert_int_equal(fake->message_count, 0);
    dma(fake, 0x40000, FAKE_MEMORY_START + 8192, 4096, 3 | 4);
    assert_memory_equal(fake->memory, fake->memory + 8192, 4096);
    assert_int_equal(fake->memory[8192 + 4096], 0);
    assert_int_equal(fake->message_count, 1);
    assert_int_equal(fake_read(fake, 0, 0x24, 4), 0x100);

    dma(fake, 0x40000 + 4095, FAKE_MEMORY_START + 20000, 1, 3);
    assert_int_equal(fake->memory[20000], (uint8_t)(4095 * 7 + 1));
}

static void dma_registers_keep_still(void **state)
{
    struct fake_host *fake = *state;

    fake_write(fake, 0, 0x98, 4, 2); /* without the start bit: nothing, not even stored */
    assert_int_equal(fake_read(fake, 0, 0x98, 4), 0);
    fake_write(fake, 0, 0x80, 8, FAKE_MEMORY_START);
    fake_write(fake, 0, 0x88, 8, 0x40000);
    fake_write(fake, 0, 0x90, 4, 16);
    fake_write(fake, 0, 0x98, 4, 1);
    for (unsigned offset = 0x80; offset <= 0x98; offset += 8)
        fake_write(fake, 0, offset, 4, 3);
    assert_true(fake_read(fake, 0, 0x80, 8) == FAKE_MEMORY_START);
    assert_true(fake_read(fake, 0, 0x88, 8) == 0x40000);
    assert_true(fake_read(fake, 0, 0x90, 8) == 16);
    assert_true(fake_read(fake, 0, 0x98, 8) == 1);
    assert_int_equal(fake_run(fake, 10), 1);
    assert_int_equal(fake->dma_calls, 1);
}

static void dma_outside_the_buffer_touches_nothing(void **state)
{
    struct fake_host *fake = *state;
    static const struct {
        uint64_t inside, count;
    } cases[] = {
        {0x3ffff, 1},
        {0x40000, 4097},
        {0x40fff, 2},
        {0x41000, 1},
        {0, 4096},
        {UINT64_MAX, 2},
        {0x40000, UINT64_MAX},
        {0x40001, UINT64_MAX},
        {UINT64_MAX - 10, 0x40020},
    };

    enable_msi(fake);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dma(fake, cases[i].inside, FAKE_MEMORY_START, cases[i].count, 3);
        dma(fake, FAKE_MEMORY_START, cases[i].inside, cases[i].count, 1 | 4);
    }
    assert_int_equal(fake->dma_calls, 0);
    assert_int_equal(fake->message_count, 9); /* whoever waits for the interrupt does not hang */
}

static void dma_faults_read_ones(void **state)
{
    struct fake_host *fake = *state;
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255};

    dma(fake, 0x1000, 0x40000, 16, 1);
    dma(fake, 0x40000, FAKE_MEMORY_START, 16, 3);
    assert_memory_equal(fake->memory, ones, 16);

    memset(fake->memory, 0x33, 16);
    fake_config_write(fake, 0x04, 2, 0x0002); /* bus mastering off: the buffer keeps its ones */
    dma(fake, FAKE_MEMORY_START, 0x40000, 16, 1);
    fake_config_write(fake, 0x04, 2, 0x0006);
    dma(fake, 0x40000, FAKE_MEMORY_START, 16, 3);
    assert_memory_equal(fake->memory, ones, 16);
}

static void dma_mask_clamps(void **state)
{
    static struct fake_host fake;

    fake_start(&fake, "edu", (const char *const[]){"dma_mask=0xfffffff", "latency_ns=5", NULL});
    fake_enable(&fake);
    dma(&fake, FAKE_MEMORY_START, 0x40000, 16, 1);
    assert_true(fake.dma_last_address == 0x4000);
    assert_true(fake.now_ns == 123456 + 5);
    dma(&fake, 0x40000, UINT64_MAX, 16, 3);
    assert_true(fake.dma_last_address == 0xfffffff);
    fake_stop(&fake);
}

static void reset_forgets_everything(void **state)
{
    struct fake_host *fake = *state;

    enable_msi(fake);
    fake_config_write(fake, 0x10, 4, 0x80000000);
    fake_write(fake, 0, 0x04, 4, 1);
    fake_write(fake, 0, 0x60, 4, 1);
    dma(fake, FAKE_MEMORY_START, 0x40000, 16, 1);
    fake_write(fake, 0, 0x20, 4, 0x80);
    fake_write(fake, 0, 0x08, 4, 5);
    fake_reset(fake, MODEL_RESET_HOT);
    assert_int_equal(fake_run(fake, 10), 0);
    for (unsigned offset = 0x04; offset <= 0x08; offset += 4)
        assert_int_equal(fake_read(fake, 0, offset, 4), 0);
    assert_int_equal(fake_read(fake, 0, 0x20, 4), 0);
    assert_int_equal(fake_read(fake, 0, 0x24, 4), 0);
    for (unsigned offset = 0x80; offset <= 0x98; offset += 8)
        assert_true(fake_read(fake, 0, offset, 8) == 0);
    assert_int_equal(fake_config_read(fake, 0x04, 2), 0);
    assert_int_equal(fake_config_read(fake, 0x10, 4), 0);
    assert_int_equal(fake_config_read(fake, 0x42, 2), 0x0080);
    assert_int_equal(fake_config_read(fake, 0x44, 4), 0);
}

static void bad_options_are_named(void **state)
{
    const char *const unknown[] = {"colour=red", NULL};
    const char *const word[] = {"dma_mask=many", NULL};
    const char *const bare[] = {"latency_ns", NULL};
    const char *const negative[] = {"latency_ns=-1", NULL};
    const char *const large[] = {"latency_ns=11000000000", NULL};
    const char *const overflow[] = {"dma_mask=0x1ffffffffffffffff", NULL};
    const char *const trailing[] = {"dma_mask=0xfz", NULL};
    const char *const zero[] = {"dma_mask=0", NULL};
    const char *const twice[] = {"latency_ns=1", "latency_ns=1", NULL};
#define MASK_RANGE    "wanted a number from 1 to 18446744073709551615"
#define LATENCY_RANGE "wanted a number from 0 to 10000000000"

    fake_expect_refused("edu", unknown,
                        "edu: unknown option 'colour' (known: dma_mask, latency_ns)");
    fake_expect_refused("edu", word, "edu: dma_mask=many: " MASK_RANGE);
    fake_expect_refused("edu", bare, "edu: latency_ns=: " LATENCY_RANGE);
    fake_expect_refused("edu", negative, "edu: latency_ns=-1: " LATENCY_RANGE);
    fake_expect_refused("edu", large, "edu: latency_ns=11000000000: " LATENCY_RANGE);
    fake_expect_refused("edu", overflow, "edu: dma_mask=0x1ffffffffffffffff: " MASK_RANGE);
    fake_expect_refused("edu", trailing, "edu: dma_mask=0xfz: " MASK_RANGE);
    fake_expect_refused("edu", zero, "edu: dma_mask=0: " MASK_RANGE);
    fake_expect_refused("edu", twice, "edu: option 'latency_ns' given twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity_is_qemus, start, stop),
        cmocka_unit_test_setup_teardown(bar_sizes_as_one_mebibyte, start, stop),
        cmocka_unit_test_setup_teardown(liveness_inverts, start, stop),
        cmocka_unit_test_setup_teardown(widths_are_checked, start, stop),
        cmocka_unit_test_setup_teardown(factorial_takes_time, start, stop),
        cmocka_unit_test_setup_teardown(factorial_interrupts, start, stop),
        cmocka_unit_test_setup_teardown(interrupts_rise_and_fall, start, stop),
        cmocka_unit_test_setup_teardown(dma_goes_both_ways, start, stop),
        cmocka_unit_test_setup_teardown(dma_registers_keep_still, start, stop),
        cmocka_unit_test_setup_teardown(dma_outside_the_buffer_touches_nothing, start, stop),
        cmocka_unit_test_setup_teardown(dma_faults_read_ones, start, stop),
        cmocka_unit_test(dma_mask_clamps),
        cmocka_unit_test_setup_teardown(reset_forgets_everything, start, stop),
        cmocka_unit_test(bad_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
