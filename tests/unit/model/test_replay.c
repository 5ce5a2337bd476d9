/*
 * Unit tests of the replay device: what a dump becomes, which bits of it may be written, how large
 * its BARs are, and what its memory does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "model/replay_dump.h"
#include "model/replay_memory.h"

static struct fake_host fake;
static uint8_t bytes[4096];
static char text[32768];

static void put(unsigned offset, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

/* A header with the list of capabilities at 0x40. */
static void begin(void)
{
    memset(bytes, 0, sizeof(bytes));
    put(0x00, 4, 0x5678abcd);
    put(0x04, 4, 0x00100547); /* I/O, memory, master, parity, SERR, INTx off */
    put(0x08, 4, 0x02000003);
    put(0x34, 1, 0x40);
}

/* The device of count bytes, with lines before its rows. */
static void start(unsigned count, const char *lines, const char *option)
{
    size_t used = (size_t)snprintf(text, sizeof(text), "dump=01:00.0 x\n%s", lines);
    for (unsigned i = 0; i < count; i++) {
        if (i % 16 == 0)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%02x:", i ? "\n" : "", i);
        used += (size_t)snprintf(text + used, sizeof(text) - used, " %02x", bytes[i]);
    }
    snprintf(text + used, sizeof(text) - used, "\n");
    fake_start(&fake, "replay", (const char *const[]){text, option, NULL});
}

static uint64_t bar_bytes(unsigned bar)
{
    return fake.model->shape.bars[bar].bytes;
}

static void header_is_the_dumps(void **state)
{
    (void)state;
    begin();
    put(0x06, 2, 0xf810);
    put(0x2c, 4, 0x11112222);
    put(0x30, 4, 0xfff00001);
    put(0x3c, 2, 0x010b);
    start(64, "", NULL);
    assert_int_equal(fake_config_read(&fake, 0x00, 4), 0x5678abcd);
    assert_int_equal(fake_config_read(&fake, 0x04, 2), 0x0540); /* decode and mastering are off */
    assert_int_equal(fake_config_read(&fake, 0x2c, 4), 0x11112222);
    assert_int_equal(fake_config_read(&fake, 0x30, 4), 0xfff00001);
    assert_int_equal(fake_config_read(&fake, 0x3c, 2), 0x010b);
    /* 64 bytes cannot say which capabilities there are, and there is no PCI Express. */
    assert_int_equal(fake_config_read(&fake, 0x06, 2), 0xf800);
    assert_int_equal(fake_config_read(&fake, 0x100, 4), 0xffffffff);

    fake_config_write(&fake, 0x00, 4, 0);
    fake_config_write(&fake, 0x08, 4, 0);
    fake_config_write(&fake, 0x2c, 4, 0);
    fake_config_write(&fake, 0x06, 2, 0x4000); /* one of the errors is cleared */
    fake_config_write(&fake, 0x3c, 2, 0xffff);
    assert_int_equal(fake_config_read(&fake, 0x00, 4), 0x5678abcd);
    assert_int_equal(fake_config_read(&fake, 0x08, 4), 0x02000003);
    assert_int_equal(fake_config_read(&fake, 0x2c, 4), 0x11112222);
    assert_int_equal(fake_config_read(&fake, 0x06, 2), 0xb800);
    assert_int_equal(fake_config_read(&fake, 0x3c, 2), 0x01ff);
    fake_reset(&fake, MODEL_RESET_HOT);
    assert_int_equal(fake_config_read(&fake, 0x06, 2), 0xf800);
    assert_int_equal(fake_config_read(&fake, 0x3c, 2), 0x010b);
    fake_stop(&fake);
}

static void capabilities_have_their_write_masks(void **state)
{
    (void)state;
    begin();
    put(0x40, 4, 0xfe035001 | 0x00); /* power management, next 0x50 */
    put(0x44, 2, 0x010b);            /* D3hot, no soft reset, PME on */
    put(0x50, 4, 0x01847005);        /* MSI: 4 vectors, 64 bits, masking, next 0x70 */
    put(0x54, 4, 0xfee00000);
    put(0x70, 4, 0x00020010);  /* PCI Express version 2, endpoint; the last */
    put(0x74, 4, 0x10008001);  /* function-level reset */
    put(0x78, 4, 0x00252010);  /* transactions pending */
    put(0x100, 4, 0x00020001); /* advanced error reporting */
    put(0x104, 4, 0x00100000);
    start(4096, "", NULL);

    assert_int_equal(fake_config_read(&fake, 0x44, 2), 0x0108); /* in D0 */
    fake_config_write(&fake, 0x44, 2, 0xffff);
    assert_int_equal(fake_config_read(&fake, 0x44, 2), 0x010b);
    fake_config_write(&fake, 0x44, 2, 0x0001); /* no D1 */
    assert_int_equal(fake_config_read(&fake, 0x44, 2), 0x010b);

    fake_config_write(&fake, 0x50, 4, 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x50, 4), 0x01f57005);
    fake_config_write(&fake, 0x54, 4, 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x54, 4), 0xfffffffc);
    fake_config_write(&fake, 0x5c, 4, 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x5c, 4), 0x0000ffff);
    fake_config_write(&fake, 0x60, 4, 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x60, 4), 0x0000000f);
    fake_config_write(&fake, 0x64, 4, 0xffffffff); /* pending bits */
    assert_int_equal(fake_config_read(&fake, 0x64, 4), 0);

    assert_true(fake.model->shape.has_flr);
    assert_int_equal(fake_config_read(&fake, 0x7a, 2), 0x0005);
    fake_config_write(&fake, 0x78, 4, 0x000f00ff);
    assert_int_equal(fake_config_read(&fake, 0x78, 4), 0x000000ff);
    fake_config_write(&fake, 0x78, 2, 0x8000); /* function-level reset: as dumped again */
    assert_int_equal(fake_config_read(&fake, 0x78, 4), 0x00052010);
    assert_int_equal(fake_config_read(&fake, 0x54, 4), 0xfee00000);

    fake_config_write(&fake, 0x104, 4, 0x00100000);
    assert_int_equal(fake_config_read(&fake, 0x104, 4), 0);
    fake_stop(&fake);
}

static void msi_of_32_bits(void **state)
{
    (void)state;
    begin();
    put(0x40, 4, 0x00020005); /* 2 vectors, 32 bits, no masking */
    put(0x4c, 4, 0x12345678); /* whatever follows */
    start(256, "", NULL);
    fake_config_write(&fake, 0x48, 4, 0xffffffff);
    fake_config_write(&fake, 0x4c, 4, 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x48, 4), 0x0000ffff);
    assert_int_equal(fake_config_read(&fake, 0x4c, 4), 0x12345678);
    fake_stop(&fake);
}

static void unknown_capabilities_are_read_only(void **state)
{
    (void)state;
    begin();
    put(0x40, 4, 0xaaaa0009);
    put(0x44, 4, 0x13579bdf);
    start(256, "", NULL);
    for (unsigned offset = 0x40; offset < 0x100; offset += 4)
        fake_config_write(&fake, offset, 4, 0xffffffff);
    for (unsigned offset = 0x40; offset < 0x100; offset++)
        assert_int_equal(fake_config_read(&fake, offset, 1), bytes[offset]);
    fake_stop(&fake);
}

/* A capability that would end behind its 256 bytes: nothing there may be written, and no loop. */
static void capabilities_without_room(void **state)
{
    static const uint8_t ids[] = {0x01, 0x05, 0x10, 0x11};
    (void)state;
    for (size_t i = 0; i < sizeof(ids); i++) {
        begin();
        put(0x34, 1, 0xfc);
        put(0xfc, 4, 0x01820000u | 0xfc00 | ids[i]);
        start(4096, "", NULL);
        for (unsigned offset = 0xfc; offset < 0x140; offset += 4)
            fake_config_write(&fake, offset, 4, 0x0fffffff);
        for (unsigned offset = 0x100; offset < 0x140; offset++)
            assert_int_equal(fake_config_read(&fake, offset, 1), 0);
        fake_stop(&fake);
    }
}

static void sizes_follow_the_addresses(void **state)
{
    (void)state;
    begin();
    put(0x10, 4, 0xf7c0000c); /* 64 bits, prefetchable, at 0x10f7c00000 */
    put(0x14, 4, 0x00000010);
    put(0x18, 4, 0xe0000000); /* 32 bits */
    put(0x1c, 4, 0xe0010008); /* 32 bits, prefetchable, 64 KiB behind */
    put(0x20, 4, 0x0000e041); /* I/O */
    put(0x24, 4, 0x00000000);
    start(64, "", NULL);
    assert_int_equal(bar_bytes(0), 4 << 20);
    assert_int_equal(fake.model->shape.bars[0].type, 0xc);
    assert_int_equal(bar_bytes(1), 0);
    assert_int_equal(bar_bytes(2), 64 << 10); /* up to the next */
    assert_int_equal(fake.model->shape.bars[2].type, 0x0);
    assert_int_equal(bar_bytes(3), 64 << 10);
    assert_int_equal(fake.model->shape.bars[3].type, 0x8);
    assert_int_equal(bar_bytes(4), 64);
    assert_int_equal(fake.model->shape.bars[4].type, 0x1);
    assert_int_equal(bar_bytes(5), 0);
    /* Sizing, as every operating system does it. */
    fake_config_write(&fake, 0x10, 4, 0xffffffff);
    fake_config_write(&fake, 0x14, 4, 0xffffffff);
    fake_config_write(&fake, 0x20, 4, 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x10, 4), 0xffc0000c);
    assert_int_equal(fake_config_read(&fake, 0x14, 4), 0xffffffff);
    assert_int_equal(fake_config_read(&fake, 0x20, 4), 0xffffffc1);
    fake_stop(&fake);
}

static void sizes_have_limits(void **state)
{
    (void)state;
    begin();
    put(0x10, 4, 0x0000000c); /* at 256 GiB */
    put(0x14, 4, 0x00000040);
    put(0x18, 4, 0x0000e001); /* at 56 KiB of I/O space */
    put(0x1c, 4, 0x00000008); /* unassigned */
    put(0x20, 4, 0x00000001); /* unassigned */
    start(64, "", NULL);
    assert_int_equal(bar_bytes(0), 256 << 20);
    assert_int_equal(bar_bytes(2), 256);
    assert_int_equal(bar_bytes(3), 4096);
    assert_int_equal(bar_bytes(4), 4);
    fake_stop(&fake);
}

static void sizes_are_said(void **state)
{
    (void)state;
    begin();
    put(0x10, 4, 0x0000000c);
    put(0x14, 4, 0x00000040);
    put(0x18, 4, 0xe0000000);
    put(0x1c, 4, 0x0000e001);
    start(64,
          "\tRegion 0: Memory at 4000000000 (64-bit, prefetchable) [size=16G]\n"
          "\tRegion 2: Memory at e0000000 (32-bit, non-prefetchable) [disabled] [size=512]\n"
          "\tRegion 3: I/O ports at e000 [size=8]\n"
          "\tRegion 5: Memory at <unassigned> (32-bit, non-prefetchable) [size=64K]\n"
          "\tExpansion ROM at c0000 [disabled] [size=128K]\n",
          NULL);
    assert_int_equal(bar_bytes(0), UINT64_C(16) << 30);
    assert_int_equal(bar_bytes(2), 512);
    assert_int_equal(bar_bytes(3), 8);
    assert_int_equal(bar_bytes(4), 0);
    assert_int_equal(bar_bytes(5), 64 << 10);
    fake_stop(&fake);

    /* -v alone gives no numbers: the address tells. */
    start(64,
          "\tMemory at e0000000 (32-bit, non-prefetchable) [size=1M]\n"
          "\tI/O ports at e000 [size=8]\n"
          "\tMemory at 4000000000 (64-bit, prefetchable) [size=32M]\n",
          "bar3=16");
    assert_int_equal(bar_bytes(0), 32 << 20);
    assert_int_equal(bar_bytes(2), 1 << 20);
    assert_int_equal(bar_bytes(3), 16); /* the option wins */
    fake_stop(&fake);
}

#define MSIX_TABLE_OFFSET 0x8000
#define MSIX_PBA_OFFSET   0xc000

static void start_msix(unsigned vectors)
{
    begin();
    put(0x10, 4, 0xe0001000); /* aligned to 4 KiB only */
    put(0x40, 4, 0x80000011 | (vectors - 1) << 16);
    put(0x44, 4, MSIX_TABLE_OFFSET);
    put(0x48, 4, MSIX_PBA_OFFSET);
    start(256, "", NULL);
    fake_enable(&fake);
}

static void msix_table_is_one(void **state)
{
    (void)state;
    start_msix(16);
    assert_int_equal(bar_bytes(0), 64 << 10); /* what holds both */
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 12, 4), 1);
    fake_write(&fake, 0, MSIX_TABLE_OFFSET + 12, 4, 0xfffffffe);
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 12, 4), 0);
    fake_write(&fake, 0, MSIX_TABLE_OFFSET + 16, 8, 0xfee01003);
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 16, 8), 0xfee01000);
    fake_write(&fake, 0, MSIX_PBA_OFFSET, 8, 1);
    assert_int_equal(fake_read(&fake, 0, MSIX_PBA_OFFSET, 8), 0);
    fake_write(&fake, 0, MSIX_TABLE_OFFSET + 256, 4, 7); /* behind it: memory */
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 256, 4), 7);
    fake_config_write(&fake, 0x42, 2, 0x4000);
    assert_int_equal(fake_config_read(&fake, 0x42, 2), 0x400f);
    fake_reset(&fake, MODEL_RESET_HOT);
    fake_enable(&fake);
    assert_int_equal(fake_config_read(&fake, 0x42, 2), 0x800f);
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 12, 4), 1);
    fake_stop(&fake);
    assert_int_equal(fake.message_count, 0);
}

static void msix_of_too_many_vectors_is_memory(void **state)
{
    (void)state;
    start_msix(1024);
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 12, 4), 0);
    fake_write(&fake, 0, MSIX_TABLE_OFFSET + 12, 4, 0x12345678);
    assert_int_equal(fake_read(&fake, 0, MSIX_TABLE_OFFSET + 12, 4), 0x12345678);
    fake_config_write(&fake, 0x42, 2, 0);
    assert_int_equal(fake_config_read(&fake, 0x42, 2), 0x03ff);
    fake_stop(&fake);
}

static void memory_is_sparse(void **state)
{
    struct replay_memory memory;
    (void)state;
    replay_memory_init(&memory);
    assert_int_equal(replay_memory_read(&memory, 0, UINT64_C(1) << 39, 8), 0);
    replay_memory_write(&memory, 0, UINT64_C(1) << 39, 8, UINT64_C(0x1122334455667788));
    replay_memory_write(&memory, 1, UINT64_C(1) << 39, 2, 0xffff9999);
    assert_int_equal(memory.count, 2);
    assert_int_equal(replay_memory_read(&memory, 0, (UINT64_C(1) << 39) + 2, 2), 0x5566);
    assert_int_equal(replay_memory_read(&memory, 1, UINT64_C(1) << 39, 8), 0x9999);
    for (uint64_t page = 0; page < REPLAY_MAX_PAGES + 8; page++)
        replay_memory_write(&memory, 2, page * REPLAY_PAGE_BYTES, 1, 0x5a);
    assert_int_equal(memory.count, REPLAY_MAX_PAGES);
    assert_int_equal(replay_memory_read(&memory, 2, 0, 1), 0x5a);
    assert_int_equal(
        replay_memory_read(&memory, 2, (uint64_t)(REPLAY_MAX_PAGES + 7) * REPLAY_PAGE_BYTES, 1), 0);
    replay_memory_clear(&memory);
    assert_int_equal(memory.count, 0);
    assert_int_equal(replay_memory_read(&memory, 2, 0, 1), 0);
}

static void a_dead_device_stays_dead(void **state)
{
    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    start(256, "", NULL);
    assert_int_equal(fake_config_read(&fake, 0, 4), 0xffffffff);
    for (unsigned bar = 0; bar < 6; bar++)
        assert_int_equal(bar_bytes(bar), 0);
    fake_reset(&fake, MODEL_RESET_HOT);
    assert_int_equal(fake_config_read(&fake, 0, 4), 0xffffffff);
    fake_stop(&fake);
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    fake_expect_refused("replay", NULL,
                        "line 1: the end, and no function: wanted is what lspci -x, -xxx or -xxxx "
                        "prints");
    fake_expect_refused("replay", (const char *const[]){"dump=01:00.0 x\n00: 12 3\n", NULL},
                        "line 2: a row has two digits a byte and blanks between");
    fake_expect_refused("replay", (const char *const[]){"dump=01:00.0 x\n00: 12\n10: 00\n", NULL},
                        "line 3: 01:00.0 lacks the row before this one");
}

/* The text need not end, and its size is what counts. */
static void a_text_is_as_long_as_said(void **state)
{
    static const char whole[] = "01:00.0 x\n00: 12 34";
    struct replay_dump dump;
    char *error;
    (void)state;
    for (size_t length = 0; length < sizeof(whole); length++) {
        char *copy = malloc(length + 1);
        assert_non_null(copy);
        memcpy(copy, whole, length);
        assert_int_equal(replay_dump_parse(copy, length, &dump, &error), -22);
        assert_non_null(strstr(error, "line "));
        free(error);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_the_dumps),
        cmocka_unit_test(capabilities_have_their_write_masks),
        cmocka_unit_test(msi_of_32_bits),
        cmocka_unit_test(unknown_capabilities_are_read_only),
        cmocka_unit_test(capabilities_without_room),
        cmocka_unit_test(sizes_follow_the_addresses),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(sizes_are_said),
        cmocka_unit_test(msix_table_is_one),
        cmocka_unit_test(msix_of_too_many_vectors_is_memory),
        cmocka_unit_test(memory_is_sparse),
        cmocka_unit_test(a_dead_device_stays_dead),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(a_text_is_as_long_as_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
