/*
 * The test device: options, shape, config space, reset and power; docs/testdev.md describes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/testdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "model/config_capability.h"
#include "model/model_options.h"
#include "model/testdev_device.h"

#define COUNTERS_START 0x080 /* of BAR 0: accesses there are not counted */
#define COUNTERS_END   0x100
#define LONGEST_NS     UINT64_C(60000000000)

static const char *const irq_words[] = {"both", "msix", "msi", "none", NULL};
static const char *const bar4_words[] = {"m32pf", "m64", "none", NULL};
static const char *const reset_words[] = {"flr",   "noflr", "hotonly", "ignored",
                                          "stuck", "retry", "dead",    NULL};

static struct testdev *testdev_of(struct model *model)
{
    return (struct testdev *)model;
}

static bool is_awake(const struct testdev *dev)
{
    return dev->config.answer == CONFIG_ANSWER_NORMAL && dev->power_state == 0;
}

static void timers_cancel(struct testdev *dev)
{
    for (unsigned timer = 0; timer < TESTDEV_TIMER_COUNT; timer++)
        testdev_cancel(dev, timer);
}

static void timers_resume(struct testdev *dev)
{
    testdev_timer_resume(dev);
    testdev_copy_resume(dev);
}

void testdev_die(struct testdev *dev)
{
    timers_cancel(dev);
    dev->is_dead = true;
    dev->config.answer = CONFIG_ANSWER_NONE;
}

/* Everything as after create, but for the generation count and whether the device answers. */
static void state_clear(struct testdev *dev, enum model_reset kind)
{
    testdev_registers_init(dev);
    msix_reset(&dev->msix);
    config_space_reset(&dev->config);
    dev->power_state = 0;
    dev->generation++;
    dev->last_reset = 1 + (uint32_t)kind;
}

/* The timers are cancelled. */
static void testdev_reset(struct model *model, enum model_reset kind)
{
    struct testdev *dev = testdev_of(model);
    enum testdev_reset_mode mode = dev->options.reset;

    if (dev->is_dead && kind != MODEL_RESET_HOT)
        return;
    if (mode == TESTDEV_RESET_IGNORED && kind == MODEL_RESET_FUNCTION) {
        if (is_awake(dev))
            timers_resume(dev);
        return;
    }
    state_clear(dev, kind);
    if (mode == TESTDEV_RESET_DEAD || (mode == TESTDEV_RESET_STUCK && kind != MODEL_RESET_HOT)) {
        testdev_die(dev);
        return;
    }

    dev->is_dead = false;
    dev->config.answer = CONFIG_ANSWER_NORMAL;
    if (mode == TESTDEV_RESET_RETRY) {
        dev->config.answer = CONFIG_ANSWER_RETRY;
    } else if (dev->options.ready_after_ns != 0) {
        dev->config.answer = CONFIG_ANSWER_RETRY;
        testdev_arm(dev, TESTDEV_TIMER_READY, testdev_now(dev) + dev->options.ready_after_ns);
    }
}

static void testdev_config_written(struct model *model, unsigned offset, unsigned width)
{
    struct testdev *dev = testdev_of(model);

    if (dev->config.answer != CONFIG_ANSWER_NORMAL)
        return;
    switch (config_power_written(&dev->config, &dev->power_state)) {
    case CONFIG_POWER_SLEPT: /* a sleeping function sends nothing */
        timers_cancel(dev);
        return;
    case CONFIG_POWER_WOKE:
        timers_resume(dev);
        break;
    case CONFIG_POWER_WOKE_RESET: /* the host's call of reset follows */
        return;
    case CONFIG_POWER_SAME:
        break;
    }
    if (dev->power_state == 0) {
        msi_config_written(&dev->msi, offset, width);
        msix_config_written(&dev->msix, offset, width);
    }
}

static void testdev_timer(struct model *model, unsigned timer)
{
    struct testdev *dev = testdev_of(model);

    if (timer == TESTDEV_TIMER_READY) {
        if (!dev->is_dead)
            dev->config.answer = CONFIG_ANSWER_NORMAL;
        return;
    }
    if (!is_awake(dev))
        return;
    if (timer == TESTDEV_TIMER_IRQ)
        testdev_timer_tick(dev);
    else if (timer == TESTDEV_TIMER_COPY)
        testdev_copy_tick(dev);
}

/* The window that makes BAR 2 mixed; NULL when offset is in a direct range. */
static uint8_t *window_at(struct testdev *dev, uint64_t offset, unsigned width)
{
    uint64_t inside = offset - dev->options.aperture / 2;
    return range_is_within(inside, width, TESTDEV_WINDOW_BYTES) ? dev->window + inside : NULL;
}

/* The harness's own accesses to the counters and the MSI-X structures would spoil the count. */
static bool is_counted(unsigned bar, uint64_t offset)
{
    return bar != 0 || offset < COUNTERS_START ||
           (offset >= COUNTERS_END && offset < TESTDEV_MSIX_TABLE);
}

static void access_count(struct testdev *dev, unsigned bar, uint64_t offset, unsigned width,
                         uint64_t value, bool is_write)
{
    unsigned index = width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;

    if (!is_counted(bar, offset))
        return;
    if (is_write)
        dev->regs.count_write[index]++;
    else
        dev->regs.count_read[index]++;
    dev->regs.last_offset = offset;
    dev->regs.last_value = value & ones_of_width(width);
    dev->regs.last_access = width | bar << 8 | (is_write ? 1u << 16 : 0);
}

static uint64_t testdev_mmio_read(struct model *model, unsigned bar, uint64_t offset,
                                  unsigned width)
{
    struct testdev *dev = testdev_of(model);
    uint64_t value = ones_of_width(width);

    if (!is_awake(dev))
        return value;
    if (bar == 0) {
        value = testdev_register_read(dev, offset, width);
    } else if (bar == 1) {
        value = testdev_port_read(dev, offset, width);
    } else if (bar == 2) {
        const uint8_t *window = window_at(dev, offset, width);
        if (window != NULL)
            value = testdev_bytes_read(window, width);
    }
    access_count(dev, bar, offset, width, value, false);
    return value;
}

static void testdev_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                               uint64_t value)
{
    struct testdev *dev = testdev_of(model);

    if (!is_awake(dev))
        return;
    access_count(dev, bar, offset, width, value, true);
    if (bar == 0) {
        testdev_register_write(dev, offset, width, value);
    } else if (bar == 1) {
        testdev_port_write(dev, offset, width, value);
    } else if (bar == 2) {
        uint8_t *window = window_at(dev, offset, width);
        if (window != NULL)
            testdev_bytes_write(window, width, value);
    }
}

static void testdev_attach_memory(struct model *model, unsigned bar, unsigned range, void *memory)
{
    if (bar == 2 && range < 2)
        testdev_of(model)->aperture[range] = memory;
}

static void testdev_destroy(struct model *model)
{
    free(testdev_of(model));
}

static void fill_shape(struct testdev *dev)
{
    struct model_shape *shape = &dev->model.shape;
    uint64_t window = dev->options.aperture / 2;

    shape->timer_count = TESTDEV_TIMER_COUNT;
    shape->has_flr =
        dev->options.reset != TESTDEV_RESET_NOFLR && dev->options.reset != TESTDEV_RESET_HOTONLY;
    shape->bars[0] = (struct model_bar){.bytes = TESTDEV_REGISTER_BYTES, .type = DEXT_BAR_TYPE_M32};
    shape->bars[1] = (struct model_bar){.bytes = TESTDEV_PORT_BYTES, .type = DEXT_BAR_TYPE_IO};
    shape->bars[2] = (struct model_bar){
        .bytes = dev->options.aperture,
        .type = DEXT_BAR_TYPE_M64PF,
        .direct_count = 2,
        .direct = {{0, window}, {window + TESTDEV_WINDOW_BYTES, window - TESTDEV_WINDOW_BYTES}},
    };
    if (dev->options.bar4 != TESTDEV_BAR4_NONE)
        shape->bars[4] = (struct model_bar){
            .bytes = TESTDEV_PLAIN_BYTES,
            .type = dev->options.bar4 == TESTDEV_BAR4_M64 ? DEXT_BAR_TYPE_M64 : DEXT_BAR_TYPE_M32PF,
            .direct_count = 1,
            .direct = {{0, TESTDEV_PLAIN_BYTES}},
        };
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        if (shape->bars[bar].bytes != 0)
            config_space_add_bar(&dev->config, bar, shape->bars[bar].type, shape->bars[bar].bytes);
    }
}

static bool fill_interrupts(struct testdev *dev)
{
    uint64_t irq = dev->options.irq;
    unsigned messages = 1;
    const struct msix_place place = {0, 0, TESTDEV_MSIX_TABLE, TESTDEV_MSIX_PBA};

    while (messages < MSI_MAX_VECTORS && messages * 2 <= dev->options.vectors)
        messages *= 2;
    if ((irq == TESTDEV_IRQ_BOTH || irq == TESTDEV_IRQ_MSI) &&
        !msi_init(&dev->msi, &dev->model.host, &dev->config, messages, true))
        return false;
    return (irq != TESTDEV_IRQ_BOTH && irq != TESTDEV_IRQ_MSIX) ||
           msix_init(&dev->msix, &dev->model.host, &dev->config, (unsigned)dev->options.vectors,
                     &place);
}

static bool fill_config(struct testdev *dev)
{
    static const uint8_t vendor_body[] = {1, 'd', 'l', 't', 'd'};
    static const uint8_t extended_body[] = {'T', 'E', 'S', 'T', 0, 0, 1, 0};
    const struct config_identity identity = {
        .vendor_id = 0x1234,
        .device_id = 0x7e57,
        .revision = 0x01,
        .class_code = 0xff0000,
        .subsystem_vendor_id = 0x1234,
        .subsystem_id = 0x7e57,
    };
    struct config_space *config = &dev->config;

    config_space_init(config, &identity);
    fill_shape(dev);
    const struct config_pcie pcie = {dev->model.shape.has_flr, 4, 4};
    if (config_add_power(config, dev->options.reset == TESTDEV_RESET_HOTONLY) == 0 ||
        !fill_interrupts(dev) || config_add_pcie(config, &pcie) == 0 ||
        config_add_vendor(config, vendor_body, sizeof(vendor_body)) == 0 ||
        config_add_aer(config) == 0 || config_add_serial(config, dev->options.serial) == 0 ||
        config_add_vendor_extended(config, 0x7e57, 1, extended_body, sizeof(extended_body)) == 0)
        return false;
    config_space_seal(config);
    return true;
}

static int testdev_create(const struct model_host *host, const struct model_option *options,
                          size_t count, struct model **out, char **error)
{
    struct testdev_options chosen = {
        .vectors = 32, .aperture = UINT64_C(4) << 20, .latency_ns = 10000};
    const struct model_option_rule rules[] = {
        {"vectors", &chosen.vectors, 1, MSIX_MAX_VECTORS, false, NULL},
        {"irq", &chosen.irq, 0, 0, false, irq_words},
        {"bar2", &chosen.aperture, UINT64_C(64) << 10, UINT64_C(1) << 30, true, NULL},
        {"bar4", &chosen.bar4, 0, 0, false, bar4_words},
        {"reset", &chosen.reset, 0, 0, false, reset_words},
        {"ready_after_ns", &chosen.ready_after_ns, 0, LONGEST_NS, false, NULL},
        {"latency_ns", &chosen.latency_ns, 0, LONGEST_NS, false, NULL},
        {"serial", &chosen.serial, 0, UINT64_MAX, false, NULL},
    };
    int rc = model_options_parse("testdev", rules, sizeof(rules) / sizeof(rules[0]), options, count,
                                 error);
    if (rc != 0)
        return rc;

    struct testdev *dev = calloc(1, sizeof(*dev));
    if (dev == NULL)
        return -ENOMEM;
    dev->model.ops = &testdev_model;
    dev->model.host = *host;
    dev->model.config = &dev->config;
    dev->options = chosen;
    testdev_registers_init(dev);
    if (!fill_config(dev)) {
        free(dev);
        return -ENOSPC;
    }
    *out = &dev->model;
    return 0;
}

const struct model_ops testdev_model = {
    .name = "testdev",
    .summary = "test device: BARs of every type, 256 vectors, copy engine, resets that fail",
    .options =
        "vectors=N            interrupt vectors, 1 to 256 (default 32)\n"
        "irq=KIND             both, msix, msi or none (default both)\n"
        "bar2=SIZE            bytes of BAR 2, a power of two from 64K to 1G (default 4M)\n"
        "bar4=TYPE            m32pf, m64 or none (default m32pf)\n"
        "reset=HOW            flr, noflr, hotonly, ignored, stuck, retry or dead (default flr)\n"
        "ready_after_ns=TIME  after a reset not ready for so long (default 0)\n"
        "latency_ns=TIME      from a copy command to its first request (default 10000)\n"
        "serial=NUMBER        device serial number (default 0)\n",
    .create = testdev_create,
    .destroy = testdev_destroy,
    .attach_memory = testdev_attach_memory,
    .mmio_read = testdev_mmio_read,
    .mmio_write = testdev_mmio_write,
    .config_written = testdev_config_written,
    .timer = testdev_timer,
    .reset = testdev_reset,
};
