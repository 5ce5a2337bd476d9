/*
 * What the monitor knows of the devices: two samples each, and the lines they make.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_MONITOR_H
#define DEXTLINK_DEXTCTL_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instance.h"
#include "output.h"

#define MONITOR_DEVICES_MAX 64
#define MONITOR_SELECTORS   32 /* those of the real dext; the others are our looking */
#define MONITOR_LINE_BYTES  256
#define MONITOR_LINES_MAX   (MONITOR_DEVICES_MAX * 6)

struct monitor_sample {
    double time_ms;
    bool has_statistics, has_counts, has_state;
    kern_return_t code; /* why there are no statistics */
    AppleDextStatistics statistics;
    AppleDextDeviceState state;
    uint64_t counts[MONITOR_SELECTORS];
};

struct monitor_device {
    AppleDextInstance instance;
    AppleDextCapabilities limits;
    io_connect_t connection; /* IO_OBJECT_NULL: could not be opened, or gone */
    bool is_gone;            /* no longer registered; shown until the monitor ends */
    unsigned int samples;
    struct monitor_sample now, before;
};

struct monitor {
    struct monitor_device devices[MONITOR_DEVICES_MAX];
    size_t count;
};

/** Look at what there is: new devices are opened, without a claim, and every one is asked. */
kern_return_t monitor_look(struct monitor *monitor);
void monitor_close(struct monitor *monitor);

/** Events a second between the two samples; 0 while there is one only, or after a restart. */
double monitor_rate(const struct monitor_device *device, uint64_t before, uint64_t now);

/** The screen: lines of text, each cut by whoever shows it. Returns how many. */
size_t monitor_text(const struct monitor *monitor,
                    char lines[MONITOR_LINES_MAX][MONITOR_LINE_BYTES]);

/** The same as an object, for the caller to own. */
json_object *monitor_json(const struct monitor *monitor);

#endif
