/*
 * Config space of a simulated device, and what a write to it sets off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include "base/checked.h"
#include "base/trace.h"
#include "provider/pci_registers.h"

unsigned sim_capability_locked(struct sim *sim, uint8_t id)
{
    return config_space_find(sim->model->config, id);
}

bool sim_answers_locked(struct sim *sim)
{
    uint32_t vendor = config_space_read(sim->model->config, PCI_VENDOR_ID, 2);
    return vendor != PCI_VENDOR_NONE && vendor != PCI_VENDOR_RETRY;
}

bool sim_has_flr_locked(struct sim *sim)
{
    unsigned express = sim_capability_locked(sim, PCI_CAPABILITY_EXPRESS);
    return express && (sim_config_get_locked(sim, express + PCI_EXPRESS_DEVICE_CAPS, 4) &
                       PCI_EXPRESS_FLR_CAPABLE) != 0;
}

/* The bit reads as zero and need not be stored, so it is looked for in what was written. */
static bool write_initiates_flr_locked(struct sim *sim, unsigned offset, unsigned width,
                                       uint32_t value)
{
    if (!sim_has_flr_locked(sim)) {
        return false;
    }
    unsigned high_byte =
        sim_capability_locked(sim, PCI_CAPABILITY_EXPRESS) + PCI_EXPRESS_DEVICE_CONTROL + 1;
    return high_byte >= offset && high_byte < offset + width &&
           ((value >> (8 * (high_byte - offset))) & (PCI_EXPRESS_INITIATE_FLR >> 8)) != 0;
}

static bool has_no_soft_reset_locked(struct sim *sim)
{
    return (sim_config_get_locked(sim, sim->power_capability + PCI_POWER_CONTROL, 2) &
            PCI_POWER_NO_SOFT_RESET) != 0;
}

void sim_config_write_locked(struct sim *sim, unsigned offset, unsigned width, uint32_t value)
{
    struct model *model = sim->model;
    bool initiates_flr =
        sim_answers_locked(sim) && write_initiates_flr_locked(sim, offset, width, value);
    uint32_t power_before = sim_power_state_locked(sim);
    bool could_master = sim_may_master_locked(sim);
    config_space_write(model->config, offset, width, value);
    sim_fault_config_written_locked(sim);
    if (model->ops->config_written) {
        model->ops->config_written(model, offset, width);
    }
    if (power_before == PCI_POWER_STATE_D3HOT && sim_is_in_d0_locked(sim) &&
        !has_no_soft_reset_locked(sim)) {
        sim_reset_model_locked(sim, MODEL_RESET_POWER);
    } else if (initiates_flr) {
        sim_reset_model_locked(sim, MODEL_RESET_FUNCTION);
    }
    if (could_master && !sim_may_master_locked(sim)) {
        sim_storage_revoke_locked(sim);
    }
}

int sim_config_read(struct pci_provider *provider, unsigned offset, unsigned width, uint32_t *value)
{
    struct sim *sim = sim_of(provider);
    *value = (uint32_t)ones_of_width(width);
    sim_lock(sim);
    sim_fault_config_touched(sim);
    if (!sim_is_removed(sim)) {
        sim_restore_if_ready_locked(sim);
        *value = config_space_read(sim->model->config, offset, width);
    }
    trace_hop("backend", "sim config_read 0x%x/%u = 0x%x", offset, width, (unsigned)*value);
    sim_unlock(sim);
    return 0;
}

int sim_config_write(struct pci_provider *provider, unsigned offset, unsigned width, uint32_t value)
{
    struct sim *sim = sim_of(provider);
    sim_lock(sim);
    trace_hop("backend", "sim config_write 0x%x/%u 0x%x", offset, width, (unsigned)value);
    if (!sim_is_removed(sim)) {
        sim_restore_if_ready_locked(sim);
        sim_config_write_locked(sim, offset, width, value);
        sim_storage_settle_locked(sim);
    }
    sim_unlock(sim);
    return 0;
}
