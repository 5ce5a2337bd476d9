/*
 * The only caller of the provider's ops: checks what each op's contract says is checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "provider/pci_provider.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "base/trace.h"
#include "provider/pci_registers.h"

/* More headers than fit: a list that is longer loops. */
#define MAX_CAPABILITIES ((PCI_STANDARD_BYTES - PCI_HEADER_BYTES) / 4)

int provider_open(struct pci_provider *provider)
{
    if (atomic_load(&provider->is_removed)) {
        return -ENODEV;
    }
    if (atomic_load(&provider->is_open)) {
        return -EBUSY;
    }
    int result = provider->ops->open(provider);
    trace_hop("provider", "open = %d", result);
    if (result == 0) {
        atomic_store(&provider->is_open, true);
    }
    return result;
}

void provider_close(struct pci_provider *provider)
{
    if (atomic_exchange(&provider->is_open, false)) {
        provider->ops->close(provider);
        trace_hop("provider", "close");
    }
}

void provider_remove(struct pci_provider *provider)
{
    if (!atomic_exchange(&provider->is_removed, true)) {
        provider->ops->remove(provider);
        trace_hop("provider", "remove");
    }
}

void provider_destroy(struct pci_provider *provider)
{
    if (provider) {
        provider_close(provider);
        provider->ops->destroy(provider);
    }
}

/* Common to the ops that mean nothing on a device that is gone. */
static int check_usable(struct pci_provider *provider)
{
    if (atomic_load(&provider->is_removed)) {
        return -ENODEV;
    }
    return atomic_load(&provider->is_open) ? 0 : -ENOTCONN;
}

static int check_config(struct pci_provider *provider, uint64_t offset, uint64_t width)
{
    if (!width_is_valid(width, 4) || !is_aligned(offset, width) ||
        !range_is_within(offset, width, PCI_CONFIG_BYTES)) {
        return -EINVAL;
    }
    return atomic_load(&provider->is_open) ? 0 : -ENOTCONN;
}

int provider_config_read(struct pci_provider *provider, uint64_t offset, uint64_t width,
                         uint32_t *value)
{
    *value = (uint32_t)ones_of_width(width_is_valid(width, 4) ? width : 4);
    int result = check_config(provider, offset, width);
    if (result == 0 && !atomic_load(&provider->is_removed)) {
        result = provider->ops->config_read(provider, (unsigned)offset, (unsigned)width, value);
    }
    trace_hop("provider", "config_read 0x%" PRIx64 "/%" PRIu64 " = 0x%" PRIx32 " (%d)", offset,
              width, *value, result);
    return result;
}

int provider_config_write(struct pci_provider *provider, uint64_t offset, uint64_t width,
                          uint32_t value)
{
    int result = check_config(provider, offset, width);
    if (result == 0 && !atomic_load(&provider->is_removed)) {
        value &= (uint32_t)ones_of_width(width);
        result = provider->ops->config_write(provider, (unsigned)offset, (unsigned)width, value);
    }
    trace_hop("provider", "config_write 0x%" PRIx64 "/%" PRIu64 " 0x%" PRIx32 " (%d)", offset,
              width, value, result);
    return result;
}

int provider_bar_info(struct pci_provider *provider, uint64_t bar, struct pci_bar_info *info)
{
    if (bar >= PCI_BAR_COUNT) {
        return -ENOENT;
    }
    int result = provider->ops->bar_info(provider, (unsigned)bar, info);
    if (result < 0) {
        return result;
    }
    struct pci_bar_info lower;
    info->memory_index = 0;
    for (unsigned i = 0; i < bar; i++) {
        info->memory_index += provider->ops->bar_info(provider, i, &lower) == 0;
    }
    return 0;
}

int provider_bar_of_memory_index(struct pci_provider *provider, uint64_t memory_index)
{
    struct pci_bar_info info;
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        if (provider->ops->bar_info(provider, bar, &info) == 0 && memory_index-- == 0) {
            return (int)bar;
        }
    }
    return -ENOENT;
}

static int check_memory(struct pci_provider *provider, uint64_t bar, uint64_t offset,
                        uint64_t width)
{
    struct pci_bar_info info;
    if (bar >= PCI_BAR_COUNT) {
        return -ENOENT;
    }
    int result = provider->ops->bar_info(provider, (unsigned)bar, &info);
    if (result < 0) {
        return result;
    }
    if (!width_is_valid(width, 8) || !is_aligned(offset, width) ||
        !range_is_within(offset, width, info.bytes)) {
        return -EINVAL;
    }
    return atomic_load(&provider->is_open) ? 0 : -ENOTCONN;
}

int provider_memory_read(struct pci_provider *provider, uint64_t bar, uint64_t offset,
                         uint64_t width, uint64_t *value)
{
    *value = ones_of_width(width_is_valid(width, 8) ? width : 8);
    int result = check_memory(provider, bar, offset, width);
    if (result == 0 && !atomic_load(&provider->is_removed)) {
        result =
            provider->ops->memory_read(provider, (unsigned)bar, offset, (unsigned)width, value);
    }
    trace_hop("provider",
              "memory_read bar %" PRIu64 " + 0x%" PRIx64 "/%" PRIu64 " = 0x%" PRIx64 " (%d)", bar,
              offset, width, *value, result);
    return result;
}

int provider_memory_write(struct pci_provider *provider, uint64_t bar, uint64_t offset,
                          uint64_t width, uint64_t value)
{
    int result = check_memory(provider, bar, offset, width);
    if (result == 0 && !atomic_load(&provider->is_removed)) {
        value &= ones_of_width(width);
        result =
            provider->ops->memory_write(provider, (unsigned)bar, offset, (unsigned)width, value);
    }
    trace_hop("provider",
              "memory_write bar %" PRIu64 " + 0x%" PRIx64 "/%" PRIu64 " 0x%" PRIx64 " (%d)", bar,
              offset, width, value, result);
    return result;
}

int provider_bar_memory(struct pci_provider *provider, uint64_t bar, struct pci_bar_memory *memory)
{
    struct pci_bar_info info;
    int result = provider_bar_info(provider, bar, &info);
    if (result < 0) {
        return result;
    }
    if (DEXT_BAR_IS_IO(info.type)) {
        return -ENOTSUP;
    }
    result = check_usable(provider);
    return result < 0 ? result : provider->ops->bar_memory(provider, (unsigned)bar, memory);
}

unsigned provider_find_capability(struct pci_provider *provider, uint8_t id)
{
    uint32_t value;
    if (provider_config_read(provider, PCI_STATUS, 2, &value) < 0 ||
        !(value & PCI_STATUS_CAPABILITIES) ||
        provider_config_read(provider, PCI_CAPABILITIES_POINTER, 1, &value) < 0) {
        return 0;
    }
    for (unsigned left = MAX_CAPABILITIES; left > 0; left--) {
        unsigned offset = value & 0xfc;
        if (offset < PCI_HEADER_BYTES || provider_config_read(provider, offset, 2, &value) < 0 ||
            value == 0xffff) {
            return 0;
        }
        if ((value & 0xff) == id) {
            return offset;
        }
        value >>= 8;
    }
    return 0;
}

int provider_configure_interrupts(struct pci_provider *provider, enum pci_interrupt_kind kind,
                                  unsigned wanted, pci_interrupt_fn handler, void *context,
                                  unsigned *granted)
{
    if (wanted == 0 || wanted > DEXT_IRQ_MAX_VECTORS || !handler) {
        return -EINVAL;
    }
    int result = check_usable(provider);
    if (result == 0) {
        result =
            provider->ops->configure_interrupts(provider, kind, wanted, handler, context, granted);
    }
    trace_hop("provider", "configure_interrupts %s %u (%d)",
              kind == PCI_INTERRUPT_MSIX ? "msix" : "msi", wanted, result);
    return result;
}

void provider_release_interrupts(struct pci_provider *provider)
{
    provider->ops->release_interrupts(provider);
    trace_hop("provider", "release_interrupts");
}

int provider_reset(struct pci_provider *provider, enum pci_reset_kind kind)
{
    int result = check_usable(provider);
    if (result == 0) {
        result = provider->ops->reset(provider, kind);
    }
    trace_hop("provider", "reset kind %d (%d)", (int)kind, result);
    return result;
}

int provider_link_state(struct pci_provider *provider, struct pci_link_state *state)
{
    if (!provider->ops->link_state) {
        return -ENOTSUP;
    }
    return atomic_load(&provider->is_removed) ? -ENODEV
                                              : provider->ops->link_state(provider, state);
}

int provider_dma_map(struct pci_provider *provider, struct dma_memory *memory, uint64_t offset,
                     uint64_t bytes, iova_t wanted, enum dart_direction direction, uint64_t owner,
                     struct dart_mapping **out)
{
    if (atomic_load(&provider->is_removed)) {
        return -ENODEV;
    }
    struct dart_mapping *mapping;
    int result =
        dart_map(provider->dart, memory, offset, bytes, wanted, direction, owner, &mapping);
    if (result == 0 && provider->ops->dma_map) {
        result = provider->ops->dma_map(provider, mapping, memory, offset, direction);
        if (result < 0) {
            dart_unmap(provider->dart, mapping);
        }
    }
    trace_hop("provider", "dma_map %" PRIu64 " bytes (%d)", bytes, result);
    if (result == 0) {
        *out = mapping;
    }
    return result;
}

void provider_dma_unmap(struct pci_provider *provider, struct dart_mapping *mapping)
{
    if (!mapping) {
        return;
    }
    if (provider->ops->dma_unmap) {
        provider->ops->dma_unmap(provider, mapping);
    }
    dart_unmap(provider->dart, mapping);
    trace_hop("provider", "dma_unmap");
}
