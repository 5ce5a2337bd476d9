/*
 * A hop trace as JSON trace events: calls with their duration; hops of the host, which have only
 * the moment when they are done, as instants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "trace.h"
#include "trace_events.h"

struct group {
    uint64_t call;
    uint64_t start_ns, end_ns;
    size_t first, count; /* of the lines */
    unsigned int row;
};

static void put_span(struct trace_events *out, const struct trace_span *span, unsigned int row)
{
    json_object *event = trace_event_new(out, span->has_end ? "X" : "i", span->name,
                                         span->is_wire ? "wire" : "iokit", span->start_ns,
                                         trace_call_process(span->call), row);
    json_object *arguments = json_object_new_object();
    json_add_number(arguments, "call", trace_call_number(span->call));
    json_add_text(arguments, "arguments", span->arguments);
    if (span->has_end) {
        trace_event_add_us(event, "dur", span->end_ns - span->start_ns);
        json_add_hex(arguments, "code", span->code, 1);
        json_add_text(arguments, "result", span->result);
    } else {
        json_add_text(event, "s", "t");
    }
    json_object_object_add(event, "args", arguments);
    trace_event_put(out, event);
}

static void put_hop(struct trace_events *out, const struct trace_line *line, unsigned int row)
{
    json_object *event =
        trace_event_new(out, "i", line->hop, line->hop, line->time_ns, TRACE_HOST_PROCESS, row);
    json_object *arguments = json_object_new_object();
    json_add_text(arguments, "text", line->text);
    json_add_number(arguments, "process", trace_call_process(line->call));
    json_add_number(arguments, "call", trace_call_number(line->call));
    json_add_text(event, "s", "t");
    json_object_object_add(event, "args", arguments);
    trace_event_put(out, event);
}

static int compare_groups(const void *first, const void *second)
{
    const struct group *a = first;
    const struct group *b = second;
    return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

static size_t make_groups(const struct trace_log *log, struct group *groups)
{
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct trace_line *line = &log->lines[i];
        if (count == 0 || groups[count - 1].call != line->call || line->call == 0) {
            groups[count++] = (struct group){
                .call = line->call, .start_ns = line->time_ns, .end_ns = line->time_ns, .first = i};
        }
        groups[count - 1].end_ns = line->time_ns;
        groups[count - 1].count++;
    }
    return count;
}

static void choose_rows(struct trace_events *out, struct group *groups, size_t count)
{
    qsort(groups, count, sizeof(*groups), compare_groups);
    for (size_t i = 0; i < count; i++) {
        groups[i].row = trace_events_row(out, trace_call_process(groups[i].call),
                                         groups[i].start_ns, groups[i].end_ns);
    }
}

static int compare_calls(const void *first, const void *second)
{
    const struct group *a = first;
    const struct group *b = second;
    if (a->call != b->call) {
        return a->call < b->call ? -1 : 1;
    }
    return a->first < b->first ? -1 : a->first > b->first;
}

/* The spans are in the order of the calls, as the lines are. */
static void put_all(struct trace_events *out, const struct trace_log *log,
                    const struct trace_spans *spans, struct group *groups, size_t count)
{
    size_t span = 0;
    trace_events_name(out, TRACE_HOST_PROCESS, "host");
    choose_rows(out, groups, count);
    qsort(groups, count, sizeof(*groups), compare_calls);
    for (size_t i = 0; i < count; i++) {
        for (; span < spans->count && spans->list[span].call == groups[i].call; span++) {
            if (!spans->list[span].is_host) { /* else its hops say all */
                put_span(out, &spans->list[span], groups[i].row);
            }
        }
        for (size_t line = groups[i].first; line < groups[i].first + groups[i].count; line++) {
            if (trace_hop_is_host(log->lines[line].hop) || groups[i].call == 0) {
                put_hop(out, &log->lines[line], groups[i].row);
            }
        }
    }
}

int trace_export(const char *path, const struct trace_log *log, const struct trace_spans *spans)
{
    struct trace_events out;
    uint64_t origin_ns = log->count ? UINT64_MAX : 0;
    struct group *groups = calloc(log->count + 1, sizeof(*groups));

    for (size_t i = 0; i < log->count; i++) {
        origin_ns = log->lines[i].time_ns < origin_ns ? log->lines[i].time_ns : origin_ns;
    }
    int error = groups ? trace_events_open(&out, path, origin_ns) : -ENOMEM;
    if (!error) {
        put_all(&out, log, spans, groups, make_groups(log, groups));
        error = trace_events_close(&out);
    }
    free(groups);
    return error;
}
