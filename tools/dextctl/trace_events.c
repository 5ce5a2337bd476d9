/*
 * The JSON trace event format: calls are complete events ("X"), what has only a moment is an
 * instant ("i"), metadata ("M") names processes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "trace_events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "output.h"

#define ROWS_MAX 256

struct trace_rows {
    uint32_t process;
    uint64_t ends[ROWS_MAX]; /* of the last call of each */
};

int trace_events_open(struct trace_events *events, const char *path, uint64_t origin_ns)
{
    *events = (struct trace_events){.origin_ns = origin_ns};
    errno = 0;
    events->file = fopen(path, "w");
    if (!events->file) {
        return -errno;
    }
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", events->file);
    return 0;
}

int trace_events_close(struct trace_events *events)
{
    fputs("\n]}\n", events->file);
    free(events->rows);
    bool is_bad = ferror(events->file);
    return fclose(events->file) != 0 || is_bad ? (errno ? -errno : -EIO) : 0;
}

void trace_event_put(struct trace_events *events, json_object *event)
{
    fprintf(events->file, "%s%s", events->count++ ? ",\n" : "\n",
            json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN |
                                                      JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(event);
}

void trace_event_add_us(json_object *event, const char *key, uint64_t ns)
{
    char text[40];
    snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, ns / 1000, ns % 1000);
    json_object_object_add(event, key, json_object_new_double_s((double)ns / 1e3, text));
}

json_object *trace_event_new(const struct trace_events *events, const char *phase, const char *name,
                             const char *category, uint64_t time_ns, uint32_t process,
                             unsigned int row)
{
    json_object *event = json_object_new_object();
    json_add_text(event, "name", name);
    json_add_text(event, "cat", category);
    json_add_text(event, "ph", phase);
    trace_event_add_us(event, "ts", time_ns - events->origin_ns);
    json_add_number(event, "pid", process);
    json_add_number(event, "tid", row + 1);
    return event;
}

void trace_events_name(struct trace_events *events, uint32_t process, const char *name)
{
    json_object *event =
        trace_event_new(events, "M", "process_name", "__metadata", events->origin_ns, process, 0);
    json_object *arguments = json_object_new_object();
    json_add_text(arguments, "name", name);
    json_object_object_add(event, "args", arguments);
    trace_event_put(events, event);
}

static struct trace_rows *rows_of(struct trace_events *events, uint32_t process)
{
    size_t at = 0;
    while (at < events->row_count && events->rows[at].process != process) {
        at++;
    }
    if (at < events->row_count) {
        return &events->rows[at];
    }
    struct trace_rows *more = realloc(events->rows, (at + 1) * sizeof(*more));
    if (!more) {
        return NULL;
    }
    events->rows = more;
    events->rows[events->row_count++] = (struct trace_rows){.process = process};
    char name[32];
    snprintf(name, sizeof(name), process ? "client %" PRIu32 : "no call", process);
    trace_events_name(events, process, name);
    return &events->rows[at];
}

unsigned int trace_events_row(struct trace_events *events, uint32_t process, uint64_t start_ns,
                              uint64_t end_ns)
{
    struct trace_rows *rows = rows_of(events, process);
    unsigned int row = 0;
    if (!rows) {
        return 0; /* without memory all share the first */
    }
    while (row + 1 < ROWS_MAX && rows->ends[row] > start_ns) {
        row++;
    }
    rows->ends[row] = end_ns;
    return row;
}
