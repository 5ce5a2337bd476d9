/*
 * A long, repeatable walk of random register, config, timer and reset operations over every model
 * and shape. The sanitizers look for accesses out of bounds; the walk checks what must always hold:
 * values fit their width, timers and requests stay within limits, and a hot reset brings back the
 * identity.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "fake_host.h"

#define STEPS 60000

static struct fake_host fake;
static uint64_t seed;

/* xorshift64* */
static uint64_t next(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t below(uint64_t limit)
{
    return (next() >> 8) % limit;
}

/* Values that matter to somebody: edges, addresses, register-sized random. */
static uint64_t value(void)
{
    static const uint64_t edges[] = {0,      1,       2,     3,       0xf,    0x101,
                                     0x102,  0x103,   0x701, 64,      4096,   0x8000,
                                     0xffff, 0x10000, 40000, 0x40000, 0x40fff};
    switch (below(5)) {
    case 0:
        return edges[below(sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return FAKE_MEMORY_START + below(FAKE_MEMORY_BYTES + 64);
    case 2:
        return UINT64_MAX - below(70000);
    case 3:
        return below(0x500000);
    default:
        return next();
    }
}

/* Half of the time near the registers, else anywhere. */
static uint64_t place(uint64_t bytes, unsigned width)
{
    uint64_t near = bytes < 0x300 ? bytes : 0x300;
    uint64_t offset = below(2) == 0 ? below(near) : below(bytes);
    return offset / width * width;
}

static void mmio_step(void)
{
    unsigned bar = (unsigned)below(6);
    unsigned width = 1u << below(4);
    uint64_t bytes = fake.model->shape.bars[bar].bytes;

    if (bytes == 0)
        return;
    uint64_t offset = place(bytes, width);
    if (below(2) == 0)
        fake_read(&fake, bar, offset, width);
    else
        fake_write(&fake, bar, offset, width, value());
}

static void config_step(void)
{
    unsigned width = 1u << below(3);
    unsigned offset = (unsigned)below(below(2) == 0 ? 0x100 : 4096) / width * width;
    uint32_t ones = width == 4 ? 0xffffffff : (1u << 8 * width) - 1;

    if (below(2) == 0)
        assert_true((fake_config_read(&fake, offset, width) & ~ones) == 0);
    else
        fake_config_write(&fake, offset, width, (uint32_t)value());
}

static void capability_write(uint8_t id, unsigned offset, uint32_t content)
{
    unsigned base = config_space_find(fake.model->config, id);
    if (base != 0)
        fake_config_write(&fake, base + offset, 2, content);
}

/* What a driver does, so that the walk gets past a device that is off. */
static void driver_step(void)
{
    capability_write(0x01, 4, 0); /* D0 */
    fake_enable(&fake);
    capability_write(0x05, 2, (uint32_t)below(2) | (uint32_t)below(8) << 4);
    capability_write(0x11, 2, (uint32_t)below(4) << 14);
    if (below(100) == 0)
        capability_write(0x10, 8, 0x8000);
}

static void put(uint64_t offset, unsigned width, uint64_t content)
{
    fake_write(&fake, 0, offset, width, content);
}

/* An end of a transfer: in memory, in the device, or anything. */
static uint64_t end(uint64_t inside)
{
    uint64_t pick = below(8);
    return pick == 0 ? value() : pick < 5 ? FAKE_MEMORY_START + below(FAKE_MEMORY_BYTES) : inside;
}

/* In a range, every second time close to where it ends. */
static uint64_t near_end(uint64_t begin, uint64_t bytes)
{
    return begin + (below(2) == 0 ? below(bytes) : bytes - 60 + below(64));
}

static void edu_transfer(void)
{
    put(0x80, 8, end(near_end(0x40000, 4096)));
    put(0x88, 8, end(near_end(0x40000, 4096)));
    put(0x90, 8, below(8) == 0 ? value() : below(below(4) == 0 ? 4200 : 100));
    put(0x98, 4, 1 | below(8));
    put(0x20, 4, value());
    put(0x08, 4, value());
}

static void testdev_transfer(void)
{
    put(0x200, 8, end(near_end(0, fake.model->shape.bars[2].bytes)));
    put(0x208, 8, end(near_end(0, fake.model->shape.bars[2].bytes)));
    put(0x210, 8, below(8) == 0 ? value() : below(below(2) == 0 ? 100 : 400000));
    put(0x220, 4, UINT64_C(64) << below(12));
    put(0x224, 4, below(300));
    put(0x22c, 4, below(5) | (below(8) << 8));
    if (below(8) == 0)
        put(0x22c, 4, 0xf); /* abort */
    put(0x280, 8, end(value()));
    put(0x290, 4, (UINT64_C(1) << below(4)) | below(2) << 8);
    put(0x8000 + 16 * below(256) + 12, 4, below(2));
    put(0x11c, 4, below(4));
}

static void step(void)
{
    switch (below(32)) {
    case 0:
        driver_step();
        break;
    case 1:
        fake_advance(&fake, below(100000));
        break;
    case 2:
        assert_true(fake_run(&fake, 4) <= 4);
        break;
    case 3:
        if (below(20) == 0)
            fake_reset(&fake, (enum model_reset)below(3));
        break;
    case 4:
        if (strcmp(fake.model->ops->name, "edu") == 0)
            edu_transfer();
        else
            testdev_transfer();
        break;
    case 5:
        config_step();
        break;
    default:
        mmio_step();
        break;
    }
    assert_true(fake.dma_longest <= 65536);
}

static void walk(const char *name, const char *option, bool has_messages, uint64_t begin)
{
    fake_start(&fake, name, (const char *const[]){option, NULL});
    uint32_t identity = fake_config_read(&fake, 0, 4);
    seed = begin;
    for (unsigned i = 0; i < STEPS; i++)
        step();
    /* A walk that never got anywhere would prove nothing. */
    assert_true(fake.dma_calls > 50);
    assert_int_equal(fake.message_count > 100, has_messages);

    fake_reset(&fake, MODEL_RESET_HOT);
    fake_advance(&fake, 1000);
    assert_int_equal(fake_config_read(&fake, 0, 4), identity);
    assert_int_equal(fake_config_read(&fake, 4, 2), 0);
    assert_int_equal(fake_run(&fake, 1), 0);
    fake_stop(&fake);
}

static void edu_holds(void **state)
{
    (void)state;
    walk("edu", "latency_ns=100", true, 0x9e3779b97f4a7c15);
    walk("edu", "dma_mask=0xfffffff", true, 0x0123456789abcdef);
}

static void testdev_holds(void **state)
{
    (void)state;
    walk("testdev", "vectors=256", true, 0x243f6a8885a308d3);
    walk("testdev", "bar2=64K", true, 0x13198a2e03707344);
    walk("testdev", "vectors=1", true, 0xa4093822299f31d0);
    walk("testdev", "irq=msi", true, 0x3f84d5b5b5470917);
    walk("testdev", "irq=none", false, 0x082efa98ec4e6c89);
    walk("testdev", "reset=hotonly", true, 0x452821e638d01377);
    walk("testdev", "reset=ignored", true, 0x9216d5d98979fb1b);
    walk("testdev", "reset=stuck", true, 0xbe5466cf34e90c6c);
    walk("testdev", "ready_after_ns=1000", true, 0xc0ac29b7c97c50dd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edu_holds),
        cmocka_unit_test(testdev_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
