/*
 * A trace in the JSON trace event format: calls are complete events ("X"), hops of the host, which
 * have only the moment when they are done, instants ("i"); metadata ("M") names the processes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "trace.h"

#define LANES_MAX    256
#define HOST_PROCESS 1 /* no client has this process id */

/* Calls that overlap must not share a row: the viewer nests what does. */
struct lanes {
    uint32_t process;
    uint64_t ends[LANES_MAX];
};

struct group {
    uint64_t call;
    uint64_t start_ns, end_ns;
    size_t first, count; /* of the lines */
    unsigned int lane;
};

struct exporter {
    FILE *file;
    uint64_t origin_ns;
    size_t events;
};

static void put_event(struct exporter *out, json_object *event)
{
    fprintf(out->file, "%s%s", out->events++ ? ",\n" : "\n",
            json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN |
                                                      JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(event);
}

static void add_us(json_object *object, const char *key, uint64_t ns)
{
    char text[40];
    snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, ns / 1000, ns % 1000);
    json_object_object_add(object, key, json_object_new_double_s((double)ns / 1e3, text));
}

static json_object *new_event(const struct exporter *out, const char *phase, const char *name,
                              const char *category, uint64_t time_ns, uint32_t process,
                              unsigned int lane)
{
    json_object *event = json_object_new_object();
    json_add_text(event, "name", name);
    json_add_text(event, "cat", category);
    json_add_text(event, "ph", phase);
    add_us(event, "ts", time_ns - out->origin_ns);
    json_add_number(event, "pid", process);
    json_add_number(event, "tid", lane + 1);
    return event;
}

static void put_name(struct exporter *out, uint32_t process, const char *name)
{
    json_object *event =
        new_event(out, "M", "process_name", "__metadata", out->origin_ns, process, 0);
    json_object *arguments = json_object_new_object();
    json_add_text(arguments, "name", name);
    json_object_object_add(event, "args", arguments);
    put_event(out, event);
}

static void put_span(struct exporter *out, const struct trace_span *span, unsigned int lane)
{
    json_object *event =
        new_event(out, span->has_end ? "X" : "i", span->name, span->is_wire ? "wire" : "iokit",
                  span->start_ns, trace_call_process(span->call), lane);
    json_object *arguments = json_object_new_object();
    json_add_number(arguments, "call", trace_call_number(span->call));
    json_add_text(arguments, "arguments", span->arguments);
    if (span->has_end) {
        add_us(event, "dur", span->end_ns - span->start_ns);
        json_add_hex(arguments, "code", span->code, 1);
        json_add_text(arguments, "result", span->result);
    } else {
        json_add_text(event, "s", "t");
    }
    json_object_object_add(event, "args", arguments);
    put_event(out, event);
}

static void put_hop(struct exporter *out, const struct trace_line *line, unsigned int lane)
{
    json_object *event =
        new_event(out, "i", line->hop, line->hop, line->time_ns, HOST_PROCESS, lane);
    json_object *arguments = json_object_new_object();
    json_add_text(arguments, "text", line->text);
    json_add_number(arguments, "process", trace_call_process(line->call));
    json_add_number(arguments, "call", trace_call_number(line->call));
    json_add_text(event, "s", "t");
    json_object_object_add(event, "args", arguments);
    put_event(out, event);
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

/* The first row that is free when the call begins. */
static void choose_lanes(struct exporter *out, struct group *groups, size_t count)
{
    struct lanes *lanes = NULL;
    size_t process_count = 0;
    qsort(groups, count, sizeof(*groups), compare_groups);
    for (size_t i = 0; i < count; i++) {
        uint32_t process = trace_call_process(groups[i].call);
        size_t at = 0;
        while (at < process_count && lanes[at].process != process) {
            at++;
        }
        if (at == process_count) {
            struct lanes *more = realloc(lanes, (process_count + 1) * sizeof(*lanes));
            if (!more) {
                break; /* the rest shares the first row */
            }
            lanes = more;
            lanes[process_count++] = (struct lanes){.process = process};
            char name[32];
            snprintf(name, sizeof(name), process ? "client %" PRIu32 : "no call", process);
            put_name(out, process, name);
        }
        unsigned int lane = 0;
        while (lane + 1 < LANES_MAX && lanes[at].ends[lane] > groups[i].start_ns) {
            lane++;
        }
        lanes[at].ends[lane] = groups[i].end_ns;
        groups[i].lane = lane;
    }
    free(lanes);
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
static void put_all(struct exporter *out, const struct trace_log *log,
                    const struct trace_spans *spans, struct group *groups, size_t count)
{
    size_t span = 0;
    put_name(out, HOST_PROCESS, "host");
    choose_lanes(out, groups, count);
    qsort(groups, count, sizeof(*groups), compare_calls);
    for (size_t i = 0; i < count; i++) {
        for (; span < spans->count && spans->list[span].call == groups[i].call; span++) {
            if (!spans->list[span].is_host) { /* else its hops say all */
                put_span(out, &spans->list[span], groups[i].lane);
            }
        }
        for (size_t line = groups[i].first; line < groups[i].first + groups[i].count; line++) {
            if (trace_hop_is_host(log->lines[line].hop) || groups[i].call == 0) {
                put_hop(out, &log->lines[line], groups[i].lane);
            }
        }
    }
}

int trace_export(const char *path, const struct trace_log *log, const struct trace_spans *spans)
{
    struct exporter out = {.origin_ns = UINT64_MAX};
    struct group *groups = calloc(log->count + 1, sizeof(*groups));

    errno = 0;
    out.file = groups ? fopen(path, "w") : NULL;
    if (!out.file) {
        int error = groups ? errno : ENOMEM;
        free(groups);
        return -error;
    }
    for (size_t i = 0; i < log->count; i++) {
        out.origin_ns =
            log->lines[i].time_ns < out.origin_ns ? log->lines[i].time_ns : out.origin_ns;
    }
    out.origin_ns = log->count ? out.origin_ns : 0;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out.file);
    put_all(&out, log, spans, groups, make_groups(log, groups));
    fputs("\n]}\n", out.file);
    free(groups);
    bool is_bad = ferror(out.file);
    return fclose(out.file) != 0 || is_bad ? (errno ? -errno : -EIO) : 0;
}
