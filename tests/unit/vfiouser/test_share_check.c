/*
 * Unit tests of recognising private guest memory: when the client is asked, and what is concluded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfiouser/share_check.h"

#define GUEST_BYTES (UINT64_C(64) << 20)

struct guest {
    struct vu_dma dma;
    struct vu_share_check check;
    int fd;
};

static int map_nothing(void *opaque, uint64_t iova, void *address, uint64_t bytes, uint64_t *bus)
{
    (void)opaque;
    (void)address;
    (void)bytes;
    *bus = iova;
    return 0;
}

static void unmap_nothing(void *opaque, uint64_t iova)
{
    (void)opaque;
    (void)iova;
}

static const struct vu_dma_ops no_ops = {.map = map_nothing, .unmap = unmap_nothing};

static int map_guest(struct guest *guest, uint64_t bytes)
{
    const struct vu_dma_map map = {32, 3, 0, 0, bytes};
    memset(guest, 0, sizeof(*guest));
    guest->fd = memfd_create("guest", MFD_CLOEXEC);
    vu_dma_init(&guest->dma, &no_ops, NULL, NULL);
    return guest->fd >= 0 && ftruncate(guest->fd, (off_t)bytes) == 0
               ? vu_dma_map(&guest->dma, &map, guest->fd)
               : -1;
}

static int make_guest(void **state)
{
    static struct guest guest;
    *state = &guest;
    return map_guest(&guest, GUEST_BYTES);
}

static int drop_guest(void **state)
{
    struct guest *guest = *state;
    vu_dma_clear(&guest->dma);
    close(guest->fd);
    return 0;
}

static enum vu_share_verdict start(struct guest *guest)
{
    return vu_share_start(&guest->check, &guest->dma);
}

static enum vu_share_verdict answer(struct guest *guest, int byte)
{
    uint8_t page[VU_SHARE_PAGE] = {0};
    page[1000] = (uint8_t)byte;
    return vu_share_answer(&guest->check, &guest->dma, page);
}

static void fill(struct guest *guest, uint64_t address)
{
    assert_int_equal(pwrite(guest->fd, "x", 1, (off_t)address), 1);
}

static void test_memory_in_use(void **state)
{
    struct guest *guest = *state;
    fill(guest, 0x1400);
    assert_int_equal(start(guest), VU_SHARE_UNKNOWN);
    assert_true(guest->check.is_settled);
    assert_int_equal(start(guest), VU_SHARE_UNKNOWN);
}

static void test_private(void **state)
{
    struct guest *guest = *state;
    assert_int_equal(start(guest), VU_SHARE_ASK);
    assert_int_equal(guest->check.samples[guest->check.at], 0);
    assert_int_equal(start(guest), VU_SHARE_UNKNOWN); /* one question at a time */
    assert_int_equal(answer(guest, 0), VU_SHARE_ASK);
    assert_int_equal(answer(guest, 1), VU_SHARE_ASK); /* could be chance */
    assert_int_equal(answer(guest, 0), VU_SHARE_ASK);
    assert_int_equal(answer(guest, 1), VU_SHARE_PRIVATE);
}

/* Written by the guest between our look and the question. */
static void test_written_meanwhile(void **state)
{
    struct guest *guest = *state;
    assert_int_equal(start(guest), VU_SHARE_ASK);
    fill(guest, 0);
    assert_int_equal(answer(guest, 1), VU_SHARE_UNKNOWN);
    assert_true(guest->check.is_settled);
}

static void test_empty_everywhere(void **state)
{
    struct guest *guest = *state;
    unsigned asked = 1;
    assert_int_equal(start(guest), VU_SHARE_ASK);
    while (answer(guest, 0) == VU_SHARE_ASK) {
        asked++;
    }
    assert_in_range(asked, 8, VU_SHARE_SAMPLES);
    assert_int_equal(start(guest), VU_SHARE_ASK); /* the next time perhaps */
}

static void test_refused(void **state)
{
    struct guest *guest = *state;
    assert_int_equal(start(guest), VU_SHARE_ASK);
    assert_int_equal(vu_share_answer(&guest->check, &guest->dma, NULL), VU_SHARE_UNKNOWN);
    assert_false(guest->check.is_settled);
    assert_int_equal(start(guest), VU_SHARE_ASK);
}

/* The region goes, or its file is cut, while the client is asked: nothing is touched that is not
 * there. */
static void test_gone_meanwhile(void **state)
{
    struct guest *guest = *state;
    assert_int_equal(start(guest), VU_SHARE_ASK);
    assert_int_equal(ftruncate(guest->fd, 0), 0);
    assert_int_equal(answer(guest, 1), VU_SHARE_UNKNOWN);
    guest->check.is_settled = false;
    guest->check.is_asking = true;
    vu_dma_clear(&guest->dma);
    assert_int_equal(answer(guest, 1), VU_SHARE_UNKNOWN);
}

static void test_too_little_for_a_guest(void **state)
{
    struct guest guest;
    (void)state;
    assert_int_equal(map_guest(&guest, VU_SHARE_LEAST_BYTES - VU_SHARE_PAGE), 0);
    assert_int_equal(start(&guest), VU_SHARE_UNKNOWN);
    assert_false(guest.check.is_settled);
    vu_dma_clear(&guest.dma);
    close(guest.fd);
}

int main(void)
{
#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, make_guest, drop_guest)
    const struct CMUnitTest tests[] = {
        SHARE_TEST(test_memory_in_use),
        SHARE_TEST(test_private),
        SHARE_TEST(test_written_meanwhile),
        SHARE_TEST(test_empty_everywhere),
        SHARE_TEST(test_refused),
        SHARE_TEST(test_gone_meanwhile),
        cmocka_unit_test(test_too_little_for_a_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
