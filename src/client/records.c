/*
 * What a driver recorded of its clients: their last calls, and what they have mapped for DMA.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdlib.h>

#include "client/access.h"
#include "client/call.h"
#include "client/log.h"

_Static_assert(APPLE_DEXT_CALLS_KEPT == DEXT_CALLS_KEPT, "as the driver's");
_Static_assert(APPLE_DEXT_CALL_INPUTS == DEXT_CALL_INPUTS, "as the driver's");

/* Outputs that both calls begin with. */
enum { READ_COUNT = 0, READ_NEXT = 1, READ_LOST = 2 };

/* Some of what a selector lists. */
struct record_page {
    void *records; /* malloc'ed */
    size_t record_bytes;
    size_t room;  /* records asked for */
    size_t count; /* records that came */
    uint64_t next;
    uint64_t lost;
};

/* The count of a reply is believed only where the structure has as many records. */
static kern_return_t record_page_ask(struct client_connection *connection,
                                     enum dext_selector selector, uint64_t cursor,
                                     struct record_page *page)
{
    uint64_t out[CLIENT_SCALARS_MAX];
    size_t got = 0;
    const struct client_structures structures = {
        .out = page->records, .out_bytes = page->room * page->record_bytes, .out_got = &got};
    kern_return_t status = client_call_structures(connection, selector, &cursor, out, &structures);

    if (status != kIOReturnSuccess) {
        return status;
    }
    page->count = (size_t)out[READ_COUNT];
    page->next = out[READ_NEXT];
    page->lost = selector == DEXT_SEL_READ_CALLS ? out[READ_LOST] : 0;
    if (out[READ_COUNT] > got / page->record_bytes) {
        client_log(APPLE_DEXT_LOG_ERROR, "the reply has %zu of the records that it counts",
                   got / page->record_bytes);
        return kIOReturnUnderrun;
    }
    return kIOReturnSuccess;
}

static kern_return_t record_page_get(io_connect_t connection, enum dext_selector selector,
                                     uint64_t cursor, struct record_page *page)
{
    struct client_connection *state;
    kern_return_t status = client_connection_enter(connection, &state);

    if (status != kIOReturnSuccess) {
        return status;
    }
    page->records = calloc(page->room, page->record_bytes);
    status =
        page->records != NULL ? record_page_ask(state, selector, cursor, page) : kIOReturnNoMemory;
    client_connection_leave(state);
    if (status != kIOReturnSuccess) {
        free(page->records);
    }
    return status;
}

static AppleDextCall call_from_record(const struct dext_call_record *record)
{
    AppleDextCall call = {.sequence = record->sequence,
                          .start_ns = record->start_ns,
                          .duration_ns = record->duration_ns,
                          .selector = record->selector,
                          .code = (kern_return_t)record->code,
                          .client = record->client,
                          .process = record->process,
                          .kind = record->kind,
                          .input_count = record->input_count,
                          .hidden = record->hidden};

    for (unsigned i = 0; i < APPLE_DEXT_CALL_INPUTS; i++) {
        call.inputs[i] = record->inputs[i];
    }
    return call;
}

kern_return_t apple_dext_read_calls(io_connect_t connection, uint64_t *cursor,
                                    AppleDextCall *out_calls, size_t *count, uint64_t *out_lost)
{
    struct record_page page = {.record_bytes = sizeof(struct dext_call_record)};
    const struct dext_call_record *records;
    kern_return_t status;

    if (cursor == NULL || out_calls == NULL || count == NULL || *count == 0 || out_lost == NULL) {
        return kIOReturnBadArgument;
    }
    page.room = *count < APPLE_DEXT_CALLS_KEPT ? *count : APPLE_DEXT_CALLS_KEPT;
    status = record_page_get(connection, DEXT_SEL_READ_CALLS, *cursor, &page);
    if (status != kIOReturnSuccess) {
        return status;
    }
    records = page.records;
    for (size_t i = 0; i < page.count; i++) {
        out_calls[i] = call_from_record(&records[i]);
    }
    *cursor = page.next;
    *count = page.count;
    *out_lost = page.lost;
    free(page.records);
    return kIOReturnSuccess;
}

kern_return_t apple_dext_list_dma_segments(io_connect_t connection, uint64_t *cursor,
                                           AppleDextDmaSegment *out_segments, size_t *count)
{
    struct record_page page = {.record_bytes = sizeof(struct dext_dma_segment)};
    const struct dext_dma_segment *segments;
    kern_return_t status;

    if (cursor == NULL || out_segments == NULL || count == NULL || *count == 0) {
        return kIOReturnBadArgument;
    }
    page.room = *count < DEXT_SEGMENTS_A_CALL ? *count : DEXT_SEGMENTS_A_CALL;
    status = record_page_get(connection, DEXT_SEL_LIST_DMA_REGIONS, *cursor, &page);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (page.next != 0 && (page.count == 0 || page.next <= *cursor)) {
        client_log(APPLE_DEXT_LOG_ERROR, "the list of DMA regions does not go on");
        free(page.records);
        return kIOReturnInternalError; /* whoever asks until the end would ask for ever */
    }
    segments = page.records;
    for (size_t i = 0; i < page.count; i++) {
        out_segments[i] =
            (AppleDextDmaSegment){.iova = segments[i].iova,
                                  .bus_addr = segments[i].bus_address,
                                  .bus_len = segments[i].bytes,
                                  .client = segments[i].client,
                                  .is_buffer = (segments[i].flags & DEXT_SEGMENT_BUFFER) != 0};
    }
    *cursor = page.next;
    *count = page.count;
    free(page.records);
    return kIOReturnSuccess;
}
