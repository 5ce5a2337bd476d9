/*
 * Driving testdev by calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "testdev.h"

uint64_t reg_read(io_connect_t connection, uint64_t offset, unsigned width)
{
    uint64_t value = 0;
    assert_ok(apple_dext_mmio_read(connection, BAR0_INDEX, offset, width, &value));
    return value;
}

void reg_write(io_connect_t connection, uint64_t offset, unsigned width, uint64_t value)
{
    assert_ok(apple_dext_mmio_write(connection, BAR0_INDEX, offset, width, value));
}

uint64_t dma_register(io_connect_t connection, uint64_t iova, const void *memory, uint64_t bytes)
{
    uint64_t bus_address = 0;
    uint64_t bus_bytes = 0;
    assert_ok(apple_dext_register_dma(connection, iova, (uint64_t)(uintptr_t)memory, bytes,
                                      &bus_address, &bus_bytes));
    assert_true(bus_bytes == bytes);
    if (contract.is_identity) {
        assert_true(bus_address == iova);
    } else {
        assert_true(bus_address != iova);
        /* 16 KiB granules: the offset in the page is all that an address promises. */
        assert_true(bus_address % 16384 == (uint64_t)(uintptr_t)memory % 16384);
    }
    return bus_address;
}

static bool engine_has_ended(void *opaque)
{
    return reg_read(*(io_connect_t *)opaque, TESTDEV_COPY_STATUS, 4) != COPY_RUNNING;
}

uint32_t engine_run(io_connect_t connection, uint32_t command, uint64_t source,
                    uint64_t destination, uint64_t bytes)
{
    reg_write(connection, TESTDEV_COPY_SOURCE, 8, source);
    reg_write(connection, TESTDEV_COPY_DESTINATION, 8, destination);
    reg_write(connection, TESTDEV_COPY_LENGTH, 8, bytes);
    reg_write(connection, TESTDEV_COPY_COMMAND, 4, command);
    assert_true(contract_eventually(engine_has_ended, &connection));
    return (uint32_t)reg_read(connection, TESTDEV_COPY_STATUS, 4);
}

void engine_copy(io_connect_t connection, uint64_t source, uint64_t destination, uint64_t bytes)
{
    assert_int_equal(engine_run(connection, COMMAND_COPY, source, destination, bytes),
                     COPY_FINISHED);
    assert_true(reg_read(connection, TESTDEV_COPY_DONE, 8) == bytes);
}

uint32_t device_read(io_connect_t connection, uint64_t address, unsigned width, uint64_t *value)
{
    reg_write(connection, TESTDEV_ACCESS_ADDRESS, 8, address);
    reg_write(connection, TESTDEV_ACCESS_COMMAND, 4, width);
    assert_ok(apple_dext_mmio_read(connection, BAR0_INDEX, TESTDEV_ACCESS_DATA, 8, value));
    return (uint32_t)reg_read(connection, TESTDEV_ACCESS_STATUS, 4);
}

uint32_t device_write(io_connect_t connection, uint64_t address, unsigned width, uint64_t value)
{
    reg_write(connection, TESTDEV_ACCESS_ADDRESS, 8, address);
    reg_write(connection, TESTDEV_ACCESS_DATA, 8, value);
    reg_write(connection, TESTDEV_ACCESS_COMMAND, 4, width | 0x100);
    return (uint32_t)reg_read(connection, TESTDEV_ACCESS_STATUS, 4);
}

enum { EDU_DMA_SOURCE = 0x80, EDU_DMA_TARGET = 0x88, EDU_DMA_BYTES = 0x90, EDU_DMA_COMMAND = 0x98 };
enum { EDU_MEMORY = 0x40000, EDU_RUNS = 1, EDU_TO_BUS = 2 };

static bool edu_has_moved(void *opaque)
{
    uint64_t command = EDU_RUNS;
    assert_ok(apple_dext_mmio_read(*(io_connect_t *)opaque, 0, EDU_DMA_COMMAND, 4, &command));
    return !(command & EDU_RUNS);
}

void edu_start(io_connect_t connection, uint64_t source, uint64_t destination, uint64_t bytes)
{
    uint64_t command = EDU_RUNS | (source == EDU_MEMORY ? EDU_TO_BUS : 0);
    assert_ok(apple_dext_mmio_write(connection, 0, EDU_DMA_SOURCE, 8, source));
    assert_ok(apple_dext_mmio_write(connection, 0, EDU_DMA_TARGET, 8, destination));
    assert_ok(apple_dext_mmio_write(connection, 0, EDU_DMA_BYTES, 8, bytes));
    assert_ok(apple_dext_mmio_write(connection, 0, EDU_DMA_COMMAND, 4, command));
}

void edu_end(io_connect_t connection)
{
    assert_true(contract_eventually(edu_has_moved, &connection));
}

void edu_move(io_connect_t connection, uint64_t source, uint64_t destination, uint64_t bytes)
{
    edu_start(connection, source, destination, bytes);
    edu_end(connection);
}

void wait_for_reset(io_connect_t onlooker, const _Atomic bool *is_over)
{
    AppleDextDeviceState device = {0};
    while (device.presence != APPLE_DEXT_RESETTING && !*is_over) {
        assert_ok(apple_dext_get_device_state(onlooker, &device));
    }
}

uint64_t fault_count(io_connect_t connection)
{
    AppleDextStatistics statistics;
    assert_ok(apple_dext_get_statistics(connection, &statistics));
    return statistics.faults;
}

static uint8_t pattern_byte(size_t at, unsigned seed)
{
    uint32_t mixed = ((uint32_t)at + seed * 40503u) * 2654435761u;
    return (uint8_t)(mixed >> 24);
}

void pattern_fill(void *memory, size_t bytes, unsigned seed)
{
    uint8_t *at = memory;
    for (size_t i = 0; i < bytes; i++) {
        at[i] = pattern_byte(i, seed);
    }
}

bool pattern_matches(const void *memory, size_t bytes, unsigned seed)
{
    const uint8_t *at = memory;
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != pattern_byte(i, seed)) {
            return false;
        }
    }
    return true;
}
