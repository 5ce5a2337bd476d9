/*
 * Whether a registry entry matches a matching dictionary (IOService passive matching).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_MATCHING_H
#define DEXTLINK_HOST_MATCHING_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/value.h"

/* The parts of an entry that matching looks at. Borrowed. */
struct matching_subject {
    uint64_t id;
    const char *name;
    const char *const *classes; /* NULL-terminated */
    const char *location;       /* may be NULL */
    const struct wire_value *properties;
};

/**
 * All keys of the dictionary must hold: IOProviderClass, IONameMatch, IOPropertyMatch,
 * IOPropertyExistsMatch, IOLocationMatch, IORegistryEntryID. Any other key matches nothing, as does
 * anything that is no dictionary. Pure.
 */
bool matching_holds(const struct wire_value *matching, const struct matching_subject *subject);

#endif
