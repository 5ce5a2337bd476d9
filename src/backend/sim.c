/*
 * The sim back end: making and ending a simulated device, its session, and the table of ops.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/sim_internal.h"
#include "base/log.h"
#include "provider/pci_registers.h"

static int sim_open(struct pci_provider *provider)
{
    struct sim *sim = sim_of(provider);
    if (sim->fault == SIM_FAULT_HELD || sim->fault == SIM_FAULT_POWER_UP) {
        return sim->fault == SIM_FAULT_HELD ? -EBUSY : -ETIMEDOUT;
    }
    return sim_is_removed(sim) ? -ENODEV : 0;
}

static void sim_close(struct pci_provider *provider)
{
    const uint32_t cleared = PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER;
    struct sim *sim = sim_of(provider);
    sim_lock(sim);
    sim_interrupts_release_locked(sim);
    sim->saved.command &= ~cleared;
    if (!sim_is_removed(sim)) {
        uint32_t command = sim_config_get_locked(sim, PCI_COMMAND, 2);
        sim_config_write_locked(sim, PCI_COMMAND, 2, command & ~cleared);
        sim_storage_settle_locked(sim);
    }
    sim_unlock(sim);
}

static int sim_link_state(struct pci_provider *provider, struct pci_link_state *state)
{
    struct sim *sim = sim_of(provider);
    *state = (struct pci_link_state){0};
    sim_lock(sim);
    unsigned express = sim_capability_locked(sim, PCI_CAPABILITY_EXPRESS);
    if (express) {
        uint32_t status = sim_config_get_locked(sim, express + PCI_EXPRESS_LINK_STATUS, 2);
        state->speed = status & PCI_EXPRESS_LINK_SPEED_MASK;
        state->width = (status >> PCI_EXPRESS_LINK_WIDTH_SHIFT) & PCI_EXPRESS_LINK_WIDTH_MASK;
    }
    sim_unlock(sim);
    return 0;
}

/* The DART has done it all already. */
static int sim_dma_map(struct pci_provider *provider, const struct dart_mapping *mapping,
                       struct dma_memory *memory, uint64_t offset, enum dart_direction direction)
{
    (void)mapping;
    (void)memory;
    (void)offset;
    (void)direction;
    switch (sim_of(provider)->fault) {
    case SIM_FAULT_FRAGMENTED:
        return -EADDRNOTAVAIL;
    case SIM_FAULT_REGISTER:
        return -EFAULT;
    default:
        return 0;
    }
}

static void sim_remove(struct pci_provider *provider)
{
    /* is_removed, which every path looks at under the lock, has done it all. Taking the lock here
     * would wait for a model in the middle of a long copy. */
    (void)provider;
}

/* Takes a half-built device. */
static void sim_destroy(struct pci_provider *provider)
{
    struct sim *sim = sim_of(provider);
    sim_poll_stop(sim);
    sim_timers_stop(sim);
    sim_storage_stop(sim);
    if (sim->model) {
        sim->model->ops->destroy(sim->model);
    }
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        shared_memory_destroy(&sim->bars[bar].direct);
    }
    dart_destroy(provider->dart);
    pthread_mutex_destroy(&sim->lock);
    pthread_mutex_destroy(&sim->turn);
    free(sim);
}

static const struct pci_provider_ops sim_ops = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .config_read = sim_config_read,
    .config_write = sim_config_write,
    .bar_info = sim_bar_info,
    .memory_read = sim_memory_read,
    .memory_write = sim_memory_write,
    .bar_memory = sim_bar_memory,
    .configure_interrupts = sim_configure_interrupts,
    .release_interrupts = sim_release_interrupts,
    .reset = sim_reset,
    .link_state = sim_link_state,
    .dma_map = sim_dma_map,
    .remove = sim_remove,
    .destroy = sim_destroy,
};

static void log_fault(void *context, const struct dart_fault *fault)
{
    struct sim *sim = context;
    const struct pci_address *address = &sim->provider.identity.address;
    char text[256];
    dart_fault_format(fault, text, sizeof(text));
    log_warning("dart", "%02x:%02x.%x: %s", address->bus, address->device, address->function, text);
}

static int attach_direct_memory(struct sim *sim)
{
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        const struct model_bar *shape = &sim->model->shape.bars[bar];
        struct shared_memory *memory = &sim->bars[bar].direct;
        if (shape->direct_count == 0) {
            continue;
        }
        /* The trapped parts between are holes that nobody touches. */
        char name[32];
        snprintf(name, sizeof(name), "dextlink-bar%u", bar);
        const struct model_range *last = &shape->direct[shape->direct_count - 1];
        int result = shared_memory_create(name, last->offset + last->bytes, memory);
        if (result < 0) {
            return result;
        }
        for (unsigned i = 0; i < shape->direct_count; i++) {
            sim->model->ops->attach_memory(sim->model, bar, i,
                                           (uint8_t *)memory->address + shape->direct[i].offset);
        }
    }
    return 0;
}

static void fill_identity(struct sim *sim, struct pci_address address)
{
    sim->provider.identity = (struct pci_identity){
        .address = address,
        .vendor_id = (uint16_t)sim_config_get_locked(sim, PCI_VENDOR_ID, 2),
        .device_id = (uint16_t)sim_config_get_locked(sim, PCI_DEVICE_ID, 2),
        .subsystem_vendor_id = (uint16_t)sim_config_get_locked(sim, PCI_SUBSYSTEM_VENDOR_ID, 2),
        .subsystem_id = (uint16_t)sim_config_get_locked(sim, PCI_SUBSYSTEM_ID, 2),
        .revision = (uint8_t)sim_config_get_locked(sim, PCI_REVISION, 1),
        .class_code = sim_config_get_locked(sim, PCI_REVISION, 4) >> 8,
    };
}

static struct sim *sim_allocate(void)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    if (!sim) {
        return NULL;
    }
    if (pthread_mutex_init(&sim->turn, NULL) != 0) {
        goto free_sim;
    }
    if (pthread_mutex_init(&sim->lock, NULL) != 0) {
        goto destroy_turn;
    }
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        sim->bars[bar].direct = SHARED_MEMORY_NONE;
    }
    sim->provider.ops = &sim_ops;
    sim->host = (struct model_host){.ops = &sim_host_ops, .context = sim};
    return sim;

destroy_turn:
    pthread_mutex_destroy(&sim->turn);
free_sim:
    free(sim);
    return NULL;
}

int backend_sim_create(const struct model_ops *model, struct pci_address address,
                       const struct model_option *options, size_t count,
                       const struct dart_options *dart_options, struct pci_provider **out,
                       char **error)
{
    *error = NULL;
    struct sim *sim = sim_allocate();
    if (!sim) {
        return -ENOMEM;
    }
    int result = dart_create(dart_options, log_fault, sim, &sim->provider.dart);
    if (result == -EINVAL) {
        *error = strdup("dart: aperture takes 16384 to 2^44 bytes, base a multiple of 16384");
    }
    if (result < 0) {
        goto fail;
    }
    result = model->create(&sim->host, options, count, &sim->model, error);
    if (result < 0) {
        goto fail;
    }
    result = attach_direct_memory(sim);
    if (result < 0) {
        goto fail;
    }
    sim_lock(sim);
    sim->power_capability = sim_capability_locked(sim, PCI_CAPABILITY_POWER);
    fill_identity(sim, address);
    sim_assign_bars(sim);
    /* Enumeration is a restore too: of a device that does not answer yet, once it does. */
    sim->saved = (struct sim_saved){.is_due = true};
    sim_restore_if_ready_locked(sim);
    sim_unlock(sim);
    result = sim_storage_start(sim);
    if (result < 0) {
        goto fail;
    }
    result = sim_timers_start(sim);
    if (result < 0) {
        goto fail;
    }
    result = sim_poll_start(sim);
    if (result < 0) {
        goto fail;
    }
    *out = &sim->provider;
    return 0;

fail:
    sim_destroy(&sim->provider);
    return result;
}
