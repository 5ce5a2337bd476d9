/*
 * Writing a file in the JSON trace event format, which the Perfetto UI and chrome://tracing open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_TRACE_EVENTS_H
#define DEXTLINK_DEXTCTL_TRACE_EVENTS_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_HOST_PROCESS 1 /* no client has this process id */

struct trace_rows;

struct trace_events {
    FILE *file;
    uint64_t origin_ns; /* times are from here on */
    size_t count;
    struct trace_rows *rows; /* of processes */
    size_t row_count;
};

/** Create the file and begin. 0, -errno. Close it only after 0. */
int trace_events_open(struct trace_events *events, const char *path, uint64_t origin_ns);

/** End the file. 0, or -errno when something of it could not be written. */
int trace_events_close(struct trace_events *events);

/** Name a process. */
void trace_events_name(struct trace_events *events, uint32_t process, const char *name);

/**
 * A row of a process that is free from start to end, which calls that overlap need: the viewer
 * nests what shares one. Ask in the order of the starts. Names the process the first time.
 */
unsigned int trace_events_row(struct trace_events *events, uint32_t process, uint64_t start_ns,
                              uint64_t end_ns);

/** Begin an event of a phase ("X", "i"). */
json_object *trace_event_new(const struct trace_events *events, const char *phase, const char *name,
                             const char *category, uint64_t time_ns, uint32_t process,
                             unsigned int row);

/** Add a time in microseconds, to the nanosecond. */
void trace_event_add_us(json_object *event, const char *key, uint64_t ns);

/** Write an event and drop it. */
void trace_event_put(struct trace_events *events, json_object *event);

#endif
