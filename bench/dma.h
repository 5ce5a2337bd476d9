/*
 * What DMA regions cost: one by one and by the batch, with few and many that live, and how much of
 * the host's memory each takes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_DMA_H
#define DEXTLINK_BENCH_DMA_H

#include <json-c/json.h>
#include <sys/types.h>

#include "measure.h"
#include "pingpong.h"

#define BENCH_DMA "testdev,addr=06:00.0"

/**
 * Measure on the host this process reaches, which has BENCH_DMA. host: dextd's process, 0 where the
 * host is in this one. Returns the figures, the caller's; NULL with one line on stderr.
 *
 * {"shared": KIND, "private": KIND}: regions in a file mapped shared that cannot shrink, and in
 * private memory. KIND: "last_to_first" (p50 of single calls) and "rows", one for each number of
 * live regions: "live", "ping_pong" (two round trips), "config_read" (two calls: what single
 * registration takes at least), "batch_1", "batch_16", "batch_256" (register + unregister, an
 * entry), "batch_256_to_1"; of "shared" also "host_bytes_per_region" and "host_mappings" (more of
 * them with all regions than with one).
 */
json_object *dma_measure(const struct measure_plan *plan, struct pingpong *pingpong, pid_t host);

/** Print the figures of both hosts as a table. */
void dma_report(json_object *embedded, json_object *dextd);

#endif
