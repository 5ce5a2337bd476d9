/*
 * The mappings of one connection, counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/mapping.h"

#include <inttypes.h>
#include <mach/mach.h>

#include "client/log.h"

void client_mappings_init(struct client_mappings *mappings)
{
    *mappings = (struct client_mappings){0};
    pthread_mutex_init(&mappings->lock, NULL);
}

void client_mappings_deinit(struct client_mappings *mappings)
{
    pthread_mutex_destroy(&mappings->lock);
}

bool client_mappings_are_empty(const struct client_mappings *mappings)
{
    bool is_empty = !mappings->has_buffer;

    for (unsigned type = 0; type < CLIENT_MEMORY_TYPES; type++) {
        is_empty = is_empty && mappings->types[type].users == 0;
    }
    return is_empty;
}

kern_return_t client_mapping_add(struct client_mappings *mappings, io_connect_t port,
                                 unsigned memory_type, uint64_t bytes, IOOptionBits options,
                                 mach_vm_address_t *out_address)
{
    struct client_mapping *mapping = &mappings->types[memory_type];
    mach_vm_address_t address = 0;
    mach_vm_size_t mapped_bytes = 0;

    if (mapping->users == 0) {
        kern_return_t status = IOConnectMapMemory64(port, memory_type, mach_task_self(), &address,
                                                    &mapped_bytes, kIOMapAnywhere | options);
        if (status != kIOReturnSuccess) {
            return status;
        }
        if (mapped_bytes < bytes) {
            IOConnectUnmapMemory64(port, memory_type, mach_task_self(), address);
            client_log(APPLE_DEXT_LOG_ERROR,
                       "memory type %u: the host maps 0x%" PRIx64 " bytes of 0x%" PRIx64,
                       memory_type, (uint64_t)mapped_bytes, bytes);
            return kIOReturnUnderrun;
        }
        mapping->address = address;
    }
    mapping->users++;
    *out_address = mapping->address;
    return kIOReturnSuccess;
}

kern_return_t client_mapping_remove(struct client_mappings *mappings, io_connect_t port,
                                    unsigned memory_type, mach_vm_address_t address)
{
    struct client_mapping *mapping = &mappings->types[memory_type];

    if (mapping->users == 0 || mapping->address != address) {
        return kIOReturnBadArgument;
    }
    if (mapping->users == 1) {
        kern_return_t status = IOConnectUnmapMemory64(port, memory_type, mach_task_self(), address);
        if (status != kIOReturnSuccess) {
            return status;
        }
    }
    mapping->users--;
    return kIOReturnSuccess;
}
