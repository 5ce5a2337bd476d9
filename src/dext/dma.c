/*
 * DMA regions of a client: each region is cut into mappings of the DART.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"

static void long_region_destroy(struct dext *dext, struct dext_long_region *region)
{
    for (unsigned i = 0; i < region->chunk_count; i++) {
        provider_dma_unmap(dext->provider, region->chunks[i]);
    }
    if (region->memory) {
        region->memory->ops->release(region->memory);
    }
    free(region);
}

/* The memory goes last: no device access may find it freed. */
static void region_destroy(struct dext *dext, struct dext_region region)
{
    if (region_is_long(region)) {
        long_region_destroy(dext, region_long(region));
        return;
    }
    struct dma_memory *memory = region_first(region)->memory;
    provider_dma_unmap(dext->provider, region_first(region));
    memory->ops->release(memory);
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
    if (region_exists(region_table_find(&client->regions, iova))) {
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

/* Describe the client's memory and map it whole. */
static int region_map(struct dext_client *client, const struct dext_dma_request *request,
                      struct dext_region *out)
{
    struct dext *dext = client->dext;
    struct dma_memory *memory;
    struct dart_mapping *mapping;
    uint64_t offset;
    int error = dext->ops->client_memory(client->host_context, request->address, request->bytes,
                                         &memory, &offset);
    if (error < 0) {
        return error;
    }
    error = provider_dma_map(dext->provider, memory, offset, request->bytes, request->iova,
                             DART_BOTH, client->id, &mapping);
    if (error < 0) {
        memory->ops->release(memory);
        return error;
    }
    *out = region_of_mapping(mapping);
    return 0;
}

/* How a region may be cut. */
struct region_cut {
    unsigned most;    /* chunks */
    bool is_flexible; /* shorter chunks where longer ones find no room */
};

/* The longest chunk from there on that may do: they end with a granule, but for the last. */
static uint64_t chunk_longest(struct dext *dext, const struct region_cut *cut, uint64_t into,
                              uint64_t rest)
{
    struct dart_options limits;
    dart_get_limits(dext->provider->dart, &limits);
    uint64_t longest = DEXT_DMA_CHUNK_BYTES;
    if (cut->is_flexible && limits.segment_bytes && limits.segment_bytes - into < longest) {
        longest = limits.segment_bytes - into;
    }
    return rest < longest ? rest : longest;
}

static int region_map_chunk(struct dext_client *client, struct dext_long_region *region,
                            const struct region_cut *cut, uint64_t done)
{
    struct dext *dext = client->dext;
    uint64_t offset = region->offset + done;
    uint64_t into = (region->memory->page_offset + offset) % DART_GRANULE_BYTES;
    uint64_t bytes = chunk_longest(dext, cut, into, region->bytes - done);
    for (;;) {
        int error =
            provider_dma_map(dext->provider, region->memory, offset, bytes, region->iova + done,
                             DART_BOTH, client->id, &region->chunks[region->chunk_count]);
        if (error != -ENOSPC || !cut->is_flexible || into + bytes <= DART_GRANULE_BYTES) {
            region->chunk_count += error >= 0;
            return error;
        }
        bytes = align_up((into + bytes) / 2, DART_GRANULE_BYTES) - into;
    }
}

static int long_region_fill(struct dext_client *client, uint64_t address,
                            struct dext_long_region *region, const struct region_cut *cut)
{
    int error = client->dext->ops->client_memory(client->host_context, address, region->bytes,
                                                 &region->memory, &region->offset);
    if (error < 0) {
        region->memory = NULL;
    }
    for (uint64_t done = 0; error >= 0 && done < region->bytes;) {
        error =
            region->chunk_count < cut->most ? region_map_chunk(client, region, cut, done) : -E2BIG;
        done += error >= 0 ? region->chunks[region->chunk_count - 1]->bytes : 0;
    }
    return error;
}

/* A filled region for good: without room that it does not need. Destroys it on failure. */
static int long_region_settle(struct dext *dext, struct dext_long_region *region, unsigned room,
                              struct dext_region *out)
{
    size_t bytes = sizeof(*region) + region->chunk_count * sizeof(region->chunks[0]);
    if (region->chunk_count == 1) {
        *out = region_of_mapping(region->chunks[0]);
        free(region);
        return 0;
    }
    if (region->chunk_count == room) {
        *out = region_of_long(region);
        return 0;
    }
    struct dext_long_region *fitting = malloc(bytes);
    if (!fitting) {
        long_region_destroy(dext, region);
        return -ENOMEM;
    }
    memcpy(fitting, region, bytes);
    free(region);
    *out = region_of_long(fitting);
    return 0;
}

/* The same in as many chunks as it takes. */
static int long_region_map(struct dext_client *client, const struct dext_dma_request *request,
                           const struct region_cut *cut, struct dext_region *out)
{
    struct dext_long_region *region =
        calloc(1, sizeof(*region) + cut->most * sizeof(region->chunks[0]));
    if (!region) {
        return -ENOMEM;
    }
    region->iova = request->iova;
    region->bytes = request->bytes;
    int error = long_region_fill(client, request->address, region, cut);
    if (error < 0) {
        long_region_destroy(client->dext, region);
        return error;
    }
    return long_region_settle(client->dext, region, cut->most, out);
}

static int region_map_as(struct dext_client *client, const struct dext_dma_request *request,
                         enum dext_dma_shape shape, unsigned most, struct dext_region *out)
{
    unsigned chunks = (unsigned)((request->bytes - 1) / DEXT_DMA_CHUNK_BYTES + 1);
    struct region_cut cut = {.most = chunks};
    if (shape == DMA_SEGMENTS) {
        cut = (struct region_cut){.most = most, .is_flexible = true};
    } else if (chunks == 1) {
        return region_map(client, request, out);
    } else if (shape == DMA_ONE_SEGMENT) {
        return -EADDRNOTAVAIL;
    }
    return long_region_map(client, request, &cut, out);
}

IOReturn dext_dma_add(struct dext_client *client, const struct dext_dma_request *request,
                      enum dext_dma_shape shape, unsigned most, struct dext_region *out)
{
    IOReturn status = region_check(client, request);
    if (status != kIOReturnSuccess) {
        return status;
    }
    int error = region_table_prepare(&client->regions);
    if (error >= 0) {
        error = region_map_as(client, request, shape, most, out);
    }
    if (error < 0) {
        return dext_refuse(error == -E2BIG ? kIOReturnOverrun : status_from_errno(error),
                           "region at 0x%llx, 0x%llx bytes", (unsigned long long)request->iova,
                           (unsigned long long)request->bytes);
    }
    region_table_insert(&client->regions, *out);
    return kIOReturnSuccess;
}

IOReturn dext_dma_register(struct dext_client *client, struct dext_arguments *arguments)
{
    const uint64_t *scalars = arguments->scalar_in;
    const struct dext_dma_request request = {
        .iova = scalars[0], .address = scalars[1], .bytes = scalars[2]};
    struct dext_region region;
    IOReturn status = dext_dma_add(client, &request, DMA_FIRST_CHUNK, 0, &region);
    if (status != kIOReturnSuccess) {
        return status;
    }
    /* Only the first chunk is told: the caller sees a length shorter than asked (field note D12).
     */
    arguments->scalar_out[0] = 1;
    arguments->scalar_out[1] = region_first(region)->bus_address;
    arguments->scalar_out[2] = region_first(region)->bytes;
    return kIOReturnSuccess;
}

IOReturn dext_dma_register_segments(struct dext_client *client, struct dext_arguments *arguments)
{
    const uint64_t *scalars = arguments->scalar_in;
    const struct dext_dma_request request = {
        .iova = scalars[0], .address = scalars[1], .bytes = scalars[2]};
    size_t room = arguments->struct_out_room / sizeof(struct dext_bus_segment);
    struct dext_region region;
    if (room == 0) {
        return dext_refuse(kIOReturnBadArgument, "room for %zu bytes of segments",
                           arguments->struct_out_room);
    }
    IOReturn status = dext_dma_add(
        client, &request, DMA_SEGMENTS,
        room < DEXT_DMA_MAX_SEGMENTS ? (unsigned)room : DEXT_DMA_MAX_SEGMENTS, &region);
    if (status != kIOReturnSuccess) {
        return status;
    }
    unsigned count = region_is_long(region) ? region_long(region)->chunk_count : 1;
    for (unsigned i = 0; i < count; i++) {
        const struct dart_mapping *chunk =
            region_is_long(region) ? region_long(region)->chunks[i] : region_first(region);
        const struct dext_bus_segment segment = {.bus_address = chunk->bus_address,
                                                 .bytes = chunk->bytes};
        memcpy((char *)arguments->struct_out + i * sizeof(segment), &segment, sizeof(segment));
    }
    arguments->scalar_out[0] = count;
    arguments->struct_out_bytes = count * sizeof(struct dext_bus_segment);
    return kIOReturnSuccess;
}

IOReturn dext_dma_remove(struct dext_client *client, iova_t iova)
{
    struct dext_region region = region_table_remove(&client->regions, iova);
    if (!region_exists(region)) {
        return dext_refuse(kIOReturnNotFound, "no region starts at 0x%llx",
                           (unsigned long long)iova);
    }
    region_destroy(client->dext, region);
    return kIOReturnSuccess;
}

IOReturn dext_dma_unregister(struct dext_client *client, struct dext_arguments *arguments)
{
    return dext_dma_remove(client, arguments->scalar_in[0]);
}

/* Where its memory is described, and from where on. */
static struct dma_memory *region_memory(struct dext_region region, uint64_t *offset)
{
    bool is_long = region_is_long(region);
    *offset = is_long ? region_long(region)->offset : region_first(region)->offset;
    return is_long ? region_long(region)->memory : region_first(region)->memory;
}

IOReturn dext_dma_probe(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t offset = arguments->scalar_in[1];
    struct dext_region region = region_table_find(&client->regions, arguments->scalar_in[0]);
    if (!region_exists(region)) {
        return dext_refuse(kIOReturnNotFound, "no region starts at 0x%llx",
                           (unsigned long long)arguments->scalar_in[0]);
    }
    uint64_t word = 0;
    uint64_t bytes = region_bytes(region);
    if (!range_is_within(offset, sizeof(word), bytes)) {
        return dext_refuse(kIOReturnOverrun, "probe at 0x%llx of a region of 0x%llx bytes",
                           (unsigned long long)offset, (unsigned long long)bytes);
    }
    uint64_t start;
    struct dma_memory *memory = region_memory(region, &start);
    int error = memory->ops->read(memory, start + offset, &word, sizeof(word));
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "probe at 0x%llx of region 0x%llx",
                           (unsigned long long)offset, (unsigned long long)region_iova(region));
    }
    arguments->scalar_out[0] = word;
    return kIOReturnSuccess;
}

static void region_release(struct dext_region region, void *context)
{
    region_destroy(context, region);
}

void dext_dma_release(struct dext_client *client)
{
    region_table_each(&client->regions, region_release, client->dext);
    region_table_clear(&client->regions);
    dext_buffer_free(client);
}
