/*
 * Which calls clients made of late: kept as they end, handed out by ReadCalls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <time.h>

uint64_t dext_call_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void dext_call_record(struct dext_client *client, struct dext_call_record *record)
{
    record->client = (uint32_t)client->id;
    record->process = client->process;
    record->duration_ns = dext_call_now_ns() - record->start_ns;
    call_ring_add(&client->dext->ring, record);
}

IOReturn dext_calls_read(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t cursor = arguments->scalar_in[0];
    size_t room = arguments->struct_out ? arguments->struct_out_room : 0;
    size_t count =
        call_ring_read(&client->dext->ring, &cursor, arguments->struct_out,
                       room / sizeof(struct dext_call_record), &arguments->scalar_out[2]);
    arguments->scalar_out[0] = count;
    arguments->scalar_out[1] = cursor;
    arguments->struct_out_bytes = count * sizeof(struct dext_call_record);
    return kIOReturnSuccess;
}
