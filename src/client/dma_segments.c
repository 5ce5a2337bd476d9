/*
 * DMA regions that become several bus segments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stddef.h>

#include "client/call.h"
#include "client/dma.h"
#include "client/log.h"

/* They travel as they are. */
_Static_assert(sizeof(AppleDextBusSegment) == sizeof(struct dext_bus_segment) &&
                   offsetof(AppleDextBusSegment, bus_addr) ==
                       offsetof(struct dext_bus_segment, bus_address) &&
                   offsetof(AppleDextBusSegment, bus_len) ==
                       offsetof(struct dext_bus_segment, bytes),
               "a segment is what the driver gives");

/* Whether so many segments are the whole region. */
static bool segments_are_whole(const AppleDextBusSegment *segments, uint64_t count, uint64_t size)
{
    uint64_t rest = size;

    for (uint64_t i = 0; i < count; i++) {
        if (segments[i].bus_len > rest) {
            return false;
        }
        rest -= segments[i].bus_len;
    }
    return rest == 0;
}

/* By the driver's extension: kIOReturnUnsupported where it has none. */
static kern_return_t register_segments(struct client_connection *connection,
                                       const AppleDextDmaRequest *request,
                                       AppleDextBusSegment *segments, size_t room,
                                       size_t *out_count)
{
    const uint64_t in[] = {request->iova, request->client_va, request->size};
    size_t got = 0;
    const struct client_structures structures = {
        .out = segments, .out_bytes = room * sizeof(*segments), .out_got = &got};
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status =
        client_call_structures(connection, DEXT_SEL_REGISTER_DMA_SEGMENTS, in, out, &structures);

    if (status == kIOReturnUnderrun ||
        (status == kIOReturnSuccess && (out[0] == 0 || out[0] > got / sizeof(*segments) ||
                                        !segments_are_whole(segments, out[0], request->size)))) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "DMA region 0x%" PRIx64 ": the driver's segments are not the region",
                   request->iova);
        client_dma_undo(connection, request->iova);
        return kIOReturnUnderrun;
    }
    *out_count = (size_t)out[0];
    return status;
}

static kern_return_t register_one(struct client_connection *connection,
                                  const AppleDextDmaRequest *request, AppleDextBusSegment *segments,
                                  size_t *out_count)
{
    AppleDextDmaResult result;
    kern_return_t status = client_dma_register(connection, request, &result);

    segments[0] = (AppleDextBusSegment){.bus_addr = result.bus_addr, .bus_len = result.bus_len};
    *out_count = 1;
    return status;
}

kern_return_t apple_dext_register_dma_segments(io_connect_t connection, uint64_t iova,
                                               uint64_t client_va, uint64_t size,
                                               AppleDextBusSegment *out_segments, size_t *count)
{
    const AppleDextDmaRequest request = {.iova = iova, .client_va = client_va, .size = size};
    struct client_connection *state;
    size_t found = 0;
    kern_return_t status;

    if (out_segments == NULL || count == NULL || *count == 0 ||
        !client_dma_request_is_good(&request)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status =
        register_segments(state, &request, out_segments,
                          *count < DEXT_DMA_MAX_SEGMENTS ? *count : DEXT_DMA_MAX_SEGMENTS, &found);
    if (status == kIOReturnUnsupported) {
        status = register_one(state, &request, out_segments, &found);
    }
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *count = found;
    }
    return status;
}
