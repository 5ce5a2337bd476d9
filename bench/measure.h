/*
 * What is measured on one host, through the public client library.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_MEASURE_H
#define DEXTLINK_BENCH_MEASURE_H

#include <json-c/json.h>
#include <stdint.h>

#include "calls.h"

#define BENCH_EDU     "edu,addr=01:00.0"
#define BENCH_TESTDEV "testdev,addr=02:00.0"

struct measure_plan {
    uint64_t rounds;        /* of calls and loads */
    uint64_t region_rounds; /* of register + unregister, at each number of live regions */
    uint64_t live_most;     /* no number of live regions is above */
};

/**
 * Measure on the host this process reaches (dextd's process, or 0 for this one), which has
 * BENCH_EDU and BENCH_TESTDEV. Returns the figures, the caller's; NULL with one line on stderr.
 */
json_object *measure_host(const struct measure_plan *plan,
                          const struct calls_yardsticks *yardsticks, pid_t host);

#endif
