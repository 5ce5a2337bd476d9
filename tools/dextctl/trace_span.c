/*
 * Calls out of the lines of a trace: what begins and what ends them, by the texts of each hop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define ROOM_FIRST 256

static int compare_lines(const void *first, const void *second)
{
    const struct trace_line *a = first;
    const struct trace_line *b = second;
    if (a->call != b->call) {
        return a->call < b->call ? -1 : 1;
    }
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

struct trace_span *trace_spans_add(struct trace_spans *spans, uint64_t call, uint64_t time_ns)
{
    if (spans->count == spans->room) {
        size_t room = spans->room ? 2 * spans->room : ROOM_FIRST;
        struct trace_span *list = realloc(spans->list, room * sizeof(*list));
        if (!list) {
            return NULL;
        }
        spans->list = list;
        spans->room = room;
    }
    struct trace_span *span = &spans->list[spans->count++];
    *span = (struct trace_span){
        .call = call, .start_ns = time_ns, .end_ns = time_ns, .arguments = "", .result = ""};
    return span;
}

static struct trace_span *add_span(struct trace_spans *spans, const struct trace_line *line)
{
    return trace_spans_add(spans, line->call, line->time_ns);
}

/* What an iokit line begins; false when it begins nothing. */
static bool begin_iokit(const struct trace_line *line, char name[TRACE_NAME_BYTES],
                        const char **arguments)
{
    static const char *const functions[] = {"IOServiceOpen type", "IOConnectMapMemory64 ",
                                            "IOConnectUnmapMemory64 ", "trapped load ",
                                            "trapped store "};
    static const char call[] = "IOConnectCallMethod selector=";
    char *end;

    if (strncmp(line->text, call, sizeof(call) - 1) == 0) {
        trace_selector_name(strtoul(line->text + sizeof(call) - 1, &end, 10), name);
        *arguments = *end == ' ' ? end + 1 : end;
        return true;
    }
    if (strcmp(line->text, "IOServiceClose") == 0) {
        snprintf(name, TRACE_NAME_BYTES, "IOServiceClose");
        return true;
    }
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        if (strncmp(line->text, functions[i], strlen(functions[i])) == 0) {
            const char *rest = strstr(line->text, " type");
            size_t length = rest ? (size_t)(rest - line->text) : 0;
            length = length < TRACE_NAME_BYTES ? length : TRACE_NAME_BYTES - 1;
            memcpy(name, line->text, length);
            name[length] = '\0';
            *arguments = rest ? rest + 1 : "";
            return true;
        }
    }
    return false;
}

/* "… -> 0xe00002c2 (…)" */
static void end_iokit(const struct trace_line *line, struct trace_span *span)
{
    const char *arrow = strstr(line->text, "-> 0x");
    char *end;
    if (!arrow || !span) {
        return;
    }
    span->code = (uint32_t)strtoul(arrow + 3, &end, 16);
    span->result = *end == ' ' ? end + 1 : end;
    span->end_ns = line->time_ns;
    span->has_end = true;
}

/* "reply type=18, 8 bytes (0)" */
static void end_wire(const struct trace_line *line, struct trace_span *wire)
{
    const char *error = strrchr(line->text, '(');
    uint32_t code = error ? (uint32_t)strtol(error + 1, NULL, 10) : 0;
    if (wire) {
        wire->end_ns = line->time_ns;
        wire->has_end = true;
        wire->code = code;
    }
}

/* What writes no line at its end, as a trapped access, ends with the last that it caused. */
static void end_silent(const struct trace_line *last, struct trace_span *span)
{
    static const char *const names[] = {"trapped load", "trapped store", "IOServiceClose",
                                        "IOConnectUnmapMemory64"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(span->name, names[i]) == 0 && last->time_ns > span->start_ns) {
            span->end_ns = last->time_ns;
            span->has_end = true;
        }
    }
}

/* A call of which only the host's lines are here: how long it took is not known. */
static bool add_host_only(struct trace_spans *spans, const struct trace_line *line)
{
    const char *name = strchr(line->text, ' ');
    size_t length = name ? strcspn(name + 1, "( ") : 0;
    if (strcmp(line->hop, "dext") != 0 || length == 0) {
        return true;
    }
    struct trace_span *span = add_span(spans, line);
    if (!span) {
        return false;
    }
    const char *status = strrchr(line->text, ' ');
    span->is_host = true;
    snprintf(span->name, sizeof(span->name), "dext %.*s", (int)(length < 30 ? length : 30),
             name + 1);
    span->arguments = name + 1 + length;
    span->code = !strstr(status, "Success") && !strstr(status, "success");
    return true;
}

/* Lines of one call, in order of time. */
static bool add_call(const struct trace_line *lines, size_t count, struct trace_spans *spans)
{
    size_t none = SIZE_MAX;
    size_t iokit = none; /* indices: the array moves */
    size_t wire = none;
    bool has_client = false;

    for (size_t i = 0; i < count; i++) {
        has_client = has_client || strcmp(lines[i].hop, "iokit") == 0;
    }
    for (size_t i = 0; i < count; i++) {
        const struct trace_line *line = &lines[i];
        bool begins = strncmp(line->text, "request ", 8) == 0;
        char name[TRACE_NAME_BYTES];
        const char *arguments = "";
        if (!has_client) {
            if (!add_host_only(spans, line)) {
                return false;
            }
        } else if (strcmp(line->hop, "iokit") == 0 && begin_iokit(line, name, &arguments)) {
            struct trace_span *span = add_span(spans, line);
            if (!span) {
                return false;
            }
            memcpy(span->name, name, sizeof(name));
            span->arguments = arguments;
            iokit = spans->count - 1;
        } else if (strcmp(line->hop, "iokit") == 0) {
            end_iokit(line, iokit == none ? NULL : &spans->list[iokit]);
            iokit = none;
        } else if (strcmp(line->hop, "wire") == 0 && begins) {
            struct trace_span *span = add_span(spans, line);
            if (!span) {
                return false;
            }
            span->is_wire = true;
            snprintf(span->name, sizeof(span->name), "wire");
            span->arguments = line->text + 8;
            wire = spans->count - 1;
        } else if (strcmp(line->hop, "wire") == 0) {
            end_wire(line, wire == none ? NULL : &spans->list[wire]);
            wire = none;
        }
    }
    if (iokit != none) {
        end_silent(&lines[count - 1], &spans->list[iokit]);
    }
    return true;
}

bool trace_spans_make(struct trace_log *log, struct trace_spans *spans)
{
    *spans = (struct trace_spans){0};
    if (log->count) {
        qsort(log->lines, log->count, sizeof(*log->lines), compare_lines);
    }
    for (size_t start = 0, end; start < log->count; start = end) {
        end = start + 1;
        while (end < log->count && log->lines[end].call == log->lines[start].call) {
            end++;
        }
        if (log->lines[start].call != 0 && !add_call(log->lines + start, end - start, spans)) {
            trace_spans_clear(spans);
            return false;
        }
    }
    return true;
}

void trace_spans_clear(struct trace_spans *spans)
{
    free(spans->list);
    *spans = (struct trace_spans){0};
}
