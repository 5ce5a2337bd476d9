/*
 * The test device's registers: a table of where they are, how wide and what they show; the few with
 * a side effect; the I/O ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/checked.h"
#include "model/testdev_device.h"

#define REG_VECTORS        0x008
#define REG_IRQ_MODE       0x00c
#define REG_TIME           0x020
#define REG_DIE            0x030
#define REG_SCRATCH_ANY    0x050
#define REG_COUNT_CLEAR    0x0b4
#define REG_FIRE           0x100
#define REG_TIMER_CONTROL  0x11c
#define REG_FIRED_CLEAR    0x124
#define REG_COPY_COMMAND   0x22c
#define REG_ACCESS_COMMAND 0x290
#define REG_FIRED_BY       0x1000

#define PORT_ID            0x00
#define PORT_FIRE          0x04
#define PORT_SCRATCH       0x08

#define DIE_MAGIC          0xdeadd1e5

#define READ               1
#define WRITE              2
#define CONTENT(member)    offsetof(struct testdev, member)
#define NO_CONTENT         0

/* A register of bytes width. One of 8 bytes also takes its two halves. */
struct row {
    uint16_t offset;
    uint8_t bytes;
    uint8_t access; /* READ | WRITE */
    size_t content; /* where in struct testdev; NO_CONTENT: made up in the code below */
};

static const struct row rows[] = {
    {0x000, 4, READ, NO_CONTENT}, /* ID */
    {0x004, 4, READ, NO_CONTENT}, /* VERSION */
    {REG_VECTORS, 4, READ, NO_CONTENT},
    {REG_IRQ_MODE, 4, READ, NO_CONTENT},
    {0x010, 8, READ, CONTENT(options.aperture)},
    {0x018, 8, READ, NO_CONTENT}, /* WINDOW */
    {REG_TIME, 8, READ, NO_CONTENT},
    {0x028, 4, READ, CONTENT(generation)},
    {0x02c, 4, READ, CONTENT(last_reset)},
    {REG_DIE, 4, WRITE, NO_CONTENT},

    {0x040, 1, READ | WRITE, CONTENT(regs.scratch_1)},
    {0x042, 2, READ | WRITE, CONTENT(regs.scratch_2)},
    {0x044, 4, READ | WRITE, CONTENT(regs.scratch_4)},

    {0x080, 4, READ, CONTENT(regs.count_read[0])},
    {0x084, 4, READ, CONTENT(regs.count_read[1])},
    {0x088, 4, READ, CONTENT(regs.count_read[2])},
    {0x08c, 4, READ, CONTENT(regs.count_read[3])},
    {0x090, 4, READ, CONTENT(regs.count_write[0])},
    {0x094, 4, READ, CONTENT(regs.count_write[1])},
    {0x098, 4, READ, CONTENT(regs.count_write[2])},
    {0x09c, 4, READ, CONTENT(regs.count_write[3])},
    {0x0a0, 8, READ, CONTENT(regs.last_offset)},
    {0x0a8, 8, READ, CONTENT(regs.last_value)},
    {0x0b0, 4, READ, CONTENT(regs.last_access)},
    {REG_COUNT_CLEAR, 4, WRITE, NO_CONTENT},

    {REG_FIRE, 4, WRITE, NO_CONTENT},
    {0x104, 4, READ, CONTENT(regs.fire_result)},
    {0x108, 4, READ | WRITE, CONTENT(regs.timer_first)},
    {0x10c, 4, READ | WRITE, CONTENT(regs.timer_span)},
    {0x110, 8, READ | WRITE, CONTENT(regs.timer_period)},
    {0x118, 4, READ | WRITE, CONTENT(regs.timer_count)},
    {REG_TIMER_CONTROL, 4, READ | WRITE, CONTENT(regs.timer_control)},
    {0x120, 4, READ, CONTENT(regs.timer_ticks)},
    {REG_FIRED_CLEAR, 4, WRITE, NO_CONTENT},
    {0x128, 8, READ, CONTENT(regs.fired)},
    {0x130, 8, READ, CONTENT(regs.sent)},
    {0x138, 8, READ, CONTENT(regs.pending)},
    {0x140, 8, READ, CONTENT(regs.lost)},
    {0x148, 8, READ, CONTENT(regs.fired_at)},

    {0x200, 8, READ | WRITE, CONTENT(regs.copy.source)},
    {0x208, 8, READ | WRITE, CONTENT(regs.copy.destination)},
    {0x210, 8, READ | WRITE, CONTENT(regs.copy.length)},
    {0x218, 8, READ | WRITE, CONTENT(regs.copy.pattern)},
    {0x220, 4, READ | WRITE, CONTENT(regs.copy.request_bytes)},
    {0x224, 4, READ | WRITE, CONTENT(regs.copy.vector)},
    {0x228, 4, READ, CONTENT(regs.copy_status)},
    {REG_COPY_COMMAND, 4, READ | WRITE, CONTENT(regs.copy.command)},
    {0x230, 8, READ, CONTENT(regs.copy_done)},
    {0x238, 8, READ, CONTENT(regs.copy_fault)},
    {0x240, 4, READ, CONTENT(regs.copy_error)},
    {0x244, 4, READ, CONTENT(regs.copy_crc)},
    {0x248, 8, READ, CONTENT(regs.copy_time_ns)},

    {0x280, 8, READ | WRITE, CONTENT(regs.access_address)},
    {0x288, 8, READ | WRITE, CONTENT(regs.access_data)},
    {REG_ACCESS_COMMAND, 4, READ | WRITE, CONTENT(regs.access_command)},
    {0x294, 4, READ, CONTENT(regs.access_status)},
};

/* SCRATCH_8 takes no halves, SCRATCH_ANY every width: not in the table. */
#define REG_SCRATCH_8 0x048

void testdev_registers_init(struct testdev *dev)
{
    memset(&dev->regs, 0, sizeof(dev->regs));
    memset(dev->window, 0, sizeof(dev->window));
    dev->regs.timer_span = 1;
    dev->regs.copy.request_bytes = TESTDEV_BOUNCE_BYTES;
}

uint64_t testdev_bytes_read(const uint8_t *bytes, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void testdev_bytes_write(uint8_t *bytes, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static const struct row *row_find(uint64_t offset, unsigned width)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        if (row->offset == offset && row->bytes == width)
            return row;
        if (row->bytes == 8 && width == 4 && (row->offset == offset || row->offset + 4u == offset))
            return row;
    }
    return NULL;
}

static uint64_t content_load(const void *content, unsigned bytes)
{
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (bytes) {
    case 1:
        memcpy(&one, content, 1);
        return one;
    case 2:
        memcpy(&two, content, 2);
        return two;
    case 4:
        memcpy(&four, content, 4);
        return four;
    default:
        memcpy(&eight, content, 8);
        return eight;
    }
}

static void content_store(void *content, unsigned bytes, uint64_t value)
{
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;

    switch (bytes) {
    case 1:
        memcpy(content, &one, 1);
        break;
    case 2:
        memcpy(content, &two, 2);
        break;
    case 4:
        memcpy(content, &four, 4);
        break;
    default:
        memcpy(content, &value, 8);
        break;
    }
}

static uint64_t row_load(const struct testdev *dev, const struct row *row)
{
    if (row->content != NO_CONTENT)
        return content_load((const uint8_t *)dev + row->content, row->bytes);
    switch (row->offset) {
    case 0x000:
        return TESTDEV_ID;
    case 0x004:
        return TESTDEV_VERSION;
    case REG_VECTORS:
        return dev->options.vectors;
    case REG_IRQ_MODE:
        return testdev_irq_mode(dev);
    case REG_TIME:
        return testdev_now(dev);
    default:
        return dev->options.aperture / 2; /* WINDOW */
    }
}

/* SCRATCH_8 and SCRATCH_ANY, the MSI-X structures and the counters by vector: not in the table.
 * False when offset is none of them; *value is set to ones when the width does not fit. */
static bool special_read(struct testdev *dev, uint64_t offset, unsigned width, uint64_t *value)
{
    *value = ones_of_width(width);
    if (offset - REG_SCRATCH_ANY < TESTDEV_SCRATCH_BYTES) {
        *value = testdev_bytes_read(dev->regs.scratch_any + (offset - REG_SCRATCH_ANY), width);
        return true;
    }
    if (offset == REG_SCRATCH_8 || offset == REG_SCRATCH_8 + 4) {
        if (width == 8)
            *value = dev->regs.scratch_8;
        return true;
    }
    if (offset - REG_FIRED_BY < sizeof(dev->regs.fired_by_vector)) {
        if (width == 4)
            *value = dev->regs.fired_by_vector[(offset - REG_FIRED_BY) / 4];
        return true;
    }
    if (offset >= TESTDEV_MSIX_TABLE && offset < TESTDEV_MSIX_PBA) {
        *value = msix_table_read(&dev->msix, offset - TESTDEV_MSIX_TABLE, width);
        return true;
    }
    if (offset >= TESTDEV_MSIX_PBA) {
        *value = msix_pba_read(&dev->msix, offset - TESTDEV_MSIX_PBA, width);
        return true;
    }
    return false;
}

uint64_t testdev_register_read(struct testdev *dev, uint64_t offset, unsigned width)
{
    uint64_t value;

    if (special_read(dev, offset, width, &value))
        return value;
    const struct row *row = row_find(offset, width);
    if (row == NULL || (row->access & READ) == 0)
        return ones_of_width(width);
    value = row_load(dev, row);
    return value >> (8 * (offset - row->offset)) & ones_of_width(width);
}

static bool special_write(struct testdev *dev, uint64_t offset, unsigned width, uint64_t value)
{
    if (offset - REG_SCRATCH_ANY < TESTDEV_SCRATCH_BYTES) {
        testdev_bytes_write(dev->regs.scratch_any + (offset - REG_SCRATCH_ANY), width, value);
        return true;
    }
    if (offset == REG_SCRATCH_8 && width == 8) {
        dev->regs.scratch_8 = value;
        return true;
    }
    if (offset >= TESTDEV_MSIX_TABLE && offset < TESTDEV_MSIX_PBA) {
        msix_table_write(&dev->msix, offset - TESTDEV_MSIX_TABLE, width, value);
        return true;
    }
    return false;
}

static void counts_clear(struct testdev *dev)
{
    memset(dev->regs.count_read, 0, sizeof(dev->regs.count_read));
    memset(dev->regs.count_write, 0, sizeof(dev->regs.count_write));
    dev->regs.last_offset = dev->regs.last_value = 0;
    dev->regs.last_access = 0;
}

static void fired_clear(struct testdev *dev)
{
    memset(dev->regs.fired_by_vector, 0, sizeof(dev->regs.fired_by_vector));
    dev->regs.fired = dev->regs.sent = dev->regs.pending = dev->regs.lost = 0;
}

static void side_effect(struct testdev *dev, unsigned offset, uint32_t value)
{
    switch (offset) {
    case REG_DIE:
        if (value == DIE_MAGIC)
            testdev_die(dev);
        break;
    case REG_COUNT_CLEAR:
        counts_clear(dev);
        break;
    case REG_FIRE:
        testdev_fire(dev, value);
        break;
    case REG_TIMER_CONTROL:
        testdev_timer_written(dev);
        break;
    case REG_FIRED_CLEAR:
        fired_clear(dev);
        break;
    case REG_COPY_COMMAND:
        testdev_copy_written(dev);
        break;
    case REG_ACCESS_COMMAND:
        testdev_access_written(dev);
        break;
    }
}

void testdev_register_write(struct testdev *dev, uint64_t offset, unsigned width, uint64_t value)
{
    value &= ones_of_width(width);
    if (special_write(dev, offset, width, value))
        return;
    const struct row *row = row_find(offset, width);
    if (row == NULL || (row->access & WRITE) == 0)
        return;
    if (row->content != NO_CONTENT) {
        uint8_t *content = (uint8_t *)dev + row->content;
        unsigned shift = (unsigned)(8 * (offset - row->offset));
        uint64_t kept = content_load(content, row->bytes) & ~(ones_of_width(width) << shift);
        content_store(content, row->bytes, kept | value << shift);
    }
    side_effect(dev, row->offset, (uint32_t)value);
}

uint64_t testdev_port_read(struct testdev *dev, uint64_t offset, unsigned width)
{
    if (offset == PORT_ID && width == 4)
        return TESTDEV_ID;
    if (width <= 4 && offset - PORT_SCRATCH < sizeof(dev->regs.port_scratch))
        return testdev_bytes_read(dev->regs.port_scratch + (offset - PORT_SCRATCH), width);
    return ones_of_width(width);
}

void testdev_port_write(struct testdev *dev, uint64_t offset, unsigned width, uint64_t value)
{
    if (offset == PORT_FIRE && width == 4)
        testdev_fire(dev, (uint32_t)value);
    else if (width <= 4 && offset - PORT_SCRATCH < sizeof(dev->regs.port_scratch))
        testdev_bytes_write(dev->regs.port_scratch + (offset - PORT_SCRATCH), width, value);
}
