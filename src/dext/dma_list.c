/*
 * ListDMARegions: what is mapped for the device, out of the DART's index.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

struct listing {
    struct dext_dma_segment *segments;
    size_t count, room;
    iova_t next; /* 0: nothing was left out */
};

static bool list_mapping(void *context, const struct dart_mapping_info *mapping)
{
    struct listing *listing = context;
    if (listing->count == listing->room) {
        listing->next = mapping->bus_address;
        return false;
    }
    bool is_buffer = dext_buffer_is_memory_of(mapping->memory);
    listing->segments[listing->count++] =
        (struct dext_dma_segment){.iova = is_buffer ? 0 : mapping->wanted,
                                  .bus_address = mapping->bus_address,
                                  .bytes = mapping->bytes,
                                  .client = (uint32_t)mapping->owner,
                                  .flags = is_buffer ? DEXT_SEGMENT_BUFFER : 0};
    return true;
}

IOReturn dext_dma_list(struct dext_client *client, struct dext_arguments *arguments)
{
    size_t bytes = arguments->struct_out ? arguments->struct_out_room : 0;
    size_t room = bytes / sizeof(struct dext_dma_segment);
    struct listing listing = {.segments = arguments->struct_out,
                              .room = room < DEXT_SEGMENTS_A_CALL ? room : DEXT_SEGMENTS_A_CALL};
    dart_each(client->dext->provider->dart, arguments->scalar_in[0], list_mapping, &listing);
    arguments->scalar_out[0] = listing.count;
    arguments->scalar_out[1] = listing.next;
    arguments->struct_out_bytes = listing.count * sizeof(struct dext_dma_segment);
    return kIOReturnSuccess;
}
