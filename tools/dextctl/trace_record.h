/*
 * Calls that a driver has kept: their texts, and what is made of many of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_TRACE_RECORD_H
#define DEXTLINK_DEXTCTL_TRACE_RECORD_H

#include <json-c/json.h>

#include "apple-dext-client.h"
#include "trace.h"

/* A call, or a gap where calls were overwritten before they were read. */
struct trace_record {
    AppleDextCall call;
    uint64_t lost;      /* 0: a call; else how many; the call then is the one behind the gap */
    const char *device; /* borrowed */
};

struct trace_records {
    struct trace_record *list;
    size_t count, room;
    size_t calls, lost; /* lost: in gaps, and those that are more than are kept */
};

/** Keep one. */
void trace_records_add(struct trace_records *records, const struct trace_record *record);
void trace_records_clear(struct trace_records *records);

/** What a call is called: its selector, or the access it was. Returns name. */
const char *trace_call_name(const AppleDextCall *call, char name[TRACE_NAME_BYTES]);

/** Keys of a call: process, client, sequence, call, inputs, code, result, duration_us. */
json_object *trace_call_json(const AppleDextCall *call);

/** Print one on a line; origin_ns is what times count from. */
void trace_record_print(FILE *file, const struct trace_record *record, uint64_t origin_ns,
                        bool json);

/** Spans for a summary. false: out of memory. Clear them. */
bool trace_records_spans(const struct trace_records *records, struct trace_spans *spans);

/** Write them as JSON trace events; sorts them by start. 0, -errno. */
int trace_records_export(const char *path, struct trace_records *records);

#endif
