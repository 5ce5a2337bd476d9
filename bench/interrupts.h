/*
 * From a vector that fires in the device to the client that hears of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_INTERRUPTS_H
#define DEXTLINK_BENCH_INTERRUPTS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "waker.h"

#define BENCH_INTERRUPTS "testdev,addr=06:00.0"

/**
 * Measure on the host this process reaches, which has BENCH_INTERRUPTS. Returns the figures, the
 * caller's; NULL with one line on stderr.
 *
 * handler: until the notice's handler runs, beside eventfd and futex; poll: until a client that
 * polls apple_dext_read_pending_irqs has the vector, beside handoff. Each from the device's own
 * time of firing, and after a sleep of the device as long as that of the yardsticks. is_apart: the
 * caller has put device and yardsticks on one processor and itself on another (place.h).
 */
json_object *interrupts_measure(uint64_t rounds, bool is_apart, struct waker *waker);

/** Print the figures of both hosts as a table. */
void interrupts_report(json_object *embedded, json_object *dextd);

#endif
