/*
 * Calls that a driver has kept, as lines, JSON, spans and JSON trace events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "trace_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "session.h"
#include "trace_events.h"

#define ROOM_FIRST   1024
#define INPUTS_BYTES 128
#define RESULT_BYTES 80

void trace_records_add(struct trace_records *records, const struct trace_record *record)
{
    if (records->count == records->room && records->room < TRACE_LINES_MAX) {
        size_t room = records->room ? 2 * records->room : ROOM_FIRST;
        struct trace_record *list = realloc(records->list, room * sizeof(*list));
        if (list) {
            records->list = list;
            records->room = room;
        }
    }
    records->lost += record->lost;
    if (records->count == records->room) {
        records->lost += record->lost == 0;
        return;
    }
    records->list[records->count++] = *record;
    records->calls += record->lost == 0;
}

void trace_records_clear(struct trace_records *records)
{
    free(records->list);
    *records = (struct trace_records){0};
}

const char *trace_call_name(const AppleDextCall *call, char name[TRACE_NAME_BYTES])
{
    static const char *const names[] = {[APPLE_DEXT_CALL_LOAD] = "trapped load",
                                        [APPLE_DEXT_CALL_STORE] = "trapped store",
                                        [APPLE_DEXT_CALL_MAP] = "map memory"};
    if (call->kind == APPLE_DEXT_CALL_METHOD) {
        return trace_selector_name(call->selector, name);
    }
    if (call->kind < sizeof(names) / sizeof(*names)) {
        snprintf(name, TRACE_NAME_BYTES, "%s", names[call->kind]);
    } else {
        snprintf(name, TRACE_NAME_BYTES, "call of kind %u", call->kind);
    }
    return name;
}

/* "(0x10000,hidden,0x4000)" */
static const char *inputs_text(const AppleDextCall *call, char text[INPUTS_BYTES])
{
    size_t used = (size_t)snprintf(text, INPUTS_BYTES, "(");
    for (unsigned i = 0; i < call->input_count && i < APPLE_DEXT_CALL_INPUTS; i++) {
        const char *comma = i ? "," : "";
        used += (size_t)(call->hidden & (1u << i)
                             ? snprintf(text + used, INPUTS_BYTES - used, "%shidden", comma)
                             : snprintf(text + used, INPUTS_BYTES - used, "%s0x%" PRIx64, comma,
                                        call->inputs[i]));
    }
    snprintf(text + used, INPUTS_BYTES - used, "%s)",
             call->input_count > APPLE_DEXT_CALL_INPUTS ? ",..." : "");
    return text;
}

/* The beginning of what the code means; the rest is for people who have only one. */
static const char *result_text(kern_return_t code, char text[RESULT_BYTES])
{
    const char *meaning = code_text(code);
    snprintf(text, RESULT_BYTES, "%.*s", (int)strcspn(meaning, ":;,("), meaning);
    return text;
}

json_object *trace_call_json(const AppleDextCall *call)
{
    char name[TRACE_NAME_BYTES];
    char text[RESULT_BYTES];
    json_object *object = json_object_new_object();
    json_object *inputs = json_object_new_array();

    for (unsigned i = 0; i < call->input_count && i < APPLE_DEXT_CALL_INPUTS; i++) {
        char value[24];
        snprintf(value, sizeof(value), "0x%" PRIx64, call->inputs[i]);
        json_object_array_add(inputs,
                              call->hidden & (1u << i) ? NULL : json_object_new_string(value));
    }
    json_add_number(object, "process", call->process);
    json_add_number(object, "client", call->client);
    json_add_number(object, "sequence", call->sequence);
    json_add_text(object, "call", trace_call_name(call, name));
    json_object_object_add(object, "inputs", inputs);
    json_add_hex(object, "code", (uint32_t)call->code, 1);
    json_add_text(object, "result", result_text(call->code, text));
    trace_event_add_us(object, "duration_us", call->duration_ns);
    return object;
}

static double time_ms(const struct trace_record *record, uint64_t origin_ns)
{
    return ((double)record->call.start_ns - (double)origin_ns) / 1e6;
}

static void print_json(FILE *file, const struct trace_record *record, uint64_t origin_ns)
{
    json_object *object = json_object_new_object();
    json_add_ms(object, "time_ms", time_ms(record, origin_ns));
    json_add_text(object, "device", record->device);
    if (record->lost) {
        json_add_number(object, "lost", record->lost);
    } else {
        json_object *call = trace_call_json(&record->call);
        struct json_object_iterator at = json_object_iter_begin(call);
        struct json_object_iterator end = json_object_iter_end(call);
        for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
            json_object_object_add(object, json_object_iter_peek_name(&at),
                                   json_object_get(json_object_iter_peek_value(&at)));
        }
        json_object_put(call);
    }
    fprintf(file, "%s\n",
            json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

void trace_record_print(FILE *file, const struct trace_record *record, uint64_t origin_ns,
                        bool json)
{
    const AppleDextCall *call = &record->call;
    char name[TRACE_NAME_BYTES];
    char inputs[INPUTS_BYTES];
    char result[RESULT_BYTES];

    if (json) {
        print_json(file, record, origin_ns);
        return;
    }
    fprintf(file, "%12.3f ms  %-10s ", time_ms(record, origin_ns), record->device);
    if (record->lost) {
        fprintf(file, "%" PRIu64 " calls lost: they came faster than they were read\n",
                record->lost);
        return;
    }
    fprintf(file, "%6" PRIu32 "#%-4" PRIu32 " %s %s -> %s", call->process, call->client,
            trace_call_name(call, name), inputs_text(call, inputs),
            result_text(call->code, result));
    if (call->code != KERN_SUCCESS) {
        fprintf(file, " (0x%x)", (unsigned int)call->code);
    }
    fprintf(file, ", %.1f us\n", (double)call->duration_ns / 1e3);
}

bool trace_records_spans(const struct trace_records *records, struct trace_spans *spans)
{
    *spans = (struct trace_spans){0};
    for (size_t i = 0; i < records->count; i++) {
        const AppleDextCall *call = &records->list[i].call;
        if (records->list[i].lost) {
            continue;
        }
        struct trace_span *span = trace_spans_add(spans, call->sequence, call->start_ns);
        if (!span) {
            trace_spans_clear(spans);
            return false;
        }
        span->end_ns = call->start_ns + call->duration_ns;
        span->has_end = true;
        span->code = (uint32_t)call->code;
        trace_call_name(call, span->name);
    }
    return true;
}

static int compare_records(const void *first, const void *second)
{
    const struct trace_record *a = first;
    const struct trace_record *b = second;
    if (a->call.start_ns != b->call.start_ns) {
        return a->call.start_ns < b->call.start_ns ? -1 : 1;
    }
    return a->call.sequence < b->call.sequence ? -1 : a->call.sequence > b->call.sequence;
}

static void put_gap(struct trace_events *events, const struct trace_record *record)
{
    char name[48];
    snprintf(name, sizeof(name), "%" PRIu64 " calls lost", record->lost);
    json_object *event =
        trace_event_new(events, "i", name, "lost", record->call.start_ns, TRACE_HOST_PROCESS, 0);
    json_object *arguments = json_object_new_object();
    json_add_text(arguments, "device", record->device);
    json_add_number(arguments, "lost", record->lost);
    json_add_text(event, "s", "g");
    json_object_object_add(event, "args", arguments);
    trace_event_put(events, event);
}

static void put_call(struct trace_events *events, const struct trace_record *record)
{
    const AppleDextCall *call = &record->call;
    char name[TRACE_NAME_BYTES];
    char text[INPUTS_BYTES];
    unsigned int row =
        trace_events_row(events, call->process, call->start_ns, call->start_ns + call->duration_ns);
    json_object *event = trace_event_new(events, "X", trace_call_name(call, name), "dext",
                                         call->start_ns, call->process, row);
    json_object *arguments = json_object_new_object();
    trace_event_add_us(event, "dur", call->duration_ns);
    json_add_text(arguments, "device", record->device);
    json_add_number(arguments, "client", call->client);
    json_add_number(arguments, "sequence", call->sequence);
    json_add_text(arguments, "arguments", inputs_text(call, text));
    json_add_hex(arguments, "code", (uint32_t)call->code, 1);
    json_add_text(arguments, "result", result_text(call->code, text));
    json_object_object_add(event, "args", arguments);
    trace_event_put(events, event);
}

int trace_records_export(const char *path, struct trace_records *records)
{
    struct trace_events events;

    if (records->count) {
        qsort(records->list, records->count, sizeof(*records->list), compare_records);
    }
    int error =
        trace_events_open(&events, path, records->count ? records->list[0].call.start_ns : 0);
    if (error) {
        return error;
    }
    trace_events_name(&events, TRACE_HOST_PROCESS, "host");
    for (size_t i = 0; i < records->count; i++) {
        if (records->list[i].lost) {
            put_gap(&events, &records->list[i]);
        } else {
            put_call(&events, &records->list[i]);
        }
    }
    return trace_events_close(&events);
}
