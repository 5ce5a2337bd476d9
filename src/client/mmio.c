/*
 * MMIO by calls to the driver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/access.h"
#include "client/bar.h"
#include "client/call.h"

enum { MMIO_WIDEST = 8 };

static kern_return_t mmio_check(struct client_connection *connection, uint8_t memory_index,
                                uint64_t offset, uint64_t width)
{
    struct client_bar bar;
    kern_return_t status = client_bar_find(connection, memory_index, &bar);

    if (status == kIOReturnSuccess &&
        !client_access_is_valid(offset, width, MMIO_WIDEST, bar.bytes)) {
        status = kIOReturnBadArgument;
    }
    return status;
}

kern_return_t apple_dext_mmio_read(io_connect_t connection, uint8_t mem_idx, uint64_t offset,
                                   uint64_t width, uint64_t *out_value)
{
    const uint64_t in[] = {mem_idx, offset, width};
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    if (out_value == NULL || !client_access_is_valid(offset, width, MMIO_WIDEST, UINT64_MAX)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = mmio_check(state, mem_idx, offset, width);
    if (status == kIOReturnSuccess) {
        status = client_call(state, DEXT_SEL_MMIO_READ, in, out);
    }
    if (status == kIOReturnSuccess) {
        *out_value = out[0] & client_ones(width);
        if (*out_value == client_ones(width)) {
            status = client_verify_device(state);
        }
    }
    client_connection_leave(state);
    return status;
}

kern_return_t apple_dext_mmio_write(io_connect_t connection, uint8_t mem_idx, uint64_t offset,
                                    uint64_t width, uint64_t value)
{
    struct client_connection *state;
    kern_return_t status;

    if (!client_access_is_valid(offset, width, MMIO_WIDEST, UINT64_MAX)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = mmio_check(state, mem_idx, offset, width);
    if (status == kIOReturnSuccess) {
        const uint64_t in[] = {mem_idx, offset, width, value & client_ones(width)};
        status = client_call(state, DEXT_SEL_MMIO_WRITE, in, NULL);
    }
    if (status == kIOReturnSuccess && !atomic_load(&state->is_claimed)) {
        status = client_verify_device(state); /* without any claim writes vanish with success */
    }
    client_connection_leave(state);
    return status;
}
