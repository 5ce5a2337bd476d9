/*
 * How long a device takes to read memory of its client, for each way there is to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_DEVICE_MEMORY_H
#define DEXTLINK_BENCH_DEVICE_MEMORY_H

#include <IOKit/IOKitLib.h>
#include <json-c/json.h>
#include <stdbool.h>

/** Add device_read_4k_shared, _copied and _served to figures; testdev: claimed. false with one line
 * on stderr. */
bool measure_device_memory(io_connect_t testdev, json_object *figures);

#endif
