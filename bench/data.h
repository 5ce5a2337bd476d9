/*
 * Data beside its floors: device DMA beside memcpy, mapped BARs beside plain memory and SIGSEGV.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_DATA_H
#define DEXTLINK_BENCH_DATA_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "apple-dext-client.h"

#define BENCH_DATA "testdev,addr=07:00.0,bar2=32M,latency_ns=0"

/**
 * Measure on the host this process reaches, which has BENCH_DATA; rounds as those of calls.
 * Returns the figures, the caller's; NULL with one line on stderr.
 *
 * copies: for each way and size the copy engine's own time (engine), from the command until the
 * client has seen the end (seen), and memcpy of the same bytes between the same places beside it.
 * direct_*, plain_*: a load or store in a direct BAR and in plain memory, of many in a row.
 * trapped_*: through a trapped BAR; step_over: a handler of SIGSEGV that does nothing but step over
 * the instruction; mmio_*: the same access as a call.
 */
json_object *data_measure(uint64_t rounds);

/** Print the figures of both hosts as a table. */
void data_report(json_object *embedded, json_object *dextd);

/* data_access.c: loads and stores; added to figures. false with one line on stderr. */
bool data_measure_access(io_connect_t testdev, uint64_t rounds, json_object *figures);

#endif
