/*
 * The figures of both hosts, for people or for programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_REPORT_H
#define DEXTLINK_BENCH_REPORT_H

#include <json-c/json.h>
#include <stdbool.h>

/** Print a table, or one JSON object with both. Arguments are borrowed. */
void report(json_object *embedded, json_object *dextd, bool as_json);

#endif
