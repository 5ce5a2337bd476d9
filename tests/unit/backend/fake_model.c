/*
 * The device of the sim back end's tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"

struct fake_model *fake_model_last;
int fake_models_alive;

static struct fake_model *fake_of(struct model *model)
{
    return (struct fake_model *)model;
}

static void add_capabilities(struct fake_model *fake)
{
    struct config_space *config = &fake->config;
    fake->power = config_space_add_capability(config, 0x01, 8);
    config_space_set_writable(config, fake->power + 4, 2, 0x0003);
    fake->msi = config_space_add_capability(config, 0x05, 24);
    config_space_set(config, fake->msi + 2, 2, 0x0186); /* masking, 64-bit, 8 vectors */
    config_space_set_writable(config, fake->msi + 2, 2, 0x0071);
    config_space_set_writable(config, fake->msi + 4, 4, 0xfffffffc);
    config_space_set_writable(config, fake->msi + 8, 4, 0xffffffff);
    config_space_set_writable(config, fake->msi + 12, 2, 0xffff);
    config_space_set(config, fake->msi + 16, 4, 0xff);
    config_space_set_writable(config, fake->msi + 16, 4, 0xff);
    fake->express = config_space_add_capability(config, 0x10, 60);
    config_space_set(config, fake->express + 2, 2, 0x0002);
    config_space_set(config, fake->express + 4, 4, 0x10000000);
    config_space_set_writable(config, fake->express + 8, 2, 0x70ff);
    config_space_set(config, fake->express + 0x12, 2, 0x0043); /* x4 at 8 GT/s */
    config_space_set_writable(config, fake->express + 0x28, 2, 0x001f);
    fake->msix = config_space_add_capability(config, 0x11, 12);
    config_space_set(config, fake->msix + 2, 2, FAKE_VECTORS - 1);
    config_space_set_writable(config, fake->msix + 2, 2, 0xc000);
    config_space_set(config, fake->msix + 4, 4, FAKE_MSIX_TABLE | 0);
}

static void clear_state(struct fake_model *fake)
{
    memset(fake->registers, 0, sizeof(fake->registers));
    memset(fake->table, 0, sizeof(fake->table));
    for (int i = 0; i < FAKE_VECTORS; i++) {
        fake->table[i][3] = 1;
    }
}

static int fake_create(const struct model_host *host, const struct model_option *options,
                       size_t count, struct model **out, char **error)
{
    if (count > 0) {
        *error = strdup("fake takes no options");
        return *error ? -EINVAL : -ENOMEM;
    }
    struct fake_model *fake = calloc(1, sizeof(*fake));
    if (!fake) {
        return -ENOMEM;
    }
    const struct config_identity identity = {.vendor_id = FAKE_VENDOR,
                                             .device_id = FAKE_DEVICE,
                                             .revision = 7,
                                             .class_code = 0x058012,
                                             .subsystem_vendor_id = 0x1af4,
                                             .subsystem_id = 0x1100};
    config_space_init(&fake->config, &identity);
    const struct model_shape shape = {
        .bars = {{.bytes = 16384, .type = DEXT_BAR_TYPE_M32},
                 {.bytes = 32, .type = DEXT_BAR_TYPE_IO},
                 {.bytes = 65536,
                  .type = DEXT_BAR_TYPE_M64PF,
                  .direct_count = 1,
                  .direct = {{.offset = 0, .bytes = 32768}}}},
        .timer_count = FAKE_TIMERS,
        .has_flr = true,
    };
    for (unsigned bar = 0; bar < 3; bar++) {
        config_space_add_bar(&fake->config, bar, shape.bars[bar].type, shape.bars[bar].bytes);
    }
    add_capabilities(fake);
    config_space_seal(&fake->config);
    clear_state(fake);
    fake->model = (struct model){
        .ops = &fake_model_ops, .host = *host, .shape = shape, .config = &fake->config};
    fake_model_last = fake;
    fake_models_alive++;
    *out = &fake->model;
    return 0;
}

static void fake_destroy(struct model *model)
{
    fake_models_alive--;
    free(model);
}

static void fake_attach_memory(struct model *model, unsigned bar, unsigned range, void *memory)
{
    if (bar == 2 && range == 0) {
        fake_of(model)->direct = memory;
    }
}

static void fire_msix(struct fake_model *fake, unsigned vector)
{
    const struct model_host *host = &fake->model.host;
    const uint32_t *entry = fake->table[vector % FAKE_VECTORS];
    uint32_t control = config_space_get(&fake->config, fake->msix + 2, 2);
    if ((control & 0xc000) == 0x8000 && !(entry[3] & 1)) {
        host->ops->message(host->context, entry[0] | (uint64_t)entry[1] << 32, entry[2]);
    }
}

static void fire_msi(struct fake_model *fake, unsigned vector)
{
    const struct model_host *host = &fake->model.host;
    uint32_t control = config_space_get(&fake->config, fake->msi + 2, 2);
    uint32_t masked = config_space_get(&fake->config, fake->msi + 16, 4);
    uint32_t count = 1u << ((control >> 4) & 7);
    if ((control & 1) && !(masked >> vector & 1)) {
        uint64_t address = config_space_get(&fake->config, fake->msi + 4, 4) |
                           (uint64_t)config_space_get(&fake->config, fake->msi + 8, 4) << 32;
        host->ops->message(host->context, address,
                           config_space_get(&fake->config, fake->msi + 12, 2) | vector % count);
    }
}

static void carry_out(struct fake_model *fake, uint64_t operation)
{
    const struct model_host *host = &fake->model.host;
    uint64_t address = fake->registers[FAKE_ADDRESS / 8];
    uint64_t *data = &fake->registers[FAKE_DATA / 8];
    int result = 0;
    switch (operation) {
    case FAKE_DMA_WRITE:
        result = host->ops->dma_write(host->context, address, data, 8);
        break;
    case FAKE_DMA_READ:
        result = host->ops->dma_read(host->context, address, data, 8);
        break;
    case FAKE_MESSAGE:
        host->ops->message(host->context, address, (uint32_t)*data);
        break;
    case FAKE_MSIX:
        fire_msix(fake, (unsigned)*data);
        break;
    case FAKE_MSI:
        fire_msi(fake, (unsigned)*data);
        break;
    case FAKE_ARM:
        host->ops->timer_arm(host->context, (unsigned)*data,
                             host->ops->now_ns(host->context) + address);
        break;
    case FAKE_CANCEL:
        host->ops->timer_cancel(host->context, (unsigned)*data);
        break;
    default:
        result = -EINVAL;
    }
    fake->registers[FAKE_RESULT / 8] = (uint64_t)(int64_t)result;
}

static uint64_t fake_mmio_read(struct model *model, unsigned bar, uint64_t offset, unsigned width)
{
    struct fake_model *fake = fake_of(model);
    if (bar == 1) {
        return fake->io_word;
    }
    if (bar == 2) {
        fake->trapped_accesses++;
        return 0x1122334455667788u;
    }
    if (offset < sizeof(fake->registers)) {
        return fake->registers[offset / 8] >> (8 * (offset % 8));
    }
    if (offset >= FAKE_MSIX_TABLE && offset < FAKE_MSIX_TABLE + sizeof(fake->table)) {
        return fake->table[(offset - FAKE_MSIX_TABLE) / 16][offset / 4 % 4];
    }
    return 0;
}

static void fake_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                            uint64_t value)
{
    struct fake_model *fake = fake_of(model);
    if (bar == 1) {
        fake->io_word = (uint32_t)value;
    } else if (bar == 2) {
        fake->trapped_accesses++;
    } else if (offset == FAKE_DO) {
        carry_out(fake, value);
    } else if (offset < sizeof(fake->registers)) {
        fake->registers[offset / 8] = value;
    } else if (offset >= FAKE_MSIX_TABLE && offset < FAKE_MSIX_TABLE + sizeof(fake->table)) {
        fake->table[(offset - FAKE_MSIX_TABLE) / 16][offset / 4 % 4] = (uint32_t)value;
    }
}

static void fake_timer(struct model *model, unsigned timer)
{
    struct fake_model *fake = fake_of(model);
    uint64_t now = model->host.ops->now_ns(model->host.context);
    atomic_store(&fake->fired_at_ns[timer], now);
    atomic_fetch_add(&fake->fired[timer], 1);
    if (fake->rearms && timer == 0) {
        model->host.ops->timer_arm(model->host.context, 0, now);
    }
    fire_msix(fake, timer);
}

static void fake_reset(struct model *model, enum model_reset kind)
{
    struct fake_model *fake = fake_of(model);
    fake->resets[kind]++;
    config_space_reset(&fake->config);
    clear_state(fake);
    fake->config.answer = fake->answer_after_reset;
}

const struct model_ops fake_model_ops = {
    .name = "fake",
    .summary = "a device for tests",
    .options = "",
    .create = fake_create,
    .destroy = fake_destroy,
    .attach_memory = fake_attach_memory,
    .mmio_read = fake_mmio_read,
    .mmio_write = fake_mmio_write,
    .timer = fake_timer,
    .reset = fake_reset,
};

static int polling_create(const struct model_host *host, const struct model_option *options,
                          size_t count, struct model **out, char **error)
{
    int result = fake_create(host, options, count, out, error);
    if (result == 0) {
        (*out)->ops = &fake_polling_ops;
        (*out)->shape.bars[2].direct_count = 2;
        (*out)->shape.bars[2].direct[0] = (struct model_range){0x1000, 0x1000};
        (*out)->shape.bars[2].direct[1] = (struct model_range){0x8000, 0x3000};
        fake_of(*out)->poll_answer = MODEL_POLL_NEVER;
    }
    return result;
}

static void polling_direct_written(struct model *model, unsigned bar, uint64_t offset,
                                   unsigned width)
{
    struct fake_model *fake = fake_of(model);
    fake->direct_writes += bar == 2;
    fake->direct_offset = offset;
    fake->direct_width = width;
    fake->direct_value = 0;
    memcpy(&fake->direct_value, fake->direct + (offset - 0x1000), width);
    model->host.ops->poll_wake(model->host.context);
}

static uint64_t polling_poll(struct model *model)
{
    struct fake_model *fake = fake_of(model);
    const struct model_host *host = &model->host;
    uint64_t end = host->ops->now_ns(host->context) + atomic_load(&fake->poll_takes_ns);
    while (host->ops->now_ns(host->context) < end) {
    }
    atomic_fetch_add(&fake->polls, 1);
    return atomic_load(&fake->poll_answer);
}

static bool polling_peek(const struct model *model)
{
    struct fake_model *fake = (struct fake_model *)(uintptr_t)model;
    atomic_fetch_add(&fake->peeks, 1);
    return atomic_load(&fake->peek_answer);
}

const struct model_ops fake_polling_ops = {
    .name = "fake-polling",
    .summary = "a device for tests",
    .options = "",
    .create = polling_create,
    .destroy = fake_destroy,
    .attach_memory = fake_attach_memory,
    .direct_written = polling_direct_written,
    .mmio_read = fake_mmio_read,
    .mmio_write = fake_mmio_write,
    .timer = fake_timer,
    .poll = polling_poll,
    .peek = polling_peek,
    .reset = fake_reset,
};
