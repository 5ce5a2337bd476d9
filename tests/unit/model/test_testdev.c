/*
 * The test device against docs/testdev.md: identity, BARs, plain registers, counters, interrupts,
 * options. Offsets and values are written out, not taken from the model.
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

static struct fake_host *start_with(const char *first, const char *second)
{
    fake_start(&fake_storage, "testdev", (const char *const[]){first, second, NULL});
    fake_enable(&fake_storage);
    return &fake_storage;
}

static unsigned capability(struct fake_host *fake, uint8_t id)
{
    unsigned offset = config_space_find(fake->model->config, id);
    assert_true(offset >= 0x40);
    return offset;
}

static void models_are_listed(void **state)
{
    (void)state;
    assert_string_equal(model_at(0)->name, "edu");
    assert_string_equal(model_at(1)->name, "testdev");
    assert_string_equal(model_at(2)->name, "nvme");
    assert_string_equal(model_at(3)->name, "replay");
    assert_null(model_at(4));
    assert_null(model_at(SIZE_MAX));
    assert_null(model_find("nvme0"));
    assert_null(model_find(""));
    for (size_t i = 0; model_at(i) != NULL; i++) {
        assert_ptr_equal(model_find(model_at(i)->name), model_at(i));
        assert_true(strlen(model_at(i)->summary) > 0);
    }
}

static void identity_and_bars(void **state)
{
    struct fake_host *fake = *state;
    static const struct {
        uint64_t bytes;
        uint8_t type;
        uint32_t sizing;
    } bars[6] = {
        {0x10000, 0x0, 0xffff0000}, {0x100, 0x1, 0xffffff01},   {0x400000, 0xc, 0xffc0000c},
        {0, 0, 0xffffffff},         {0x10000, 0x8, 0xffff0008}, {0, 0, 0},
    };

    assert_int_equal(fake_config_read(fake, 0x00, 4), 0x7e571234);
    assert_int_equal(fake_config_read(fake, 0x08, 4), 0xff000001);
    assert_int_equal(fake_config_read(fake, 0x2c, 4), 0x7e571234);
    assert_int_equal(fake_config_read(fake, 0x3d, 1), 0);
    for (unsigned bar = 0; bar < 6; bar++) {
        assert_true(fake->model->shape.bars[bar].bytes == bars[bar].bytes);
        assert_int_equal(fake->model->shape.bars[bar].type, bars[bar].type);
        fake_config_write(fake, 0x10 + 4 * bar, 4, 0xffffffff);
        assert_int_equal(fake_config_read(fake, 0x10 + 4 * bar, 4), bars[bar].sizing);
    }
    const struct model_bar *mixed = &fake->model->shape.bars[2];
    assert_int_equal(mixed->direct_count, 2);
    assert_true(mixed->direct[0].offset == 0 && mixed->direct[0].bytes == WINDOW);
    assert_true(mixed->direct[1].offset == WINDOW + 0x4000);
    assert_true(mixed->direct[1].bytes == 0x400000 - WINDOW - 0x4000);
    assert_true(fake->model->shape.has_flr);

    assert_int_equal(fake_read(fake, 0, 0x000, 4), 0x54534554);
    assert_int_equal(fake_read(fake, 0, 0x004, 4), 0x00010000);
    assert_int_equal(fake_read(fake, 0, 0x008, 4), 32);
    assert_true(fake_read(fake, 0, 0x010, 8) == 0x400000);
    assert_int_equal(fake_read(fake, 0, 0x010, 4), 0x400000);
    assert_int_equal(fake_read(fake, 0, 0x014, 4), 0);
    assert_true(fake_read(fake, 0, 0x018, 8) == WINDOW);
    fake_advance(fake, 1000);
    assert_true(fake_read(fake, 0, 0x020, 8) == fake->now_ns);
}

static void other_shapes(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("bar2=64k", "bar4=m64");
    assert_true(fake->model->shape.bars[2].bytes == 0x10000);
    assert_true(fake->model->shape.bars[2].direct[1].offset == 0xc000);
    assert_true(fake->model->shape.bars[2].direct[1].bytes == 0x4000);
    assert_int_equal(fake->model->shape.bars[4].type, 0x4);
    fake_config_write(fake, 0x24, 4, 0xffffffff);
    assert_int_equal(fake_config_read(fake, 0x24, 4), 0xffffffff); /* an upper half */
    fake_write(fake, 2, 0x8000, 8, 42);
    assert_true(fake_read(fake, 2, 0x8000, 8) == 42);
    fake_stop(fake);

    fake = start_with("bar4=none", "vectors=1");
    assert_true(fake->model->shape.bars[4].bytes == 0);
    assert_int_equal(fake_config_read(fake, 0x20, 4), 0);
    fake_stop(fake);

    fake = start_with("irq=msi", "vectors=256");
    assert_int_equal(config_space_find(fake->model->config, 0x11), 0);
    assert_int_equal(fake_config_read(fake, capability(fake, 0x05) + 2, 2) >> 1 & 7, 5);
    assert_int_equal(fake_read(fake, 0, 0x8000, 4), 0xffffffff); /* no table */
    fake_write(fake, 0, 0x8000, 4, 0);
    fake_stop(fake);

    fake = start_with("irq=msix", "vectors=256");
    assert_int_equal(config_space_find(fake->model->config, 0x05), 0);
    assert_int_equal(fake_config_read(fake, capability(fake, 0x11) + 2, 2), 255);
    fake_stop(fake);

    fake = start_with("irq=none", "serial=0x1122334455667788");
    assert_int_equal(config_space_find(fake->model->config, 0x05), 0);
    assert_int_equal(config_space_find(fake->model->config, 0x11), 0);
    fake_write(fake, 0, 0x100, 4, 0);
    assert_int_equal(fake_read(fake, 0, 0x104, 4), 2);
    unsigned serial = config_space_find_extended(fake->model->config, 0x0003);
    assert_int_equal(fake_config_read(fake, serial + 4, 4), 0x55667788);
    assert_int_equal(fake_config_read(fake, serial + 8, 4), 0x11223344);
    fake_stop(fake);
}

static void scratch_takes_its_width_only(void **state)
{
    struct fake_host *fake = *state;
    static const struct {
        unsigned offset, width;
    } registers[] = {{0x40, 1}, {0x42, 2}, {0x44, 4}, {0x48, 8}};

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned width = 1; width <= 8; width *= 2) {
            uint64_t ones = width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;
            uint64_t mine = UINT64_C(0x8877665544332211) & ones;
            if (registers[i].offset % width != 0)
                continue;
            fake_write(fake, 0, registers[i].offset, width, mine);
            assert_true(fake_read(fake, 0, registers[i].offset, width) ==
                        (width == registers[i].width ? mine : ones));
        }
    }
    assert_int_equal(fake_read(fake, 0, 0x40, 1), 0x11);
    assert_int_equal(fake_read(fake, 0, 0x42, 2), 0x2211);
    assert_int_equal(fake_read(fake, 0, 0x44, 4), 0x44332211);
    assert_true(fake_read(fake, 0, 0x48, 8) == UINT64_C(0x8877665544332211));
    assert_int_equal(fake_read(fake, 0, 0x4c, 4), 0xffffffff);

    for (unsigned i = 0; i < 16; i++)
        fake_write(fake, 0, 0x50 + i, 1, i + 1);
    assert_int_equal(fake_read(fake, 0, 0x52, 2), 0x0403);
    assert_int_equal(fake_read(fake, 0, 0x5c, 4), 0x100f0e0d);
    fake_write(fake, 0, 0x58, 8, UINT64_C(0xf1f2f3f4f5f6f7f8));
    assert_int_equal(fake_read(fake, 0, 0x5f, 1), 0xf1);
    assert_true(fake_read(fake, 0, 0x50, 8) == UINT64_C(0x0807060504030201));
}

static void ports_and_window(void **state)
{
    struct fake_host *fake = *state;

    assert_int_equal(fake_read(fake, 1, 0, 4), 0x54534554);
    assert_int_equal(fake_read(fake, 1, 0, 2), 0xffff);
    fake_write(fake, 1, 8, 4, 0xaabbccdd);
    fake_write(fake, 1, 9, 1, 0x11);
    assert_int_equal(fake_read(fake, 1, 8, 4), 0xaabb11dd);
    fake_write(fake, 1, 8, 8, 0);
    assert_true(fake_read(fake, 1, 8, 8) == UINT64_MAX);
    assert_int_equal(fake_read(fake, 1, 14, 2), 0);
    assert_int_equal(fake_read(fake, 1, 16, 4), 0xffffffff);
    assert_int_equal(fake_read(fake, 1, 0xfc, 4), 0xffffffff);
    fake_write(fake, 1, 4, 4, 3);
    assert_true(fake_read(fake, 0, 0x128, 8) == 1);
    fake_write(fake, 1, 4, 2, 3);
    assert_true(fake_read(fake, 0, 0x128, 8) == 1);

    fake_write(fake, 2, WINDOW, 8, UINT64_C(0x1122334455667788));
    assert_int_equal(fake_read(fake, 2, WINDOW + 1, 1), 0x77);
    assert_int_equal(fake_read(fake, 2, WINDOW + 6, 2), 0x1122);
    fake_write(fake, 2, WINDOW + 0x3ffc, 4, 0xabcdef01);
    assert_int_equal(fake_read(fake, 2, WINDOW + 0x3ffc, 4), 0xabcdef01);
    assert_int_equal(fake_read(fake, 2, WINDOW + 0x4000, 4), 0xffffffff); /* direct: not here */
    assert_true(fake_read(fake, 2, WINDOW - 8, 8) == UINT64_MAX);
}

static void accesses_are_counted_by_width(void **state)
{
    struct fake_host *fake = *state;

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned n = 0; n <= i; n++) {
            fake_read(fake, 0, 0x50, 1u << i);
            fake_write(fake, 2, WINDOW + 8, 1u << i, n);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fake_read(fake, 0, 0x80 + 4 * i, 4), i + 1);
        assert_int_equal(fake_read(fake, 0, 0x90 + 4 * i, 4), i + 1);
    }
    fake_write(fake, 2, WINDOW + 0x10, 4, 0x12345678);
    assert_true(fake_read(fake, 0, 0xa0, 8) == WINDOW + 0x10);
    assert_true(fake_read(fake, 0, 0xa8, 8) == 0x12345678);
    assert_int_equal(fake_read(fake, 0, 0xb0, 4), 0x10204); /* write, BAR 2, 4 bytes */
    fake_write(fake, 0, 0x44, 4, 5);
    fake_read(fake, 0, 0x44, 2); /* refused, and counted all the same */
    assert_true(fake_read(fake, 0, 0xa8, 8) == 0xffff);
    assert_int_equal(fake_read(fake, 0, 0xb0, 4), 0x00002);
    fake_read(fake, 1, 8, 1);
    assert_int_equal(fake_read(fake, 0, 0xb0, 4), 0x00101);
    fake_read(fake, 0, 0x8000, 4); /* MSI-X table: not counted */
    assert_int_equal(fake_read(fake, 0, 0xb0, 4), 0x00101);
    fake_write(fake, 0, 0xb4, 4, 0);
    for (unsigned offset = 0x80; offset <= 0xb0; offset += 4)
        assert_int_equal(fake_read(fake, 0, offset, 4), 0);
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

static void vectors_fire_at_will(void **state)
{
    (void)state;
    struct fake_host *fake = start_with("vectors=256", NULL);

    assert_int_equal(fake_read(fake, 0, 0x0c, 4), 0);
    enable_msix(fake, 256);
    assert_int_equal(fake_read(fake, 0, 0x0c, 4), 2);
    for (unsigned vector = 0; vector < 256; vector++) {
        fake_write(fake, 0, 0x100, 4, vector);
        assert_int_equal(fake_read(fake, 0, 0x104, 4), 0);
        assert_int_equal(fake->message_count, vector + 1);
        assert_true(fake->messages[vector].address == 0xfee00000 + 4096 * vector);
        assert_int_equal(fake->messages[vector].data, 0x100 + vector);
        assert_int_equal(fake_read(fake, 0, 0x1000 + 4 * vector, 4), 1);
    }
    fake_write(fake, 0, 0x800c + 16 * 200, 4, 1);
    fake_write(fake, 0, 0x100, 4, 200);
    assert_int_equal(fake_read(fake, 0, 0x104, 4), 1);
    assert_true(fake_read(fake, 0, 0x9000 + 24, 8) == UINT64_C(1) << 8);
    fake_write(fake, 0, 0x100, 4, 256);
    assert_int_equal(fake_read(fake, 0, 0x104, 4), 2);
    fake_write(fake, 0, 0x800c + 16 * 200, 4, 0);
    assert_int_equal(fake->message_count, 257);
    assert_true(fake_read(fake, 0, 0x128, 8) == 258);
    assert_true(fake_read(fake, 0, 0x130, 8) == 256);
    assert_true(fake_read(fake, 0, 0x138, 8) == 1);
    assert_true(fake_read(fake, 0, 0x140, 8) == 1);
    assert_int_equal(fake_read(fake, 0, 0x1000 + 800, 4), 2);
    fake_write(fake, 0, 0x124, 4, 0);
    assert_true(fake_read(fake, 0, 0x128, 8) == 0);
    assert_int_equal(fake_read(fake, 0, 0x1000 + 800, 4), 0);
    assert_int_equal(fake_read(fake, 0, 0x1400, 4), 0xffffffff);
    fake_stop(fake);
}

static void msi_is_the_fallback(void **state)
{
    struct fake_host *fake = *state;
    unsigned msi = capability(fake, 0x05);

    fake_config_write(fake, msi + 4, 4, 0xfee01000);
    fake_config_write(fake, msi + 12, 2, 0x4000);
    fake_config_write(fake, msi + 2, 2, 0x0051); /* enabled, 32 messages */
    assert_int_equal(fake_read(fake, 0, 0x0c, 4), 1);
    fake_write(fake, 0, 0x100, 4, 31);
    assert_int_equal(fake->messages[0].data, 0x401f);
    fake_config_write(fake, msi + 16, 4, 1);
    fake_write(fake, 0, 0x100, 4, 0);
    assert_int_equal(fake_read(fake, 0, 0x104, 4), 1);
    fake_config_write(fake, msi + 16, 4, 0);
    assert_int_equal(fake->message_count, 2);
    assert_int_equal(fake->messages[1].data, 0x4000);
}

static void timer_goes_round(void **state)
{
    struct fake_host *fake = *state;

    enable_msix(fake, 32);
    fake_write(fake, 0, 0x108, 4, 4);
    fake_write(fake, 0, 0x10c, 4, 3);
    fake_write(fake, 0, 0x110, 8, 5000);
    fake_write(fake, 0, 0x118, 4, 7);
    fake_write(fake, 0, 0x11c, 4, 1);
    uint64_t begun = fake->now_ns;
    fake_advance(fake, 4999);
    assert_int_equal(fake->message_count, 0);
    fake_advance(fake, 1);
    assert_int_equal(fake->message_count, 1);
    assert_int_equal(fake_read(fake, 0, 0x11c, 4), 1);
    assert_int_equal(fake_run(fake, 100), 6);
    assert_true(fake->now_ns == begun + 35000);
    assert_int_equal(fake_read(fake, 0, 0x11c, 4), 0); /* over */
    assert_int_equal(fake_read(fake, 0, 0x120, 4), 7);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(fake->messages[i].data, 0x104 + i % 3);

    fake_write(fake, 0, 0x118, 4, 0); /* until stopped */
    fake_write(fake, 0, 0x11c, 4, 1);
    assert_int_equal(fake_run(fake, 50), 50);
    fake_write(fake, 0, 0x11c, 4, 0);
    assert_int_equal(fake_run(fake, 50), 0);
    assert_int_equal(fake_read(fake, 0, 0x120, 4), 50);
}

static void timer_storms(void **state)
{
    struct fake_host *fake = *state;

    enable_msix(fake, 32);
    fake_write(fake, 0, 0x10c, 4, 32);
    fake_write(fake, 0, 0x110, 8, 0); /* counts as a microsecond */
    fake_write(fake, 0, 0x118, 4, 2);
    fake_write(fake, 0, 0x11c, 4, 3);
    uint64_t begun = fake->now_ns;
    fake_run(fake, 10);
    assert_true(fake->now_ns == begun + 2000);
    assert_true(fake_read(fake, 0, 0x148, 8) == begun + 2000);
    assert_int_equal(fake->message_count, 64);
    assert_int_equal(fake->messages[63].data, 0x11f);

    fake_write(fake, 0, 0x10c, 4, 0xffffffff); /* bounded, past the end is lost */
    fake_write(fake, 0, 0x118, 4, 1);
    fake_write(fake, 0, 0x124, 4, 0);
    fake_write(fake, 0, 0x11c, 4, 3);
    fake_run(fake, 10);
    assert_true(fake_read(fake, 0, 0x128, 8) == 256);
    assert_true(fake_read(fake, 0, 0x140, 8) == 224);

    fake_write(fake, 0, 0x110, 8, UINT64_MAX); /* never, and no overflow */
    fake_write(fake, 0, 0x11c, 4, 1);
    fake_advance(fake, UINT64_C(1) << 50);
    assert_int_equal(fake_read(fake, 0, 0x120, 4), 0);
}

static void bad_options_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *option, *error;
    } cases[] = {
        {"vector=1", "testdev: unknown option 'vector' (known: vectors, irq, bar2, bar4, reset, "
                     "ready_after_ns, latency_ns, serial)"},
        {"vectors=0", "testdev: vectors=0: wanted a number from 1 to 256"},
        {"vectors=257", "testdev: vectors=257: wanted a number from 1 to 256"},
        {"vectors", "testdev: vectors=: wanted a number from 1 to 256"},
        {"vectors=1G1", "testdev: vectors=1G1: wanted a number from 1 to 256"},
        {"vectors=0x", "testdev: vectors=0x: wanted a number from 1 to 256"},
        {"vectors= 1", "testdev: vectors= 1: wanted a number from 1 to 256"},
        {"irq=intx", "testdev: irq=intx: wanted one of both, msix, msi, none"},
        {"irq=", "testdev: irq=: wanted one of both, msix, msi, none"},
        {"bar2=3M", "testdev: bar2=3M: wanted a power of two from 65536 to 1073741824"},
        {"bar2=32K", "testdev: bar2=32K: wanted a power of two from 65536 to 1073741824"},
        {"bar2=99999999999G",
         "testdev: bar2=99999999999G: wanted a power of two from 65536 to 1073741824"},
        {"bar4=io", "testdev: bar4=io: wanted one of m32pf, m64, none"},
        {"reset=warm", "testdev: reset=warm: wanted one of flr, noflr, hotonly, ignored, stuck, "
                       "retry, dead"},
        {"ready_after_ns=61000000000",
         "testdev: ready_after_ns=61000000000: wanted a number from 0 to 60000000000"},
        {"latency_ns=soon", "testdev: latency_ns=soon: wanted a number from 0 to 60000000000"},
        {"irq=\n\x80"
         "0123456789012345678901234567890123456789012345678901234567890123456789",
         "testdev: irq=??01234567890123456789012345678901234567890123456789012345678901: wanted "
         "one "
         "of both, msix, msi, none"},
        {"serial=18446744073709551616", "testdev: serial=18446744073709551616: wanted a number "
                                        "from 0 to 18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_expect_refused("testdev", (const char *const[]){cases[i].option, NULL},
                            cases[i].error);
}

int main(void)
{
#define FRESH(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_listed),
        FRESH(identity_and_bars),
        cmocka_unit_test(other_shapes),
        FRESH(scratch_takes_its_width_only),
        FRESH(ports_and_window),
        FRESH(accesses_are_counted_by_width),
        cmocka_unit_test(vectors_fire_at_will),
        FRESH(msi_is_the_fallback),
        FRESH(timer_goes_round),
        FRESH(timer_storms),
        cmocka_unit_test(bad_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
