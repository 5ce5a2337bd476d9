/*
 * The test device's resets and power states, those that work and those that do not, against
 * docs/testdev.md.
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

#define WINDOW 0x200000 /* of BAR 2 with the default aperture */

static struct fake_host fake_storage;

static int start(void **state)
{
    fake_start(&fake_storage, "testdev", NULL);
    fake_enable(&fake_storage);
    *state = &fake_storage;
    return 0;
}

static int stop(void **state)
{
    fake_stop(*state);
    return 0;
}

static struct fake_host *start_with(const char *option)
{
    fake_start(&fake_storage, "testdev", (const char *const[]){option, NULL});
    fake_enable(&fake_storage);
    return &fake_storage;
}

static unsigned capability(struct fake_host *fake, uint8_t id)
{
    unsigned offset = config_space_find(fake->model->config, id);
    assert_true(offset >= 0x40);
    return offset;
}

static void enable_msix(struct fake_host *fake, unsigned vectors)
{
    for (unsigned vector = 0; vector < vectors; vector++) {
        fake_write(fake, 0, 0x8000 + 16 * vector, 8, 0xfee00000 + 4096 * vector);
        fake_write(fake, 0, 0x8008 + 16 * vector, 4, 0x100 + vector);
        fake_write(fake, 0, 0x800c + 16 * vector, 4, 0);
    }
    fake_config_write(fake, capability(fake, 0x11) + 2, 2, 0x8000);
}

static void dirty(struct fake_host *fake)
{
    fake_enable(fake);
    enable_msix(fake, 2);
    fake_config_write(fake, 0x10, 4, 0x80000000);
    fake_write(fake, 0, 0x48, 8, 5);
    fake_write(fake, 0, 0x5c, 4, 5);
    fake_write(fake, 2, WINDOW, 4, 5);
    fake_write(fake, 0, 0x100, 4, 1);
    fake_write(fake, 0, 0x118, 4, 0);
    fake_write(fake, 0, 0x11c, 4, 1);
}

static void expect_fresh(struct fake_host *fake, unsigned generation, unsigned last_reset)
{
    assert_int_equal(fake_run(fake, 10), 0);
    assert_int_equal(fake_config_read(fake, 0x00, 4), 0x7e571234);
    assert_int_equal(fake_config_read(fake, 0x04, 2), 0);
    assert_int_equal(fake_config_read(fake, 0x10, 4), 0);
    assert_int_equal(fake_config_read(fake, capability(fake, 0x11) + 2, 2), 31);
    assert_true(fake_read(fake, 0, 0x48, 8) == 0);
    assert_int_equal(fake_read(fake, 0, 0x5c, 4), 0);
    assert_int_equal(fake_read(fake, 2, WINDOW, 4), 0);
    assert_int_equal(fake_read(fake, 0, 0x800c, 4), 1);
    assert_int_equal(fake_read(fake, 0, 0x11c, 4), 0);
    assert_true(fake_read(fake, 0, 0x128, 8) == 0);
    assert_int_equal(fake_read(fake, 0, 0x028, 4), generation);
    assert_int_equal(fake_read(fake, 0, 0x02c, 4), last_reset);
}

static void resets_clear_everything(void **state)
{
    struct fake_host *fake = *state;
    unsigned pcie = capability(fake, 0x10);

    memset(fake->attached[2][0], 0x77, 16);
    dirty(fake);
    fake_config_write(fake, pcie + 8, 2, 0xa810); /* the bit in Device Control */
    expect_fresh(fake, 1, 1);
    assert_int_equal(fake_config_read(fake, pcie + 8, 2), 0x2810);
    dirty(fake);
    fake_reset(fake, MODEL_RESET_FUNCTION);
    expect_fresh(fake, 2, 1);
    dirty(fake);
    fake_reset(fake, MODEL_RESET_POWER);
    expect_fresh(fake, 3, 2);
    dirty(fake);
    fake_reset(fake, MODEL_RESET_HOT);
    expect_fresh(fake, 4, 3);
    assert_int_equal(((uint8_t *)fake->attached[2][0])[15], 0x77); /* memory keeps its content */
}

static void sleep_is_deaf_and_mute(void **state)
{
    struct fake_host *fake = *state;
    unsigned power = capability(fake, 0x01);

    dirty(fake);
    unsigned before = fake->message_count;
    fake_config_write(fake, power + 4, 2, 3);
    assert_int_equal(fake_config_read(fake, power + 4, 2), 3);
    assert_int_equal(fake_read(fake, 0, 0x000, 4), 0xffffffff);
    fake_write(fake, 0, 0x100, 4, 0);
    assert_int_equal(fake_run(fake, 10), 0);
    assert_int_equal(fake->message_count, before);
    fake_config_write(fake, power + 4, 2, 0);
    expect_fresh(fake, 1, 2);
}

static void no_soft_reset_keeps_state(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("reset=hotonly");
    unsigned power = capability(fake, 0x01);

    assert_false(fake->model->shape.has_flr);
    assert_int_equal(fake_config_read(fake, power + 4, 2), 0x0008);
    dirty(fake);
    fake_config_write(fake, power + 4, 2, 3);
    assert_int_equal(fake_run(fake, 10), 0);
    fake_config_write(fake, power + 4, 2, 0);
    assert_true(fake_read(fake, 0, 0x48, 8) == 5);
    assert_int_equal(fake_read(fake, 0, 0x028, 4), 0);
    assert_int_equal(fake_run(fake, 10), 10); /* the timer goes on */
    fake_stop(fake);
}

static void flr_may_be_missing(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("reset=noflr");
    unsigned pcie = capability(fake, 0x10);

    assert_false(fake->model->shape.has_flr);
    assert_int_equal(fake_config_read(fake, pcie + 4, 4) & 0x10000000, 0);
    fake_write(fake, 0, 0x48, 8, 5);
    fake_config_write(fake, pcie + 8, 2, 0x8000);
    assert_true(fake_read(fake, 0, 0x48, 8) == 5);
    fake_config_write(fake, capability(fake, 0x01) + 4, 2, 3);
    fake_config_write(fake, capability(fake, 0x01) + 4, 2, 0);
    assert_true(fake_read(fake, 0, 0x48, 8) == 0); /* power management still resets */
    fake_stop(fake);
}

static void flr_may_be_ignored(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("reset=ignored");

    dirty(fake);
    fake_config_write(fake, capability(fake, 0x10) + 8, 2, 0x8000);
    assert_true(fake_read(fake, 0, 0x48, 8) == 5);
    assert_int_equal(fake_config_read(fake, capability(fake, 0x10) + 8, 2), 0);
    fake_reset(fake, MODEL_RESET_FUNCTION);
    assert_true(fake_read(fake, 0, 0x48, 8) == 5);
    assert_int_equal(fake_run(fake, 5), 5);
    fake_reset(fake, MODEL_RESET_HOT);
    expect_fresh(fake, 1, 3);
    fake_stop(fake);
}

static void expect_dead(struct fake_host *fake)
{
    fake_enable(fake);
    assert_int_equal(fake_config_read(fake, 0x00, 4), 0xffffffff);
    assert_int_equal(fake_config_read(fake, 0x04, 2), 0xffff);
    assert_int_equal(fake_read(fake, 0, 0x000, 4), 0xffffffff);
    assert_int_equal(fake_read(fake, 1, 0x000, 4), 0xffffffff);
    assert_int_equal(fake_read(fake, 2, WINDOW, 1), 0xff);
    assert_int_equal(fake_run(fake, 10), 0);
}

static void dying_lasts_until_a_hot_reset(void **state)
{
    struct fake_host *fake = *state;

    dirty(fake);
    fake_write(fake, 0, 0x30, 4, 0xdeadd1e4);                  /* not the magic value */
    assert_int_equal(fake_read(fake, 0, 0x30, 4), 0xffffffff); /* write-only */
    assert_int_equal(fake_read(fake, 0, 0x000, 4), 0x54534554);
    fake_write(fake, 0, 0x30, 4, 0xdeadd1e5);
    expect_dead(fake);
    fake_reset(fake, MODEL_RESET_FUNCTION);
    fake_reset(fake, MODEL_RESET_POWER);
    expect_dead(fake);
    fake_reset(fake, MODEL_RESET_HOT);
    expect_fresh(fake, 1, 3);
}

static void resets_may_fail(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("reset=stuck");
    fake_config_write(fake, capability(fake, 0x10) + 8, 2, 0x8000);
    expect_dead(fake);
    fake_reset(fake, MODEL_RESET_HOT);
    expect_fresh(fake, 2, 3);
    fake_reset(fake, MODEL_RESET_POWER);
    expect_dead(fake);
    fake_stop(fake);

    fake = start_with("reset=dead");
    fake_reset(fake, MODEL_RESET_HOT);
    expect_dead(fake);
    fake_reset(fake, MODEL_RESET_HOT);
    expect_dead(fake);
    fake_stop(fake);

    fake = start_with("reset=retry");
    fake_reset(fake, MODEL_RESET_FUNCTION);
    fake_advance(fake, UINT64_C(3600) * 1000000000);
    assert_int_equal(fake_config_read(fake, 0x00, 4), 0xffff0001);
    assert_int_equal(fake_read(fake, 0, 0x000, 4), 0xffffffff);
    fake_stop(fake);
}

static void readiness_may_take_time(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("ready_after_ns=1000000");

    dirty(fake);
    fake_reset(fake, MODEL_RESET_FUNCTION);
    fake_advance(fake, 999999);
    assert_int_equal(fake_config_read(fake, 0x00, 4), 0xffff0001);
    assert_int_equal(fake_config_read(fake, 0x00, 2), 0x0001);
    assert_int_equal(fake_read(fake, 0, 0x000, 4), 0xffffffff);
    fake_enable(fake); /* vanishes */
    fake_advance(fake, 1);
    expect_fresh(fake, 1, 1);
    fake_stop(fake);
}

int main(void)
{
#define FRESH(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        FRESH(resets_clear_everything),
        FRESH(sleep_is_deaf_and_mute),
        cmocka_unit_test(no_soft_reset_keeps_state),
        cmocka_unit_test(flr_may_be_missing),
        cmocka_unit_test(flr_may_be_ignored),
        FRESH(dying_lasts_until_a_hot_reset),
        cmocka_unit_test(resets_may_fail),
        cmocka_unit_test(readiness_may_take_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
