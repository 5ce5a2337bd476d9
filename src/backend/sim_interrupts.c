/*
 * The kernel's part of message-signalled interrupts: allocation, programming the device, and
 * messages that become vectors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/trace.h"
#include "provider/pci_registers.h"

static uint8_t capability_id(enum pci_interrupt_kind kind)
{
    return kind == PCI_INTERRUPT_MSIX ? PCI_CAPABILITY_MSIX : PCI_CAPABILITY_MSI;
}

static unsigned table_entries_locked(struct sim *sim, unsigned msix)
{
    return (sim_config_get_locked(sim, msix + PCI_MSIX_CONTROL, 2) & PCI_MSIX_SIZE_MASK) + 1;
}

static bool table_is_sound_locked(struct sim *sim, unsigned msix)
{
    uint32_t place = sim_config_get_locked(sim, msix + PCI_MSIX_TABLE, 4);
    unsigned bar = place & PCI_MSIX_TABLE_BAR_MASK;
    return bar < PCI_BAR_COUNT &&
           range_is_within(place & ~PCI_MSIX_TABLE_BAR_MASK,
                           (uint64_t)table_entries_locked(sim, msix) * PCI_MSIX_ENTRY_BYTES,
                           sim->model->shape.bars[bar].bytes);
}

/* How many vectors the device has of this kind; 0 when it has none that work. */
static unsigned device_vectors_locked(struct sim *sim, enum pci_interrupt_kind kind)
{
    unsigned capability = sim_capability_locked(sim, capability_id(kind));
    if (!capability || sim->fault == SIM_FAULT_VECTORS ||
        (sim->fault == SIM_FAULT_MSIX && kind == PCI_INTERRUPT_MSIX)) {
        return 0;
    }
    if (kind == PCI_INTERRUPT_MSI) {
        unsigned shift =
            (sim_config_get_locked(sim, capability + PCI_MSI_CONTROL, 2) >> PCI_MSI_CAPABLE_SHIFT) &
            7;
        return 1u << (shift < 5 ? shift : 5);
    }
    if (!table_is_sound_locked(sim, capability)) {
        log_warning("backend", "%s: MSI-X table lies outside its BAR", sim->model->ops->name);
        return 0;
    }
    unsigned entries = table_entries_locked(sim, capability);
    return entries < DEXT_IRQ_MAX_VECTORS ? entries : DEXT_IRQ_MAX_VECTORS;
}

static void write_entry_locked(struct sim *sim, unsigned bar, uint64_t entry, unsigned vector,
                               bool is_granted)
{
    sim_memory_write_locked(sim, bar, entry + PCI_MSIX_ENTRY_ADDRESS, 4, (uint32_t)SIM_DOORBELL);
    sim_memory_write_locked(sim, bar, entry + PCI_MSIX_ENTRY_ADDRESS_HIGH, 4, SIM_DOORBELL >> 32);
    sim_memory_write_locked(sim, bar, entry + PCI_MSIX_ENTRY_DATA, 4, vector);
    sim_memory_write_locked(sim, bar, entry + PCI_MSIX_ENTRY_CONTROL, 4,
                            is_granted ? 0 : PCI_MSIX_ENTRY_MASKED);
}

static void program_msix_locked(struct sim *sim, unsigned msix)
{
    uint32_t place = sim_config_get_locked(sim, msix + PCI_MSIX_TABLE, 4);
    unsigned bar = place & PCI_MSIX_TABLE_BAR_MASK;
    uint64_t table = place & ~PCI_MSIX_TABLE_BAR_MASK;
    uint32_t control = sim_config_get_locked(sim, msix + PCI_MSIX_CONTROL, 2);
    uint32_t command = sim_config_get_locked(sim, PCI_COMMAND, 2);

    /* The table is BAR memory: it takes decode to reach it, whatever the client has set. */
    sim_config_write_locked(sim, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    sim_config_write_locked(sim, msix + PCI_MSIX_CONTROL, 2,
                            control | PCI_MSIX_ENABLE | PCI_MSIX_FUNCTION_MASK);
    unsigned entries = table_entries_locked(sim, msix);
    for (unsigned vector = 0; vector < entries; vector++) {
        write_entry_locked(sim, bar, table + (uint64_t)vector * PCI_MSIX_ENTRY_BYTES, vector,
                           vector < sim->interrupts.granted);
    }
    sim_config_write_locked(sim, PCI_COMMAND, 2, command);
    control &= ~(uint32_t)PCI_MSIX_FUNCTION_MASK;
    sim_config_write_locked(sim, msix + PCI_MSIX_CONTROL, 2, control | PCI_MSIX_ENABLE);
}

static void program_msi_locked(struct sim *sim, unsigned msi)
{
    uint32_t control = sim_config_get_locked(sim, msi + PCI_MSI_CONTROL, 2);
    unsigned shift = (unsigned)__builtin_ctz(sim->interrupts.granted);

    sim_config_write_locked(sim, msi + PCI_MSI_ADDRESS, 4, (uint32_t)SIM_DOORBELL);
    if (control & PCI_MSI_64BIT) {
        sim_config_write_locked(sim, msi + PCI_MSI_ADDRESS_HIGH, 4, SIM_DOORBELL >> 32);
    }
    /* The device puts the vector in the low bits. */
    sim_config_write_locked(sim, msi + PCI_MSI_DATA(control), 2, 0);
    if (control & PCI_MSI_MASKING) {
        sim_config_write_locked(sim, msi + PCI_MSI_MASK(control), 4, 0);
    }
    control &= ~(7u << PCI_MSI_ENABLED_SHIFT);
    control |= shift << PCI_MSI_ENABLED_SHIFT | PCI_MSI_ENABLE;
    sim_config_write_locked(sim, msi + PCI_MSI_CONTROL, 2, control);
}

void sim_interrupts_program_locked(struct sim *sim)
{
    if (!sim->interrupts.handler) {
        return;
    }
    unsigned capability = sim_capability_locked(sim, capability_id(sim->interrupts.kind));
    if (sim->interrupts.kind == PCI_INTERRUPT_MSIX) {
        program_msix_locked(sim, capability);
    } else {
        program_msi_locked(sim, capability);
    }
}

static int configure_locked(struct sim *sim, enum pci_interrupt_kind kind, unsigned wanted)
{
    struct sim_interrupts *interrupts = &sim->interrupts;
    unsigned limit = device_vectors_locked(sim, kind);
    if (limit == 0 || (interrupts->is_allocated && interrupts->kind != kind)) {
        return -ENOTSUP;
    }
    if (interrupts->is_allocated && interrupts->allocated < limit) {
        limit = interrupts->allocated;
    }
    if (kind == PCI_INTERRUPT_MSI && (wanted & (wanted - 1)) != 0) {
        wanted = 1u << (32 - __builtin_clz(wanted));
    }
    interrupts->granted = wanted < limit ? wanted : limit;
    if (!interrupts->is_allocated) {
        interrupts->is_allocated = true;
        interrupts->kind = kind;
        interrupts->allocated = interrupts->granted;
    }
    return 0;
}

int sim_interrupts_halve_locked(struct sim *sim)
{
    enum pci_interrupt_kind kind =
        sim_capability_locked(sim, PCI_CAPABILITY_MSIX) ? PCI_INTERRUPT_MSIX : PCI_INTERRUPT_MSI;
    unsigned vectors = device_vectors_locked(sim, kind);
    if (vectors < 2) {
        return -ENOTSUP;
    }
    sim->interrupts.is_allocated = true;
    sim->interrupts.kind = kind;
    sim->interrupts.allocated = vectors / 2;
    return 0;
}

int sim_configure_interrupts(struct pci_provider *provider, enum pci_interrupt_kind kind,
                             unsigned wanted, pci_interrupt_fn handler, void *context,
                             unsigned *granted)
{
    struct sim *sim = sim_of(provider);
    sim_lock(sim);
    int result = -ENODEV;
    if (!sim_is_removed(sim)) {
        sim_restore_if_ready_locked(sim);
        result = configure_locked(sim, kind, wanted);
    }
    if (result == 0) {
        *granted = sim->interrupts.granted;
        sim->interrupts.handler = handler;
        sim->interrupts.context = context;
        sim_interrupts_program_locked(sim);
    }
    sim_unlock(sim);
    return result;
}

void sim_interrupts_release_locked(struct sim *sim)
{
    struct sim_interrupts *interrupts = &sim->interrupts;
    if (!interrupts->handler) {
        return;
    }
    interrupts->handler = NULL;
    interrupts->context = NULL;
    if (sim_is_removed(sim)) {
        return;
    }
    /* Both controls are the word behind the header. */
    unsigned control =
        sim_capability_locked(sim, capability_id(interrupts->kind)) + PCI_MSIX_CONTROL;
    uint32_t enable = interrupts->kind == PCI_INTERRUPT_MSIX ? PCI_MSIX_ENABLE : PCI_MSI_ENABLE;
    sim_config_write_locked(sim, control, 2, sim_config_get_locked(sim, control, 2) & ~enable);
}

void sim_release_interrupts(struct pci_provider *provider)
{
    struct sim *sim = sim_of(provider);
    /* The handler runs under this lock: once we have it, none runs. */
    sim_lock(sim);
    sim_interrupts_release_locked(sim);
    sim_unlock(sim);
}

__attribute__((hot)) void sim_interrupts_deliver_locked(struct sim *sim, uint32_t data)
{
    struct sim_interrupts *interrupts = &sim->interrupts;
    if (sim->fault == SIM_FAULT_INTERRUPTS) {
        return;
    }
    if (interrupts->handler && data < interrupts->granted) {
        trace_hop("backend", "sim interrupt vector %u", (unsigned)data);
        interrupts->handler(interrupts->context, data);
    }
}
