/*
 * Matching dictionaries against entries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/matching.h"

#include <string.h>

static bool matching_class(const struct wire_value *wanted, const struct matching_subject *subject)
{
    for (const char *const *class = subject->classes; *class; class ++) {
        if (wire_value_is_string(wanted, *class)) {
            return true;
        }
    }
    return false;
}

/* PCI nubs also answer to the names in their "compatible" property: C strings end to end. */
static bool matching_compatible(const struct wire_value *wanted,
                                const struct wire_value *compatible)
{
    if (!compatible || compatible->type != WIRE_VALUE_DATA) {
        return false;
    }
    size_t at = 0;
    while (at < compatible->length) {
        const char *name = compatible->text + at; /* the value keeps a NUL behind its bytes */
        if (wire_value_is_string(wanted, name)) {
            return true;
        }
        at += strlen(name) + 1;
    }
    return false;
}

static bool matching_one_name(const struct wire_value *wanted,
                              const struct matching_subject *subject)
{
    return wire_value_is_string(wanted, subject->name) ||
           matching_compatible(wanted, wire_value_get(subject->properties, "compatible"));
}

static bool matching_one_property_set(const struct wire_value *wanted,
                                      const struct matching_subject *subject)
{
    if (wanted->type != WIRE_VALUE_DICTIONARY) {
        return false;
    }
    for (size_t i = 0; i < wanted->count; i++) {
        const struct wire_value *own = wire_value_get(subject->properties, wanted->keys[i]);
        if (!wire_value_is_equal(wanted->items[i], own)) {
            return false;
        }
    }
    return true;
}

static bool matching_one_existing(const struct wire_value *wanted,
                                  const struct matching_subject *subject)
{
    return wanted->type == WIRE_VALUE_STRING &&
           wire_value_get(subject->properties, wanted->text) != NULL;
}

static bool matching_location(const struct wire_value *wanted,
                              const struct matching_subject *subject)
{
    return subject->location && wire_value_is_string(wanted, subject->location);
}

static bool matching_id(const struct wire_value *wanted, const struct matching_subject *subject)
{
    return wanted->type == WIRE_VALUE_NUMBER && (uint64_t)wanted->number == subject->id;
}

typedef bool (*matching_fn)(const struct wire_value *, const struct matching_subject *);

/* An array as the value of a listing key means "any of these". */
static const struct {
    const char *key;
    matching_fn holds;
    bool takes_array;
} matching_keys[] = {
    {"IOProviderClass", matching_class, false},
    {"IONameMatch", matching_one_name, true},
    {"IOPropertyMatch", matching_one_property_set, true},
    {"IOPropertyExistsMatch", matching_one_existing, true},
    {"IOLocationMatch", matching_location, false},
    {"IORegistryEntryID", matching_id, false},
};

static bool matching_any(const struct wire_value *wanted, matching_fn holds,
                         const struct matching_subject *subject)
{
    for (size_t i = 0; i < wanted->count; i++) {
        if (holds(wanted->items[i], subject)) {
            return true;
        }
    }
    return false;
}

static bool matching_key_holds(const char *key, const struct wire_value *wanted,
                               const struct matching_subject *subject)
{
    for (size_t i = 0; i < sizeof(matching_keys) / sizeof(matching_keys[0]); i++) {
        if (strcmp(matching_keys[i].key, key) == 0) {
            return matching_keys[i].takes_array && wanted->type == WIRE_VALUE_ARRAY
                       ? matching_any(wanted, matching_keys[i].holds, subject)
                       : matching_keys[i].holds(wanted, subject);
        }
    }
    return false;
}

bool matching_holds(const struct wire_value *matching, const struct matching_subject *subject)
{
    if (!matching || matching->type != WIRE_VALUE_DICTIONARY) {
        return false;
    }
    for (size_t i = 0; i < matching->count; i++) {
        if (!matching_key_holds(matching->keys[i], matching->items[i], subject)) {
            return false;
        }
    }
    return true;
}
