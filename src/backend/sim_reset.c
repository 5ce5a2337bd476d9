/*
 * Resets of a simulated device, with the kernel's save and restore around them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>

#include "provider/pci_registers.h"

void sim_reset_model_locked(struct sim *sim, enum model_reset kind)
{
    sim_timers_cancel_all_locked(sim);
    sim_storage_revoke_locked(sim);
    sim->model->ops->reset(sim->model, kind);
}

static void save_register_locked(struct sim *sim, unsigned offset, unsigned width)
{
    struct sim_saved *saved = &sim->saved;
    saved->registers[saved->count++] = (struct sim_saved_register){
        .offset = offset, .width = width, .value = sim_config_get_locked(sim, offset, width)};
}

/* A reset of a device that has not answered since the last one must not save what is left of it. */
static void save_locked(struct sim *sim)
{
    struct sim_saved *saved = &sim->saved;
    if (saved->is_due) {
        return;
    }
    *saved =
        (struct sim_saved){.is_due = true, .command = sim_config_get_locked(sim, PCI_COMMAND, 2)};
    save_register_locked(sim, PCI_CACHE_LINE_SIZE, 1);
    save_register_locked(sim, PCI_LATENCY_TIMER, 1);
    save_register_locked(sim, PCI_INTERRUPT_LINE, 1);
    unsigned express = sim_capability_locked(sim, PCI_CAPABILITY_EXPRESS);
    if (!express) {
        return;
    }
    save_register_locked(sim, express + PCI_EXPRESS_DEVICE_CONTROL, 2);
    save_register_locked(sim, express + PCI_EXPRESS_LINK_CONTROL, 2);
    if ((sim_config_get_locked(sim, express + PCI_EXPRESS_FLAGS, 2) & PCI_EXPRESS_VERSION_MASK) >=
        2) {
        save_register_locked(sim, express + PCI_EXPRESS_DEVICE_CONTROL_2, 2);
        save_register_locked(sim, express + PCI_EXPRESS_LINK_CONTROL_2, 2);
    }
}

void sim_restore_if_ready_locked(struct sim *sim)
{
    struct sim_saved *saved = &sim->saved;
    if (!saved->is_due || !sim_answers_locked(sim)) {
        return;
    }
    saved->is_due = false;
    sim_write_bars_locked(sim);
    for (unsigned i = 0; i < saved->count; i++) {
        const struct sim_saved_register *one = &saved->registers[i];
        sim_config_write_locked(sim, one->offset, one->width, one->value);
    }
    sim_interrupts_program_locked(sim);
    sim_config_write_locked(sim, PCI_COMMAND, 2, saved->command);
}

static int reset_function_locked(struct sim *sim)
{
    if (!sim_has_flr_locked(sim)) {
        return -ENOTSUP;
    }
    save_locked(sim);
    unsigned control =
        sim_capability_locked(sim, PCI_CAPABILITY_EXPRESS) + PCI_EXPRESS_DEVICE_CONTROL;
    sim_config_write_locked(sim, control, 2,
                            sim_config_get_locked(sim, control, 2) | PCI_EXPRESS_INITIATE_FLR);
    return 0;
}

static int reset_power_locked(struct sim *sim)
{
    unsigned power = sim_capability_locked(sim, PCI_CAPABILITY_POWER);
    unsigned control = power + PCI_POWER_CONTROL;
    uint32_t value = power ? sim_config_get_locked(sim, control, 2) : 0;
    if (!power || (value & PCI_POWER_NO_SOFT_RESET)) {
        return -ENOTSUP;
    }
    save_locked(sim);
    value &= ~(uint32_t)PCI_POWER_STATE_MASK;
    sim_config_write_locked(sim, control, 2, value | PCI_POWER_STATE_D3HOT);
    sim_config_write_locked(sim, control, 2, value | PCI_POWER_STATE_D0);
    return 0;
}

static int reset_locked(struct sim *sim, enum pci_reset_kind kind)
{
    switch (kind) {
    case PCI_RESET_FUNCTION:
        return reset_function_locked(sim);
    case PCI_RESET_POWER:
        return reset_power_locked(sim);
    case PCI_RESET_HOT:
        save_locked(sim);
        sim_reset_model_locked(sim, MODEL_RESET_HOT);
        return 0;
    }
    return -EINVAL;
}

int sim_reset(struct pci_provider *provider, enum pci_reset_kind kind)
{
    struct sim *sim = sim_of(provider);
    sim_lock(sim);
    int result = -ENODEV;
    if (!sim_is_removed(sim)) {
        sim_restore_if_ready_locked(sim);
        result = reset_locked(sim, kind);
        sim_restore_if_ready_locked(sim);
        sim_storage_settle_locked(sim);
    }
    sim_unlock(sim);
    return result;
}
