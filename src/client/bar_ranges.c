/*
 * Which parts of a BAR are plain memory in a mapping of it: an extension.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>

#include "client/bar.h"
#include "client/call.h"
#include "client/log.h"

_Static_assert(APPLE_DEXT_BAR_RANGES == DEXT_BAR_RANGES, "the header's number is the driver's");

/* Ascending, apart and inside the BAR, as promised to the caller. */
static bool ranges_are_sane(const uint64_t *reply, uint64_t bar_bytes)
{
    uint64_t end = 0;

    if (reply[0] > DEXT_BAR_RANGES) {
        return false;
    }
    for (uint64_t i = 0; i < reply[0]; i++) {
        uint64_t offset = reply[1 + 2 * i], bytes = reply[2 + 2 * i];

        if (offset < end || bytes == 0 || offset > bar_bytes || bytes > bar_bytes - offset) {
            return false;
        }
        end = offset + bytes;
    }
    return true;
}

static kern_return_t ranges_ask(struct client_connection *connection, uint8_t index,
                                uint64_t reply[CLIENT_SCALARS_MAX])
{
    const uint64_t in[] = {index};
    struct client_bar bar;
    kern_return_t status = client_bar_ask(connection, index, &bar);

    if (status == kIOReturnSuccess) {
        status = client_call(connection, DEXT_SEL_GET_BAR_RANGES, in, reply);
    }
    if (status == kIOReturnSuccess && !ranges_are_sane(reply, bar.bytes)) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "BAR %u of 0x%" PRIx64 " bytes: the driver's ranges of it make no sense", index,
                   bar.bytes);
        status = kIOReturnInternalError;
    }
    return status;
}

kern_return_t apple_dext_get_bar_ranges(io_connect_t connection, uint8_t bar,
                                        AppleDextBarRange out_ranges[APPLE_DEXT_BAR_RANGES],
                                        uint32_t *out_count)
{
    uint64_t reply[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    if (bar >= DEXT_BAR_COUNT || out_ranges == NULL || out_count == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = ranges_ask(state, bar, reply);
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_count = (uint32_t)reply[0];
        for (uint32_t i = 0; i < *out_count; i++) {
            out_ranges[i] = (AppleDextBarRange){reply[1 + 2 * i], reply[2 + 2 * i]};
        }
    }
    return status;
}
