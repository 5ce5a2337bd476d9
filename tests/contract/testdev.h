/*
 * Driving testdev and edu by calls, for tests whose subject is something else. Offsets are those of
 * docs/testdev.md and docs/edu.md. Everything asserts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CONTRACT_TESTDEV_H
#define DEXTLINK_TESTS_CONTRACT_TESTDEV_H

#include "contract.h"

/* Memory indices: BARs counted in order, BAR 1 (I/O) too, BAR 3 (an upper half) not. */
enum { BAR0_INDEX = 0, BAR2_INDEX = 2, BAR4_INDEX = 3 };

#define TESTDEV_ID_VALUE 0x54534554u

enum testdev_register {
    TESTDEV_ID = 0x000,
    TESTDEV_VECTORS = 0x008,
    TESTDEV_IRQ_MODE = 0x00c,
    TESTDEV_APERTURE = 0x010,
    TESTDEV_WINDOW = 0x018,
    TESTDEV_GENERATION = 0x028,
    TESTDEV_LAST_RESET = 0x02c,
    TESTDEV_DIE = 0x030,
    TESTDEV_SCRATCH_1 = 0x040,
    TESTDEV_SCRATCH_2 = 0x042,
    TESTDEV_SCRATCH_4 = 0x044,
    TESTDEV_SCRATCH_8 = 0x048,
    TESTDEV_SCRATCH_ANY = 0x050,
    TESTDEV_COUNT_READ = 0x080,
    TESTDEV_COUNT_WRITE = 0x090,
    TESTDEV_LAST_OFFSET = 0x0a0,
    TESTDEV_LAST_VALUE = 0x0a8,
    TESTDEV_LAST_ACCESS = 0x0b0,
    TESTDEV_COUNT_CLEAR = 0x0b4,
    TESTDEV_FIRE = 0x100,
    TESTDEV_FIRE_RESULT = 0x104,
    TESTDEV_TIMER_FIRST = 0x108,
    TESTDEV_TIMER_SPAN = 0x10c,
    TESTDEV_TIMER_PERIOD = 0x110,
    TESTDEV_TIMER_COUNT = 0x118,
    TESTDEV_TIMER_CONTROL = 0x11c,
    TESTDEV_TIMER_TICKS = 0x120,
    TESTDEV_FIRED_CLEAR = 0x124,
    TESTDEV_FIRED = 0x128,
    TESTDEV_SENT = 0x130,
    TESTDEV_LOST = 0x140,
    TESTDEV_COPY_SOURCE = 0x200,
    TESTDEV_COPY_DESTINATION = 0x208,
    TESTDEV_COPY_LENGTH = 0x210,
    TESTDEV_COPY_PATTERN = 0x218,
    TESTDEV_COPY_VECTOR = 0x224,
    TESTDEV_COPY_STATUS = 0x228,
    TESTDEV_COPY_COMMAND = 0x22c,
    TESTDEV_COPY_DONE = 0x230,
    TESTDEV_COPY_FAULT = 0x238,
    TESTDEV_COPY_ERROR = 0x240,
    TESTDEV_COPY_CRC = 0x244,
    TESTDEV_ACCESS_ADDRESS = 0x280,
    TESTDEV_ACCESS_DATA = 0x288,
    TESTDEV_ACCESS_COMMAND = 0x290,
    TESTDEV_ACCESS_STATUS = 0x294,
    TESTDEV_FIRED_BY_VECTOR = 0x1000,
};

#define TESTDEV_DIE_VALUE 0xdeadd1e5u
enum { COPY_IDLE = 0, COPY_RUNNING = 1, COPY_FINISHED = 2, COPY_FAILED = 3 };
enum { COMMAND_COPY = 1, COMMAND_FILL = 2, COMMAND_SUM = 3 };
enum { ERROR_NONE = 0, ERROR_READ = 1, ERROR_WRITE = 2, ERROR_BUS_MASTER = 3 };

uint64_t reg_read(io_connect_t connection, uint64_t offset, unsigned width);
void reg_write(io_connect_t connection, uint64_t offset, unsigned width, uint64_t value);

/** Register memory; asserts the bus address that the configuration's DART must give. */
uint64_t dma_register(io_connect_t connection, uint64_t iova, const void *memory, uint64_t bytes);

/** Run the copy engine to its end; returns COPY_STATUS. */
uint32_t engine_run(io_connect_t connection, uint32_t command, uint64_t source,
                    uint64_t destination, uint64_t bytes);

/** engine_run that must succeed. */
void engine_copy(io_connect_t connection, uint64_t source, uint64_t destination, uint64_t bytes);

/** One access of the device to the bus; returns ACCESS_STATUS. */
uint32_t device_read(io_connect_t connection, uint64_t address, unsigned width, uint64_t *value);
uint32_t device_write(io_connect_t connection, uint64_t address, unsigned width, uint64_t value);

/** One move of edu's engine, to its end: from the bus to its memory or back (docs/edu.md). */
void edu_move(io_connect_t connection, uint64_t source, uint64_t destination, uint64_t bytes);
void edu_start(io_connect_t connection, uint64_t source, uint64_t destination, uint64_t bytes);
void edu_end(io_connect_t connection);

/** Returns when a reset of the device is under way, or *is_over says that it has ended already. */
void wait_for_reset(io_connect_t onlooker, const _Atomic bool *is_over);

uint64_t fault_count(io_connect_t connection);

/** A pattern that differs from byte to byte and seed to seed. */
void pattern_fill(void *memory, size_t bytes, unsigned seed);
bool pattern_matches(const void *memory, size_t bytes, unsigned seed);

#endif
