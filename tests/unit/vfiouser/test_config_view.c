/*
 * Unit tests of the guest's config space over a device that remembers what reaches it.
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

#include "vfiouser/config_view.h"

#define PM     0x40
#define MSI    0x50
#define MSIX   0x70
#define PCIE   0x80
#define VENDOR 0xc0
#define EA     0xd0
#define AER    0x100
#define VSEC   0x150

struct fake {
    uint8_t bytes[4096];
    unsigned writes;
    unsigned last_offset, last_width;
    uint32_t last_value;
    int read_error;
    struct vu_config view;
};

static int fake_read(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
    struct fake *fake = opaque;
    assert_int_equal(offset % width, 0);
    *value = UINT32_MAX;
    if (fake->read_error != 0) {
        return fake->read_error;
    }
    *value = 0;
    memcpy(value, fake->bytes + offset, width);
    return 0;
}

static int fake_write(void *opaque, unsigned offset, unsigned width, uint32_t value)
{
    struct fake *fake = opaque;
    assert_int_equal(offset % width, 0);
    fake->writes++;
    fake->last_offset = offset;
    fake->last_width = width;
    fake->last_value = value;
    memcpy(fake->bytes + offset, &value, width);
    return 0;
}

static const struct vu_config_ops fake_ops = {.read = fake_read, .write = fake_write};

static void put(struct fake *fake, unsigned offset, unsigned width, uint32_t value)
{
    memcpy(fake->bytes + offset, &value, width);
}

static void put_device(struct fake *fake)
{
    put(fake, 0x00, 4, 0x7e571234);
    put(fake, 0x04, 4, 0xf9100006); /* claimed; every error there is */
    put(fake, 0x08, 4, 0xff000001);
    put(fake, 0x0c, 4, 0x00800010); /* multi-function, a cache line of 64 bytes */
    put(fake, 0x10, 4, 0x80000000);
    put(fake, 0x18, 4, 0x0000000c);
    put(fake, 0x1c, 4, 0x00000008);
    put(fake, 0x30, 4, 0xfe000001);
    put(fake, 0x34, 1, PM);
    put(fake, 0x3c, 2, 0x010b);
    put(fake, PM, 4, 0xc8030001 | MSI << 8);
    put(fake, MSI, 4, 0x018b0005 | MSIX << 8); /* enabled by the host: 32 vectors, 64-bit, masks */
    put(fake, MSI + 4, 4, 0xfee00000);
    put(fake, MSIX, 4, 0x801f0011 | EA << 8); /* enabled by the host: 32 vectors */
    put(fake, MSIX + 4, 4, 0x8000);
    put(fake, MSIX + 8, 4, 0x9001);
    put(fake, EA, 4, 0x0014 | PCIE << 8);
    put(fake, PCIE, 4, 0x00020010 | VENDOR << 8);
    put(fake, PCIE + 4, 4, 0x10008001); /* FLR */
    put(fake, PCIE + 8, 4, 0x000f2937);
    put(fake, PCIE + 16, 4, 0xd0440040);
    put(fake, VENDOR, 4, 0x00080009);
    put(fake, VENDOR + 4, 4, 0x11223344);
    put(fake, AER, 4, 0x15010001);
    put(fake, VSEC, 4, 0x0001000b);
    put(fake, VSEC + 4, 4, 0x01017e57); /* 16 bytes */
}

static int make_view(void **state)
{
    static struct fake fake;
    const struct vu_config_shape shape = {
        .bars = {{0x10000, 0}, {0, 0}, {UINT64_C(8) << 30, 0xc}, {0, 0}, {0x1000, 0x8}, {0, 0}},
        .vectors = 16};
    memset(&fake, 0, sizeof(fake));
    put_device(&fake);
    *state = &fake;
    return vu_config_init(&fake.view, &fake_ops, &fake, &shape, NULL);
}

static uint32_t get(struct fake *fake, unsigned offset, unsigned width)
{
    uint8_t bytes[4] = {0};
    uint32_t value;
    assert_int_equal(vu_config_read(&fake->view, offset, width, bytes), 0);
    memcpy(&value, bytes, sizeof(value));
    return value;
}

static unsigned set(struct fake *fake, unsigned offset, unsigned width, uint32_t value)
{
    unsigned effects = 99;
    uint8_t bytes[4];
    memcpy(bytes, &value, sizeof(bytes));
    assert_int_equal(vu_config_write(&fake->view, offset, width, bytes, &effects), 0);
    return effects;
}

static void test_header(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(fake->view.bytes, 4096);
    assert_int_equal(get(fake, 0, 4), 0x7e571234);
    assert_int_equal(get(fake, 8, 4), 0xff000001);
    assert_int_equal(get(fake, 4, 2), 0);      /* the guest has not enabled it */
    assert_int_equal(get(fake, 6, 2), 0x0010); /* no errors of the host's */
    assert_int_equal(get(fake, 0x0e, 1), 0);   /* one function for the guest */
    assert_int_equal(get(fake, 0x30, 4), 0);   /* no ROM */
    assert_int_equal(get(fake, 0x3d, 1), 0);   /* no pin */
    set(fake, 0x30, 4, 0xfffff800);
    assert_int_equal(get(fake, 0x30, 4), 0);
    set(fake, 0x00, 4, 0);
    set(fake, 0x3d, 1, 1);
    set(fake, 0x06, 2, 0xffff);
    assert_int_equal(get(fake, 0, 4), 0x7e571234);
    assert_int_equal(get(fake, 0x3d, 1), 0);
    set(fake, 0x3c, 1, 0x2a);
    set(fake, 0x0c, 1, 0x08);
    assert_int_equal(get(fake, 0x3c, 1), 0x2a);
    assert_int_equal(get(fake, 0x0c, 1), 0x08);
    assert_int_equal(fake->writes, 0);
}

static void test_command(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(set(fake, 4, 2, 0x0103), 0);
    assert_int_equal(get(fake, 4, 2), 0x0103);
    assert_int_equal(set(fake, 4, 2, 0x0507), VU_CONFIG_BUS_MASTER);
    assert_true(vu_config_is_master(&fake->view));
    assert_int_equal(set(fake, 4, 1, 0x07), 0);
    assert_int_equal(get(fake, 4, 2), 0x0507);
    assert_int_equal(set(fake, 4, 2, 0x0503), VU_CONFIG_BUS_MASTER);
    assert_false(vu_config_is_master(&fake->view));
    assert_int_equal(set(fake, 4, 2, 0xffff), VU_CONFIG_BUS_MASTER);
    assert_int_equal(get(fake, 4, 2), 0x0547); /* what there is */
    assert_int_equal(fake->writes, 0);         /* the caller's to do */
}

static void test_bars(void **state)
{
    struct fake *fake = *state;
    static const struct {
        unsigned offset;
        uint32_t sized, type;
    } rows[] = {{0x10, 0xffff0000, 0}, {0x14, 0, 0},          {0x18, 0, 0xc},
                {0x1c, 0xfffffffe, 0}, {0x20, 0xfffff000, 8}, {0x24, 0, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(get(fake, rows[i].offset, 4), rows[i].type);
        set(fake, rows[i].offset, 4, UINT32_MAX);
        assert_int_equal(get(fake, rows[i].offset, 4), rows[i].sized | rows[i].type);
        set(fake, rows[i].offset, 4, 0x12345678);
        assert_int_equal(get(fake, rows[i].offset, 4), (0x12345678 & rows[i].sized) | rows[i].type);
    }
    set(fake, 0x12, 2, 0xabcd); /* half a register */
    assert_int_equal(get(fake, 0x10, 4), 0xabcd0000);
    assert_int_equal(fake->writes, 0);
}

static void test_capability_list(void **state)
{
    struct fake *fake = *state;
    static const uint8_t places[] = {PM, MSI, MSIX, PCIE, VENDOR}; /* no addresses of the host's */
    uint32_t at = get(fake, 0x34, 1);
    for (size_t i = 0; i < sizeof(places); i++) {
        assert_int_equal(at, places[i]);
        at = get(fake, at + 1, 1);
    }
    assert_int_equal(at, 0);
    assert_int_equal(get(fake, EA, 4), 0);
}

static void test_msi(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(fake->view.msi_count, 16);
    assert_int_equal(get(fake, MSI + 2, 2), 0x0188); /* 16 of them, not enabled */
    set(fake, MSI + 2, 2, 0xffff);
    assert_int_equal(get(fake, MSI + 2, 2), 0x01f9);
    set(fake, MSI + 4, 4, 0xfee01007);
    assert_int_equal(get(fake, MSI + 4, 4), 0xfee01004);
    set(fake, MSI + 8, 4, 1);
    assert_int_equal(get(fake, MSI + 8, 4), 1);
    set(fake, MSI + 12, 2, 0x4021);
    assert_int_equal(get(fake, MSI + 12, 2), 0x4021);
    set(fake, MSI + 16, 4, 0xffff);
    assert_int_equal(get(fake, MSI + 16, 4), 0xffff);
    set(fake, MSI + 20, 4, 0xffff);
    assert_int_equal(get(fake, MSI + 20, 4), 0);
    assert_int_equal(fake->writes, 0);
}

static void test_msix(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(fake->view.msix_count, 16);
    assert_int_equal(get(fake, MSIX + 2, 2), 0x000f); /* as many as were granted */
    set(fake, MSIX + 2, 2, 0xffff);
    assert_int_equal(get(fake, MSIX + 2, 2), 0xc00f);
    set(fake, MSIX + 3, 1, 0x40);
    assert_int_equal(get(fake, MSIX + 2, 2), 0x400f);
    set(fake, MSIX + 4, 4, 0);
    assert_int_equal(get(fake, MSIX + 4, 4), 0x8000);
    assert_int_equal(fake->view.table.bar, 0);
    assert_int_equal(fake->view.table.offset, 0x8000);
    assert_int_equal(fake->view.table.bytes, 32 * 16); /* all of the device's */
    assert_int_equal(fake->view.pba.bar, 1);
    assert_int_equal(fake->view.pba.offset, 0x9000);
    assert_int_equal(fake->view.pba.bytes, 8);
    assert_int_equal(fake->writes, 0);
}

/* Payload and request sizes of the host's stay the device's (C15). */
static void test_pcie(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(get(fake, PCIE + 8, 2), 0x2937);
    assert_int_equal(set(fake, PCIE + 8, 2, 0x5010), 0);
    assert_int_equal(get(fake, PCIE + 8, 2), 0x5010);
    assert_int_equal(get(fake, PCIE + 10, 2), 0); /* no errors of the host's */
    assert_int_equal(get(fake, PCIE + 18, 2), 0x1044);
    set(fake, PCIE + 10, 2, 0xf);
    set(fake, PCIE + 16, 4, 0xc0000021);
    assert_int_equal(fake->writes, 0);
    assert_int_equal(set(fake, PCIE + 8, 2, 0x8010), VU_CONFIG_RESET);
    assert_int_equal(get(fake, PCIE + 8, 2), 0x0010); /* the bit reads zero */
    assert_int_equal(set(fake, PCIE + 9, 1, 0x80), VU_CONFIG_RESET);
    assert_int_equal(set(fake, PCIE + 8, 4, 0x8010), VU_CONFIG_RESET);
    assert_int_equal(set(fake, PCIE + 10, 2, 0x8000), 0);
    assert_int_equal(fake->writes, 0);
}

static void test_power(void **state)
{
    struct fake *fake = *state;
    assert_int_equal(get(fake, PM + 2, 2), 0x0003); /* wakes nobody */
    set(fake, 4, 2, 6);
    assert_int_equal(set(fake, PM + 4, 2, 3), VU_CONFIG_BUS_MASTER);
    assert_int_equal(get(fake, PM + 4, 2), 3);
    assert_false(vu_config_is_awake(&fake->view));
    assert_false(vu_config_is_master(&fake->view));
    assert_int_equal(set(fake, PM + 4, 2, 0) & VU_CONFIG_RESET, VU_CONFIG_RESET);
    assert_int_equal(set(fake, PM + 4, 2, 1), VU_CONFIG_BUS_MASTER);
    assert_int_equal(set(fake, PM + 4, 2, 0), VU_CONFIG_BUS_MASTER); /* not from D3hot */
    assert_int_equal(fake->writes, 0);
}

static void test_vendor_is_forwarded(void **state)
{
    struct fake *fake = *state;
    set(fake, VENDOR + 4, 4, 0xcafe0001);
    assert_int_equal(fake->writes, 1);
    assert_int_equal(fake->last_offset, VENDOR + 4);
    assert_int_equal(fake->last_value, 0xcafe0001);
    set(fake, VENDOR + 6, 1, 0x77);
    assert_int_equal(fake->last_width, 1);
    assert_int_equal(get(fake, VENDOR + 4, 4), 0xca770001);
    set(fake, VENDOR, 4, 0); /* the header is not the vendor's */
    assert_int_equal(get(fake, VENDOR, 2), 0x0009);
    set(fake, VSEC + 8, 4, 5);
    assert_int_equal(fake->last_offset, VSEC + 8);
    unsigned before = fake->writes;
    set(fake, AER + 4, 4, UINT32_MAX);
    set(fake, VSEC, 4, 0);
    set(fake, VSEC + 16, 4, 5); /* behind its end */
    assert_int_equal(fake->writes, before);
}

static void test_reset(void **state)
{
    struct fake *fake = *state;
    set(fake, 4, 2, 7);
    set(fake, 0x10, 4, 0x80000000);
    set(fake, MSIX + 2, 2, 0x8000);
    vu_config_reset(&fake->view);
    assert_int_equal(get(fake, 4, 2), 0);
    assert_int_equal(get(fake, 0x10, 4), 0);
    assert_int_equal(get(fake, MSIX + 2, 2), 0x000f);
    assert_false(vu_config_is_master(&fake->view));
}

static void test_gone(void **state)
{
    struct fake *fake = *state;
    fake->read_error = -ENODEV;
    assert_int_equal(get(fake, 0, 4), UINT32_MAX);
    assert_int_equal(get(fake, 4, 4), UINT32_MAX);
    fake->read_error = -EIO;
    uint8_t bytes[4];
    assert_int_equal(vu_config_read(&fake->view, 0, 4, bytes), -EIO);
    struct vu_config view;
    const struct vu_config_shape shape = {.vectors = 1};
    assert_int_equal(vu_config_init(&view, &fake_ops, fake, &shape, NULL), -EIO);
}

static void test_whole(void **state)
{
    struct fake *fake = *state;
    static uint8_t all[4096];
    uint8_t odd[7];
    assert_int_equal(vu_config_read(&fake->view, 0, 4096, all), 0);
    assert_int_equal(all[0] | all[1] << 8, 0x1234);
    assert_int_equal(all[0x3d], 0);
    assert_int_equal(vu_config_read(&fake->view, 1, 7, odd), 0);
    assert_memory_equal(odd, all + 1, 7);
}

/* A list that loops, and one that points nowhere, end. */
static void test_bad_lists(void **state)
{
    struct fake *fake = *state;
    const struct vu_config_shape shape = {.vectors = 1};
    put(fake, VENDOR + 1, 1, PM);
    put(fake, VSEC, 4, 0x1001000b);
    assert_int_equal(vu_config_init(&fake->view, &fake_ops, fake, &shape, NULL), 0);
    put(fake, 0x34, 1, 0xfc);
    put(fake, 0xfc, 4, 0xfc11); /* no room for it */
    put(fake, AER, 4, 0xffc1000b);
    put(fake, 0xffc, 4, 0x0001000b);
    assert_int_equal(vu_config_init(&fake->view, &fake_ops, fake, &shape, NULL), 0);
}

static void test_no_vectors(void **state)
{
    struct fake *fake = *state;
    const struct vu_config_shape shape = {.vectors = 0};
    assert_int_equal(vu_config_init(&fake->view, &fake_ops, fake, &shape, NULL), 0);
    assert_int_equal(get(fake, PM + 1, 1), PCIE);
    assert_int_equal(fake->view.msi_count, 0);
    assert_int_equal(fake->view.msix_count, 0);
}

int main(void)
{
#define VIEW_TEST(name) cmocka_unit_test_setup(name, make_view)
    const struct CMUnitTest tests[] = {
        VIEW_TEST(test_header),
        VIEW_TEST(test_command),
        VIEW_TEST(test_bars),
        VIEW_TEST(test_capability_list),
        VIEW_TEST(test_msi),
        VIEW_TEST(test_msix),
        VIEW_TEST(test_pcie),
        VIEW_TEST(test_power),
        VIEW_TEST(test_vendor_is_forwarded),
        VIEW_TEST(test_reset),
        VIEW_TEST(test_gone),
        VIEW_TEST(test_whole),
        VIEW_TEST(test_bad_lists),
        VIEW_TEST(test_no_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
