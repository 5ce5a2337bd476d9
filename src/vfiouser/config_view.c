/*
 * Reads and writes of the guest's config space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/config_view.h"

#include <errno.h>
#include <string.h>

#include "vfiouser/config_layout.h"

/* The widest naturally aligned access at offset within count. */
static unsigned access_width(unsigned offset, unsigned count)
{
    if (count >= 4 && offset % 4 == 0) {
        return 4;
    }
    return count >= 2 && offset % 2 == 0 ? 2 : 1;
}

static bool has_bits_of_device(const struct vu_config *config, unsigned offset, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        if (config->is_ours[offset + i] != 0xff) {
            return true;
        }
    }
    return false;
}

static int read_piece(struct vu_config *config, unsigned offset, unsigned width, uint8_t *out)
{
    uint32_t raw = 0;
    if (has_bits_of_device(config, offset, width)) {
        int error = config->ops->read(config->opaque, offset, width, &raw);
        if (error == -ENODEV) {
            memset(out, 0xff, width);
            return 0;
        }
        if (error != 0) {
            return error;
        }
    }
    for (unsigned i = 0; i < width; i++) {
        uint8_t ours = config->is_ours[offset + i];
        out[i] = (uint8_t)((raw >> (8 * i) & 0xff & ~ours) | (config->value[offset + i] & ours));
    }
    return 0;
}

int vu_config_read(struct vu_config *config, unsigned offset, unsigned count, uint8_t *out)
{
    while (count > 0) {
        unsigned width = access_width(offset, count);
        int error = read_piece(config, offset, width, out);
        if (error != 0) {
            return error;
        }
        offset += width;
        count -= width;
        out += width;
    }
    return 0;
}

/* Forwarded bits as the guest wants them, the others as the device has them. */
static int forward_piece(struct vu_config *config, unsigned offset, unsigned width,
                         const uint8_t *in)
{
    uint32_t forwarded = 0;
    uint32_t wanted = 0;
    uint32_t present = 0;
    int error = 0;
    for (unsigned i = 0; i < width; i++) {
        forwarded |= (uint32_t)config->is_forwarded[offset + i] << (8 * i);
        wanted |= (uint32_t)in[i] << (8 * i);
    }
    if (forwarded == 0) {
        return 0;
    }
    uint32_t all = width == 4 ? UINT32_MAX : (1u << (8 * width)) - 1;
    if (forwarded != all) {
        error = config->ops->read(config->opaque, offset, width, &present);
    }
    if (error == 0) {
        error = config->ops->write(config->opaque, offset, width,
                                   (present & ~forwarded & all) | (wanted & forwarded));
    }
    return error == -ENODEV ? 0 : error;
}

static uint8_t byte_of(unsigned offset, unsigned count, const uint8_t *in, unsigned wanted)
{
    return wanted >= offset && wanted - offset < count ? in[wanted - offset] : 0;
}

/* Bits that are not stored but do something. */
static bool asks_for_reset(const struct vu_config *config, unsigned offset, unsigned count,
                           const uint8_t *in)
{
    if (config->has_pcie_flr &&
        (byte_of(offset, count, in, config->pcie + PCIE_DEVICE_CONTROL + 1) &
         (PCIE_DEVICE_CONTROL_FLR >> 8))) {
        return true;
    }
    return config->has_af_flr &&
           (byte_of(offset, count, in, config->af + AF_CONTROL) & AF_CONTROL_FLR);
}

static unsigned power_state(const struct vu_config *config)
{
    return config->pm ? config->value[config->pm + PM_CONTROL] & PM_CONTROL_STATE : 0;
}

bool vu_config_is_awake(const struct vu_config *config)
{
    return power_state(config) == 0;
}

bool vu_config_is_master(const struct vu_config *config)
{
    return (config->value[PCI_COMMAND] & PCI_COMMAND_MASTER) && power_state(config) == 0;
}

static void store(struct vu_config *config, unsigned offset, unsigned count, const uint8_t *in)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t stored = config->is_stored[offset + i];
        config->value[offset + i] =
            (uint8_t)((config->value[offset + i] & ~stored) | (in[i] & stored));
    }
}

int vu_config_write(struct vu_config *config, unsigned offset, unsigned count, const uint8_t *in,
                    unsigned *effects)
{
    unsigned power_before = power_state(config);

    *effects = asks_for_reset(config, offset, count, in) ? VU_CONFIG_RESET : 0;
    store(config, offset, count, in);
    if (power_before == PM_STATE_D3HOT && power_state(config) == 0 && config->is_reset_by_power) {
        *effects |= VU_CONFIG_RESET;
    }
    bool is_master = vu_config_is_master(config);
    if (is_master != config->is_master) {
        config->is_master = is_master;
        *effects |= VU_CONFIG_BUS_MASTER;
    }
    while (count > 0) {
        unsigned width = access_width(offset, count);
        int error = forward_piece(config, offset, width, in);
        if (error != 0) {
            return error;
        }
        offset += width;
        count -= width;
        in += width;
    }
    return 0;
}

void vu_config_reset(struct vu_config *config)
{
    memcpy(config->value, config->initial, sizeof(config->value));
    config->is_master = vu_config_is_master(config);
}
