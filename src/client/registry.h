/*
 * Finding driver instances in the IOKit registry, without opening any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_REGISTRY_H
#define DEXTLINK_CLIENT_REGISTRY_H

#include "apple-dext-client.h"
#include "client/pci_entry.h"

struct client_candidate {
    io_service_t service; /* a reference of the list's */
    AppleDextInstance instance;
};

/**
 * All instances, ordered by root name, then address. *out is NULL when there are none.
 * @wanted: as for client_pci_describe: only what may be there is described further
 * kIOReturnNoMemory; else the code of the search. Any thread.
 */
kern_return_t client_registry_list(const struct client_address *wanted,
                                   struct client_candidate **out, size_t *out_count);

/** The instances that an iterator over services has left, likewise. It is empty afterwards, also on
 * failure. kIOReturnNoMemory. */
kern_return_t client_registry_drain(io_iterator_t services, const struct client_address *wanted,
                                    struct client_candidate **out, size_t *out_count);

/** Release what client_registry_list returned. NULL is fine. */
void client_registry_free(struct client_candidate *candidates, size_t count);

#endif
