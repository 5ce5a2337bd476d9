/*
 * Recent calls and live DMA segments, as JSON.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "doctor_records.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "output.h"
#include "session.h"
#include "trace_record.h"

#define SEGMENTS_A_LOOK 256

static kern_return_t read_more(struct doctor_records *records, io_connect_t connection,
                               size_t *count)
{
    uint64_t lost;
    bool is_first = records->cursor == 0;
    AppleDextCall *calls =
        realloc(records->calls, (records->count + APPLE_DEXT_CALLS_KEPT) * sizeof(*calls));

    if (!calls) {
        return kIOReturnNoMemory;
    }
    records->calls = calls;
    *count = APPLE_DEXT_CALLS_KEPT;
    kern_return_t code =
        apple_dext_read_calls(connection, &records->cursor, calls + records->count, count, &lost);
    if (code == KERN_SUCCESS) {
        records->count += *count;
        records->lost += is_first ? 0 : lost; /* what was before is not ours to count */
    }
    return code;
}

void doctor_records_read(struct doctor_records *records, io_connect_t connection)
{
    size_t count = 0;
    if (records->code == KERN_SUCCESS) {
        records->code = read_more(records, connection, &count);
    }
}

void doctor_records_clear(struct doctor_records *records)
{
    free(records->calls);
    *records = (struct doctor_records){0};
}

static void write_call(FILE *file, const struct doctor_records *records, size_t index)
{
    const AppleDextCall *call = &records->calls[index];
    double ms = ((double)call->start_ns - (double)records->calls[0].start_ns) / 1e6;
    json_object *object = trace_call_json(call);

    json_add_ms(object, "time_ms", ms);
    json_add_bool(object, "doctor", call->process == (uint32_t)getpid());
    fprintf(file, "%s\n%s", index ? "," : "",
            json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

void doctor_records_write(const struct doctor_records *records, FILE *file)
{
    if (records->count == 0 && records->code != KERN_SUCCESS) {
        fprintf(file, "{\"calls\":null,\"reason\":\"%s\"}\n", code_text(records->code));
        return;
    }
    fprintf(file, "{\"lost\":%" PRIu64 ",\"calls\":[", records->lost);
    for (size_t i = 0; i < records->count; i++) {
        write_call(file, records, i);
    }
    fputs("\n]}\n", file);
}

static json_object *segment_json(const AppleDextDmaSegment *segment)
{
    json_object *object = json_object_new_object();
    if (segment->is_buffer) {
        json_object_object_add(object, "iova", NULL);
    } else {
        json_add_hex(object, "iova", segment->iova, 1);
    }
    json_add_hex(object, "bus_address", segment->bus_addr, 1);
    json_add_number(object, "bytes", segment->bus_len);
    json_add_number(object, "client", segment->client);
    json_add_bool(object, "buffer", segment->is_buffer);
    return object;
}

json_object *doctor_segments_json(io_connect_t connection)
{
    AppleDextDmaSegment segments[SEGMENTS_A_LOOK];
    json_object *top = json_object_new_object();
    json_object *list = json_object_new_array();
    kern_return_t code;
    uint64_t cursor = 0;

    do {
        size_t count = SEGMENTS_A_LOOK;
        code = apple_dext_list_dma_segments(connection, &cursor, segments, &count);
        for (size_t i = 0; code == KERN_SUCCESS && i < count; i++) {
            json_object_array_add(list, segment_json(&segments[i]));
        }
    } while (code == KERN_SUCCESS && cursor != 0);
    if (code != KERN_SUCCESS) {
        json_object_put(list);
        list = NULL;
        json_add_text(top, "reason", code_text(code));
    }
    json_object_object_add(top, "segments", list);
    return top;
}
