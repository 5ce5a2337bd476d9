/*
 * Message-signalled interrupts of a model.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/msi.h"

#include <string.h>

#include "base/checked.h"

static unsigned log2_of(unsigned power_of_two)
{
    unsigned log2 = 0;
    while (power_of_two >> (log2 + 1) != 0)
        log2++;
    return log2;
}

void msi_mask(struct config_space *config, unsigned base)
{
    uint32_t control = config_space_get(config, base + MSI_CONTROL, 2);
    unsigned log2 = control >> MSI_CONTROL_CAPABLE_SHIFT & 7;
    bool is_64bit = (control & MSI_CONTROL_64BIT) != 0;
    bool has_masking = (control & MSI_CONTROL_MASKING) != 0;
    unsigned bytes = (has_masking ? MSI_BYTES_MASKING : MSI_BYTES) - (is_64bit ? 0 : 4);

    if (!range_is_within(base, bytes, CONFIG_SPACE_CONVENTIONAL))
        return;
    config_space_set_writable(config, base + MSI_CONTROL, 2,
                              MSI_CONTROL_ENABLE | 7u << MSI_CONTROL_ENABLED_SHIFT);
    config_space_set_writable(config, base + MSI_ADDRESS, 4, 0xfffffffc);
    if (is_64bit)
        config_space_set_writable(config, base + MSI_ADDRESS_HIGH, 4, 0xffffffff);
    config_space_set_writable(config, base + (is_64bit ? MSI_DATA : MSI_DATA_32), 2, 0xffff);
    if (has_masking)
        config_space_set_writable(config, base + (is_64bit ? MSI_MASK : MSI_MASK_32), 4,
                                  log2 >= 5 ? 0xffffffff : (1u << (1u << log2)) - 1);
}

bool msi_init(struct msi *msi, const struct model_host *host, struct config_space *config,
              unsigned vectors, bool has_masking)
{
    unsigned bytes = has_masking ? MSI_BYTES_MASKING : MSI_BYTES;

    memset(msi, 0, sizeof(*msi));
    unsigned base = config_space_add_capability(config, CAPABILITY_MSI, bytes);
    if (base == 0)
        return false;
    *msi = (struct msi){host, config, base, vectors, has_masking};

    config_space_set(config, base + MSI_CONTROL, 2,
                     log2_of(vectors) << MSI_CONTROL_CAPABLE_SHIFT | MSI_CONTROL_64BIT |
                         (has_masking ? MSI_CONTROL_MASKING : 0));
    msi_mask(config, base);
    return true;
}

bool msi_is_enabled(const struct msi *msi)
{
    return msi->capability != 0 &&
           (config_space_get(msi->config, msi->capability + MSI_CONTROL, 2) & MSI_CONTROL_ENABLE);
}

unsigned msi_granted(const struct msi *msi)
{
    if (msi->capability == 0)
        return 0;
    uint32_t control = config_space_get(msi->config, msi->capability + MSI_CONTROL, 2);
    unsigned granted = 1u << (control >> MSI_CONTROL_ENABLED_SHIFT & 7);
    return granted < msi->vectors ? granted : msi->vectors;
}

static void send(struct msi *msi, unsigned vector)
{
    unsigned base = msi->capability;
    uint64_t address = config_space_get(msi->config, base + MSI_ADDRESS, 4) |
                       (uint64_t)config_space_get(msi->config, base + MSI_ADDRESS_HIGH, 4) << 32;
    uint32_t data = config_space_get(msi->config, base + MSI_DATA, 2);

    data = (data & ~(msi_granted(msi) - 1)) | vector;
    msi->host->ops->message(msi->host->context, address, data);
}

enum message_result msi_fire(struct msi *msi, unsigned vector)
{
    if (!msi_is_enabled(msi) || vector >= msi->vectors || !message_may_be_sent(msi->config))
        return MESSAGE_LOST;

    vector &= msi_granted(msi) - 1;
    if (msi->has_masking) {
        uint32_t bit = 1u << vector;
        if ((config_space_get(msi->config, msi->capability + MSI_MASK, 4) & bit) != 0) {
            uint32_t pending = config_space_get(msi->config, msi->capability + MSI_PENDING, 4);
            config_space_set(msi->config, msi->capability + MSI_PENDING, 4, pending | bit);
            return MESSAGE_PENDING;
        }
    }
    send(msi, vector);
    return MESSAGE_SENT;
}

void msi_config_written(struct msi *msi, unsigned offset, unsigned width)
{
    if (!msi->has_masking || !msi_is_enabled(msi) || !message_may_be_sent(msi->config))
        return;
    if (!message_touches(offset, width, msi->capability, MSI_BYTES_MASKING) &&
        !message_touches(offset, width, CONFIG_COMMAND, 2))
        return;

    uint32_t pending = config_space_get(msi->config, msi->capability + MSI_PENDING, 4);
    uint32_t ready = pending & ~config_space_get(msi->config, msi->capability + MSI_MASK, 4);
    config_space_set(msi->config, msi->capability + MSI_PENDING, 4, pending & ~ready);
    for (unsigned vector = 0; vector < msi_granted(msi); vector++) {
        if ((ready >> vector & 1) != 0)
            send(msi, vector);
    }
}
