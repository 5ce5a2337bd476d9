/*
 * DMA regions of a client: each region is cut into mappings of the DART.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"

static uint64_t region_chunk_bytes(const struct dext_region *region, unsigned chunk)
{
    uint64_t rest = region->bytes - chunk * DEXT_DMA_CHUNK_BYTES;
    return rest < DEXT_DMA_CHUNK_BYTES ? rest : DEXT_DMA_CHUNK_BYTES;
}

/* Takes half-built regions. The memory goes last: no device access may find it freed. */
static void region_destroy(struct dext *dext, struct dext_region *region)
{
    for (unsigned i = 0; i < region->chunk_count; i++) {
        provider_dma_unmap(dext->provider, region->chunks[i]);
    }
    if (region->memory) {
        region->memory->ops->release(region->memory);
    }
    free(region);
}

static void region_remove(struct dext_client *client, struct dext_region *region)
{
    region_table_remove(&client->regions, region);
    region_destroy(client->dext, region);
}

/* The order is the real dext's; the claim was checked before. */
static IOReturn region_check(struct dext_client *client, const struct dext_dma_request *request)
{
    unsigned long long iova = request->iova, address = request->address, bytes = request->bytes;
    if (bytes == 0 || address == 0) {
        return dext_refuse(kIOReturnBadArgument, "region at 0x%llx: address 0x%llx, size 0x%llx",
                           iova, address, bytes);
    }
    if (range_wraps(iova, bytes) || range_wraps(address, bytes)) {
        return dext_refuse(kIOReturnBadArgument,
                           "region at 0x%llx wraps: address 0x%llx, size 0x%llx", iova, address,
                           bytes);
    }
    if (region_table_find(&client->regions, iova)) {
        return dext_refuse(kIOReturnStillOpen, "a region starts at 0x%llx already", iova);
    }
    if (client->regions.count >= DEXT_DMA_MAX_REGIONS) {
        return dext_refuse(kIOReturnNoSpace, "client %llu holds %u regions",
                           (unsigned long long)client->id, client->regions.count);
    }
    if (bytes > DEXT_DMA_CHUNK_BYTES * DEXT_DMA_MAX_CHUNKS) {
        return dext_refuse(kIOReturnNoSpace, "region of 0x%llx bytes needs more than %u chunks",
                           bytes, DEXT_DMA_MAX_CHUNKS);
    }
    if (dext_is_removed(client->dext)) {
        return dext_refuse(kIOReturnNoDevice, "region for a device that is gone");
    }
    return kIOReturnSuccess;
}

/* Describe the client's memory and map it chunk by chunk. On failure the caller destroys. */
static int region_map(struct dext_client *client, struct dext_region *region, uint64_t address,
                      unsigned chunks)
{
    struct dext *dext = client->dext;
    int error =
        dext->ops->client_memory(client->host_context, address, region->bytes, &region->memory);
    if (error < 0) {
        region->memory = NULL;
        return error;
    }
    while (region->chunk_count < chunks) {
        uint64_t offset = region->chunk_count * DEXT_DMA_CHUNK_BYTES;
        error = provider_dma_map(
            dext->provider, region->memory, offset, region_chunk_bytes(region, region->chunk_count),
            region->iova + offset, DART_BOTH, client->id, &region->chunks[region->chunk_count]);
        if (error < 0) {
            return error;
        }
        region->chunk_count++;
    }
    return 0;
}

IOReturn dext_dma_add(struct dext_client *client, const struct dext_dma_request *request,
                      enum dext_dma_shape shape, struct dext_region **out)
{
    IOReturn status = region_check(client, request);
    if (status != kIOReturnSuccess) {
        return status;
    }
    unsigned chunks = (unsigned)((request->bytes - 1) / DEXT_DMA_CHUNK_BYTES + 1);
    if (shape == DMA_ONE_SEGMENT && chunks > 1) {
        return dext_refuse(kIOReturnNotAligned, "region of 0x%llx bytes is no one bus segment",
                           (unsigned long long)request->bytes);
    }
    struct dext_region *region = calloc(1, sizeof(*region) + chunks * sizeof(region->chunks[0]));
    if (!region || region_table_prepare(&client->regions)) {
        free(region);
        return dext_refuse(kIOReturnNoMemory, "region");
    }
    region->iova = request->iova;
    region->bytes = request->bytes;
    int error = region_map(client, region, request->address, chunks);
    if (error < 0) {
        region_destroy(client->dext, region);
        return dext_refuse(status_from_errno(error), "region at 0x%llx, 0x%llx bytes",
                           (unsigned long long)request->iova, (unsigned long long)request->bytes);
    }
    region_table_insert(&client->regions, region);
    *out = region;
    return kIOReturnSuccess;
}

IOReturn dext_dma_register(struct dext_client *client, struct dext_arguments *arguments)
{
    const uint64_t *scalars = arguments->scalar_in;
    const struct dext_dma_request request = {
        .iova = scalars[0], .address = scalars[1], .bytes = scalars[2]};
    struct dext_region *region;
    IOReturn status = dext_dma_add(client, &request, DMA_FIRST_CHUNK, &region);
    if (status != kIOReturnSuccess) {
        return status;
    }
    /* Only the first chunk is told: the caller sees a length shorter than asked (field note D12).
     */
    arguments->scalar_out[0] = 1;
    arguments->scalar_out[1] = region->chunks[0]->bus_address;
    arguments->scalar_out[2] = region_chunk_bytes(region, 0);
    return kIOReturnSuccess;
}

IOReturn dext_dma_remove(struct dext_client *client, iova_t iova)
{
    struct dext_region *region = region_table_find(&client->regions, iova);
    if (!region) {
        return dext_refuse(kIOReturnNotFound, "no region starts at 0x%llx",
                           (unsigned long long)iova);
    }
    region_remove(client, region);
    return kIOReturnSuccess;
}

IOReturn dext_dma_unregister(struct dext_client *client, struct dext_arguments *arguments)
{
    return dext_dma_remove(client, arguments->scalar_in[0]);
}

IOReturn dext_dma_probe(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t offset = arguments->scalar_in[1];
    struct dext_region *region = region_table_find(&client->regions, arguments->scalar_in[0]);
    if (!region) {
        return dext_refuse(kIOReturnNotFound, "no region starts at 0x%llx",
                           (unsigned long long)arguments->scalar_in[0]);
    }
    uint64_t word = 0;
    if (!range_is_within(offset, sizeof(word), region->bytes)) {
        return dext_refuse(kIOReturnOverrun, "probe at 0x%llx of a region of 0x%llx bytes",
                           (unsigned long long)offset, (unsigned long long)region->bytes);
    }
    int error = region->memory->ops->read(region->memory, offset, &word, sizeof(word));
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "probe at 0x%llx of region 0x%llx",
                           (unsigned long long)offset, (unsigned long long)region->iova);
    }
    arguments->scalar_out[0] = word;
    return kIOReturnSuccess;
}

static void region_release(struct dext_region *region, void *context)
{
    region_remove(context, region);
}

void dext_dma_release(struct dext_client *client)
{
    region_table_each(&client->regions, region_release, client);
    region_table_clear(&client->regions);
    dext_buffer_free(client);
}
