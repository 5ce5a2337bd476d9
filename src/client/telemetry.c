/*
 * Capabilities, statistics and device state: extensions, with answers for drivers without them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>

#include "client/access.h"
#include "client/call.h"

/* Outputs of GetCapabilities. */
enum {
    CAPABILITY_VERSION = 0,
    CAPABILITY_FEATURES = 1,
    CAPABILITY_REGIONS = 2,
    CAPABILITY_APERTURE = 3,
    CAPABILITY_GRANULE = 4,
    CAPABILITY_BATCH = 5,
};

/* Outputs of GetDeviceState. */
enum {
    STATE_PRESENCE = 0,
    STATE_GENERATION = 1,
    STATE_SPEED = 2,
    STATE_WIDTH = 3,
    STATE_FAULT = 4
};

kern_return_t apple_dext_get_capabilities(io_connect_t connection,
                                          AppleDextCapabilities *out_capabilities)
{
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    if (out_capabilities == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_GET_CAPABILITIES, NULL, out);
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_capabilities = (AppleDextCapabilities){.interface_version = out[CAPABILITY_VERSION],
                                                    .features = out[CAPABILITY_FEATURES],
                                                    .max_regions = out[CAPABILITY_REGIONS],
                                                    .aperture_bytes = out[CAPABILITY_APERTURE],
                                                    .granule_bytes = out[CAPABILITY_GRANULE],
                                                    .max_batch = out[CAPABILITY_BATCH]};
    } else if (status == kIOReturnUnsupported) {
        *out_capabilities = (AppleDextCapabilities){.max_regions = DEXT_DMA_MAX_REGIONS,
                                                    .aperture_bytes = DEXT_DMA_CHUNK_BYTES,
                                                    .granule_bytes = vm_page_size,
                                                    .max_batch = 1};
        status = kIOReturnSuccess;
    }
    return status;
}

kern_return_t apple_dext_get_statistics(io_connect_t connection,
                                        AppleDextStatistics *out_statistics)
{
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    if (out_statistics == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_GET_STATISTICS, NULL, out);
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_statistics = (AppleDextStatistics){.live_regions = out[DEXT_STAT_LIVE_REGIONS],
                                                .peak_regions = out[DEXT_STAT_PEAK_REGIONS],
                                                .live_bytes = out[DEXT_STAT_LIVE_BYTES],
                                                .peak_bytes = out[DEXT_STAT_PEAK_BYTES],
                                                .calls = out[DEXT_STAT_CALLS],
                                                .irqs_raised = out[DEXT_STAT_IRQS_RAISED],
                                                .irqs_delivered = out[DEXT_STAT_IRQS_DELIVERED],
                                                .irqs_dropped = out[DEXT_STAT_IRQS_DROPPED],
                                                .faults = out[DEXT_STAT_FAULTS],
                                                .claims = out[DEXT_STAT_CLAIMS]};
    }
    return status;
}

kern_return_t apple_dext_get_call_counts(io_connect_t connection, uint64_t first,
                                         uint64_t out_counts[APPLE_DEXT_CALL_COUNTS])
{
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    if (out_counts == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_GET_CALL_COUNTS, &first, out);
    client_connection_leave(state);
    for (unsigned i = 0; status == kIOReturnSuccess && i < APPLE_DEXT_CALL_COUNTS; i++) {
        out_counts[i] = out[i];
    }
    return status;
}

static kern_return_t state_from_driver(struct client_connection *connection,
                                       AppleDextDeviceState *state)
{
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status = client_call(connection, DEXT_SEL_GET_DEVICE_STATE, NULL, out);

    if (status != kIOReturnSuccess) {
        return status;
    }
    switch (out[STATE_PRESENCE]) {
    case DEXT_STATE_PRESENT:
        state->presence = APPLE_DEXT_PRESENT;
        break;
    case DEXT_STATE_RESETTING:
        state->presence = APPLE_DEXT_RESETTING;
        break;
    default:
        state->presence = APPLE_DEXT_REMOVED;
        break;
    }
    state->generation = out[STATE_GENERATION];
    state->link_speed = out[STATE_SPEED];
    state->link_width = out[STATE_WIDTH];
    state->last_fault = out[STATE_FAULT];
    return kIOReturnSuccess;
}

kern_return_t apple_dext_get_device_state(io_connect_t connection, AppleDextDeviceState *out_state)
{
    AppleDextDeviceState device = {.presence = APPLE_DEXT_PRESENT};
    struct client_connection *state;
    kern_return_t status;

    if (out_state == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = state_from_driver(state, &device);
    if (status == kIOReturnUnsupported) {
        status = client_verify_device(state);
        if (status == kIOReturnNoDevice) {
            device.presence = APPLE_DEXT_REMOVED;
            status = kIOReturnSuccess;
        }
    }
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_state = device;
    }
    return status;
}
