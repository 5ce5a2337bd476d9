/*
 * DMA regions by the batch: many registrations, or ends of them, a call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <string.h>

/* How many entries there are. Any failure is the call's: no entry was looked at. */
static IOReturn batch_count(const struct dext_arguments *arguments, size_t in_bytes,
                            size_t out_bytes, size_t *count)
{
    *count = arguments->struct_in_bytes / in_bytes;
    if (*count == 0 || *count > DEXT_DMA_MAX_BATCH || arguments->struct_in_bytes % in_bytes != 0) {
        return dext_refuse(kIOReturnBadArgument,
                           "batch of %zu bytes: 1 to %u entries of %zu bytes are taken",
                           arguments->struct_in_bytes, DEXT_DMA_MAX_BATCH, in_bytes);
    }
    if (arguments->struct_out_room < *count * out_bytes) {
        return dext_refuse(kIOReturnBadArgument, "batch of %zu entries, room for %zu bytes back",
                           *count, arguments->struct_out_room);
    }
    return kIOReturnSuccess;
}

/* Entry index of a structure: those of a caller need not be aligned. */
static struct dext_dma_request batch_request(const struct dext_arguments *arguments, size_t index)
{
    struct dext_dma_request request;
    memcpy(&request, (const char *)arguments->struct_in + index * sizeof(request), sizeof(request));
    return request;
}

static void batch_hold(struct dext_client *client, const void *requests, size_t count)
{
    const struct dext_host_ops *ops = client->dext->ops;
    if (ops->client_hold) {
        ops->client_hold(client->host_context, requests, count);
    }
}

static void batch_answer(struct dext_arguments *arguments, size_t index, IOReturn status,
                         const struct dart_mapping *mapping)
{
    struct dext_dma_result result = {.status = (uint32_t)status};
    if (mapping) {
        result.bus_address = mapping->bus_address;
        result.bytes = mapping->bytes;
    }
    memcpy((char *)arguments->struct_out + index * sizeof(result), &result, sizeof(result));
}

/* Entry failed is the cause; what was registered before it goes, the rest is not tried. */
static void batch_undo(struct dext_client *client, struct dext_arguments *arguments, size_t failed,
                       size_t count)
{
    for (size_t i = failed; i-- > 0;) {
        dext_dma_remove(client, batch_request(arguments, i).iova);
    }
    for (size_t i = 0; i < count; i++) {
        if (i != failed) {
            batch_answer(arguments, i, kIOReturnAborted, NULL);
        }
    }
}

IOReturn dext_dma_register_batch(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t flags = arguments->scalar_in[0];
    size_t count;
    IOReturn status = batch_count(arguments, sizeof(struct dext_dma_request),
                                  sizeof(struct dext_dma_result), &count);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (flags & ~DEXT_DMA_BATCH_EACH) {
        return dext_refuse(kIOReturnBadArgument, "batch with unknown flags 0x%llx",
                           (unsigned long long)flags);
    }
    uint64_t registered = 0;
    batch_hold(client, arguments->struct_in, count);
    for (size_t i = 0; i < count; i++) {
        const struct dext_dma_request request = batch_request(arguments, i);
        struct dext_region region = {0};
        status = dext_dma_add(client, &request, DMA_ONE_SEGMENT, 0, &region);
        batch_answer(arguments, i, status,
                     status == kIOReturnSuccess ? region_first(region) : NULL);
        registered += status == kIOReturnSuccess;
        if (status != kIOReturnSuccess && !(flags & DEXT_DMA_BATCH_EACH)) {
            batch_undo(client, arguments, i, count);
            registered = 0;
            break;
        }
    }
    batch_hold(client, NULL, 0);
    arguments->scalar_out[0] = registered;
    arguments->struct_out_bytes = count * sizeof(struct dext_dma_result);
    return kIOReturnSuccess;
}

IOReturn dext_dma_unregister_batch(struct dext_client *client, struct dext_arguments *arguments)
{
    size_t count;
    IOReturn status = batch_count(arguments, sizeof(uint64_t), sizeof(uint64_t), &count);
    if (status != kIOReturnSuccess) {
        return status;
    }
    uint64_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t iova;
        memcpy(&iova, (const char *)arguments->struct_in + i * sizeof(iova), sizeof(iova));
        uint64_t code = (uint32_t)dext_dma_remove(client, iova);
        memcpy((char *)arguments->struct_out + i * sizeof(code), &code, sizeof(code));
        ended += code == kIOReturnSuccess;
    }
    arguments->scalar_out[0] = ended;
    arguments->struct_out_bytes = count * sizeof(uint64_t);
    return kIOReturnSuccess;
}
