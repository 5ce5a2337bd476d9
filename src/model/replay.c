/*
 * The replay model: a dumped config space that answers as hardware does, and memory for BARs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "model/config_capability.h"
#include "model/config_registers.h"
#include "model/config_space.h"
#include "model/model_options.h"
#include "model/model_text.h"
#include "model/msi.h"
#include "model/msix.h"
#include "model/replay_bars.h"
#include "model/replay_dump.h"
#include "model/replay_memory.h"

#define VENDOR_NONE 0xffff

struct replay {
    struct model model;
    struct config_space config;
    struct msix msix; /* of a device with at most MSIX_MAX_VECTORS */
    struct msix_place place;
    struct replay_memory memory;
    uint8_t power_state;
};

static struct replay *replay_of(struct model *model)
{
    return (struct replay *)model;
}

/* Where an access lies in the vector table or the pending bits; false when in neither. */
static bool is_in(unsigned bar, uint64_t offset, unsigned at_bar, uint64_t start, uint64_t bytes)
{
    return bar == at_bar && offset >= start && offset - start < bytes;
}

static bool is_in_table(const struct replay *replay, unsigned bar, uint64_t offset)
{
    return replay->msix.capability != 0 &&
           is_in(bar, offset, replay->place.table_bar, replay->place.table_offset,
                 msix_table_bytes(&replay->msix));
}

static bool is_in_pba(const struct replay *replay, unsigned bar, uint64_t offset)
{
    return replay->msix.capability != 0 &&
           is_in(bar, offset, replay->place.pba_bar, replay->place.pba_offset,
                 msix_pba_bytes(&replay->msix));
}

static uint64_t replay_mmio_read(struct model *model, unsigned bar, uint64_t offset, unsigned width)
{
    struct replay *replay = replay_of(model);

    if (is_in_table(replay, bar, offset))
        return msix_table_read(&replay->msix, offset - replay->place.table_offset, width);
    if (is_in_pba(replay, bar, offset))
        return msix_pba_read(&replay->msix, offset - replay->place.pba_offset, width);
    return replay_memory_read(&replay->memory, bar, offset, width);
}

static void replay_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                              uint64_t value)
{
    struct replay *replay = replay_of(model);

    if (is_in_table(replay, bar, offset))
        msix_table_write(&replay->msix, offset - replay->place.table_offset, width, value);
    else if (!is_in_pba(replay, bar, offset))
        replay_memory_write(&replay->memory, bar, offset, width, value);
}

static void replay_config_written(struct model *model, unsigned offset, unsigned width)
{
    struct replay *replay = replay_of(model);

    config_power_written(&replay->config, &replay->power_state);
}

static void replay_reset(struct model *model, enum model_reset kind)
{
    struct replay *replay = replay_of(model);

    config_space_reset(&replay->config);
    replay->power_state = 0;
    if (replay->msix.capability != 0)
        msix_reset(&replay->msix);
    replay_memory_clear(&replay->memory);
}

static void replay_destroy(struct model *model)
{
    struct replay *replay = replay_of(model);

    replay_memory_clear(&replay->memory);
    free(replay);
}

/* The header's own masks, without the identity. */
static void fill_header(struct replay *replay, const struct replay_function *function)
{
    struct config_space *config = &replay->config;
    const struct config_identity nobody = {0};

    config_space_init(config, &nobody);
    memcpy(config->value, function->config, CONFIG_SPACE_BYTES);
    /* Off until the host turns it on, as after power-on. */
    config_space_set(config, CONFIG_COMMAND, 2,
                     config_space_get(config, CONFIG_COMMAND, 2) &
                         ~(CONFIG_COMMAND_IO | CONFIG_COMMAND_MEMORY | CONFIG_COMMAND_MASTER));
    /* A dump of the header alone cannot say where its list of capabilities leads. */
    if (function->bytes <= REPLAY_LEAST_BYTES)
        config->value[CONFIG_STATUS] &= (uint8_t)~CONFIG_STATUS_CAPABILITIES;
    config->is_conventional = function->bytes <= CONFIG_SPACE_CONVENTIONAL &&
                              config_space_find(config, CAPABILITY_PCIE) == 0;
}

static void fill_power(struct config_space *config)
{
    unsigned base = config_space_find(config, CAPABILITY_POWER);
    if (base == 0)
        return;
    /* Whoever opens the device has it powered. */
    config_space_set(config, base + POWER_CONTROL, 2,
                     config_space_get(config, base + POWER_CONTROL, 2) & ~POWER_CONTROL_STATE);
    config_mask_power(config, base);
}

static void fill_msix(struct replay *replay)
{
    struct config_space *config = &replay->config;
    unsigned base = config_space_find(config, CAPABILITY_MSIX);

    if (base == 0 || !msix_attach(&replay->msix, &replay->model.host, config, base))
        return;
    uint32_t table = config_space_get(config, base + MSIX_TABLE, 4);
    uint32_t pba = config_space_get(config, base + MSIX_PBA, 4);
    replay->place = (struct msix_place){.table_bar = table & MSIX_PLACE_BAR,
                                        .pba_bar = pba & MSIX_PLACE_BAR,
                                        .table_offset = table & ~MSIX_PLACE_BAR,
                                        .pba_offset = pba & ~MSIX_PLACE_BAR};
}

static void fill_capabilities(struct replay *replay)
{
    struct config_space *config = &replay->config;
    unsigned base = config_space_find(config, CAPABILITY_PCIE);

    if (base != 0) {
        config_mask_pcie(config, base);
        config_set_transactions_pending(config, false);
        replay->model.shape.has_flr =
            (config_space_get(config, base + PCIE_DEVICE_CAPABILITIES, 4) &
             PCIE_DEVICE_CAPABILITIES_FLR) != 0;
    }
    base = config_space_find(config, CAPABILITY_MSI);
    if (base != 0)
        msi_mask(config, base);
    base = config_space_find_extended(config, EXTENDED_AER);
    if (base != 0)
        config_mask_aer(config, base);
    fill_power(config);
    fill_msix(replay);
}

static void fill(struct replay *replay, const struct replay_function *function)
{
    fill_header(replay, function);
    if (config_space_get(&replay->config, CONFIG_VENDOR_ID, 2) == VENDOR_NONE) {
        replay->config.answer = CONFIG_ANSWER_NONE; /* it had fallen off its bus */
    } else {
        fill_capabilities(replay);
        for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
            const struct model_bar *shape = &replay->model.shape.bars[bar];
            if (shape->bytes != 0)
                config_space_add_bar(&replay->config, bar, shape->type, shape->bytes);
        }
    }
    config_space_seal(&replay->config);
}

static int create_of(const struct model_host *host, const struct replay_function *function,
                     const uint64_t wanted[MODEL_BAR_COUNT], struct model **out, char **error)
{
    struct replay *replay = calloc(1, sizeof(*replay));
    if (replay == NULL)
        return -ENOMEM;
    int rc = replay_bars_shape(function, wanted, replay->model.shape.bars, error);
    if (rc != 0) {
        free(replay);
        return rc;
    }
    replay->model.ops = &replay_model;
    replay->model.host = *host;
    replay->model.config = &replay->config;
    replay_memory_init(&replay->memory);
    fill(replay, function);
    *out = &replay->model;
    return 0;
}

static int replay_create(const struct model_host *host, const struct model_option *options,
                         size_t count, struct model **out, char **error)
{
    const uint64_t most = UINT64_C(1) << 40;
    const char *text = "";
    uint64_t bars[MODEL_BAR_COUNT] = {0};
    const struct model_option_rule rules[] = {
        {.key = "dump", .text = &text},          {"bar0", &bars[0], 4, most, true, NULL},
        {"bar1", &bars[1], 4, most, true, NULL}, {"bar2", &bars[2], 4, most, true, NULL},
        {"bar3", &bars[3], 4, most, true, NULL}, {"bar4", &bars[4], 4, most, true, NULL},
        {"bar5", &bars[5], 4, most, true, NULL},
    };
    struct replay_dump dump;
    int rc = model_options_parse("replay", rules, sizeof(rules) / sizeof(rules[0]), options, count,
                                 error);
    if (rc == 0)
        rc = replay_dump_parse(text, strlen(text), &dump, error);
    if (rc != 0)
        return rc;
    rc = create_of(host, &dump.functions[0], bars, out, error);
    replay_dump_clear(&dump);
    return rc;
}

/* file and function are the host's to carry out. */
const struct model_ops replay_model = {
    .name = "replay",
    .summary = "a device as lspci -x, -xxx or -xxxx printed it: config space, BARs as memory",
    .options = "file=PATH         the text; without addr all its functions become devices\n"
               "function=BB:DD.F  which of them it is, when addr is not where it was\n"
               "bar0=SIZE         bytes of BAR 0 (default what the text says, or what the address\n"
               "                  allows); bar1 to bar5 likewise\n",
    .create = replay_create,
    .destroy = replay_destroy,
    .mmio_read = replay_mmio_read,
    .mmio_write = replay_mmio_write,
    .config_written = replay_config_written,
    .reset = replay_reset,
};
