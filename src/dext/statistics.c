/*
 * The extensions that only look: capabilities, counters, state of the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

IOReturn dext_statistics_capabilities(struct dext_client *client, struct dext_arguments *arguments)
{
    struct dart_options limits;
    dart_get_limits(client->dext->provider->dart, &limits);
    arguments->scalar_out[0] = DEXT_INTERFACE_VERSION;
    arguments->scalar_out[1] = DEXT_FEATURE_STATISTICS | DEXT_FEATURE_STATE;
    arguments->scalar_out[2] =
        limits.slots < DEXT_DMA_MAX_REGIONS ? limits.slots : DEXT_DMA_MAX_REGIONS;
    arguments->scalar_out[3] = limits.aperture_bytes;
    arguments->scalar_out[4] = limits.identity ? 1 : DART_GRANULE_BYTES;
    arguments->scalar_out[5] = DEXT_DMA_MAX_BATCH;
    return kIOReturnSuccess;
}

IOReturn dext_statistics_counters(struct dext_client *client, struct dext_arguments *arguments)
{
    struct dext *dext = client->dext;
    struct dart_statistics dart;
    dart_get_statistics(dext->provider->dart, &dart);
    uint64_t *out = arguments->scalar_out;
    out[DEXT_STAT_LIVE_REGIONS] = dart.live_mappings;
    out[DEXT_STAT_PEAK_REGIONS] = dart.peak_mappings;
    out[DEXT_STAT_LIVE_BYTES] = dart.live_bytes;
    out[DEXT_STAT_PEAK_BYTES] = dart.peak_bytes;
    out[DEXT_STAT_CALLS] = dext->calls;
    /* Bits are set before they are counted: with the lock, who saw a bit finds it counted. */
    pthread_mutex_lock(&dext->irq_lock);
    out[DEXT_STAT_IRQS_RAISED] = dext->irqs_raised;
    out[DEXT_STAT_IRQS_DELIVERED] = dext->irqs_delivered;
    out[DEXT_STAT_IRQS_DROPPED] = dext->irqs_dropped;
    pthread_mutex_unlock(&dext->irq_lock);
    out[DEXT_STAT_FAULTS] = dart.faults;
    out[DEXT_STAT_CLAIMS] = dext->claim_count;
    return kIOReturnSuccess;
}

static enum dext_device_state statistics_device_state(struct dext *dext)
{
    if (dext_is_removed(dext)) {
        return DEXT_STATE_REMOVED;
    }
    return dext->is_resetting ? DEXT_STATE_RESETTING : DEXT_STATE_PRESENT;
}

IOReturn dext_statistics_state(struct dext_client *client, struct dext_arguments *arguments)
{
    struct dext *dext = client->dext;
    struct pci_link_state link = {0};
    struct dart_statistics dart;
    dart_get_statistics(dext->provider->dart, &dart);
    if (provider_link_state(dext->provider, &link) < 0) {
        link = (struct pci_link_state){0};
    }
    arguments->scalar_out[0] = statistics_device_state(dext);
    arguments->scalar_out[1] = dext->generation;
    arguments->scalar_out[2] = link.speed;
    arguments->scalar_out[3] = link.width;
    arguments->scalar_out[4] = dart.last_fault;
    arguments->scalar_out[5] = 0;
    return kIOReturnSuccess;
}

IOReturn dext_statistics_calls(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t first = arguments->scalar_in[0];
    for (uint64_t i = 0; i < DEXT_CALL_COUNTS; i++) {
        arguments->scalar_out[i] = first < DEXT_SELECTOR_ROOM && first + i < DEXT_SELECTOR_ROOM
                                       ? client->dext->calls_of[first + i]
                                       : 0;
    }
    return kIOReturnSuccess;
}
