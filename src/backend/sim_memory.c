/*
 * BARs of a simulated device: addresses, decode, and accesses to direct and trapped ranges.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <inttypes.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "base/log.h"
#include "base/plain_memory.h"
#include "base/trace.h"
#include "provider/pci_registers.h"

/* Addresses below a root port of its own, as every slot on Apple silicon has. */
struct window {
    uint64_t next, end;
};

static uint64_t window_take(struct window *window, uint64_t bytes)
{
    uint64_t address = align_up(window->next, bytes);
    if (address < window->next || address > window->end || window->end - address < bytes) {
        return 0;
    }
    window->next = address + bytes;
    return address;
}

void sim_assign_bars(struct sim *sim)
{
    struct window io = {0x1000, 0x10000};
    struct window low = {UINT64_C(0x80000000), UINT64_C(0xfe000000)};
    struct window high = {UINT64_C(0x800000000), UINT64_C(1) << 47};
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        const struct model_bar *shape = &sim->model->shape.bars[bar];
        uint64_t address = 0;
        if (shape->bytes == 0) {
            continue;
        }
        if (DEXT_BAR_IS_IO(shape->type)) {
            address = window_take(&io, shape->bytes);
        } else if (!DEXT_BAR_IS_64BIT(shape->type) || !DEXT_BAR_IS_PREFETCH(shape->type)) {
            address = window_take(&low, shape->bytes);
        }
        if (address == 0 && DEXT_BAR_IS_64BIT(shape->type)) {
            address = window_take(&high, shape->bytes);
        }
        if (address == 0) {
            log_warning("backend", "%s: no room for BAR %u of %" PRIu64 " bytes",
                        sim->model->ops->name, bar, shape->bytes);
        }
        sim->bars[bar].address = address;
    }
}

void sim_write_bars_locked(struct sim *sim)
{
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        const struct model_bar *shape = &sim->model->shape.bars[bar];
        uint64_t address = sim->bars[bar].address;
        if (shape->bytes == 0) {
            continue;
        }
        sim_config_write_locked(sim, PCI_BAR(bar), 4, (uint32_t)address);
        if (DEXT_BAR_IS_64BIT(shape->type)) {
            sim_config_write_locked(sim, PCI_BAR(bar + 1), 4, (uint32_t)(address >> 32));
        }
    }
}

/* Whether an access by the host to where the "kernel" put the BAR is the device's to answer: a BAR
 * that was moved, or is being sized, does not answer there. */
static bool bar_is_decoded_locked(struct sim *sim, unsigned bar, uint64_t offset)
{
    if (offset >= sim_fault_window(sim, bar) || sim->fault == SIM_FAULT_ONES) {
        return false;
    }
    uint8_t type = sim->model->shape.bars[bar].type;
    uint16_t needed = DEXT_BAR_IS_IO(type) ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    uint64_t type_bits = DEXT_BAR_IS_IO(type) ? 0x3 : 0xf;
    uint64_t address = sim_config_get_locked(sim, PCI_BAR(bar), 4) & ~type_bits;
    if (DEXT_BAR_IS_64BIT(type)) {
        address |= (uint64_t)sim_config_get_locked(sim, PCI_BAR(bar + 1), 4) << 32;
    }
    return (sim_config_get_locked(sim, PCI_COMMAND, 2) & needed) != 0 && sim_is_in_d0_locked(sim) &&
           address != 0 && address == sim->bars[bar].address;
}

/* Where an offset lies in direct memory; NULL when it is trapped. Ranges are whole pages, so a
 * naturally aligned access never straddles their ends. */
static void *find_direct(struct sim *sim, unsigned bar, uint64_t offset)
{
    const struct model_bar *shape = &sim->model->shape.bars[bar];
    for (unsigned i = 0; i < shape->direct_count; i++) {
        const struct model_range *range = &shape->direct[i];
        if (offset >= range->offset && offset - range->offset < range->bytes) {
            return (uint8_t *)sim->bars[bar].direct.address + offset;
        }
    }
    return NULL;
}

/* Whoever has the range mapped, and a model that watches it, uses the words at the same time. */
void sim_memory_write_locked(struct sim *sim, unsigned bar, uint64_t offset, unsigned width,
                             uint64_t value)
{
    if (!bar_is_decoded_locked(sim, bar, offset)) {
        return;
    }
    void *direct = find_direct(sim, bar, offset);
    if (direct) {
        plain_store(direct, width, value);
        if (sim->model->ops->direct_written) {
            sim->model->ops->direct_written(sim->model, bar, offset, width);
        }
        return;
    }
    trace_hop("model", "%s mmio_write bar %u + 0x%" PRIx64 "/%u 0x%" PRIx64, sim->model->ops->name,
              bar, offset, width, value);
    sim->model->ops->mmio_write(sim->model, bar, offset, width, value);
}

static uint64_t memory_read_locked(struct sim *sim, unsigned bar, uint64_t offset, unsigned width)
{
    if (!bar_is_decoded_locked(sim, bar, offset)) {
        return ones_of_width(width);
    }
    const void *direct = find_direct(sim, bar, offset);
    if (direct) {
        return plain_load(direct, width);
    }
    uint64_t value =
        sim->model->ops->mmio_read(sim->model, bar, offset, width) & ones_of_width(width);
    trace_hop("model", "%s mmio_read bar %u + 0x%" PRIx64 "/%u = 0x%" PRIx64, sim->model->ops->name,
              bar, offset, width, value);
    return value;
}

/* Ports are 32 bits wide at most. */
static int check_width(struct sim *sim, unsigned bar, unsigned width)
{
    return width == 8 && DEXT_BAR_IS_IO(sim->model->shape.bars[bar].type) ? -ENOTSUP : 0;
}

int sim_memory_read(struct pci_provider *provider, unsigned bar, uint64_t offset, unsigned width,
                    uint64_t *value)
{
    struct sim *sim = sim_of(provider);
    *value = ones_of_width(width);
    int result = check_width(sim, bar, width);
    if (result < 0) {
        return result;
    }
    sim_lock(sim);
    if (!sim_is_removed(sim)) {
        sim_restore_if_ready_locked(sim);
        *value = memory_read_locked(sim, bar, offset, width);
    }
    trace_hop("backend", "sim memory_read bar %u + 0x%" PRIx64 "/%u = 0x%" PRIx64, bar, offset,
              width, *value);
    sim_unlock(sim);
    return 0;
}

int sim_memory_write(struct pci_provider *provider, unsigned bar, uint64_t offset, unsigned width,
                     uint64_t value)
{
    struct sim *sim = sim_of(provider);
    int result = check_width(sim, bar, width);
    if (result < 0) {
        return result;
    }
    sim_lock(sim);
    trace_hop("backend", "sim memory_write bar %u + 0x%" PRIx64 "/%u 0x%" PRIx64, bar, offset,
              width, value);
    if (!sim_is_removed(sim)) {
        sim_restore_if_ready_locked(sim);
        sim_memory_write_locked(sim, bar, offset, width, value);
    }
    sim_unlock(sim);
    return 0;
}

/* The shape never changes, so neither of the next two takes the lock. */
int sim_bar_info(struct pci_provider *provider, unsigned bar, struct pci_bar_info *info)
{
    const struct model_bar *shape = &sim_of(provider)->model->shape.bars[bar];
    if (shape->bytes == 0 || sim_of(provider)->fault == SIM_FAULT_NO_BARS) {
        return -ENOENT;
    }
    *info = (struct pci_bar_info){.bytes = shape->bytes, .type = shape->type};
    return 0;
}

int sim_bar_memory(struct pci_provider *provider, unsigned bar, struct pci_bar_memory *memory)
{
    struct sim *sim = sim_of(provider);
    const struct model_bar *shape = &sim->model->shape.bars[bar];
    if (sim->fault == SIM_FAULT_MAP) {
        return -ENOMEM;
    }
    *memory = (struct pci_bar_memory){.bytes = sim_fault_window(sim, bar)};
    for (unsigned i = 0; i < shape->direct_count; i++) {
        if (shape->direct[i].offset + shape->direct[i].bytes > memory->bytes) {
            break;
        }
        memory->ranges[memory->range_count++] =
            (struct pci_direct_range){.offset = shape->direct[i].offset,
                                      .bytes = shape->direct[i].bytes,
                                      .fd = sim->bars[bar].direct.fd,
                                      .fd_offset = shape->direct[i].offset};
    }
    return 0;
}
