/*
 * A small NVMe driver over the fake host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <string.h>

#define QUEUE_MEMORY(id) (FAKE_MEMORY_START + (uint64_t)(id)*0x8000)

static void put(uint8_t *where, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        where[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *where, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)where[i] << (8 * i);
    return value;
}

uint8_t *driver_memory(struct driver *driver, uint64_t bus)
{
    assert_true(bus >= FAKE_MEMORY_START && bus < FAKE_MEMORY_START + FAKE_MEMORY_BYTES);
    return driver->fake.memory + (bus - FAKE_MEMORY_START);
}

uint32_t driver_register(struct driver *driver, unsigned offset)
{
    return (uint32_t)fake_read(&driver->fake, 0, offset, 4);
}

void driver_register_set(struct driver *driver, unsigned offset, uint32_t value)
{
    fake_write(&driver->fake, 0, offset, 4, value);
}

static void queue_init(struct driver *driver, unsigned id, uint32_t entries)
{
    driver->queues[id] =
        (struct queue){QUEUE_MEMORY(id), QUEUE_MEMORY(id) + 0x4000, entries, 0, 0, true};
    memset(driver_memory(driver, QUEUE_MEMORY(id)), 0, 0x8000);
}

void driver_enable(struct driver *driver)
{
    unsigned msix = config_space_find(driver->fake.model->config, 0x11);

    fake_enable(&driver->fake);
    fake_config_write(&driver->fake, msix + 2, 2, 0x8000);
    for (unsigned vector = 0; vector < DRIVER_QUEUES; vector++) {
        fake_write(&driver->fake, 0, 0x2000 + 16 * vector, 8, 0xfee00000);
        fake_write(&driver->fake, 0, 0x2000 + 16 * vector + 8, 8, 0x40 + vector);
    }
    queue_init(driver, 0, 32);
    driver_register_set(driver, 0x24, 31 << 16 | 31);
    fake_write(&driver->fake, 0, 0x28, 8, driver->queues[0].sq);
    fake_write(&driver->fake, 0, 0x30, 8, driver->queues[0].cq);
    driver_register_set(driver, 0x14, 0x00460001);
}

void driver_start(struct driver *driver, const char *const *options)
{
    memset(driver, 0, sizeof(*driver));
    fake_start(&driver->fake, "nvme", options);
    driver_enable(driver);
    assert_int_equal(driver_register(driver, 0x1c), 1);
    fake_run(&driver->fake, 10);
}

void driver_stop(struct driver *driver)
{
    fake_stop(&driver->fake);
}

void driver_create_queues(struct driver *driver, unsigned id, uint32_t entries)
{
    queue_init(driver, id, entries);
    struct command cq = {.opcode = 0x05,
                         .prp1 = driver->queues[id].cq,
                         .dw10 = (entries - 1) << 16 | id,
                         .dw11 = id << 16 | 3};
    struct command sq = {.opcode = 0x01,
                         .prp1 = driver->queues[id].sq,
                         .dw10 = (entries - 1) << 16 | id,
                         .dw11 = id << 16 | 1};
    assert_int_equal(driver_run(driver, 0, &cq, NULL), 0);
    assert_int_equal(driver_run(driver, 0, &sq, NULL), 0);
}

void driver_ring(struct driver *driver, unsigned index, uint32_t value)
{
    if (driver->is_mapped)
        *fake_direct(&driver->fake, 0, 0x1000 + 4 * index) = value;
    else
        driver_register_set(driver, 0x1000 + 4 * index, value);
}

uint16_t driver_submit(struct driver *driver, unsigned id, const struct command *command)
{
    struct queue *queue = &driver->queues[id];
    uint8_t *entry = driver_memory(driver, queue->sq + (uint64_t)queue->tail * 64);

    memset(entry, 0, 64);
    entry[0] = command->opcode;
    entry[1] = command->flags;
    put(entry + 2, 2, driver->next_cid);
    put(entry + 4, 4, command->nsid);
    put(entry + 24, 8, command->prp1);
    put(entry + 32, 8, command->prp2);
    put(entry + 40, 4, command->dw10);
    put(entry + 44, 4, command->dw11);
    put(entry + 48, 4, command->dw12);
    put(entry + 52, 4, command->dw13);
    queue->tail = (queue->tail + 1) % queue->entries;
    driver_ring(driver, 2 * id, queue->tail);
    return driver->next_cid++;
}

bool driver_poll(struct driver *driver, unsigned id, struct completion *out)
{
    struct queue *queue = &driver->queues[id];
    const uint8_t *entry = driver_memory(driver, queue->cq + (uint64_t)queue->head * 16);
    uint16_t status = (uint16_t)get(entry + 14, 2);

    if ((status & 1) != queue->phase)
        return false;
    *out = (struct completion){
        .answer = (uint32_t)get(entry, 4),
        .sqhd = (uint16_t)get(entry + 8, 2),
        .sqid = (uint16_t)get(entry + 10, 2),
        .cid = (uint16_t)get(entry + 12, 2),
        .status = status >> 1 & 0x7ff,
        .is_final = (status & 0x8000) != 0,
    };
    queue->head = (queue->head + 1) % queue->entries;
    if (queue->head == 0)
        queue->phase = !queue->phase;
    driver_ring(driver, 2 * id + 1, queue->head);
    return true;
}

uint16_t driver_run(struct driver *driver, unsigned queue, const struct command *command,
                    struct completion *out)
{
    struct completion completion;
    uint16_t cid = driver_submit(driver, queue, command);

    if (driver->is_mapped)
        fake_advance(&driver->fake, DRIVER_LOOK_NS);
    fake_run(&driver->fake, 10000);
    while (fake_storage_step(&driver->fake, 0))
        fake_run(&driver->fake, 10000);
    assert_true(driver_poll(driver, queue, &completion));
    assert_int_equal(completion.cid, cid);
    assert_int_equal(completion.sqid, queue);
    assert_int_equal(completion.sqhd, driver->queues[queue].tail);
    if (out != NULL)
        *out = completion;
    return completion.status;
}

uint16_t driver_io(struct driver *driver, uint8_t opcode, uint64_t block, uint32_t blocks)
{
    const struct command command = {.opcode = opcode,
                                    .nsid = 1,
                                    .prp1 = DATA,
                                    .prp2 = DATA + 0x1000,
                                    .dw10 = (uint32_t)block,
                                    .dw11 = (uint32_t)(block >> 32),
                                    .dw12 = blocks - 1};
    return driver_run(driver, 1, &command, NULL);
}

/* Never a constant, never the same at two places or for two seeds. */
static uint8_t pattern_at(uint64_t index, unsigned seed)
{
    uint64_t x = (index + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed * UINT64_C(0xd1b54a32d192ed03);
    return (uint8_t)(x >> 32 ^ x >> 56);
}

void driver_pattern(struct driver *driver, uint64_t bus, size_t bytes, unsigned seed)
{
    uint8_t *memory = driver_memory(driver, bus);
    for (size_t i = 0; i < bytes; i++)
        memory[i] = pattern_at(i, seed);
}

bool driver_matches(struct driver *driver, uint64_t bus, size_t bytes, unsigned seed)
{
    const uint8_t *memory = driver_memory(driver, bus);
    for (size_t i = 0; i < bytes; i++) {
        if (memory[i] != pattern_at(i, seed))
            return false;
    }
    return true;
}
