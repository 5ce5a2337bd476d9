/*
 * DMA regions: memory of this process that the device may use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/dma.h"

#include <inttypes.h>
#include <stdbool.h>

#include "client/call.h"
#include "client/log.h"

/* Outputs of RegisterDMARegion. */
enum { REGISTER_SEGMENTS = 0, REGISTER_BUS_ADDRESS = 1, REGISTER_BUS_BYTES = 2 };

enum { PROBE_BYTES = 8 };

static bool range_wraps(uint64_t start, uint64_t bytes)
{
    return bytes != 0 && start > UINT64_MAX - (bytes - 1);
}

void client_dma_undo(struct client_connection *connection, uint64_t iova)
{
    kern_return_t status = client_call(connection, DEXT_SEL_UNREGISTER_DMA_REGION, &iova, NULL);

    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_WARNING,
                   "DMA region 0x%" PRIx64 " could not be taken back: 0x%08x, %s", iova,
                   (unsigned)status, apple_dext_status_text(status));
    }
}

/* One bus segment or nothing: with several, only the first one's address is known. */
static kern_return_t register_region(struct client_connection *connection, const uint64_t in[3],
                                     uint64_t *out)
{
    uint64_t iova = in[0];
    uint64_t size = in[2];
    kern_return_t status = client_call(connection, DEXT_SEL_REGISTER_DMA_REGION, in, out);

    if (status == kIOReturnUnderrun) {
        client_dma_undo(connection, iova); /* it was registered, but nobody knows where */
    } else if (status == kIOReturnNotAligned) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "DMA region 0x%" PRIx64 " (0x%" PRIx64
                   " bytes) is fragmented: the host's memory "
                   "does not become one bus segment",
                   iova, size);
    } else if (status == kIOReturnSuccess &&
               (out[REGISTER_SEGMENTS] != 1 || out[REGISTER_BUS_BYTES] < size)) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "DMA region 0x%" PRIx64 " (0x%" PRIx64 " bytes) is fragmented: %" PRIu64
                   " segments, the first has 0x%" PRIx64 " bytes",
                   iova, size, out[REGISTER_SEGMENTS], out[REGISTER_BUS_BYTES]);
        client_dma_undo(connection, iova);
        status = kIOReturnNotAligned;
    }
    return status;
}

bool client_dma_request_is_good(const AppleDextDmaRequest *request)
{
    return request->size != 0 && request->client_va != 0 &&
           !range_wraps(request->iova, request->size) &&
           !range_wraps(request->client_va, request->size);
}

kern_return_t client_dma_register(struct client_connection *connection,
                                  const AppleDextDmaRequest *request, AppleDextDmaResult *result)
{
    const uint64_t in[] = {request->iova, request->client_va, request->size};
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status = client_dma_request_is_good(request)
                               ? register_region(connection, in, out)
                               : kIOReturnBadArgument;

    *result = (AppleDextDmaResult){.status = status};
    if (status == kIOReturnSuccess) {
        result->bus_addr = out[REGISTER_BUS_ADDRESS];
        result->bus_len = out[REGISTER_BUS_BYTES];
    }
    return status;
}

kern_return_t apple_dext_register_dma(io_connect_t connection, uint64_t iova, uint64_t client_va,
                                      uint64_t size, uint64_t *out_bus_addr, uint64_t *out_bus_len)
{
    const AppleDextDmaRequest request = {.iova = iova, .client_va = client_va, .size = size};
    AppleDextDmaResult result;
    struct client_connection *state;
    kern_return_t status;

    if (!client_dma_request_is_good(&request)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_dma_register(state, &request, &result);
    client_connection_leave(state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (out_bus_addr != NULL) {
        *out_bus_addr = result.bus_addr;
    }
    if (out_bus_len != NULL) {
        *out_bus_len = result.bus_len;
    }
    return kIOReturnSuccess;
}

kern_return_t apple_dext_unregister_dma(io_connect_t connection, uint64_t iova)
{
    struct client_connection *state;
    kern_return_t status = client_connection_enter(connection, &state);

    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_UNREGISTER_DMA_REGION, &iova, NULL);
    client_connection_leave(state);
    return status;
}

kern_return_t apple_dext_probe_dma(io_connect_t connection, uint64_t iova, uint64_t offset,
                                   uint64_t *out_word)
{
    const uint64_t in[] = {iova, offset};
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    if (out_word == NULL || range_wraps(offset, PROBE_BYTES) ||
        range_wraps(iova, offset + PROBE_BYTES)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_PROBE_DMA_REGION, in, out);
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_word = out[0];
    }
    return status;
}
