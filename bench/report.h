/*
 * The figures of both hosts, and of starting up, for people or for programs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_REPORT_H
#define DEXTLINK_BENCH_REPORT_H

#include <json-c/json.h>
#include <stdbool.h>

/** Print tables, or one JSON object with all there is, which also goes to a file unless path is
 * NULL. Other arguments are borrowed; NULL: not measured. false with one line: the file failed. */
bool report(json_object *embedded, json_object *dextd, json_object *startup, bool as_json,
            const char *path);

#endif
