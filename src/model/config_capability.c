/*
 * Builders for the capabilities a model's config space may carry, and the power state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/config_capability.h"

#include <string.h>

#include "base/checked.h"
#include "model/config_registers.h"
#include "model/config_space.h"

#define D3HOT                    3

#define TYPE_INTEGRATED_ENDPOINT 9
#define TYPE_EVENT_COLLECTOR     10

/* Whether a capability's registers end inside the part of config space it is in. */
static bool fits(unsigned base, unsigned bytes)
{
    return range_is_within(base, bytes,
                           base < CONFIG_SPACE_CONVENTIONAL ? CONFIG_SPACE_CONVENTIONAL
                                                            : CONFIG_SPACE_BYTES);
}

static void fill_link(struct config_space *config, unsigned base, const struct config_pcie *pcie)
{
    uint32_t link = pcie->link_speed | (uint32_t)pcie->link_width << 4;

    config_space_set(config, base + PCIE_LINK_CAPABILITIES, 4, link);
    config_space_set(config, base + PCIE_LINK_STATUS, 2, link | 0x1000); /* slot clock */
    config_space_set(config, base + PCIE_LINK_CAPABILITIES_2, 4,
                     ((1u << pcie->link_speed) - 1) << 1);
    config_space_set(config, base + PCIE_LINK_CONTROL_2, 2, pcie->link_speed);
}

void config_mask_pcie(struct config_space *config, unsigned base)
{
    uint32_t flags = config_space_get(config, base + PCIE_CAPABILITIES, 2);
    unsigned type = flags >> 4 & 0xf;
    bool has_link = type != TYPE_INTEGRATED_ENDPOINT && type != TYPE_EVENT_COLLECTOR;

    if (!fits(base, has_link ? PCIE_BYTES_1 : PCIE_LINK_CAPABILITIES))
        return;
    config_space_set_writable(config, base + PCIE_DEVICE_CONTROL, 2,
                              0x79ff); /* not Initiate FLR, which the host sees and which reads 0 */
    config_space_set_w1c(config, base + PCIE_DEVICE_STATUS, 2, 0x000f);
    if (has_link)
        config_space_set_writable(config, base + PCIE_LINK_CONTROL, 2, 0x01cb);
    if ((flags & 0xf) < 2 || !fits(base, PCIE_BYTES))
        return;
    config_space_set_writable(config, base + PCIE_DEVICE_CONTROL_2, 2, 0x0010);
    if (has_link)
        config_space_set_writable(config, base + PCIE_LINK_CONTROL_2, 2, 0x003f);
}

unsigned config_add_pcie(struct config_space *config, const struct config_pcie *pcie)
{
    unsigned base = config_space_add_capability(config, CAPABILITY_PCIE, PCIE_BYTES);
    if (base == 0)
        return 0;

    config_space_set(config, base + PCIE_CAPABILITIES, 2, 0x0002); /* version 2, endpoint */
    /* 256-byte payload, 8-bit tags, role-based error reporting */
    config_space_set(config, base + PCIE_DEVICE_CAPABILITIES, 4,
                     0x8021u | (pcie->has_flr ? PCIE_DEVICE_CAPABILITIES_FLR : 0));
    config_space_set(config, base + PCIE_DEVICE_CONTROL, 2, 0x2810); /* 512-byte reads, relaxed */
    config_space_set(config, base + PCIE_DEVICE_CAPABILITIES_2, 4, 0x10); /* timeout disable */
    fill_link(config, base, pcie);
    config_mask_pcie(config, base);
    return base;
}

void config_mask_power(struct config_space *config, unsigned base)
{
    if (fits(base, POWER_BYTES))
        config_space_set_writable(config, base + POWER_CONTROL, 2, POWER_CONTROL_STATE);
}

unsigned config_add_power(struct config_space *config, bool no_soft_reset)
{
    unsigned base = config_space_add_capability(config, CAPABILITY_POWER, POWER_BYTES);
    if (base == 0)
        return 0;
    config_space_set(config, base + POWER_CAPABILITIES, 2, 0x0003); /* version 3; no D1, D2, PME */
    config_space_set(config, base + POWER_CONTROL, 2,
                     no_soft_reset ? POWER_CONTROL_NO_SOFT_RESET : 0);
    config_mask_power(config, base);
    return base;
}

unsigned config_add_vendor(struct config_space *config, const void *body, unsigned count)
{
    if (count > 252)
        return 0;
    unsigned base = config_space_add_capability(config, CAPABILITY_VENDOR, 3 + count);
    if (base == 0)
        return 0;
    config_space_set(config, base + 2, 1, 3 + count);
    memcpy(config->value + base + 3, body, count);
    return base;
}

void config_mask_aer(struct config_space *config, unsigned base)
{
    if (!fits(base, AER_BYTES))
        return;
    config_space_set_w1c(config, base + AER_UNCORRECTABLE_STATUS, 4, 0x001ff030);
    config_space_set_writable(config, base + AER_UNCORRECTABLE_MASK, 4, 0x001ff030);
    config_space_set_writable(config, base + AER_UNCORRECTABLE_SEVERITY, 4, 0x001ff030);
    config_space_set_w1c(config, base + AER_CORRECTABLE_STATUS, 4, 0x000031c1);
    config_space_set_writable(config, base + AER_CORRECTABLE_MASK, 4, 0x000031c1);
}

unsigned config_add_aer(struct config_space *config)
{
    unsigned base = config_space_add_extended(config, EXTENDED_AER, 2, AER_BYTES);
    if (base == 0)
        return 0;
    config_space_set(config, base + AER_UNCORRECTABLE_SEVERITY, 4, 0x00062030);
    config_space_set(config, base + AER_CORRECTABLE_MASK, 4, 0x00002000); /* advisory non-fatal */
    config_mask_aer(config, base);
    return base;
}

unsigned config_add_serial(struct config_space *config, uint64_t serial)
{
    unsigned base = config_space_add_extended(config, EXTENDED_SERIAL, 1, 12);
    if (base == 0)
        return 0;
    config_space_set(config, base + 4, 4, (uint32_t)serial);
    config_space_set(config, base + 8, 4, (uint32_t)(serial >> 32));
    return base;
}

unsigned config_add_vendor_extended(struct config_space *config, uint16_t id, uint8_t revision,
                                    const void *body, unsigned count)
{
    if (count > CONFIG_SPACE_BYTES)
        return 0;
    unsigned base = config_space_add_extended(config, EXTENDED_VENDOR, 1, 8 + count);
    if (base == 0)
        return 0;
    config_space_set(config, base + 4, 4,
                     id | (uint32_t)(revision & 0xf) << 16 | (uint32_t)(8 + count) << 20);
    memcpy(config->value + base + 8, body, count);
    return base;
}

void config_set_transactions_pending(struct config_space *config, bool is_pending)
{
    unsigned base = config_space_find(config, CAPABILITY_PCIE);
    if (base == 0)
        return;
    uint32_t status = config_space_get(config, base + PCIE_DEVICE_STATUS, 2);
    status &= ~PCIE_DEVICE_STATUS_PENDING;
    config_space_set(config, base + PCIE_DEVICE_STATUS, 2,
                     status | (is_pending ? PCIE_DEVICE_STATUS_PENDING : 0));
}

enum config_power_change config_power_written(struct config_space *config, uint8_t *state)
{
    unsigned base = config_space_find(config, CAPABILITY_POWER);
    if (base == 0)
        return CONFIG_POWER_SAME;
    uint32_t control = config_space_get(config, base + POWER_CONTROL, 2);
    uint8_t wanted = control & POWER_CONTROL_STATE;

    if (wanted != 0 && wanted != D3HOT) {
        config_space_set(config, base + POWER_CONTROL, 2,
                         (control & ~POWER_CONTROL_STATE) | *state);
        return CONFIG_POWER_SAME;
    }
    if (wanted == *state)
        return CONFIG_POWER_SAME;
    *state = wanted;
    if (wanted == D3HOT)
        return CONFIG_POWER_SLEPT;
    return (control & POWER_CONTROL_NO_SOFT_RESET) != 0 ? CONFIG_POWER_WOKE
                                                        : CONFIG_POWER_WOKE_RESET;
}
