/*
 * Reading the hop trace that DEXTLINK_TRACE makes processes write: lines, calls, what is made of
 * them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_TRACE_H
#define DEXTLINK_DEXTCTL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_HOP_BYTES  12
#define TRACE_NAME_BYTES 40
#define TRACE_LINES_MAX  4000000 /* kept; what is more is counted */
#define TRACE_LINE_BYTES 600     /* of a line; the writer's are at most 512 */

struct trace_line {
    uint64_t time_ns;
    uint64_t call; /* 0: part of no call */
    size_t order;  /* of arrival */
    char hop[TRACE_HOP_BYTES];
    char *text; /* owned */
};

/** Take a line apart; text is borrowed from it. false when it is no line of a trace. */
bool trace_line_parse(char *text, struct trace_line *line);

/** The process that began the call, and the call's number there. */
uint32_t trace_call_process(uint64_t call);
uint32_t trace_call_number(uint64_t call);

/** Whether the hop is behind the wire, so of the host. */
bool trace_hop_is_host(const char *hop);

/** A selector's name, "selector 99" for others. Returns name. */
const char *trace_selector_name(unsigned long selector, char name[TRACE_NAME_BYTES]);

struct trace_log {
    struct trace_line *lines;
    size_t count, room;
    size_t lost;
};

/** Keep a copy. Lines beyond the limit, or without memory for them, count as lost. */
void trace_log_add(struct trace_log *log, const struct trace_line *line);
void trace_log_clear(struct trace_log *log);

/* Something with a beginning and an end, out of a call's lines. */
struct trace_span {
    uint64_t call;
    uint64_t start_ns, end_ns;
    bool has_end; /* false: the trace ends before it, or shows one end only */
    bool is_wire;
    bool is_host;  /* only the host's side is known */
    uint32_t code; /* what it ended with; 0 is success */
    char name[TRACE_NAME_BYTES];
    const char *arguments; /* borrowed from the lines; "" when there are none */
    const char *result;
};

struct trace_spans {
    struct trace_span *list;
    size_t count, room;
};

/** Sort the lines by call and time, and pair them. false: out of memory. */
bool trace_spans_make(struct trace_log *log, struct trace_spans *spans);
void trace_spans_clear(struct trace_spans *spans);

/** Append one, zeroed but for call and time. NULL: out of memory. */
struct trace_span *trace_spans_add(struct trace_spans *spans, uint64_t call, uint64_t time_ns);

/* What a summary is made of: "lines" or "calls", how many are kept, how many are not. */
struct trace_extent {
    const char *unit;
    size_t kept, lost;
};

/** Print what each kind of call did: count, median, 99th percentile, errors. */
void trace_print_summary(FILE *file, const struct trace_extent *extent,
                         const struct trace_spans *spans, bool json);

/** Write everything as JSON trace events, for the Perfetto UI or chrome://tracing. 0, -errno. */
int trace_export(const char *path, const struct trace_log *log, const struct trace_spans *spans);

#endif
