/*
 * Calls beside what a call could cost at best: busy, cold, by several threads, and what
 * connections cost that nobody uses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_CALLS_H
#define DEXTLINK_BENCH_CALLS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "handoff.h"
#include "pingpong.h"

struct calls_yardsticks {
    struct pingpong *pingpong;
    struct handoff *handoff;
};

/**
 * Add to figures what config reads cost on the host this process reaches (dextd's process, or 0 for
 * this one), which has a device at bus:00.0. false with one line on stderr.
 *
 * config_read, handoff, ping_pong: one after the other; *_cold: 20 ms after the one before;
 * threads: calls per second of 1 and 4 threads on one connection, and of 4 on one each; idle: what
 * 100 connections cost that are open and were used.
 */
bool calls_measure(uint8_t bus, uint64_t rounds, const struct calls_yardsticks *yardsticks,
                   pid_t host, json_object *figures);

/** Print the ratios, threads and idle figures of both hosts, under the table of times. */
void calls_report(json_object *embedded, json_object *dextd);

#endif
