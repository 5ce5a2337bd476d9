/*
 * What the registry says of the PCI function under a driver instance.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_PCI_ENTRY_H
#define DEXTLINK_CLIENT_PCI_ENTRY_H

#include "apple-dext-client.h"

/** Describe a service from its own entry and its ancestors'. What is not known stays 0 or empty. */
void client_pci_describe(io_service_t service, AppleDextInstance *out);

#endif
