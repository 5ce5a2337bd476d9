/*
 * Who answers what in config space: the rules of the view, register by register.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vfiouser/config_layout.h"
#include "vfiouser/config_view.h"

/* More headers than fit: a list that is longer loops. */
#define MAX_CAPABILITIES ((PCI_CONVENTIONAL_BYTES - PCI_HEADER_BYTES) / 4)
#define MAX_EXTENDED     ((VU_CONFIG_MAX_BYTES - PCI_CONVENTIONAL_BYTES) / 4)

/* A view being made. */
struct making {
    struct vu_config *config;
    const struct vu_config_shape *shape;
    uint8_t device[VU_CONFIG_MAX_BYTES]; /* as it is now */
    bool is_known[VU_CONFIG_MAX_BYTES];  /* covered by a rule */
};

static uint32_t device_get(const struct making *making, unsigned offset, unsigned width)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < width && offset + i < VU_CONFIG_MAX_BYTES; i++) {
        value |= (uint32_t)making->device[offset + i] << (8 * i);
    }
    return value;
}

/* The rule of a register: bits of ours are answered with value, those of stored may be changed. */
static void rule(struct making *making, unsigned offset, unsigned width, uint32_t ours,
                 uint32_t value, uint32_t stored)
{
    struct vu_config *config = making->config;
    for (unsigned i = 0; i < width && offset + i < VU_CONFIG_MAX_BYTES; i++) {
        unsigned at = offset + i;
        config->is_ours[at] = (uint8_t)(ours >> (8 * i));
        config->is_stored[at] = (uint8_t)(stored >> (8 * i));
        config->value[at] = (uint8_t)(value >> (8 * i));
        config->is_forwarded[at] = 0;
        making->is_known[at] = true;
    }
}

/* Read from the device, never written. */
static void rule_read_only(struct making *making, unsigned offset, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        rule(making, offset + i, 1, 0, 0, 0);
    }
}

/* A register that the guest may set without anything happening to the device. */
static void rule_private(struct making *making, unsigned offset, unsigned width, uint32_t stored)
{
    rule(making, offset, width, UINT32_MAX, device_get(making, offset, width), stored);
}

static void rule_forward(struct making *making, unsigned offset, unsigned bytes)
{
    rule_read_only(making, offset, bytes);
    for (unsigned i = 0; i < bytes && offset + i < VU_CONFIG_MAX_BYTES; i++) {
        making->config->is_forwarded[offset + i] = 0xff;
    }
}

/* ---- Header -----------------------------------------------------------------------------------
 */

static void add_bars(struct making *making)
{
    for (unsigned bar = 0; bar < VU_BAR_COUNT; bar++) {
        uint64_t bytes = making->shape->bars[bar].bytes;
        uint8_t type = making->shape->bars[bar].type;
        uint64_t address = bytes ? ~(bytes - 1) & ~UINT64_C(0xf) : 0;
        unsigned offset = PCI_BAR0 + 4 * bar;
        rule(making, offset, 4, UINT32_MAX, bytes ? type : 0, (uint32_t)address);
        if (bytes && (type & PCI_BAR_64BIT) && bar + 1 < VU_BAR_COUNT) {
            rule(making, offset + 4, 4, UINT32_MAX, 0, (uint32_t)(address >> 32));
            bar++;
        }
    }
}

static void add_header(struct making *making)
{
    rule_read_only(making, 0, PCI_HEADER_BYTES);
    rule(making, PCI_COMMAND, 2, UINT32_MAX, 0, PCI_COMMAND_STORED);
    rule(making, PCI_STATUS, 2, ~PCI_STATUS_SHOWN & 0xffffu, 0, 0);
    rule(making, PCI_CACHE_LINE, 1, 0xff, 0, 0xff);
    rule(making, PCI_LATENCY, 1, 0xff, 0, 0);
    rule(making, PCI_HEADER_TYPE, 1, PCI_MULTIFUNCTION, 0, 0);
    rule(making, PCI_BIST, 1, 0xff, 0, 0);
    rule(making, PCI_ROM, 4, UINT32_MAX, 0, 0);
    rule(making, PCI_INTERRUPT_LINE, 1, 0xff, 0, 0xff);
    rule(making, PCI_INTERRUPT_PIN, 1, 0xff, 0, 0);
    add_bars(making);
}

/* ---- Capabilities -----------------------------------------------------------------------------
 */

/* The state is the guest's; no wake-up event ever comes. */
static void add_pm(struct making *making, unsigned at)
{
    uint32_t control = device_get(making, at + PM_CONTROL, 2);
    making->config->pm = at;
    making->config->is_reset_by_power = !(control & PM_CONTROL_NO_RESET);
    rule_read_only(making, at + 2, PM_BYTES - 2);
    rule(making, at + PM_CAPABILITIES, 2, 0xf800, 0, 0); /* PME# from no state */
    rule(making, at + PM_CONTROL, 2, UINT32_MAX, control & PM_CONTROL_NO_RESET, PM_CONTROL_STATE);
}

static unsigned log2_of(unsigned number)
{
    unsigned power = 0;
    while (number >> (power + 1)) {
        power++;
    }
    return power;
}

static void add_msi(struct making *making, unsigned at)
{
    uint32_t control = device_get(making, at + MSI_CONTROL, 2);
    unsigned capable = (control & MSI_CONTROL_CAPABLE) >> 1;
    unsigned granted = log2_of(making->shape->vectors);
    bool is_64bit = (control & MSI_CONTROL_64BIT) != 0;
    unsigned data = at + (is_64bit ? 12 : 8);

    capable = capable > 5 ? 5 : capable; /* what is above is reserved */
    capable = capable < granted ? capable : granted;
    making->config->msi = at;
    making->config->msi_count = 1u << capable;
    rule(making, at + MSI_CONTROL, 2, UINT32_MAX,
         (capable << 1) | (control & (MSI_CONTROL_64BIT | MSI_CONTROL_MASKABLE)),
         MSI_CONTROL_ENABLE | MSI_CONTROL_ALLOCATED);
    rule(making, at + 4, 4, UINT32_MAX, 0, 0xfffffffc);
    if (is_64bit) {
        rule(making, at + 8, 4, UINT32_MAX, 0, UINT32_MAX);
    }
    rule(making, data, 2, UINT32_MAX, 0, 0xffff);
    if (control & MSI_CONTROL_MASKABLE) {
        rule(making, data + 2, 2, UINT32_MAX, 0, 0);
        rule(making, data + 4, 4, UINT32_MAX, 0, UINT32_MAX);
        rule(making, data + 8, 4, UINT32_MAX, 0, 0);
    }
}

static struct vu_msix_place msix_place(uint32_t reg, uint64_t bytes)
{
    return (struct vu_msix_place){.bar = reg & 7, .offset = reg & ~UINT32_C(7), .bytes = bytes};
}

static void add_msix(struct making *making, unsigned at)
{
    unsigned size = (device_get(making, at + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
    unsigned count = size < making->shape->vectors ? size : making->shape->vectors;
    making->config->msix = at;
    making->config->msix_count = count;
    making->config->table = msix_place(device_get(making, at + MSIX_TABLE, 4), UINT64_C(16) * size);
    making->config->pba =
        msix_place(device_get(making, at + MSIX_PBA, 4), (UINT64_C(1) * size + 63) / 64 * 8);
    rule_read_only(making, at + 2, MSIX_BYTES - 2);
    rule(making, at + MSIX_CONTROL, 2, UINT32_MAX, count - 1, MSIX_CONTROL_STORED);
}

static void add_pcie(struct making *making, unsigned at)
{
    unsigned version = device_get(making, at + PCIE_FLAGS, 2) & PCIE_FLAGS_VERSION;
    unsigned bytes = version >= 2 ? PCIE_BYTES_2 : PCIE_BYTES_1;
    making->config->pcie = at;
    making->config->has_pcie_flr =
        (device_get(making, at + PCIE_DEVICE_CAPS, 4) & PCIE_DEVICE_CAPS_FLR) != 0;
    rule_read_only(making, at + 2, bytes - 2);
    rule_private(making, at + PCIE_DEVICE_CONTROL, 2, 0xffff & ~PCIE_DEVICE_CONTROL_FLR);
    rule(making, at + PCIE_DEVICE_STATUS, 2, ~PCIE_DEVICE_STATUS_SHOWN & 0xffffu, 0, 0);
    rule_private(making, at + PCIE_LINK_CONTROL, 2, 0xffff);
    rule(making, at + PCIE_LINK_STATUS, 2, PCIE_LINK_STATUS_EVENTS, 0, 0);
    if (version >= 2) {
        rule_private(making, at + PCIE_DEVICE_CONTROL_2, 2, 0xffff);
        rule_private(making, at + PCIE_LINK_CONTROL_2, 2, 0xffff);
    }
}

static void add_af(struct making *making, unsigned at)
{
    making->config->af = at;
    making->config->has_af_flr = (making->device[at + AF_CAPS] & AF_CAPS_FLR) != 0;
    rule_read_only(making, at + 2, AF_BYTES - 2);
}

static bool is_shown_to_guest(const struct making *making, uint8_t id)
{
    if (id == CAP_MSI || id == CAP_MSIX) {
        return making->shape->vectors > 0;
    }
    return id != CAP_EA; /* fixed addresses: the host's, of no meaning to a guest */
}

static void add_capability(struct making *making, uint8_t id, unsigned at)
{
    switch (id) {
    case CAP_PM:
        add_pm(making, at);
        break;
    case CAP_MSI:
        add_msi(making, at);
        break;
    case CAP_MSIX:
        add_msix(making, at);
        break;
    case CAP_PCIE:
        add_pcie(making, at);
        break;
    case CAP_AF:
        add_af(making, at);
        break;
    case CAP_SSVID:
        rule_read_only(making, at, 8);
        break;
    default: /* vendor's and others: what is not known is forwarded */
        break;
    }
    rule_read_only(making, at, 2);
}

/* The list without what is not shown: pointers of ours lead past it. */
static void add_capabilities(struct making *making)
{
    unsigned pointer = PCI_CAPABILITIES;
    if (!(device_get(making, PCI_STATUS, 2) & 0x10)) {
        return;
    }
    unsigned at = making->device[pointer] & 0xfc;
    for (unsigned left = MAX_CAPABILITIES; left > 0 && at >= PCI_HEADER_BYTES; left--) {
        uint8_t id = making->device[at];
        unsigned next = making->device[at + 1] & 0xfc;
        if (is_shown_to_guest(making, id)) {
            add_capability(making, id, at);
            rule(making, pointer, 1, 0xff, at, 0);
            pointer = at + 1;
        } else {
            rule(making, at, 4, UINT32_MAX, 0, 0);
        }
        at = next;
    }
    rule(making, pointer, 1, 0xff, 0, 0);
}

/* Nothing of the extended space is the guest's to change but what a vendor put there. */
static void add_extended(struct making *making)
{
    unsigned at = PCI_CONVENTIONAL_BYTES;
    rule_read_only(making, at, making->config->bytes - at);
    for (unsigned left = MAX_EXTENDED; left > 0 && at >= PCI_CONVENTIONAL_BYTES; left--) {
        uint32_t header = device_get(making, at, 4);
        unsigned next = (header >> 20) & 0xffc;
        if (header == 0 || header == UINT32_MAX) {
            break;
        }
        if ((header & 0xffff) == EXT_VENDOR || (header & 0xffff) == EXT_DVSEC) {
            unsigned bytes = device_get(making, at + 4, 4) >> 20;
            if (bytes > 8 && bytes <= VU_CONFIG_MAX_BYTES - at) {
                rule_forward(making, at + 8, bytes - 8);
            }
        }
        at = next;
    }
}

static int read_device(struct making *making)
{
    struct vu_config *config = making->config;
    for (unsigned offset = 0; offset < VU_CONFIG_MAX_BYTES; offset += 4) {
        uint32_t value;
        int error = config->ops->read(config->opaque, offset, 4, &value);
        if (error != 0) {
            return error;
        }
        for (unsigned i = 0; i < 4; i++) {
            making->device[offset + i] = (uint8_t)(value >> (8 * i));
        }
    }
    return 0;
}

int vu_config_init(struct vu_config *config, const struct vu_config_ops *ops, void *opaque,
                   const struct vu_config_shape *shape, const struct vu_report *report)
{
    struct making making = {.config = config, .shape = shape};

    memset(config, 0, sizeof(*config));
    config->ops = ops;
    config->opaque = opaque;
    config->report = report;
    int error = read_device(&making);
    if (error != 0) {
        return error;
    }
    add_header(&making);
    add_capabilities(&making);
    config->bytes = config->pcie ? VU_CONFIG_MAX_BYTES : PCI_CONVENTIONAL_BYTES;
    for (unsigned i = PCI_HEADER_BYTES; i < PCI_CONVENTIONAL_BYTES; i++) {
        if (!making.is_known[i]) {
            rule_forward(&making, i, 1);
        }
    }
    if (config->pcie) {
        add_extended(&making);
    }
    memcpy(config->initial, config->value, sizeof(config->initial));
    return 0;
}
