/*
 * The DMA buffer: memory of the dext that one client maps and the device reaches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"

#define BUFFER_DEFAULT_ALIGNMENT 4096

/* Where a buffer goes when bus addresses are asked for rather than given (dart=identity): from
 * 2 GiB up, doubling, so that a few tries pass any amount of guest memory. */
#define BUFFER_IOVA_FIRST (UINT64_C(1) << 31)
#define BUFFER_IOVA_LAST  (UINT64_C(1) << 46)
#define BUFFER_IOVA_TRIES 64

static struct dext_buffer *buffer_of(struct dma_memory *memory)
{
    return (struct dext_buffer *)memory;
}

static int buffer_read(struct dma_memory *memory, uint64_t offset, void *data, size_t length)
{
    memcpy(data, (const uint8_t *)buffer_of(memory)->shared.address + offset, length);
    return 0;
}

/* The last word after the rest, as dma_memory.h wants it. */
static int buffer_write(struct dma_memory *memory, uint64_t offset, const void *data, size_t length)
{
    uint8_t *where = (uint8_t *)buffer_of(memory)->shared.address + offset;
    uint64_t last;
    if (length < sizeof(last) || !is_aligned((uintptr_t)where + length, sizeof(last))) {
        memcpy(where, data, length);
        return 0;
    }
    length -= sizeof(last);
    memcpy(where, data, length);
    memcpy(&last, (const uint8_t *)data + length, sizeof(last));
    __atomic_store_n((uint64_t *)(void *)(where + length), last, __ATOMIC_RELEASE);
    return 0;
}

static void *buffer_point(struct dma_memory *memory, uint64_t offset, size_t length, bool is_write)
{
    return (uint8_t *)buffer_of(memory)->shared.address + offset;
}

static void buffer_destroy(struct dma_memory *memory)
{
    struct dext_buffer *buffer = buffer_of(memory);
    shared_memory_destroy(&buffer->shared);
    free(buffer);
}

static const struct dma_memory_ops buffer_memory_ops = {
    .read = buffer_read,
    .write = buffer_write,
    .point = buffer_point,
    .release = buffer_destroy,
};

bool dext_buffer_is_memory_of(const struct dma_memory *memory)
{
    return memory->ops == &buffer_memory_ops;
}

static int buffer_map(struct dext_client *client, struct dext_buffer *buffer, uint64_t alignment)
{
    struct pci_provider *provider = client->dext->provider;
    uint64_t bytes = buffer->memory.bytes;
    uint64_t step = align_up(align_up(bytes, DART_GRANULE_BYTES), alignment);
    int error = -EEXIST;
    for (uint64_t base = BUFFER_IOVA_FIRST; base <= BUFFER_IOVA_LAST; base <<= 1) {
        for (unsigned i = 0; i < BUFFER_IOVA_TRIES; i++) {
            error = provider_dma_map(provider, &buffer->memory, 0, bytes,
                                     align_up(base, alignment) + i * step, DART_BOTH, client->id,
                                     &buffer->mapping);
            if (error != -EEXIST) {
                return error;
            }
        }
    }
    return error == -EEXIST ? -ENOSPC : error;
}

static int buffer_create(struct dext_client *client, uint64_t bytes, uint64_t alignment,
                         struct dext_buffer **out)
{
    struct dext_buffer *buffer = calloc(1, sizeof(*buffer));
    if (!buffer) {
        return -ENOMEM;
    }
    int error = shared_memory_create("dext-buffer", bytes, &buffer->shared);
    if (error < 0) {
        free(buffer);
        return error;
    }
    buffer->memory = (struct dma_memory){.ops = &buffer_memory_ops, .bytes = bytes};
    error = buffer_map(client, buffer, alignment);
    if (error < 0) {
        buffer_destroy(&buffer->memory);
        return error;
    }
    *out = buffer;
    return 0;
}

void dext_buffer_free(struct dext_client *client)
{
    struct dext_buffer *buffer = client->buffer;
    if (!buffer) {
        return;
    }
    client->buffer = NULL;
    provider_dma_unmap(client->dext->provider, buffer->mapping);
    buffer_destroy(&buffer->memory);
}

static bool buffer_alignment_is_valid(uint64_t alignment)
{
    return (alignment & (alignment - 1)) == 0 && alignment <= DEXT_DMA_CHUNK_BYTES;
}

IOReturn dext_buffer_allocate(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t bytes = arguments->scalar_in[0];
    uint64_t alignment = arguments->scalar_in[1];
    if (bytes == 0 || bytes > DEXT_DMA_CHUNK_BYTES || !buffer_alignment_is_valid(alignment)) {
        return dext_refuse(kIOReturnBadArgument, "DMA buffer of 0x%llx bytes aligned to 0x%llx",
                           (unsigned long long)bytes, (unsigned long long)alignment);
    }
    if (dext_is_removed(client->dext)) {
        return dext_refuse(kIOReturnNoDevice, "DMA buffer for a device that is gone");
    }
    /* The real dext lets the first buffer go before it tries (field note D16). */
    dext_buffer_free(client);
    int error = buffer_create(client, bytes, alignment ? alignment : BUFFER_DEFAULT_ALIGNMENT,
                              &client->buffer);
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "DMA buffer of 0x%llx bytes",
                           (unsigned long long)bytes);
    }
    arguments->scalar_out[0] = bytes;
    arguments->scalar_out[1] = DART_BOTH; /* direction bits, as PrepareForDMA gives them back */
    arguments->scalar_out[2] = 1;
    arguments->scalar_out[3] = client->buffer->mapping->bus_address;
    arguments->scalar_out[4] = bytes;
    arguments->scalar_out[5] = dext_config_raw(client->dext, 0x08, 4) >> 8;
    return kIOReturnSuccess;
}

IOReturn dext_buffer_release(struct dext_client *client, struct dext_arguments *arguments)
{
    (void)arguments;
    dext_buffer_free(client);
    return kIOReturnSuccess;
}
