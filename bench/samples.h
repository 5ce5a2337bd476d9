/*
 * Times of many repetitions, and what most and nearly all of them stayed under.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_SAMPLES_H
#define DEXTLINK_BENCH_SAMPLES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct samples {
    double *us; /* owned */
    size_t count;
    size_t capacity;
};

/** false when memory ran out. */
bool samples_create(struct samples *samples, size_t capacity);
void samples_destroy(struct samples *samples);

/** Samples beyond the capacity are dropped. */
void samples_add(struct samples *samples, double us);

/** A number with four decimals. The caller's. */
json_object *figure_json(double value);

/** {"p50_us": ..., "p99_us": ..., "p99_9_us": ..., "distribution": [[percent, us], ...],
 * "count": ...}; sorts the samples. The caller's. */
json_object *samples_json(struct samples *samples);

/** Microseconds of a clock that only goes forward. */
double clock_us(void);

#endif
