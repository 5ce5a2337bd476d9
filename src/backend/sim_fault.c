/*
 * Devices that are broken in one way each, so that tools can show that they name it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/sim_internal.h"
#include "provider/pci_registers.h"

#define EXPRESS_LINK_CAPS      0x0c
#define AER_ID                 0x0001
#define AER_UNCORRECTABLE      0x04
#define AER_COMPLETION_TIMEOUT (1u << 14)
#define LINK_AT_LEAST          (1u << PCI_EXPRESS_LINK_WIDTH_SHIFT | 1u) /* x1, 2.5 GT/s */
#define LINK_BITS              0x3ffu
#define CAPABILITY_FIRST       0x34
#define CAPABILITY_LIST_HOPS   48
#define WINDOW_LEAST_BYTES     UINT64_C(0x8000) /* a BAR that can be halved and mapped still */
#define DMA_ADDRESS_BROKEN_BIT (UINT64_C(1) << 45)

static const char *const fault_names[] = {
#define FAULT_NAME(constant, name) [SIM_FAULT_##constant] = name,
    SIM_FAULTS(FAULT_NAME)
#undef FAULT_NAME
};
#define FAULT_COUNT (sizeof(fault_names) / sizeof(fault_names[0]))

/* The last capability of the list points back to the first. */
static int break_chain(struct sim *sim)
{
    struct config_space *config = sim->model->config;
    unsigned first = config_space_get(config, CAPABILITY_FIRST, 1);
    unsigned last = first;
    for (unsigned hop = 0; hop < CAPABILITY_LIST_HOPS && last; hop++) {
        unsigned next = config_space_get(config, last + 1, 1);
        if (!next) {
            config_space_set(config, last + 1, 1, first);
            return 0;
        }
        last = next;
    }
    return -ENOTSUP;
}

static int break_link(struct sim *sim)
{
    struct config_space *config = sim->model->config;
    unsigned express = sim_capability_locked(sim, PCI_CAPABILITY_EXPRESS);
    uint32_t most = express ? config_space_get(config, express + EXPRESS_LINK_CAPS, 4) : 0;
    if ((most & LINK_BITS) <= LINK_AT_LEAST) {
        return -ENOTSUP;
    }
    uint32_t status = config_space_get(config, express + PCI_EXPRESS_LINK_STATUS, 2);
    config_space_set(config, express + PCI_EXPRESS_LINK_STATUS, 2,
                     (status & ~LINK_BITS) | LINK_AT_LEAST);
    return 0;
}

static int break_aer(struct sim *sim)
{
    struct config_space *config = sim->model->config;
    unsigned aer = config_space_find_extended(config, AER_ID);
    if (!aer) {
        return -ENOTSUP;
    }
    config_space_set(config, aer + AER_UNCORRECTABLE, 4, AER_COMPLETION_TIMEOUT);
    return 0;
}

static int break_power(struct sim *sim)
{
    if (!sim_capability_locked(sim, PCI_CAPABILITY_POWER)) {
        return -ENOTSUP;
    }
    sim_fault_config_written_locked(sim);
    return 0;
}

static int break_bars(struct sim *sim)
{
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        sim->bars[bar].address = 0;
    }
    sim_write_bars_locked(sim);
    return 0;
}

static int break_window(struct sim *sim)
{
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        if (sim_fault_window(sim, bar) < sim->model->shape.bars[bar].bytes) {
            return 0;
        }
    }
    return -ENOTSUP;
}

/* The driver falls back to MSI: without both there is no falling. */
static int break_msix(struct sim *sim)
{
    return sim_capability_locked(sim, PCI_CAPABILITY_MSIX) &&
                   sim_capability_locked(sim, PCI_CAPABILITY_MSI)
               ? 0
               : -ENOTSUP;
}

static int fault_start_locked(struct sim *sim)
{
    switch (sim->fault) {
    case SIM_FAULT_ONES:
        sim->model->config->answer = CONFIG_ANSWER_NONE;
        return 0;
    case SIM_FAULT_RETRY:
        sim->model->config->answer = CONFIG_ANSWER_RETRY;
        return 0;
    case SIM_FAULT_MISMATCH:
        config_space_set(sim->model->config, PCI_DEVICE_ID, 2,
                         ~config_space_get(sim->model->config, PCI_DEVICE_ID, 2));
        return 0;
    case SIM_FAULT_CHAIN:
        return break_chain(sim);
    case SIM_FAULT_LINK:
        return break_link(sim);
    case SIM_FAULT_AER:
        return break_aer(sim);
    case SIM_FAULT_D3:
        return break_power(sim);
    case SIM_FAULT_BARS:
        return break_bars(sim);
    case SIM_FAULT_WINDOW:
        return break_window(sim);
    case SIM_FAULT_MSIX:
        return break_msix(sim);
    case SIM_FAULT_FEWER:
        return sim_interrupts_halve_locked(sim);
    default:
        return 0;
    }
}

static char *complain(const char *name)
{
    char known[384] = "";
    char *text = NULL;
    for (size_t i = 1; i < FAULT_COUNT; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", i > 1 ? ", " : "", fault_names[i]);
    }
    return asprintf(&text, "fault=%s: want one of %s", name, known) < 0 ? NULL : text;
}

int backend_sim_set_fault(struct pci_provider *provider, const char *name, char **error)
{
    struct sim *sim = sim_of(provider);
    size_t fault = 1;
    *error = NULL;
    while (fault < FAULT_COUNT && strcmp(fault_names[fault], name) != 0) {
        fault++;
    }
    if (fault == FAULT_COUNT) {
        *error = complain(name);
        return -EINVAL;
    }
    sim_lock(sim);
    sim->fault = (enum sim_fault)fault;
    int result = fault_start_locked(sim);
    sim_unlock(sim);
    if (result == -ENOTSUP &&
        asprintf(error, "fault=%s: this device has nothing of the kind to break", name) < 0) {
        *error = NULL;
    }
    return result == -ENOTSUP ? -EINVAL : result;
}

void sim_fault_config_touched(struct sim *sim)
{
    if (sim->fault == SIM_FAULT_GONE) {
        atomic_store(&sim->provider.is_removed, true);
    }
}

void sim_fault_config_written_locked(struct sim *sim)
{
    struct config_space *config = sim->model->config;
    if (sim->fault == SIM_FAULT_DECODE) {
        uint32_t command = config_space_get(config, PCI_COMMAND, 2);
        config_space_set(config, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MEMORY);
    } else if (sim->fault == SIM_FAULT_D3) {
        unsigned control = sim_capability_locked(sim, PCI_CAPABILITY_POWER) + PCI_POWER_CONTROL;
        config_space_set(config, control, 2,
                         config_space_get(config, control, 2) | PCI_POWER_STATE_D3HOT);
    }
}

uint64_t sim_fault_window(const struct sim *sim, unsigned bar)
{
    uint64_t bytes = sim->model->shape.bars[bar].bytes;
    return sim->fault == SIM_FAULT_WINDOW && bytes >= WINDOW_LEAST_BYTES ? bytes / 2 : bytes;
}

uint64_t sim_fault_dma_address(const struct sim *sim, uint64_t bus_address)
{
    return sim->fault == SIM_FAULT_DMA_ADDRESS ? bus_address ^ DMA_ADDRESS_BROKEN_BIT : bus_address;
}
