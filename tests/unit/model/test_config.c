/*
 * Config space: header, BAR sizing, capability chains, masks, reset, and how a device that is not
 * ready or dead answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "model/config_capability.h"
#include "model/config_space.h"

static const struct config_identity identity = {0xabcd, 0x1234, 0x5a, 0x010802, 0x1111, 0x2222};

static struct config_space config;

static int start(void **state)
{
    (void)state;
    config_space_init(&config, &identity);
    return 0;
}

static void header_is_type_0(void **state)
{
    (void)state;
    assert_int_equal(config_space_read(&config, 0x00, 4), 0x1234abcd);
    assert_int_equal(config_space_read(&config, 0x08, 4), 0x0108025a);
    assert_int_equal(config_space_read(&config, 0x0e, 1), 0);
    assert_int_equal(config_space_read(&config, 0x2c, 4), 0x22221111);
    assert_int_equal(config_space_read(&config, 0x34, 1), 0);
    assert_int_equal(config_space_read(&config, 0x06, 2), 0);
    assert_int_equal(config_space_find(&config, 0x01), 0);
    assert_int_equal(config_space_find_extended(&config, 0x0001), 0);
}

static void read_only_bytes_stay(void **state)
{
    (void)state;
    struct config_space before = config;

    for (unsigned offset = 0; offset < 4096; offset += 4)
        config_space_write(&config, offset, 4, 0xffffffff);
    assert_int_equal(config_space_read(&config, 0x04, 2), 0x0547);
    assert_int_equal(config_space_read(&config, 0x0c, 1), 0xff);
    assert_int_equal(config_space_read(&config, 0x3c, 1), 0xff);
    config_space_set(&config, 0x04, 2, 0);
    config_space_set(&config, 0x0c, 1, 0);
    config_space_set(&config, 0x3c, 1, 0);
    assert_memory_equal(config.value, before.value, sizeof(before.value));
}

static void written_ones_clear(void **state)
{
    (void)state;
    config_space_set(&config, 0x06, 2, 0xf910);
    config_space_write(&config, 0x06, 2, 0x8110);
    assert_int_equal(config_space_read(&config, 0x06, 2), 0x7810);
    config_space_write(&config, 0x07, 1, 0x08);
    assert_int_equal(config_space_read(&config, 0x06, 2), 0x7010);
    config_space_write(&config, 0x04, 4, 0xffff0006); /* command and status at once */
    assert_int_equal(config_space_read(&config, 0x04, 4), 0x00100006);
}

static uint32_t sized(unsigned offset)
{
    config_space_write(&config, offset, 4, 0xffffffff);
    return config_space_read(&config, offset, 4);
}

static void bars_size_as_on_hardware(void **state)
{
    (void)state;
    config_space_add_bar(&config, 0, 0x00, 0x10);
    config_space_add_bar(&config, 1, 0x01, 0x4);
    config_space_add_bar(&config, 2, 0x0c, UINT64_C(1) << 33);
    config_space_add_bar(&config, 4, 0x08, 0x80000000);
    assert_int_equal(config_space_read(&config, 0x10, 4), 0x0);
    assert_int_equal(config_space_read(&config, 0x14, 4), 0x1);
    assert_int_equal(config_space_read(&config, 0x18, 4), 0xc);
    assert_int_equal(config_space_read(&config, 0x20, 4), 0x8);

    assert_int_equal(sized(0x10), 0xfffffff0);
    assert_int_equal(sized(0x14), 0xfffffffd);
    assert_int_equal(sized(0x18), 0x0000000c); /* 8 GiB: all address bits are in the upper half */
    assert_int_equal(sized(0x1c), 0xfffffffe);
    assert_int_equal(sized(0x20), 0x80000008);
    assert_int_equal(sized(0x24), 0);

    config_space_write(&config, 0x10, 4, 0xdeadbeef);
    assert_int_equal(config_space_read(&config, 0x10, 4), 0xdeadbee0);
}

static void capabilities_chain(void **state)
{
    (void)state;
    assert_int_equal(config_space_add_capability(&config, 0x09, 5), 0x40);
    assert_int_equal(config_space_add_capability(&config, 0x01, 8), 0x48); /* 4-byte aligned */
    assert_int_equal(config_space_add_capability(&config, 0x09, 2), 0x50);
    assert_int_equal(config_space_read(&config, 0x06, 2), 0x0010);
    assert_int_equal(config_space_read(&config, 0x34, 1), 0x40);
    assert_int_equal(config_space_read(&config, 0x40, 2), 0x4809);
    assert_int_equal(config_space_read(&config, 0x48, 2), 0x5001);
    assert_int_equal(config_space_read(&config, 0x50, 2), 0x0009);
    assert_int_equal(config_space_find(&config, 0x09), 0x40); /* the first */
    assert_int_equal(config_space_find(&config, 0x01), 0x48);
    assert_int_equal(config_space_find(&config, 0x05), 0);

    assert_int_equal(config_space_add_capability(&config, 0x09, 0xad), 0); /* 0x54 + 0xad > 0x100 */
    assert_int_equal(config_space_add_capability(&config, 0x09, 0xac), 0x54);
    assert_int_equal(config_space_add_capability(&config, 0x09, 2), 0);
    assert_int_equal(config_space_add_capability(&config, 0x09, 1), 0);
}

static void extended_capabilities_chain(void **state)
{
    (void)state;
    assert_int_equal(config_space_add_extended(&config, 0x0001, 2, 0x48), 0x100);
    assert_int_equal(config_space_add_extended(&config, 0x0003, 1, 12), 0x148);
    assert_int_equal(config_space_add_extended(&config, 0x000b, 1, 10), 0x154);
    assert_int_equal(config_space_add_extended(&config, 0x000b, 1, 8), 0x160);
    assert_int_equal(config_space_read(&config, 0x100, 4), 0x14820001);
    assert_int_equal(config_space_read(&config, 0x148, 4), 0x15410003);
    assert_int_equal(config_space_read(&config, 0x160, 4), 0x0001000b);
    assert_int_equal(config_space_find_extended(&config, 0x000b), 0x154);
    assert_int_equal(config_space_find_extended(&config, 0x0010), 0);
    assert_int_equal(config_space_add_extended(&config, 0x000b, 1, 4096), 0);
    assert_int_equal(config_space_add_extended(&config, 0x000b, 1, 3), 0);
}

static void looped_chains_end(void **state)
{
    (void)state;
    config_space_add_capability(&config, 0x09, 4);
    config_space_add_extended(&config, 0x0001, 1, 4);
    config_space_set(&config, 0x41, 1, 0x40);
    config_space_set(&config, 0x100, 4, 0x10010001);
    assert_int_equal(config_space_find(&config, 0x05), 0);
    assert_int_equal(config_space_find_extended(&config, 0x0003), 0);
    config_space_set(&config, 0x41, 1, 0x04); /* into the header */
    assert_int_equal(config_space_find(&config, 0x05), 0);
    config_space_set(&config, 0x41, 1, 0xff); /* the last word */
    assert_int_equal(config_space_find(&config, 0x05), 0);
    config_space_set(&config, 0x100, 4, 0xfff10001);
    assert_int_equal(config_space_find_extended(&config, 0x0003), 0);
}

static void reset_goes_back_to_the_seal(void **state)
{
    (void)state;
    config_space_add_bar(&config, 0, 0x00, 0x1000);
    config_space_set(&config, 0x40, 4, 0x11223344);
    config_space_seal(&config);
    config_space_write(&config, 0x10, 4, 0x80000000);
    config_space_write(&config, 0x04, 2, 0x0006);
    config_space_set(&config, 0x40, 4, 0);
    config_space_reset(&config);
    assert_int_equal(config_space_read(&config, 0x10, 4), 0);
    assert_int_equal(config_space_read(&config, 0x04, 2), 0);
    assert_int_equal(config_space_read(&config, 0x40, 4), 0x11223344);
    assert_int_equal(sized(0x10), 0xfffff000); /* the masks are still there */
}

static void not_ready_answers_retry(void **state)
{
    (void)state;
    config.answer = CONFIG_ANSWER_RETRY;
    assert_int_equal(config_space_read(&config, 0x00, 4), 0xffff0001);
    assert_int_equal(config_space_read(&config, 0x00, 2), 0x0001);
    assert_int_equal(config_space_read(&config, 0x02, 2), 0xffff);
    assert_int_equal(config_space_read(&config, 0x00, 1), 0xff);
    assert_int_equal(config_space_read(&config, 0x08, 4), 0xffffffff);
    config_space_write(&config, 0x04, 2, 0x0006);
    config.answer = CONFIG_ANSWER_NORMAL;
    assert_int_equal(config_space_read(&config, 0x04, 2), 0);
}

static void dead_answers_ones(void **state)
{
    (void)state;
    config.answer = CONFIG_ANSWER_NONE;
    assert_int_equal(config_space_read(&config, 0x00, 4), 0xffffffff);
    assert_int_equal(config_space_read(&config, 0x0e, 1), 0xff);
    config_space_write(&config, 0x04, 2, 0x0006);
    config.answer = CONFIG_ANSWER_NORMAL;
    assert_int_equal(config_space_read(&config, 0x04, 2), 0);
    assert_int_equal(config_space_read(&config, 0x00, 4), 0x1234abcd);
}

static void conventional_ends_at_256(void **state)
{
    (void)state;
    config.is_conventional = true;
    assert_int_equal(config_space_read(&config, 0x100, 4), 0xffffffff);
    assert_int_equal(config_space_read(&config, 0xfff, 1), 0xff);
    assert_int_equal(config_space_read(&config, 0xfc, 4), 0);
    assert_int_equal(config_space_add_extended(&config, 0x0001, 1, 8), 0);
    assert_int_equal(config_space_find_extended(&config, 0xffff), 0);
}

static void flr_bit_reads_zero(void **state)
{
    (void)state;
    unsigned base = config_add_pcie(&config, &(struct config_pcie){true, 4, 8});
    assert_int_equal(base, 0x40);
    assert_int_equal(config_space_read(&config, base + 0x04, 4) & 0x10000000, 0x10000000);
    assert_int_equal(config_space_read(&config, base + 0x0c, 4) & 0x3ff, 0x084);
    assert_int_equal(config_space_read(&config, base + 0x12, 2) & 0x3ff, 0x084);
    config_space_write(&config, base + 0x08, 2, 0xa810);
    assert_int_equal(config_space_read(&config, base + 0x08, 2), 0x2810);

    config_set_transactions_pending(&config, true);
    assert_int_equal(config_space_read(&config, base + 0x0a, 2), 0x0020);
    config_set_transactions_pending(&config, false);
    assert_int_equal(config_space_read(&config, base + 0x0a, 2), 0);

    config_space_init(&config, &identity);
    base = config_add_pcie(&config, &(struct config_pcie){false, 1, 1});
    assert_int_equal(config_space_read(&config, base + 0x04, 4) & 0x10000000, 0);
}

static enum config_power_change power_write(uint8_t *state, uint32_t value)
{
    config_space_write(&config, config_space_find(&config, 0x01) + 4, 2, value);
    return config_power_written(&config, state);
}

static void power_states_change(void **state)
{
    (void)state;
    uint8_t power = 0;
    assert_int_equal(config_power_written(&config, &power), CONFIG_POWER_SAME); /* no capability */
    unsigned base = config_add_power(&config, false);
    assert_int_equal(power_write(&power, 0), CONFIG_POWER_SAME);
    assert_int_equal(power_write(&power, 1), CONFIG_POWER_SAME); /* D1 is not there */
    assert_int_equal(config_space_read(&config, base + 4, 2), 0);
    assert_int_equal(power_write(&power, 3), CONFIG_POWER_SLEPT);
    assert_int_equal(power_write(&power, 3), CONFIG_POWER_SAME);
    assert_int_equal(power_write(&power, 2), CONFIG_POWER_SAME);
    assert_int_equal(config_space_read(&config, base + 4, 2), 3);
    assert_int_equal(power_write(&power, 0), CONFIG_POWER_WOKE_RESET);

    config_space_init(&config, &identity);
    base = config_add_power(&config, true);
    assert_int_equal(config_space_read(&config, base + 4, 2), 0x0008);
    assert_int_equal(power_write(&power, 3), CONFIG_POWER_SLEPT);
    assert_int_equal(power_write(&power, 0), CONFIG_POWER_WOKE);
}

static void full_space_refuses(void **state)
{
    (void)state;
    static const uint8_t body[4096];

    assert_int_equal(config_add_vendor(&config, body, 253), 0);
    assert_int_equal(config_add_vendor(&config, body, 0xbd), 0x40);
    assert_int_equal(config_add_pcie(&config, &(struct config_pcie){true, 1, 1}), 0);
    assert_int_equal(config_add_power(&config, true), 0);
    assert_int_equal(config_add_vendor(&config, body, 1), 0);
    assert_int_equal(config_add_vendor_extended(&config, 1, 1, body, UINT32_MAX), 0);
    assert_int_equal(config_add_vendor_extended(&config, 1, 1, body, 0xef9), 0);
    assert_int_equal(config_add_vendor_extended(&config, 1, 1, body, 0xef8), 0x100);
    assert_int_equal(config_add_aer(&config), 0);
    assert_int_equal(config_add_serial(&config, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(header_is_type_0, start),
        cmocka_unit_test_setup(read_only_bytes_stay, start),
        cmocka_unit_test_setup(written_ones_clear, start),
        cmocka_unit_test_setup(bars_size_as_on_hardware, start),
        cmocka_unit_test_setup(capabilities_chain, start),
        cmocka_unit_test_setup(extended_capabilities_chain, start),
        cmocka_unit_test_setup(looped_chains_end, start),
        cmocka_unit_test_setup(reset_goes_back_to_the_seal, start),
        cmocka_unit_test_setup(not_ready_answers_retry, start),
        cmocka_unit_test_setup(dead_answers_ones, start),
        cmocka_unit_test_setup(conventional_ends_at_256, start),
        cmocka_unit_test_setup(flr_bit_reads_zero, start),
        cmocka_unit_test_setup(power_states_change, start),
        cmocka_unit_test_setup(full_space_refuses, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
