/*
 * How a PCI function shows in the registry: root port, bridge, IOPCIDevice, dext service.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_PCI_TREE_H
#define DEXTLINK_HOST_PCI_TREE_H

#include <stdint.h>

#include "host/registry.h"
#include "provider/pci_provider.h"

/** Publish the IOPCIDevice of a function below the root port called root, which is made when it is
 * not there yet. 0 and its entry id; -ENOMEM. */
int pci_tree_publish_nub(struct registry *registry, const char *root,
                         const struct pci_identity *identity, uint64_t *nub_id);

/** Publish the dext service below an IOPCIDevice. 0 and its entry id; -ENOMEM. */
int pci_tree_publish_dext(struct registry *registry, uint64_t nub_id, uint64_t *entry_id);

#endif
