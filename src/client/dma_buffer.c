/*
 * The DMA buffer: memory the driver allocates, shared by device and process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdbool.h>

#include "client/call.h"
#include "client/log.h"

/* Outputs of AllocateDMABuffer. */
enum { BUFFER_SEGMENTS = 2, BUFFER_BUS_ADDRESS = 3, BUFFER_BUS_BYTES = 4 };

/* The driver's buffer, unmapped; nothing of it stays when this fails. Mappings' lock held. */
static kern_return_t allocate(struct client_connection *connection, const uint64_t in[2],
                              uint64_t *out, mach_vm_address_t *out_addr)
{
    uint64_t size = in[0];
    kern_return_t status = client_call(connection, DEXT_SEL_ALLOCATE_DMA_BUFFER, in, out);

    if (status != kIOReturnSuccess && status != kIOReturnUnderrun) {
        return status;
    }
    if (status == kIOReturnSuccess && (out[BUFFER_SEGMENTS] != 1 || out[BUFFER_BUS_BYTES] < size)) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "DMA buffer of 0x%" PRIx64 " bytes is fragmented: %" PRIu64
                   " segments, the first has 0x%" PRIx64 " bytes",
                   size, out[BUFFER_SEGMENTS], out[BUFFER_BUS_BYTES]);
        status = kIOReturnNotAligned;
    }
    if (status == kIOReturnSuccess) {
        status = client_mapping_add(&connection->mappings, connection->port, DEXT_MEMORY_DMA_BUFFER,
                                    size, 0, out_addr);
    }
    if (status != kIOReturnSuccess) {
        client_call(connection, DEXT_SEL_FREE_DMA_BUFFER, NULL, NULL);
    }
    return status;
}

kern_return_t apple_dext_allocate_dma_buffer(io_connect_t connection, uint64_t size,
                                             uint64_t alignment, uint64_t *out_bus_addr,
                                             uint64_t *out_bus_len, mach_vm_address_t *out_addr,
                                             mach_vm_size_t *out_size)
{
    const uint64_t in[] = {size, alignment};
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    mach_vm_address_t address = 0;
    kern_return_t status;

    if (out_bus_addr == NULL || out_bus_len == NULL || out_addr == NULL || out_size == NULL ||
        size == 0 || size > DEXT_DMA_CHUNK_BYTES || (alignment & (alignment - 1)) != 0) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    pthread_mutex_lock(&state->mappings.lock);
    status = state->mappings.has_buffer ? kIOReturnStillOpen : allocate(state, in, out, &address);
    if (status == kIOReturnSuccess) {
        state->mappings.has_buffer = true;
    }
    pthread_mutex_unlock(&state->mappings.lock);
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_bus_addr = out[BUFFER_BUS_ADDRESS];
        *out_bus_len = out[BUFFER_BUS_BYTES];
        *out_addr = address;
        *out_size = size;
    }
    return status;
}

kern_return_t apple_dext_free_dma_buffer(io_connect_t connection, mach_vm_address_t addr)
{
    struct client_connection *state;
    kern_return_t status = client_connection_enter(connection, &state);

    if (status != kIOReturnSuccess) {
        return status;
    }
    pthread_mutex_lock(&state->mappings.lock);
    status = client_mapping_remove(&state->mappings, state->port, DEXT_MEMORY_DMA_BUFFER, addr);
    if (status == kIOReturnSuccess) {
        status = client_call(state, DEXT_SEL_FREE_DMA_BUFFER, NULL, NULL);
        state->mappings.has_buffer = false;
    }
    pthread_mutex_unlock(&state->mappings.lock);
    client_connection_leave(state);
    return status;
}
