/*
 * MSI and MSI-X: enable, masks, pending bits, multiple messages, access rules of the table. Against
 * the PCI Local Bus Specification 3.0, section 6.8.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "model/msi.h"
#include "model/msix.h"

#define VECTORS 130

static struct config_space config;
static struct msi msi;
static struct msix msix;
static unsigned sent;
static uint64_t sent_address[512];
static uint32_t sent_data[512];

static void take_message(void *host, uint64_t address, uint32_t data)
{
    assert_ptr_equal(host, &sent);
    assert_true(sent < 512);
    sent_address[sent] = address;
    sent_data[sent++] = data;
}

static const struct model_host_ops ops = {.message = take_message};
static const struct model_host host = {&ops, &sent};
static const struct config_identity identity = {0x1234, 0x5678, 0, 0xff0000, 0, 0};

static int start(void **state)
{
    (void)state;
    sent = 0;
    config_space_init(&config, &identity);
    config_space_write(&config, 0x04, 2, 0x0006);
    return 0;
}

static int start_msix(void **state)
{
    start(state);
    const struct msix_place place = {2, 4, 0x8000, 0x9000};
    assert_true(msix_init(&msix, &host, &config, VECTORS, &place));
    return 0;
}

static void msix_control(uint32_t value)
{
    config_space_write(&config, 0x42, 2, value);
    msix_config_written(&msix, 0x42, 2);
}

static void msix_vector(unsigned vector, uint64_t address, uint32_t data, uint32_t control)
{
    msix_table_write(&msix, 16 * vector, 8, address);
    msix_table_write(&msix, 16 * vector + 8, 8, data | (uint64_t)control << 32);
}

static void msix_capability_is_laid_out(void **state)
{
    (void)state;
    assert_int_equal(config_space_read(&config, 0x40, 2), 0x0011);
    assert_int_equal(config_space_read(&config, 0x42, 2), VECTORS - 1);
    assert_int_equal(config_space_read(&config, 0x44, 4), 0x8002);
    assert_int_equal(config_space_read(&config, 0x48, 4), 0x9004);
    assert_true(msix_table_bytes(&msix) == VECTORS * 16);
    assert_true(msix_pba_bytes(&msix) == 24);
    msix_control(0xffff);
    assert_int_equal(config_space_read(&config, 0x42, 2), 0xc000 | (VECTORS - 1));
    for (unsigned vector = 0; vector < VECTORS; vector++)
        assert_int_equal(msix_table_read(&msix, vector * 16 + 12, 4), 1); /* all masked */
}

static void msix_sends_what_the_table_says(void **state)
{
    (void)state;
    msix_vector(129, UINT64_C(0x1234567fee01004), 0xcafe0081, 0);
    assert_int_equal(msix_fire(&msix, 129), MESSAGE_LOST); /* not enabled */
    msix_control(0x8000);
    assert_int_equal(sent, 0); /* nothing was pending */
    assert_int_equal(msix_fire(&msix, 129), MESSAGE_SENT);
    assert_true(sent_address[0] == UINT64_C(0x1234567fee01004));
    assert_int_equal(sent_data[0], 0xcafe0081);
    assert_int_equal(msix_fire(&msix, VECTORS), MESSAGE_LOST);
    assert_int_equal(msix_fire(&msix, UINT32_MAX), MESSAGE_LOST);
    config_space_write(&config, 0x04, 2, 0x0002);
    assert_int_equal(msix_fire(&msix, 129), MESSAGE_LOST); /* no bus master */
    assert_int_equal(sent, 1);
}

static void msix_vector_mask_holds_back(void **state)
{
    (void)state;
    msix_control(0x8000);
    msix_vector(65, 0xfee00000, 7, 1);
    assert_int_equal(msix_fire(&msix, 65), MESSAGE_PENDING);
    assert_int_equal(msix_fire(&msix, 65), MESSAGE_PENDING);
    assert_true(msix_pba_read(&msix, 8, 8) == 2);
    assert_int_equal(msix_pba_read(&msix, 0, 4), 0);
    assert_int_equal(msix_pba_read(&msix, 8, 4), 2);
    assert_int_equal(msix_pba_read(&msix, 12, 4), 0);
    msix_table_write(&msix, 65 * 16 + 8, 4, 9); /* new data while masked is what will be sent */
    assert_int_equal(sent, 0);
    msix_table_write(&msix, 65 * 16 + 12, 4, 0xfffffffe); /* bit 0 clear: unmasked */
    assert_int_equal(sent, 1); /* two fired while masked are one message */
    assert_int_equal(sent_data[0], 9);
    assert_true(msix_pba_read(&msix, 8, 8) == 0);
    assert_int_equal(msix_table_read(&msix, 65 * 16 + 12, 4), 0); /* reserved bits stay 0 */
}

static void msix_function_mask_holds_back(void **state)
{
    (void)state;
    msix_control(0xc000);
    msix_vector(0, 0xfee00000, 1, 0);
    msix_vector(1, 0xfee00000, 2, 1);
    msix_vector(2, 0xfee00000, 3, 0);
    for (unsigned vector = 0; vector < 3; vector++)
        assert_int_equal(msix_fire(&msix, vector), MESSAGE_PENDING);
    assert_true(msix_pba_read(&msix, 0, 8) == 7);
    msix_control(0x8000);
    assert_int_equal(sent, 2);
    assert_int_equal(sent_data[0], 1);
    assert_int_equal(sent_data[1], 3);
    assert_true(msix_pba_read(&msix, 0, 8) == 2); /* its own mask still holds */
    msix_control(0xc000);
    msix_table_write(&msix, 28, 4, 0);
    assert_int_equal(sent, 2);
    msix_control(0x8000);
    assert_int_equal(sent, 3);
}

static void msix_pending_waits_for_the_master(void **state)
{
    (void)state;
    msix_control(0xc000);
    msix_vector(0, 0xfee00000, 1, 0);
    msix_fire(&msix, 0);
    config_space_write(&config, 0x04, 2, 0x0002);
    msix_control(0x8000);
    assert_int_equal(sent, 0);
    assert_true(msix_pba_read(&msix, 0, 8) == 1);
    config_space_write(&config, 0x04, 2, 0x0006);
    msix_config_written(&msix, 0x04, 2);
    assert_int_equal(sent, 1);
}

static void msix_table_takes_words_and_pairs(void **state)
{
    (void)state;
    msix_table_write(&msix, 0, 8, UINT64_C(0x1122334455667787));
    assert_true(msix_table_read(&msix, 0, 8) == UINT64_C(0x1122334455667784)); /* low bits 0 */
    assert_int_equal(msix_table_read(&msix, 4, 4), 0x11223344);
    msix_table_write(&msix, 8, 4, 0x99aabbcc);
    assert_true(msix_table_read(&msix, 8, 8) == UINT64_C(0x199aabbcc));
    for (unsigned width = 1; width <= 2; width++) {
        msix_table_write(&msix, 0, width, 0);
        assert_true(msix_table_read(&msix, 0, width) == (width == 1 ? 0xff : 0xffff));
        assert_true(msix_pba_read(&msix, 0, width) == (width == 1 ? 0xff : 0xffff));
    }
    msix_table_write(&msix, 4, 8, 0); /* not aligned */
    assert_true(msix_table_read(&msix, 4, 8) == UINT64_MAX);
    assert_int_equal(msix_table_read(&msix, 4, 4), 0x11223344);
    assert_int_equal(msix_table_read(&msix, VECTORS * 16, 4), 0xffffffff);
    assert_true(msix_table_read(&msix, UINT64_MAX - 7, 8) == UINT64_MAX);
    msix_table_write(&msix, VECTORS * 16, 4, 0);
    msix_table_write(&msix, UINT64_MAX - 7, 8, 0);
    assert_int_equal(msix_pba_read(&msix, 24, 4), 0xffffffff);
}

static void msix_resets(void **state)
{
    (void)state;
    msix_control(0xc000);
    msix_vector(3, 0xfee00000, 1, 0);
    msix_fire(&msix, 3);
    msix_reset(&msix);
    assert_true(msix_pba_read(&msix, 0, 8) == 0);
    assert_true(msix_table_read(&msix, 48, 8) == 0);
    assert_int_equal(msix_table_read(&msix, 60, 4), 1);
}

static void msi_write(unsigned offset, unsigned width, uint32_t value)
{
    config_space_write(&config, 0x40 + offset, width, value);
    msi_config_written(&msi, 0x40 + offset, width);
}

static void msi_set(unsigned enabled_log2)
{
    msi_write(0x04, 4, 0xfee01003);
    msi_write(0x08, 4, 0x00000005);
    msi_write(0x0c, 2, 0x41ff);
    msi_write(0x02, 2, 1 | enabled_log2 << 4);
}

static void msi_capability_is_laid_out(void **state)
{
    (void)state;
    assert_true(msi_init(&msi, &host, &config, 32, true));
    assert_int_equal(config_space_read(&config, 0x40, 4), 0x018a0005);
    msi_write(0x02, 2, 0xffff);
    assert_int_equal(config_space_read(&config, 0x42, 2), 0x01fb);
    assert_int_equal(msi_granted(&msi), 32); /* 7 is reserved: no more than there are */
    config_space_init(&config, &identity);
    assert_true(msi_init(&msi, &host, &config, 1, false));
    assert_int_equal(config_space_read(&config, 0x40, 4), 0x00800005);
    assert_int_equal(config.next_free, 0x50);
}

static void msi_sends_its_vector_in_the_low_bits(void **state)
{
    (void)state;
    assert_true(msi_init(&msi, &host, &config, 8, true));
    assert_int_equal(msi_fire(&msi, 0), MESSAGE_LOST);
    msi_set(3);
    assert_int_equal(msi_granted(&msi), 8);
    assert_int_equal(msi_fire(&msi, 5), MESSAGE_SENT);
    assert_true(sent_address[0] == UINT64_C(0x5fee01000));
    assert_int_equal(sent_data[0], 0x41fd);
    assert_int_equal(msi_fire(&msi, 8), MESSAGE_LOST);
    msi_set(1); /* two granted: vectors wrap round */
    assert_int_equal(msi_fire(&msi, 6), MESSAGE_SENT);
    assert_int_equal(sent_data[1], 0x41fe);
    msi_set(0);
    msi_fire(&msi, 7);
    assert_int_equal(sent_data[2], 0x41ff); /* one granted: data as it is */
    config_space_write(&config, 0x04, 2, 0x0002);
    assert_int_equal(msi_fire(&msi, 0), MESSAGE_LOST);
}

static void msi_mask_holds_back(void **state)
{
    (void)state;
    assert_true(msi_init(&msi, &host, &config, 4, true));
    msi_set(2);
    msi_write(0x10, 4, 0xffffffff);
    assert_int_equal(config_space_read(&config, 0x50, 4), 0xf); /* only as many bits as vectors */
    assert_int_equal(msi_fire(&msi, 1), MESSAGE_PENDING);
    assert_int_equal(msi_fire(&msi, 3), MESSAGE_PENDING);
    assert_int_equal(config_space_read(&config, 0x54, 4), 0xa);
    msi_write(0x14, 4, 0); /* pending is read-only */
    assert_int_equal(config_space_read(&config, 0x54, 4), 0xa);
    msi_write(0x10, 4, 0x8);
    assert_int_equal(sent, 1);
    assert_int_equal(sent_data[0], 0x41fd);
    assert_int_equal(config_space_read(&config, 0x54, 4), 0x8);
    config_space_write(&config, 0x04, 2, 0x0002);
    msi_write(0x10, 4, 0);
    assert_int_equal(sent, 1);
    config_space_write(&config, 0x04, 2, 0x0006);
    msi_config_written(&msi, 0x04, 2);
    assert_int_equal(sent, 2);
    assert_int_equal(config_space_read(&config, 0x54, 4), 0);
}

static void no_room_is_refused(void **state)
{
    (void)state;
    const struct msix_place place = {0, 0, 0, 0x1000};

    assert_int_equal(config_space_add_capability(&config, 0x09, 0xc0), 0x40);
    assert_false(msi_init(&msi, &host, &config, 1, false));
    assert_false(msix_init(&msix, &host, &config, 1, &place));
    assert_false(msi_is_enabled(&msi));
    assert_int_equal(msi_granted(&msi), 0);
    assert_false(msix_is_enabled(&msix));
    assert_int_equal(msi_fire(&msi, 0), MESSAGE_LOST);
    assert_int_equal(msix_fire(&msix, 0), MESSAGE_LOST);
    assert_int_equal(msix_table_read(&msix, 0, 4), 0xffffffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(msix_capability_is_laid_out, start_msix),
        cmocka_unit_test_setup(msix_sends_what_the_table_says, start_msix),
        cmocka_unit_test_setup(msix_vector_mask_holds_back, start_msix),
        cmocka_unit_test_setup(msix_function_mask_holds_back, start_msix),
        cmocka_unit_test_setup(msix_pending_waits_for_the_master, start_msix),
        cmocka_unit_test_setup(msix_table_takes_words_and_pairs, start_msix),
        cmocka_unit_test_setup(msix_resets, start_msix),
        cmocka_unit_test_setup(msi_capability_is_laid_out, start),
        cmocka_unit_test_setup(msi_sends_its_vector_in_the_low_bits, start),
        cmocka_unit_test_setup(msi_mask_holds_back, start),
        cmocka_unit_test_setup(no_room_is_refused, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
