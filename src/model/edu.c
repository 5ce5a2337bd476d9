/*
 * The educational device of QEMU (docs/specs/edu.rst there), as docs/edu.md describes it here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "model/config_space.h"
#include "model/edu.h"
#include "model/model_options.h"
#include "model/msi.h"

#define BAR_BYTES         (UINT64_C(1) << 20)
#define IDENTIFICATION    0x010000edu

#define REG_ID            0x00
#define REG_LIVENESS      0x04
#define REG_FACTORIAL     0x08
#define REG_STATUS        0x20
#define REG_IRQ_STATUS    0x24
#define REG_IRQ_RAISE     0x60
#define REG_IRQ_LOWER     0x64
#define REG_DMA_SOURCE    0x80 /* from here on also 8 bytes wide */
#define REG_DMA_TARGET    0x88
#define REG_DMA_COUNT     0x90
#define REG_DMA_COMMAND   0x98

#define STATUS_COMPUTING  0x01u
#define STATUS_IRQ        0x80u
#define COMMAND_RUN       0x01u
#define COMMAND_TO_MEMORY 0x02u
#define COMMAND_IRQ       0x04u
#define IRQ_FACTORIAL     0x001u
#define IRQ_DMA           0x100u

#define BUFFER_START      0x40000
#define BUFFER_BYTES      4096

#define DEFAULT_LATENCY   1000000

enum edu_timer {
    TIMER_FACTORIAL,
    TIMER_DMA,
    TIMER_COUNT,
};

struct edu {
    struct model model;
    struct config_space config;
    struct msi msi;
    uint64_t dma_mask;
    uint64_t latency_ns;

    uint32_t liveness;
    uint32_t factorial;
    uint32_t status;
    uint32_t irq_status;
    uint64_t dma_source, dma_target, dma_count, dma_command;
    uint8_t buffer[BUFFER_BYTES];
};

static struct edu *edu_of(struct model *model)
{
    return (struct edu *)model;
}

/* INTx has no way out of a model; the status bit shows what the pin would do. */
static void show_pin(struct edu *edu)
{
    bool is_raised = edu->irq_status != 0 && !msi_is_enabled(&edu->msi);
    uint32_t status = config_space_get(&edu->config, CONFIG_STATUS, 2) & ~CONFIG_STATUS_INTERRUPT;

    config_space_set(&edu->config, CONFIG_STATUS, 2,
                     status | (is_raised ? CONFIG_STATUS_INTERRUPT : 0));
}

static void irq_raise(struct edu *edu, uint32_t bits)
{
    edu->irq_status |= bits;
    if (edu->irq_status != 0)
        msi_fire(&edu->msi, 0);
    show_pin(edu);
}

static void timer_start(struct edu *edu, unsigned timer)
{
    const struct model_host *host = &edu->model.host;
    host->ops->timer_arm(host->context, timer, host->ops->now_ns(host->context) + edu->latency_ns);
}

static void factorial_finish(struct edu *edu)
{
    uint32_t product = 1;

    /* 34! is the first that is 0 modulo 2^32; no need to loop four billion times. */
    if (edu->factorial >= 34)
        product = 0;
    else
        for (uint32_t i = 2; i <= edu->factorial; i++)
            product *= i;
    edu->factorial = product;
    edu->status &= ~STATUS_COMPUTING;
    if ((edu->status & STATUS_IRQ) != 0)
        irq_raise(edu, IRQ_FACTORIAL);
}

static void dma_transfer(struct edu *edu)
{
    const struct model_host *host = &edu->model.host;
    bool to_memory = (edu->dma_command & COMMAND_TO_MEMORY) != 0;
    uint64_t inside = to_memory ? edu->dma_source : edu->dma_target;
    uint64_t outside = (to_memory ? edu->dma_target : edu->dma_source) & edu->dma_mask;

    if (inside < BUFFER_START ||
        !range_is_within(inside - BUFFER_START, edu->dma_count, BUFFER_BYTES))
        return;

    uint8_t *buffer = edu->buffer + (inside - BUFFER_START);
    size_t count = (size_t)edu->dma_count;
    if (to_memory) {
        host->ops->dma_write(host->context, outside, buffer, count);
        return;
    }
    uint8_t bounce[BUFFER_BYTES];
    int rc = host->ops->dma_read(host->context, outside, bounce, count);
    if (rc == 0 || rc == -EFAULT) /* a fault still fills the bounce buffer, with ones */
        memcpy(buffer, bounce, count);
}

static void dma_finish(struct edu *edu)
{
    if ((edu->dma_command & COMMAND_RUN) == 0)
        return;
    dma_transfer(edu);
    edu->dma_command &= ~(uint64_t)COMMAND_RUN;
    if ((edu->dma_command & COMMAND_IRQ) != 0)
        irq_raise(edu, IRQ_DMA);
}

static bool width_fits(uint64_t offset, unsigned width)
{
    return width == 4 || (width == 8 && offset >= REG_DMA_SOURCE);
}

static uint64_t edu_mmio_read(struct model *model, unsigned bar, uint64_t offset, unsigned width)
{
    struct edu *edu = edu_of(model);
    uint64_t value = UINT64_MAX;

    if (bar != 0 || !width_fits(offset, width))
        return ones_of_width(width);
    switch (offset) {
    case REG_ID:
        value = IDENTIFICATION;
        break;
    case REG_LIVENESS:
        value = edu->liveness;
        break;
    case REG_FACTORIAL:
        value = edu->factorial;
        break;
    case REG_STATUS:
        value = edu->status;
        break;
    case REG_IRQ_STATUS:
        value = edu->irq_status;
        break;
    case REG_DMA_SOURCE:
        value = edu->dma_source;
        break;
    case REG_DMA_TARGET:
        value = edu->dma_target;
        break;
    case REG_DMA_COUNT:
        value = edu->dma_count;
        break;
    case REG_DMA_COMMAND:
        value = edu->dma_command;
        break;
    }
    return value & ones_of_width(width);
}

static void factorial_start(struct edu *edu, uint32_t value)
{
    if ((edu->status & STATUS_COMPUTING) != 0)
        return;
    edu->factorial = value;
    edu->status |= STATUS_COMPUTING;
    timer_start(edu, TIMER_FACTORIAL);
}

/* The DMA registers keep still while a transfer runs. */
static void dma_register_write(struct edu *edu, uint64_t offset, uint64_t value)
{
    if ((edu->dma_command & COMMAND_RUN) != 0)
        return;
    switch (offset) {
    case REG_DMA_SOURCE:
        edu->dma_source = value;
        break;
    case REG_DMA_TARGET:
        edu->dma_target = value;
        break;
    case REG_DMA_COUNT:
        edu->dma_count = value;
        break;
    case REG_DMA_COMMAND:
        if ((value & COMMAND_RUN) == 0)
            break;
        edu->dma_command = value;
        timer_start(edu, TIMER_DMA);
        break;
    }
}

static void edu_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                           uint64_t value)
{
    struct edu *edu = edu_of(model);

    if (bar != 0 || !width_fits(offset, width))
        return;
    value &= ones_of_width(width);
    switch (offset) {
    case REG_LIVENESS:
        edu->liveness = ~(uint32_t)value;
        break;
    case REG_FACTORIAL:
        factorial_start(edu, (uint32_t)value);
        break;
    case REG_STATUS:
        edu->status = (edu->status & ~STATUS_IRQ) | ((uint32_t)value & STATUS_IRQ);
        break;
    case REG_IRQ_RAISE:
        irq_raise(edu, (uint32_t)value);
        break;
    case REG_IRQ_LOWER:
        edu->irq_status &= ~(uint32_t)value;
        show_pin(edu);
        break;
    default:
        dma_register_write(edu, offset, value);
        break;
    }
}

static void edu_config_written(struct model *model, unsigned offset, unsigned width)
{
    struct edu *edu = edu_of(model);

    msi_config_written(&edu->msi, offset, width);
    show_pin(edu);
}

static void edu_timer(struct model *model, unsigned timer)
{
    if (timer == TIMER_FACTORIAL)
        factorial_finish(edu_of(model));
    else if (timer == TIMER_DMA)
        dma_finish(edu_of(model));
}

/* Only hot resets come: a conventional function without power management knows no other. */
static void edu_reset(struct model *model, enum model_reset kind)
{
    struct edu *edu = edu_of(model);

    config_space_reset(&edu->config);
    edu->liveness = edu->factorial = edu->status = edu->irq_status = 0;
    edu->dma_source = edu->dma_target = edu->dma_count = edu->dma_command = 0;
    memset(edu->buffer, 0, sizeof(edu->buffer));
}

static void edu_destroy(struct model *model)
{
    free(edu_of(model));
}

static bool fill_config(struct edu *edu)
{
    const struct config_identity identity = {
        .vendor_id = 0x1234,
        .device_id = 0x11e8,
        .revision = 0x10,
        .class_code = 0x00ff00,
        .subsystem_vendor_id = 0x1af4, /* what QEMU gives every device without its own */
        .subsystem_id = 0x1100,
    };
    config_space_init(&edu->config, &identity);
    edu->config.is_conventional = true;
    config_space_set(&edu->config, CONFIG_INTERRUPT_PIN, 1, 1);
    config_space_add_bar(&edu->config, 0, DEXT_BAR_TYPE_M32, BAR_BYTES);
    if (!msi_init(&edu->msi, &edu->model.host, &edu->config, 1, false))
        return false;
    config_space_seal(&edu->config);
    return true;
}

static int edu_create(const struct model_host *host, const struct model_option *options,
                      size_t count, struct model **out, char **error)
{
    uint64_t dma_mask = UINT64_MAX;
    uint64_t latency_ns = DEFAULT_LATENCY;
    const struct model_option_rule rules[] = {
        {"dma_mask", &dma_mask, 1, UINT64_MAX, false, NULL},
        {"latency_ns", &latency_ns, 0, UINT64_C(10000000000), false, NULL},
    };
    int rc =
        model_options_parse("edu", rules, sizeof(rules) / sizeof(rules[0]), options, count, error);
    if (rc != 0)
        return rc;

    struct edu *edu = calloc(1, sizeof(*edu));
    if (edu == NULL)
        return -ENOMEM;
    edu->model.ops = &edu_model;
    edu->model.host = *host;
    edu->model.config = &edu->config;
    edu->model.shape.bars[0] = (struct model_bar){.bytes = BAR_BYTES, .type = DEXT_BAR_TYPE_M32};
    edu->model.shape.timer_count = TIMER_COUNT;
    edu->dma_mask = dma_mask;
    edu->latency_ns = latency_ns;
    if (!fill_config(edu)) {
        free(edu);
        return -ENOSPC;
    }
    *out = &edu->model;
    return 0;
}

const struct model_ops edu_model = {
    .name = "edu",
    .summary = "QEMU's educational device: liveness, factorial, interrupts, DMA with a buffer",
    .options = "dma_mask=MASK    bits of a bus address the device drives (default all; QEMU 28)\n"
               "latency_ns=TIME  how long a factorial or a transfer takes (default 1000000)\n",
    .create = edu_create,
    .destroy = edu_destroy,
    .mmio_read = edu_mmio_read,
    .mmio_write = edu_mmio_write,
    .config_written = edu_config_written,
    .timer = edu_timer,
    .reset = edu_reset,
};
