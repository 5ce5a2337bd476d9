/*
 * Which calls clients made of late: kept as they end, handed out by ReadCalls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include "base/ticks.h"

void dext_call_record(struct dext_client *client, struct dext_call_record *record)
{
    uint64_t now = ticks_now();
    record->client = (uint32_t)client->id;
    record->process = client->process;
    /* Not below 0 where two processors' counters differ by a little. */
    record->duration_ns = now > record->start_ns ? now - record->start_ns : 0;
    call_ring_add(&client->dext->ring, record);
}

static void calls_to_ns(struct dext_call_record *records, size_t count)
{
    struct ticks_scale scale;
    ticks_scale_now(&scale);
    for (size_t i = 0; i < count; i++) {
        records[i].start_ns = ticks_to_ns(&scale, records[i].start_ns);
        records[i].duration_ns = ticks_length_ns(&scale, records[i].duration_ns);
    }
}

IOReturn dext_calls_read(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t cursor = arguments->scalar_in[0];
    size_t room = arguments->struct_out ? arguments->struct_out_room : 0;
    size_t count =
        call_ring_read(&client->dext->ring, &cursor, arguments->struct_out,
                       room / sizeof(struct dext_call_record), &arguments->scalar_out[2]);
    if (count > 0) {
        calls_to_ns(arguments->struct_out, count);
    }
    arguments->scalar_out[0] = count;
    arguments->scalar_out[1] = cursor;
    arguments->struct_out_bytes = count * sizeof(struct dext_call_record);
    return kIOReturnSuccess;
}
