/*
 * CoreFoundation objects to property values and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_VALUE_H
#define DEXTLINK_IOKIT_VALUE_H

#include <CoreFoundation/CoreFoundation.h>

#include "wire/value.h"

/** The value of a string, number, data, boolean, array or dictionary with string keys, all the way
 * down; the caller's. NULL for anything else, deeper nesting than a host accepts, or no memory. */
struct wire_value *value_from_cf(CFTypeRef object);

/** The CF object of a value, +1; containers are mutable. NULL when out of memory. */
CFTypeRef value_to_cf(const struct wire_value *value);

#endif
