/*
 * The sim back end: a device model behind the provider seam. It gives the model its clock, timers,
 * memory and messages, and is the kernel's half of config space: BAR decode, interrupt set-up,
 * reset with save and restore.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BACKEND_SIM_H
#define DEXTLINK_BACKEND_SIM_H

#include "model/model.h"
#include "provider/pci_provider.h"

/**
 * Make a simulated device.
 *
 * model: kind of device. address: where it sits. options/count: for the model, borrowed.
 * dart_options: NULL for defaults.
 * 0 and *out (caller owns, provider_destroy frees); -EINVAL with *error set (malloc'ed, caller
 * frees) for options the model or the DART refuses; -ENOMEM; -errno of memfd or thread creation.
 */
int backend_sim_create(const struct model_ops *model, struct pci_address address,
                       const struct model_option *options, size_t count,
                       const struct dart_options *dart_options, struct pci_provider **out,
                       char **error);

/**
 * Break a simulated device in one way (docs/doctor.md lists them), before anybody has opened it.
 *
 * name: of the fault. 0; -EINVAL with *error set (malloc'ed, caller frees): no such fault, or the
 * device has no part that breaks so.
 */
int backend_sim_set_fault(struct pci_provider *provider, const char *name, char **error);

#endif
