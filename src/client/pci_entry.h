/*
 * What the registry says of the PCI function under a driver instance.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_PCI_ENTRY_H
#define DEXTLINK_CLIENT_PCI_ENTRY_H

#include "apple-dext-client.h"

struct client_address {
    uint8_t bus, device, function;
};

/**
 * Describe a service from its own entry and its ancestors'. What is not known stays 0 or empty.
 *
 * @wanted: NULL, or borrowed: a function whose address is known and another gets that address only,
 * which saves most of the look-ups; claims are read without @wanted only
 */
void client_pci_describe(io_service_t service, const struct client_address *wanted,
                         AppleDextInstance *out);

#endif
