/*
 * DMA regions: registration, its errors and limits, addresses, probes, the driver's buffer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testdev.h"

/* 03: few slots. 04: an aperture of 64 KiB. 05: room for more than one bus segment. */
static const char *const devices[] = {
    "edu,addr=01:00.0",
    "testdev,addr=02:00.0",
    "testdev,addr=03:00.0,slots=4",
    "testdev,addr=04:00.0,aperture=64K",
    "testdev,addr=05:00.0,aperture=8G",
    NULL,
};

enum { FEW_SLOTS = 0x03, SMALL_APERTURE = 0x04, LARGE_APERTURE = 0x05 };

#define IOVA  UINT64_C(0x10000)
#define CHUNK UINT64_C(0x60000000) /* 1.5 GiB */

static uint8_t memory[3 * 16384] __attribute__((aligned(16384)));

static kern_return_t try_register(io_connect_t c, uint64_t iova, uint64_t address, uint64_t bytes)
{
    uint64_t bus_address = 0xa5;
    uint64_t bus_bytes = 0xa5;
    kern_return_t status =
        apple_dext_register_dma(c, iova, address, bytes, &bus_address, &bus_bytes);
    if (status != kIOReturnSuccess) {
        assert_true(bus_address == 0xa5 && bus_bytes == 0xa5);
    }
    return status;
}

static void address_is_the_darts_choice(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    /* dma_register asserts: not the IOVA (the IOVA with dart=identity), 16 KiB plus offset. */
    uint64_t a = dma_register(c, IOVA, memory, 4096);
    uint64_t b = dma_register(c, IOVA + 0x4000, memory + 16384 + 24, 1001);
    uint64_t d = dma_register(c, UINT64_C(1) << 40, memory, 1);
    assert_true(a != b && b != d && a != d);
    if (!contract.is_identity) {
        assert_true(a >= UINT64_C(0x80000000)); /* addresses start above 2 GiB */
    }
}

static void bad_arguments(void **state)
{
    const uint64_t here = (uintptr_t)memory;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_status(try_register(c, IOVA, here, 0), kIOReturnBadArgument);
    assert_status(try_register(c, IOVA, 0, 4096), kIOReturnBadArgument);
    assert_status(try_register(c, UINT64_MAX - 10, here, 4096), kIOReturnBadArgument);
    assert_status(try_register(c, IOVA, UINT64_MAX - 10, 4096), kIOReturnBadArgument);
    assert_status(try_register(c, IOVA, here, UINT64_MAX), kIOReturnBadArgument);
    assert_status(apple_dext_unregister_dma(c, IOVA), kIOReturnNotFound);
}

static void the_segment_need_not_be_wanted(void **state)
{
    const uint64_t here = (uintptr_t)memory;
    uint64_t address = 0;
    uint64_t bytes = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_register_dma(c, IOVA, here, 4096, NULL, NULL));
    assert_ok(apple_dext_register_dma(c, IOVA + 4096, here + 4096, 4096, &address, NULL));
    assert_ok(apple_dext_register_dma(c, IOVA + 8192, here + 8192, 4096, NULL, &bytes));
    assert_true(address != 0);
    assert_true(bytes == 4096);
    for (uint64_t offset = 0; offset <= 8192; offset += 4096) {
        assert_ok(apple_dext_unregister_dma(c, IOVA + offset));
    }
}

static void memory_that_is_not_there(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    uint8_t *hole = contract_map_apart(65536);
    munmap(hole + 32768, 4096);
    assert_int_not_equal(try_register(c, IOVA, (uintptr_t)hole, 65536), kIOReturnSuccess);
    assert_status(apple_dext_unregister_dma(c, IOVA), kIOReturnNotFound);
    dma_register(c, IOVA, hole, 32768);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    munmap(hole, 65536);
    assert_int_not_equal(try_register(c, IOVA, 8, 16), kIOReturnSuccess);
}

static void one_region_an_iova(void **state)
{
    io_connect_t c = contract_claimed(TESTDEV);
    dma_register(c, IOVA, memory, 4096);
    assert_status(try_register(c, IOVA, (uintptr_t)memory, 4096), kIOReturnStillOpen);
    assert_status(try_register(c, IOVA, (uintptr_t)memory + 8192, 16), kIOReturnStillOpen);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    assert_status(apple_dext_unregister_dma(c, IOVA), kIOReturnNotFound);
    dma_register(c, IOVA, memory + 8192, 16);
    assert_status(apple_dext_unregister_dma(c, IOVA + 8), kIOReturnNotFound);
}

static void iovas_are_each_clients_own(void **state)
{
    io_connect_t a = contract_claimed(TESTDEV);
    io_connect_t b = contract_claimed(TESTDEV);
    uint64_t of_a = dma_register(a, IOVA, memory, 4096);
    uint64_t of_b = dma_register(b, IOVA, memory + 16384, 4096);
    assert_true(of_a != of_b);
    assert_status(apple_dext_unregister_dma(b, IOVA + 4096), kIOReturnNotFound);
    assert_ok(apple_dext_unregister_dma(a, IOVA));
    uint64_t word;
    assert_ok(apple_dext_probe_dma(b, IOVA, 0, &word));
}

/* Where the guest programs what it likes, two regions cannot share a bus address. */
static void identity_refuses_overlap(void **state)
{
    io_connect_t a = contract_claimed(TESTDEV);
    io_connect_t b = contract_claimed(TESTDEV);
    dma_register(a, IOVA, memory, 8192);
    assert_int_not_equal(try_register(a, IOVA + 4096, (uintptr_t)memory, 8192), kIOReturnSuccess);
    assert_int_not_equal(try_register(b, IOVA, (uintptr_t)memory, 16), kIOReturnSuccess);
    assert_int_not_equal(try_register(b, IOVA - 1, (uintptr_t)memory, 2), kIOReturnSuccess);
    dma_register(b, IOVA - 1, memory, 1); /* to the byte */
    dma_register(b, IOVA + 8192, memory, 1);
}

static void probe_to_the_last_byte(void **state)
{
    uint64_t word = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    pattern_fill(memory, sizeof(memory), 1);
    dma_register(c, IOVA, memory + 3, 1000);
    static const uint64_t good[] = {0, 1, 7, 500, 992};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(apple_dext_probe_dma(c, IOVA, good[i], &word));
        assert_memory_equal(&word, memory + 3 + good[i], 8);
    }
    word = 0xa5;
    assert_status(apple_dext_probe_dma(c, IOVA, 993, &word), kIOReturnOverrun);
    assert_status(apple_dext_probe_dma(c, IOVA, 1000, &word), kIOReturnOverrun);
    assert_status(apple_dext_probe_dma(c, IOVA, UINT64_C(1) << 40, &word), kIOReturnOverrun);
    assert_status(apple_dext_probe_dma(c, IOVA, UINT64_MAX, &word), kIOReturnBadArgument);
    assert_status(apple_dext_probe_dma(c, IOVA, UINT64_MAX - 7 - IOVA, &word), kIOReturnOverrun);
    assert_status(apple_dext_probe_dma(c, IOVA, UINT64_MAX - 6 - IOVA, &word),
                  kIOReturnBadArgument);
    assert_status(apple_dext_probe_dma(c, IOVA + 1, 0, &word), kIOReturnNotFound);
    assert_status(apple_dext_probe_dma(c, IOVA, 0, NULL), kIOReturnBadArgument);
    assert_true(word == 0xa5);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    dma_register(c, IOVA, memory, 7);
    assert_status(apple_dext_probe_dma(c, IOVA, 0, &word), kIOReturnOverrun);
}

static void slots_run_out(void **state)
{
    AppleDextCapabilities limits;
    io_connect_t c = contract_claimed(FEW_SLOTS);
    assert_ok(apple_dext_get_capabilities(c, &limits));
    assert_true(limits.max_regions == 4);
    for (uint64_t i = 0; i < 4; i++) {
        dma_register(c, IOVA + i * 16384, memory, 4096);
    }
    assert_status(try_register(c, IOVA + 4 * 16384, (uintptr_t)memory, 4096), kIOReturnNoSpace);
    assert_ok(apple_dext_unregister_dma(c, IOVA + 16384));
    dma_register(c, IOVA + 4 * 16384, memory, 4096);
}

static void aperture_runs_out(void **state)
{
    AppleDextCapabilities limits;
    uint8_t *large = calloc(1, 1 << 18);
    io_connect_t c = contract_claimed(SMALL_APERTURE);
    assert_non_null(large);
    assert_ok(apple_dext_get_capabilities(c, &limits));
    assert_true(limits.aperture_bytes == 65536);
    assert_status(try_register(c, IOVA, (uintptr_t)large, 65537 + 16384), kIOReturnNoSpace);
    dma_register(c, IOVA, memory, 32768);
    dma_register(c, IOVA + 65536, memory, 16384);
    assert_status(try_register(c, IOVA + 131072, (uintptr_t)memory, 16385), kIOReturnNoSpace);
    dma_register(c, IOVA + 131072, memory + 16384, 16384);
    assert_status(try_register(c, IOVA + 262144, (uintptr_t)memory, 1), kIOReturnNoSpace);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    dma_register(c, IOVA, memory, 32768);
    free(large);
}

/* Real size: the table of the real dext has 65,536 slots. */
static void region_65537(void **state)
{
    uint64_t bus;
    uint64_t bytes;
    io_connect_t c = contract_claimed(TESTDEV);
    const uint64_t step = 16384;
    uint64_t limit = 65536;
    for (uint64_t i = 0; i < limit; i++) {
        kern_return_t status =
            apple_dext_register_dma(c, IOVA + i * step, (uintptr_t)memory, 16, &bus, &bytes);
        if (status != kIOReturnSuccess) {
            assert_status(status, kIOReturnSuccess);
        }
    }
    assert_status(try_register(c, IOVA + limit * step, (uintptr_t)memory, 16), kIOReturnNoSpace);
    assert_ok(apple_dext_unregister_dma(c, IOVA + 777 * step));
    assert_ok(apple_dext_register_dma(c, IOVA + limit * step, (uintptr_t)memory, 16, &bus, &bytes));
    /* The rest goes with the client. */
}

static uint8_t *reserve(uint64_t bytes)
{
    uint8_t *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(address, MAP_FAILED);
    return address;
}

static void look_for_fragmented(void *opaque, AppleDextLogLevel level, const char *line)
{
    bool *was_named = opaque;
    *was_named |= level == APPLE_DEXT_LOG_ERROR && strstr(line, "fragmented") != NULL;
}

static void more_than_a_segment_is_undone(void **state)
{
    bool was_named = false;
    AppleDextStatistics now;
    io_connect_t c = contract_claimed(LARGE_APERTURE);
    uint8_t *large = reserve(CHUNK + 65536);
    apple_dext_set_log_callback(look_for_fragmented, &was_named, APPLE_DEXT_LOG_ERROR);
    assert_status(try_register(c, IOVA, (uintptr_t)large, CHUNK + 1), kIOReturnNotAligned);
    apple_dext_set_log_callback(NULL, NULL, APPLE_DEXT_LOG_ERROR);
    assert_true(was_named); /* the code's own name misleads */
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == 0 && now.live_bytes == 0);
    assert_status(apple_dext_unregister_dma(c, IOVA), kIOReturnNotFound);

    /* What the driver itself says: success, and the first chunk's length. */
    const uint64_t in[] = {IOVA, (uintptr_t)large, CHUNK + 1};
    uint64_t out[3] = {0};
    uint32_t count = 3;
    assert_ok(IOConnectCallScalarMethod(c, 5, in, 3, out, &count));
    assert_true(out[0] == 1 && out[2] == CHUNK);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    munmap(large, CHUNK + 65536);
}

static void segment_of_full_size(void **state)
{
    io_connect_t c = contract_claimed(LARGE_APERTURE);
    uint8_t *large = reserve(CHUNK);
    uint64_t bus = dma_register(c, IOVA, large, CHUNK);
    uint64_t value = 0;
    large[CHUNK - 1] = 0x77;
    assert_int_equal(device_read(c, bus + CHUNK - 1, 1, &value), ERROR_NONE);
    assert_int_equal(value & 0xff, 0x77);
    assert_ok(apple_dext_unregister_dma(c, IOVA));
    munmap(large, CHUNK);
}

static void more_than_128_chunks(void **state)
{
    io_connect_t c = contract_claimed(LARGE_APERTURE);
    const uint64_t in[] = {IOVA, (uintptr_t)memory, 128 * CHUNK + 1};
    uint64_t out[3];
    uint32_t count = 3;
    assert_status(IOConnectCallScalarMethod(c, 5, in, 3, out, &count), kIOReturnNoSpace);
    assert_status(try_register(c, IOVA, (uintptr_t)memory, 128 * CHUNK + 1), kIOReturnNoSpace);
}

static bool has_no_region(void *opaque)
{
    AppleDextStatistics now;
    assert_ok(apple_dext_get_statistics(*(io_connect_t *)opaque, &now));
    return now.live_regions == 0;
}

static void regions_go_with_their_client(void **state)
{
    AppleDextStatistics now;
    io_connect_t other = contract_claimed(TESTDEV);
    io_connect_t c = contract_claimed(TESTDEV);
    uint64_t bus = dma_register(c, IOVA, memory, 4096);
    for (uint64_t i = 1; i < 20; i++) {
        dma_register(c, IOVA + i * 65536, memory, 4096 * i / 2);
    }
    assert_ok(apple_dext_get_statistics(other, &now));
    assert_true(now.live_regions == 20);
    contract_disconnect(c);
    assert_true(contract_eventually(has_no_region, &other));
    assert_ok(apple_dext_get_statistics(other, &now));
    assert_true(now.live_regions == 0 && now.live_bytes == 0);
    assert_true(now.peak_regions >= 20);
    assert_int_equal(device_write(other, bus, 4, 1), ERROR_WRITE);
}

struct buffer {
    uint64_t bus, bus_bytes;
    mach_vm_address_t address;
    mach_vm_size_t bytes;
};

static kern_return_t allocate(io_connect_t c, uint64_t bytes, uint64_t alignment,
                              struct buffer *buffer)
{
    *buffer = (struct buffer){0};
    return apple_dext_allocate_dma_buffer(c, bytes, alignment, &buffer->bus, &buffer->bus_bytes,
                                          &buffer->address, &buffer->bytes);
}

static void buffer_is_shared_with_the_device(void **state)
{
    struct buffer buffer;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(allocate(c, 70001, 0, &buffer));
    assert_true(buffer.bytes == 70001 && buffer.bus_bytes >= 70001);
    assert_true(buffer.address % contract.page_size == 0);
    assert_true(buffer.bus % 4096 == 0);
    uint8_t *bytes = (uint8_t *)(uintptr_t)buffer.address;
    for (size_t i = 0; i < 70001; i += 997) {
        assert_int_equal(bytes[i], 0);
    }
    pattern_fill(bytes, 35000, 5);
    engine_copy(c, buffer.bus, buffer.bus + 35000, 35000);
    assert_true(pattern_matches(bytes + 35000, 35000, 5));
    assert_ok(apple_dext_free_dma_buffer(c, buffer.address));
    assert_int_equal(device_write(c, buffer.bus, 4, 1), ERROR_WRITE);
    assert_status(apple_dext_free_dma_buffer(c, buffer.address), kIOReturnBadArgument);
}

static void buffer_arguments(void **state)
{
    struct buffer buffer;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_status(allocate(c, 0, 0, &buffer), kIOReturnBadArgument);
    assert_status(allocate(c, CHUNK + 1, 0, &buffer), kIOReturnBadArgument);
    assert_status(allocate(c, UINT64_MAX, 0, &buffer), kIOReturnBadArgument);
    assert_status(allocate(c, 4096, 3, &buffer), kIOReturnBadArgument);
    assert_status(apple_dext_free_dma_buffer(c, 4096), kIOReturnBadArgument);
    assert_ok(allocate(c, 1, 0, &buffer));
    assert_true(buffer.bytes == 1);
    struct buffer second;
    assert_status(allocate(c, 4096, 0, &second), kIOReturnStillOpen);
    assert_status(apple_dext_free_dma_buffer(c, buffer.address + 1), kIOReturnBadArgument);
    *(volatile uint8_t *)(uintptr_t)buffer.address = 1; /* all that left it alone */
    assert_ok(apple_dext_free_dma_buffer(c, buffer.address));
}

static void driver_frees_the_first_buffer_for_a_second(void **state)
{
    const uint64_t first_in[] = {16384, 0};
    const uint64_t second_in[] = {32768, 0};
    uint64_t first[6];
    uint64_t second[6];
    uint32_t count = 6;
    AppleDextStatistics now;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(IOConnectCallScalarMethod(c, 4, NULL, 0, NULL, NULL)); /* none: success */
    assert_ok(IOConnectCallScalarMethod(c, 3, first_in, 2, first, &count));
    assert_true(first[0] == 16384 && first[2] == 1 && first[4] == 16384 && first[5] == 0xff0000);
    assert_ok(IOConnectCallScalarMethod(c, 3, second_in, 2, second, &count));
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == 1);
    if (!contract.is_identity) {
        assert_int_equal(device_write(c, first[3], 4, 1), ERROR_WRITE);
    }
    assert_int_equal(device_write(c, second[3] + 32764, 4, 1), ERROR_NONE);
    assert_ok(IOConnectCallScalarMethod(c, 4, NULL, 0, NULL, NULL));
    mach_vm_address_t address = 0;
    mach_vm_size_t size = 0;
    assert_status(IOConnectMapMemory64(c, 0, mach_task_self(), &address, &size, kIOMapAnywhere),
                  kIOReturnBadArgument);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(address_is_the_darts_choice),
        contract_test(bad_arguments),
        contract_test(the_segment_need_not_be_wanted),
        contract_test(memory_that_is_not_there),
        contract_test(one_region_an_iova),
        /* With dart=identity the IOVA is the bus address, and of those there is one each. */
        contract_test_when(iovas_are_each_clients_own, WHEN_NOT_IDENTITY),
        contract_test_when(identity_refuses_overlap, WHEN_IDENTITY),
        contract_test(probe_to_the_last_byte),
        contract_test(slots_run_out),
        contract_test(aperture_runs_out),
        contract_test_when(region_65537, WHEN_4K | WHEN_NOT_IDENTITY), /* seconds */
        contract_test(more_than_a_segment_is_undone),
        contract_test(segment_of_full_size),
        contract_test(more_than_128_chunks),
        contract_test(regions_go_with_their_client),
        contract_test(buffer_is_shared_with_the_device),
        contract_test(buffer_arguments),
        contract_test(driver_frees_the_first_buffer_for_a_second),
    };
    const struct contract_suite suite = {.name = "dma",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
