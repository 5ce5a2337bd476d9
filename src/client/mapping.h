/*
 * The mappings of one connection. IOKit keeps one a memory type however often it is mapped, and one
 * unmap ends it for every user: so they are counted here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_MAPPING_H
#define DEXTLINK_CLIENT_MAPPING_H

#include <pthread.h>
#include <stdbool.h>

#include "apple-dext-client.h"
#include "abi/dext_abi.h"

enum { CLIENT_MEMORY_TYPES = DEXT_MEMORY_BAR(DEXT_BAR_COUNT) }; /* the buffer, then the BARs */

struct client_mapping {
    unsigned users; /* 0: not mapped */
    mach_vm_address_t address;
};

struct client_mappings {
    pthread_mutex_t lock; /* held over map and unmap calls, never over other calls but a buffer's */
    bool has_buffer;      /* the driver has a DMA buffer for this connection */
    struct client_mapping types[CLIENT_MEMORY_TYPES];
};

void client_mappings_init(struct client_mappings *mappings);
void client_mappings_deinit(struct client_mappings *mappings);

/** Whether there is nothing to remember. No call may be under way. */
bool client_mappings_are_empty(const struct client_mappings *mappings);

/**
 * Map a memory type, or count one more user of its mapping. Lock held by the caller.
 * bytes: what the mapping must have at least. options: of IOConnectMapMemory64.
 * kIOReturnUnderrun the mapping is shorter, and undone; else IOKit's code.
 */
kern_return_t client_mapping_add(struct client_mappings *mappings, io_connect_t port,
                                 unsigned memory_type, uint64_t bytes, IOOptionBits options,
                                 mach_vm_address_t *out_address);

/**
 * Count one user less, unmapping with the last. Lock held by the caller.
 * kIOReturnBadArgument address is not the type's live mapping; else IOKit's code, and it stays.
 */
kern_return_t client_mapping_remove(struct client_mappings *mappings, io_connect_t port,
                                    unsigned memory_type, mach_vm_address_t address);

#endif
