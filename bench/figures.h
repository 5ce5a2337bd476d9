/*
 * Looking into figures that were measured.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_FIGURES_H
#define DEXTLINK_BENCH_FIGURES_H

#include <json-c/json.h>

/** NULL when it is not there; borrowed. */
static inline json_object *member(json_object *object, const char *key)
{
    json_object *value = NULL;
    json_object_object_get_ex(object, key, &value);
    return value;
}

/** 0 when it is not there. */
static inline double number_of(json_object *object, const char *key)
{
    return json_object_get_double(member(object, key));
}

#endif
