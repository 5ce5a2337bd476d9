/*
 * Latencies: percentiles and a histogram by powers of two.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_LATENCY_H
#define DEXTLINK_DEXTCTL_LATENCY_H

#include <json-c/json.h>
#include <stddef.h>

#define LATENCY_BUCKETS 32 /* below 1 us, below 2 us, ... */

struct latency {
    double *samples_us; /* owned */
    size_t count;
    size_t room;
    size_t dropped; /* samples there was no memory for */
};

void latency_add(struct latency *latency, double microseconds);

/** Print min, p50, p99, max and a row for each bucket from the first to the last used one. */
void latency_print(struct latency *latency, const char *what);

/** min, p50, p99, max and histogram, for the caller to own; NULL (JSON null) without samples. */
json_object *latency_json(struct latency *latency);

void latency_clear(struct latency *latency);

#endif
