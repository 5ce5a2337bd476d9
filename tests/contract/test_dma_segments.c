/*
 * DMA regions that become several bus segments: all of them are told, reached, and ended.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "testdev.h"

/* 02: segments of at most 64 KiB. 03: as on the real driver. 04: an aperture of 256 KiB. 05: room
 * for more than the largest segment. */
static const char *const devices[] = {
    "edu,addr=01:00.0",
    "testdev,addr=02:00.0,segment=64k",
    "testdev,addr=03:00.0,segment=64k,extensions=off",
    "testdev,addr=04:00.0,aperture=256k",
    "testdev,addr=05:00.0,aperture=8g",
    NULL,
};

enum { PLAIN = 0x03, SMALL = 0x04, LARGE = 0x05 };

#define IOVA    UINT64_C(0x1000000)
#define CHUNK   UINT64_C(0x60000000) /* 1.5 GiB */
#define GRANULE 16384
#define SEGMENT (4 * GRANULE)
#define BYTES   (40 * GRANULE)

static uint8_t memory[BYTES] __attribute__((aligned(16384)));
static AppleDextBusSegment segments[64];

/* They are the region, none longer than it may be. Returns how many. */
static size_t register_whole(io_connect_t c, const uint8_t *address, uint64_t bytes)
{
    size_t count = sizeof(segments) / sizeof(segments[0]);
    uint64_t sum = 0;
    assert_ok(
        apple_dext_register_dma_segments(c, IOVA, (uintptr_t)address, bytes, segments, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(segments[i].bus_len > 0);
        assert_true(segments[i].bus_addr % GRANULE == ((uintptr_t)address + sum) % GRANULE ||
                    contract.is_identity);
        sum += segments[i].bus_len;
    }
    assert_true(sum == bytes);
    return count;
}

/* The device finds each segment's bytes where it lies, to its last. */
static void assert_reached(io_connect_t c, uint8_t *address, size_t count)
{
    uint64_t done = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        uint64_t end = done + segments[i].bus_len;
        assert_int_equal(device_read(c, segments[i].bus_addr, 1, &value), ERROR_NONE);
        assert_int_equal(value & 0xff, address[done]);
        assert_int_equal(device_write(c, segments[i].bus_addr + segments[i].bus_len - 1, 1, i),
                         ERROR_NONE);
        assert_int_equal(address[end - 1], (uint8_t)i);
        done = end;
    }
}

static void limited_segments(void **state)
{
    static const struct {
        size_t offset, bytes, count;
    } rows[] = {
        {0, BYTES, 10},         {0, SEGMENT, 1},           {0, SEGMENT + 1, 2},
        {5000, SEGMENT, 2},     {5000, SEGMENT - 5000, 1}, {16383, 2, 1},
        {100, BYTES - 200, 10},
    };
    AppleDextStatistics now;
    io_connect_t c = contract_claimed(TESTDEV);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pattern_fill(memory, sizeof(memory), (unsigned)i);
        size_t count = register_whole(c, memory + rows[i].offset, rows[i].bytes);
        assert_int_equal(count, contract.is_identity ? 1 : rows[i].count);
        assert_reached(c, memory + rows[i].offset, count);
        assert_ok(apple_dext_get_statistics(c, &now));
        assert_true(now.live_regions == count);
        uint64_t word;
        uint64_t want;
        if (rows[i].bytes >= 8) {
            memcpy(&want, memory + rows[i].offset + rows[i].bytes - 8, 8);
            assert_ok(apple_dext_probe_dma(c, IOVA, rows[i].bytes - 8, &word));
            assert_true(word == want);
        }
        assert_ok(apple_dext_unregister_dma(c, IOVA));
        assert_int_equal(device_write(c, segments[count - 1].bus_addr, 1, 1), ERROR_WRITE);
        assert_status(apple_dext_unregister_dma(c, IOVA), kIOReturnNotFound);
    }
}

/* Code that takes what follows a segment for the next one must fail here. */
static void segments_lie_apart(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    size_t count = register_whole(c, memory, BYTES);
    for (size_t i = 1; i < count; i++) {
        assert_true(segments[i].bus_addr != segments[i - 1].bus_addr + segments[i - 1].bus_len);
    }
    assert_int_equal(device_write(c, segments[0].bus_addr + SEGMENT - 4, 8, 1), ERROR_WRITE);
}

static void single_calls_want_one_segment(void **state)
{
    static const uint8_t buses[] = {TESTDEV, PLAIN};
    for (size_t i = 0; i < 2; i++) {
        io_connect_t c = contract_claimed(buses[i]);
        AppleDextDmaRequest request = {
            .iova = IOVA, .client_va = (uintptr_t)memory, .size = SEGMENT + 1};
        AppleDextDmaResult result;
        assert_status(apple_dext_register_dma(c, IOVA, request.client_va, request.size, NULL, NULL),
                      kIOReturnNotAligned);
        assert_status(apple_dext_register_dma_batch(c, &request, 1, 0, &result),
                      kIOReturnNotAligned);
        request.size = SEGMENT;
        assert_ok(apple_dext_register_dma_batch(c, &request, 1, 0, &result));
    }
}

/* The real driver tells one segment or none. */
static void without_the_extension(void **state)
{
    size_t count = 3;
    io_connect_t c = contract_claimed(PLAIN);
    assert_status(
        apple_dext_register_dma_segments(c, IOVA, (uintptr_t)memory, SEGMENT + 1, segments, &count),
        kIOReturnNotAligned);
    assert_int_equal(count, 3);
    assert_ok(
        apple_dext_register_dma_segments(c, IOVA, (uintptr_t)memory, SEGMENT, segments, &count));
    assert_true(count == 1 && segments[0].bus_len == SEGMENT);
}

static void room_and_arguments(void **state)
{
    const uint64_t here = (uintptr_t)memory;
    AppleDextStatistics now;
    io_connect_t c = contract_claimed(TESTDEV);
    size_t count = 9;
    assert_status(apple_dext_register_dma_segments(c, IOVA, here, BYTES, segments, &count),
                  kIOReturnOverrun);
    assert_int_equal(count, 9);
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == 0 && now.live_bytes == 0);
    count = 10;
    assert_ok(apple_dext_register_dma_segments(c, IOVA, here, BYTES, segments, &count));
    assert_int_equal(count, 10);
    assert_status(apple_dext_register_dma_segments(c, IOVA, here, 1, segments, &count),
                  kIOReturnStillOpen);
    count = 0;
    assert_status(apple_dext_register_dma_segments(c, IOVA, here, 1, segments, &count),
                  kIOReturnBadArgument);
    count = 1;
    assert_status(apple_dext_register_dma_segments(c, 0, here, 0, segments, &count),
                  kIOReturnBadArgument);
    assert_status(apple_dext_register_dma_segments(c, UINT64_MAX, here, 2, segments, &count),
                  kIOReturnBadArgument);
    assert_status(apple_dext_register_dma_segments(c, 0, here, 1, NULL, &count),
                  kIOReturnBadArgument);
    assert_status(apple_dext_register_dma_segments(c, 0, here, 1, segments, NULL),
                  kIOReturnBadArgument);
    assert_status(
        apple_dext_register_dma_segments(contract_connect(TESTDEV), 0, here, 1, segments, &count),
        kIOReturnNotOpen);
}

/* Free granules there are, but no run of them: where one segment finds no room several do. */
static void a_fragmented_aperture(void **state)
{
    io_connect_t c = contract_claimed(SMALL);
    for (uint64_t i = 0; i < 16; i++) {
        assert_ok(apple_dext_register_dma(c, i * GRANULE, (uintptr_t)memory, GRANULE, NULL, NULL));
    }
    for (uint64_t i = 0; i < 16; i += 2) {
        assert_ok(apple_dext_unregister_dma(c, i * GRANULE));
    }
    assert_status(apple_dext_register_dma(c, IOVA, (uintptr_t)memory, 8 * GRANULE, NULL, NULL),
                  kIOReturnNoSpace);
    pattern_fill(memory, sizeof(memory), 9);
    size_t count = register_whole(c, memory, 8 * GRANULE);
    assert_int_equal(count, 8);
    assert_reached(c, memory, count);
    assert_status(apple_dext_register_dma(c, IOVA + BYTES, (uintptr_t)memory, 1, NULL, NULL),
                  kIOReturnNoSpace);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    count = 64;
    assert_status(
        apple_dext_register_dma_segments(c, IOVA, (uintptr_t)memory, 9 * GRANULE, segments, &count),
        kIOReturnNoSpace);
    assert_int_equal(register_whole(c, memory, 8 * GRANULE), 8); /* what it had taken is back */
}

static void more_than_the_largest_segment(void **state)
{
    const uint64_t bytes = 2 * CHUNK + 4096;
    io_connect_t c = contract_claimed(LARGE);
    uint8_t *large = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(large, MAP_FAILED);
    assert_int_equal(register_whole(c, large, bytes), 3);
    assert_true(segments[0].bus_len == CHUNK && segments[2].bus_len == 4096);
    assert_reached(c, large, 3);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    munmap(large, bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(limited_segments),
        /* With dart=identity there is one segment, the IOVAs. */
        contract_test_when(segments_lie_apart, WHEN_NOT_IDENTITY),
        contract_test_when(single_calls_want_one_segment, WHEN_NOT_IDENTITY),
        contract_test_when(without_the_extension, WHEN_NOT_IDENTITY),
        contract_test_when(room_and_arguments, WHEN_NOT_IDENTITY),
        contract_test_when(a_fragmented_aperture, WHEN_NOT_IDENTITY),
        contract_test(more_than_the_largest_segment),
    };
    const struct contract_suite suite = {.name = "dma_segments",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
