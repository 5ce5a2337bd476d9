/*
 * The text of a --device option, taken apart.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_DEVICE_SPEC_H
#define DEXTLINK_HOST_DEVICE_SPEC_H

#include "dart/dart.h"
#include "model/model.h"
#include "provider/pci_provider.h"

#define DEVICE_SPEC_MAX_OPTIONS 32
#define DEVICE_ROOT_MAX         64 /* with NUL */
#define DEVICE_DEFAULT_ROOT     "pci-bridge0"

/* "MODEL,addr=BB:DD.F[,root=NAME][,dart=…][,aperture=…][,slots=…][,extensions=…][,fault=…]
 * [,key=value…]"; a replay device may do without addr, and replay_spec.h makes of it what it stands
 * for. */
struct device_spec {
    char *text; /* owned; options point into it */
    const struct model_ops *model;
    bool has_address, has_root; /* said */
    bool no_extensions;         /* the dext knows none, as the real one */
    struct pci_address address;
    char root[DEVICE_ROOT_MAX];
    struct dart_options dart;
    const char *fault; /* of backend_sim_set_fault, points into text; NULL: none */
    struct model_option options[DEVICE_SPEC_MAX_OPTIONS]; /* what is left for the model */
    size_t option_count;
};

/**
 * 0; -EINVAL with *error a malloc'ed line that names the part and what it takes; -ENOMEM.
 * On failure *spec holds nothing.
 */
int device_spec_parse(const char *text, struct device_spec *spec, char **error);
/** What to add to a model's complaint about its options: the keys that are not the model's, when
 * one of them may have been meant; else "". Static storage. */
const char *device_spec_hint(const struct device_spec *spec);

void device_spec_clear(struct device_spec *spec);

/** "BB:DD.F" or "ROOT/BB:DD.F"; root becomes "" when the text has none. 0, -EINVAL. */
int device_address_parse(const char *text, struct pci_address *address, char root[DEVICE_ROOT_MAX]);

#endif
