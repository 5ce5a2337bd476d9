/*
 * Unit tests: DMA regions and the DMA buffer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <mach/mach.h>

#include "client_test.h"

static const uint64_t iova = 0x40000000, address = 0x7f0000000000, size = 0x10000;

static void script_region(uint64_t segments, uint64_t bus, uint64_t bytes)
{
    fake_unscript(DEXT_SEL_REGISTER_DMA_REGION);
    fake_script(DEXT_SEL_REGISTER_DMA_REGION,
                (struct fake_reply){.values = {segments, bus, bytes}});
}

static void a_region_is_one_segment(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t bus = 0, bytes = 0;

    (void)state;
    script_region(1, 0x80004000, size);
    assert_int_equal(apple_dext_register_dma(port, iova, address, size, &bus, &bytes),
                     kIOReturnSuccess);
    assert_true(bus == 0x80004000 && bytes == size);
    struct fake_call call = fake_call_at(DEXT_SEL_REGISTER_DMA_REGION, 0);
    assert_true(call.in[0] == iova && call.in[1] == address && call.in[2] == size);
    assert_int_equal(apple_dext_unregister_dma(port, iova), kIOReturnSuccess);
    apple_dext_disconnect(port);
}

static void a_short_length_is_fragmented_and_undone(void **state)
{
    static const uint64_t replies[][2] = {{1, 0xffff}, {1, 0}, {2, 0x10000}, {0, 0x10000}};
    io_connect_t port = fake_connect(true);
    uint64_t bus = 7, bytes = 7;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        script_region(replies[i][0], 0x80000000, replies[i][1]);
        assert_int_equal(apple_dext_register_dma(port, iova, address, size, &bus, &bytes),
                         kIOReturnNotAligned);
        assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), i + 1);
        assert_true(fake_call_at(DEXT_SEL_UNREGISTER_DMA_REGION, i).in[0] == iova);
    }
    assert_true(bus == 7 && bytes == 7);
    assert_true(fake_log_contains("fragmented"));
    apple_dext_disconnect(port);
}

static void the_drivers_not_aligned_is_explained(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t bus, bytes;

    (void)state;
    fake_script_status(DEXT_SEL_REGISTER_DMA_REGION, kIOReturnNotAligned);
    assert_int_equal(apple_dext_register_dma(port, iova, address, size, &bus, &bytes),
                     kIOReturnNotAligned);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 0);
    assert_true(fake_log_contains("is fragmented"));
    apple_dext_disconnect(port);
}

static void a_short_reply_leaves_no_region(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t bus = 7, bytes = 7;

    (void)state;
    fake_script(DEXT_SEL_REGISTER_DMA_REGION,
                (struct fake_reply){.is_short = true, .count = 2, .values = {1, 2, 3}});
    assert_int_equal(apple_dext_register_dma(port, iova, address, size, &bus, &bytes),
                     kIOReturnUnderrun);
    assert_true(bus == 7 && bytes == 7);
    assert_int_equal(fake_calls_of(DEXT_SEL_UNREGISTER_DMA_REGION), 1);
    apple_dext_disconnect(port);
}

static void ranges_that_wrap_are_refused(void **state)
{
    static const uint64_t bad[][3] = {
        {0, 0x1000, 0},          {0, 0, 0x1000},
        {UINT64_MAX, 0x1000, 2}, {UINT64_MAX - 0xffe, 0x1000, 0x1000},
        {0, UINT64_MAX, 2},      {0, UINT64_MAX - 0xffe, 0x1000},
        {1, 0x1000, UINT64_MAX}, {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    io_connect_t port = fake_connect(true);
    uint64_t bus, bytes, word;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            apple_dext_register_dma(port, bad[i][0], bad[i][1], bad[i][2], &bus, &bytes),
            kIOReturnBadArgument);
    }
    assert_int_equal(apple_dext_probe_dma(port, 0, UINT64_MAX - 6, &word), kIOReturnBadArgument);
    assert_int_equal(apple_dext_probe_dma(port, UINT64_MAX - 0xf, 0x9, &word),
                     kIOReturnBadArgument);
    assert_int_equal(fake_calls_of(DEXT_SEL_REGISTER_DMA_REGION), 0);
    assert_int_equal(fake_calls_of(DEXT_SEL_PROBE_DMA_REGION), 0);

    script_region(1, 0, 0x1000); /* the last page of all is no wrap */
    assert_int_equal(
        apple_dext_register_dma(port, UINT64_MAX - 0xfff, 0x1000, 0x1000, &bus, &bytes),
        kIOReturnSuccess);
    apple_dext_disconnect(port);
}

static void codes_of_the_driver_pass_through(void **state)
{
    static const kern_return_t codes[] = {kIOReturnStillOpen, kIOReturnNoSpace, kIOReturnNotOpen,
                                          MACH_SEND_INVALID_DEST, MIG_SERVER_DIED};
    io_connect_t port = fake_connect(true);
    uint64_t bus, bytes, word;

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        fake_unscript(DEXT_SEL_REGISTER_DMA_REGION);
        fake_script_status(DEXT_SEL_REGISTER_DMA_REGION, codes[i]);
        assert_int_equal(apple_dext_register_dma(port, iova, address, size, &bus, &bytes),
                         codes[i]);
    }
    fake_script_status(DEXT_SEL_UNREGISTER_DMA_REGION, kIOReturnNotFound);
    assert_int_equal(apple_dext_unregister_dma(port, iova), kIOReturnNotFound);
    fake_script_status(DEXT_SEL_PROBE_DMA_REGION, kIOReturnOverrun);
    assert_int_equal(apple_dext_probe_dma(port, iova, size - 4, &word), kIOReturnOverrun);
    apple_dext_disconnect(port);
}

static void probing_memory_of_ones_is_success(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t word = 0;

    (void)state;
    fake_script_value(DEXT_SEL_PROBE_DMA_REGION, UINT64_MAX);
    assert_int_equal(apple_dext_probe_dma(port, iova, 16, &word), kIOReturnSuccess);
    assert_true(word == UINT64_MAX);
    assert_int_equal(fake_calls_of(DEXT_SEL_CONFIG_READ), 0);
    apple_dext_disconnect(port);
}

struct buffer {
    uint64_t bus, bytes;
    mach_vm_address_t address;
    mach_vm_size_t size;
};

static kern_return_t allocate(io_connect_t port, uint64_t bytes, uint64_t alignment,
                              struct buffer *out)
{
    return apple_dext_allocate_dma_buffer(port, bytes, alignment, &out->bus, &out->bytes,
                                          &out->address, &out->size);
}

static void script_buffer(uint64_t segments, uint64_t bytes)
{
    fake_unscript(DEXT_SEL_ALLOCATE_DMA_BUFFER);
    fake_script(DEXT_SEL_ALLOCATE_DMA_BUFFER,
                (struct fake_reply){.values = {bytes, 3, segments, 0x80010000, bytes, 0xff00}});
}

static void a_buffer_is_allocated_and_mapped(void **state)
{
    io_connect_t port = fake_connect(true);
    struct buffer buffer = {0};

    (void)state;
    script_buffer(1, 0x8000);
    assert_int_equal(allocate(port, 0x8000, 0, &buffer), kIOReturnSuccess);
    assert_true(buffer.bus == 0x80010000 && buffer.bytes == 0x8000);
    assert_true(buffer.address == fake.memory[0].address && buffer.size == 0x8000);
    assert_int_equal(fake.memory[0].options & kIOMapCacheMask, 0);

    /* The driver would free the first under its user. */
    assert_int_equal(allocate(port, 0x8000, 0, &buffer), kIOReturnStillOpen);
    assert_int_equal(fake_calls_of(DEXT_SEL_ALLOCATE_DMA_BUFFER), 1);

    assert_int_equal(apple_dext_free_dma_buffer(port, buffer.address + 1), kIOReturnBadArgument);
    assert_int_equal(apple_dext_free_dma_buffer(port, buffer.address), kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_FREE_DMA_BUFFER), 1);
    assert_false(fake.memory[0].is_mapped);
    assert_int_equal(apple_dext_free_dma_buffer(port, buffer.address), kIOReturnBadArgument);
    assert_int_equal(allocate(port, 0x8000, 0x4000, &buffer), kIOReturnSuccess);
    apple_dext_disconnect(port);
}

static void buffer_sizes_are_checked(void **state)
{
    io_connect_t port = fake_connect(true);
    struct buffer buffer;

    (void)state;
    assert_int_equal(allocate(port, 0, 0, &buffer), kIOReturnBadArgument);
    assert_int_equal(allocate(port, (UINT64_C(3) << 29) + 1, 0, &buffer), kIOReturnBadArgument);
    assert_int_equal(allocate(port, 0x1000, 3, &buffer), kIOReturnBadArgument);
    assert_int_equal(allocate(port, UINT64_MAX, 0, &buffer), kIOReturnBadArgument);
    assert_int_equal(fake_calls_of(DEXT_SEL_ALLOCATE_DMA_BUFFER), 0);
    apple_dext_disconnect(port);
}

static void a_failed_buffer_leaves_none(void **state)
{
    io_connect_t port = fake_connect(true);
    struct buffer buffer = {.bus = 7};

    (void)state;
    script_buffer(2, 0x8000);
    assert_int_equal(allocate(port, 0x8000, 0, &buffer), kIOReturnNotAligned);
    script_buffer(1, 0x7fff);
    assert_int_equal(allocate(port, 0x8000, 0, &buffer), kIOReturnNotAligned);
    script_buffer(1, 0x200000);
    assert_int_equal(allocate(port, 0x200000, 0, &buffer), kIOReturnUnderrun); /* mapped short */
    assert_false(fake.memory[0].is_mapped);
    fake.memory[0].map_status = kIOReturnBadArgument;
    assert_int_equal(allocate(port, 0x8000, 0, &buffer), kIOReturnBadArgument);
    assert_int_equal(fake_calls_of(DEXT_SEL_FREE_DMA_BUFFER), 4);
    assert_true(buffer.bus == 7);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(a_region_is_one_segment),
        CLIENT_TEST(a_short_length_is_fragmented_and_undone),
        CLIENT_TEST(the_drivers_not_aligned_is_explained),
        CLIENT_TEST(a_short_reply_leaves_no_region),
        CLIENT_TEST(ranges_that_wrap_are_refused),
        CLIENT_TEST(codes_of_the_driver_pass_through),
        CLIENT_TEST(probing_memory_of_ones_is_success),
        CLIENT_TEST(a_buffer_is_allocated_and_mapped),
        CLIENT_TEST(buffer_sizes_are_checked),
        CLIENT_TEST(a_failed_buffer_leaves_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
