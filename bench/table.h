/*
 * Tables of times: every word's in one form, beside their floors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_TABLE_H
#define DEXTLINK_BENCH_TABLE_H

#include <json-c/json.h>

/* A figure of samples_json, and its floor where it has one. */
struct table_row {
    const char *key;
    const char *label;
    const char *floor; /* key of what it is measured beside; NULL: none */
};

/** What is measured and in which unit, over the columns of one host or of two (right not NULL). */
void table_head(const char *title, const char *left, const char *right);

/** p50, p99, p99.9, and p50 against that of a floor, NULL where there is none. */
void table_times(const char *label, json_object *left, json_object *left_floor, json_object *right,
                 json_object *right_floor);

/** Rows of the same objects; right may be NULL. */
void table_rows(const struct table_row *rows, size_t count, json_object *left, json_object *right);

/** One number for each host, in the first column; right may be NULL. */
void table_figure(const char *label, json_object *left, json_object *right, const char *key);

#endif
