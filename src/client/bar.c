/*
 * BARs: what they are, and mapping them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/bar.h"

#include <inttypes.h>

#include "client/access.h"
#include "client/call.h"
#include "client/log.h"

/* A connection that died with mappings says BadArgument to everything, this call included. */
static bool connection_is_dead(struct client_connection *connection)
{
    uint64_t out[CLIENT_SCALARS_MAX];

    return client_call(connection, DEXT_SEL_GET_IDENTITY, NULL, out) == kIOReturnBadArgument;
}

/* Drivers differ in how they refuse a BAR that is not there; the index itself is in range. */
static bool bar_is_missing(struct client_connection *connection, kern_return_t status)
{
    switch (status) {
    case kIOReturnNotFound:
    case kIOReturnError:
    case kIOReturnUnsupported:
    case kIOReturnNoResources:
        return true;
    case kIOReturnBadArgument:
        return !connection_is_dead(connection);
    default:
        return false;
    }
}

kern_return_t client_bar_ask(struct client_connection *connection, unsigned index,
                             struct client_bar *out)
{
    const uint64_t in[] = {index};
    uint64_t reply[CLIENT_SCALARS_MAX];
    struct client_bar bar = {0};
    kern_return_t status = client_call(connection, DEXT_SEL_GET_BAR_INFO, in, reply);

    if (status == kIOReturnSuccess) {
        bar = (struct client_bar){
            .memory_index = (uint8_t)reply[0], .type = (uint8_t)reply[2], .bytes = reply[1]};
    } else if (!bar_is_missing(connection, status)) {
        return status;
    }
    client_bar_cache_put(&connection->bars, index, &bar);
    *out = bar;
    return bar.bytes == 0 ? kIOReturnNotFound : kIOReturnSuccess;
}

kern_return_t client_bar_find(struct client_connection *connection, uint8_t memory_index,
                              struct client_bar *out)
{
    for (unsigned index = 0; index < DEXT_BAR_COUNT; index++) {
        struct client_bar bar;
        kern_return_t status = kIOReturnSuccess;

        if (!client_bar_cache_get(&connection->bars, index, &bar)) {
            status = client_bar_ask(connection, index, &bar);
        }
        if (status != kIOReturnSuccess && status != kIOReturnNotFound) {
            return status;
        }
        if (bar.bytes > 0 && !DEXT_BAR_IS_IO(bar.type) && bar.memory_index == memory_index) {
            *out = bar;
            return kIOReturnSuccess;
        }
    }
    return kIOReturnBadArgument;
}

kern_return_t apple_dext_get_bar_info(io_connect_t connection, uint8_t bar, uint8_t *out_mem_idx,
                                      uint64_t *out_size, uint8_t *out_type)
{
    struct client_connection *state;
    struct client_bar info;
    kern_return_t status;

    if (bar >= DEXT_BAR_COUNT) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_bar_ask(state, bar, &info);
    client_connection_leave(state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (out_mem_idx != NULL) {
        *out_mem_idx = info.memory_index;
    }
    if (out_size != NULL) {
        *out_size = info.bytes;
    }
    if (out_type != NULL) {
        *out_type = info.type;
    }
    return kIOReturnSuccess;
}

static kern_return_t map_memory_bar(struct client_connection *connection, unsigned index,
                                    const struct client_bar *bar, mach_vm_address_t *out_addr)
{
    IOOptionBits options = DEXT_BAR_IS_PREFETCH(bar->type) ? kIOMapWriteCombineCache : 0;
    kern_return_t status;

    pthread_mutex_lock(&connection->mappings.lock);
    status = client_mapping_add(&connection->mappings, connection->port, DEXT_MEMORY_BAR(index),
                                bar->bytes, options, out_addr);
    pthread_mutex_unlock(&connection->mappings.lock);

    /* The system hides the driver's code behind BadArgument; these two causes can be told. */
    if (status == kIOReturnBadArgument && !atomic_load(&connection->is_claimed)) {
        status = kIOReturnNotOpen;
    } else if (status == kIOReturnBadArgument &&
               client_verify_device(connection) == kIOReturnNoDevice) {
        status = kIOReturnNoDevice;
    }
    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_ERROR, "BAR %u (0x%" PRIx64 " bytes) was not mapped: 0x%08x, %s",
                   index, bar->bytes, (unsigned)status, apple_dext_status_text(status));
    }
    return status;
}

kern_return_t apple_dext_map_bar(io_connect_t connection, uint8_t bar, mach_vm_address_t *out_addr,
                                 mach_vm_size_t *out_size, uint8_t *out_type)
{
    struct client_connection *state;
    struct client_bar info;
    mach_vm_address_t address = 0;
    kern_return_t status;

    if (bar >= DEXT_BAR_COUNT || out_addr == NULL || out_size == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_bar_ask(state, bar, &info);
    if (status == kIOReturnSuccess) {
        status = DEXT_BAR_IS_IO(info.type) ? kIOReturnUnsupported
                                           : map_memory_bar(state, bar, &info, &address);
    }
    client_connection_leave(state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    *out_addr = address;
    *out_size = info.bytes;
    if (out_type != NULL) {
        *out_type = info.type;
    }
    return kIOReturnSuccess;
}

kern_return_t apple_dext_unmap_bar(io_connect_t connection, uint8_t bar, mach_vm_address_t addr)
{
    struct client_connection *state;
    kern_return_t status;

    if (bar >= DEXT_BAR_COUNT) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    pthread_mutex_lock(&state->mappings.lock);
    status = client_mapping_remove(&state->mappings, state->port, DEXT_MEMORY_BAR(bar), addr);
    pthread_mutex_unlock(&state->mappings.lock);
    client_connection_leave(state);
    return status;
}
