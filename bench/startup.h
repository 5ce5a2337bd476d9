/*
 * What it costs to start: dextd until it serves, dextctl list, a program with the client library.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_STARTUP_H
#define DEXTLINK_BENCH_STARTUP_H

#include <json-c/json.h>
#include <stdint.h>

/* Programs to start. */
struct startup_plan {
    const char *dextd;
    const char *dextctl;
    const char *empty;  /* a main that returns */
    const char *linked; /* the same, with libappledext */
    uint64_t rounds;
};

/**
 * Measure, interleaved. Returns the figures, the caller's; NULL with one line on stderr.
 *
 * true, empty, linked, list: from before fork until the process has ended; library_us: what linked
 * takes longer than empty, p50. dextd_1, dextd_256: until it says that it serves so many devices.
 */
json_object *startup_measure(const struct startup_plan *plan);

/** Print the figures as a table. */
void startup_report(json_object *figures);

#endif
