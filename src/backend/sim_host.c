/*
 * What a model may ask of the world, answered by the sim back end. Called from model ops, so with
 * the device's lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

#include <errno.h>
#include <string.h>

#include "base/trace.h"

/* A model may look round while it is being created: nothing is enabled then. */
static bool may_master(struct sim *sim)
{
    return sim->model && sim_may_master_locked(sim);
}

static int host_dma_read(void *host, uint64_t bus_address, void *buffer, size_t length)
{
    struct sim *sim = host;
    if (!may_master(sim)) {
        memset(buffer, 0xff, length);
        return -EPERM;
    }
    return dart_device_read(sim->provider.dart, sim_fault_dma_address(sim, bus_address), buffer,
                            length);
}

static int host_dma_write(void *host, uint64_t bus_address, const void *buffer, size_t length)
{
    struct sim *sim = host;
    if (!may_master(sim)) {
        return -EPERM;
    }
    if (sim->fault == SIM_FAULT_DMA) {
        return 0; /* a posted write: nobody tells the device */
    }
    return dart_device_write(sim->provider.dart, sim_fault_dma_address(sim, bus_address), buffer,
                             length);
}

static int host_dma_copy(void *host, uint64_t from, uint64_t to, size_t length)
{
    struct sim *sim = host;
    struct dart *dart = sim->provider.dart;
    struct dart_mapping *pinned;
    size_t reached = 0;

    if (length == 0 || !may_master(sim)) {
        return -ENOTSUP;
    }
    const void *source =
        dart_pin(dart, sim_fault_dma_address(sim, from), length, false, &reached, &pinned);
    if (!source) {
        return -ENOTSUP;
    }
    int result = reached == length ? host_dma_write(host, to, source, length) : -ENOTSUP;
    dart_unpin(dart, pinned);
    return result;
}

__attribute__((hot)) static void host_message(void *host, uint64_t address, uint32_t data)
{
    struct sim *sim = host;
    if (!may_master(sim)) {
        return;
    }
    if (address == SIM_DOORBELL) {
        sim_interrupts_deliver_locked(sim, data);
        return;
    }
    /* A message is a memory write: one that misses the doorbell lands, or faults, like any other.
     */
    const uint8_t bytes[] = {(uint8_t)data, (uint8_t)(data >> 8), (uint8_t)(data >> 16),
                             (uint8_t)(data >> 24)};
    dart_device_write(sim->provider.dart, address, bytes, sizeof(bytes));
}

__attribute__((hot)) static uint64_t host_now_ns(void *host)
{
    (void)host;
    return sim_now_ns();
}

static void host_timer_arm(void *host, unsigned timer, uint64_t deadline_ns)
{
    sim_timer_arm_locked(host, timer, deadline_ns);
}

static void host_timer_cancel(void *host, unsigned timer)
{
    sim_timer_cancel_locked(host, timer);
}

static int host_storage_open(void *host, const char *path, unsigned flags, unsigned *storage,
                             uint64_t *bytes)
{
    return sim_storage_open(host, path, flags, storage, bytes);
}

/* Not where DMA goes wrong by request: a copy does it the wrong way. */
static bool may_reach_memory(struct sim *sim)
{
    return sim->fault != SIM_FAULT_DMA && sim->fault != SIM_FAULT_DMA_ADDRESS && may_master(sim);
}

static void host_storage_submit(void *host, const struct model_storage_request *request)
{
    sim_storage_submit_locked(host, request);
}

static bool host_storage_submit_direct(void *host, const struct model_storage_request *request)
{
    struct sim *sim = host;
    return may_reach_memory(sim) && sim_storage_submit_direct_locked(sim, request);
}

static bool host_storage_read_now(void *host, unsigned storage, uint64_t offset,
                                  const struct model_segment *segments, unsigned count)
{
    struct sim *sim = host;
    return may_reach_memory(sim) &&
           sim_storage_read_now_locked(sim, storage, offset, segments, count);
}

static void host_poll_wake(void *host)
{
    sim_poll_wake_locked(host);
}

const struct model_host_ops sim_host_ops = {
    .dma_read = host_dma_read,
    .dma_write = host_dma_write,
    .dma_copy = host_dma_copy,
    .message = host_message,
    .now_ns = host_now_ns,
    .timer_arm = host_timer_arm,
    .timer_cancel = host_timer_cancel,
    .storage_open = host_storage_open,
    .storage_submit = host_storage_submit,
    .storage_submit_direct = host_storage_submit_direct,
    .storage_read_now = host_storage_read_now,
    .poll_wake = host_poll_wake,
};
