/*
 * Config space: reads, writes, blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdint.h>
#include <string.h>

#include "client/access.h"
#include "client/call.h"

enum { CONFIG_WIDEST = 4 };

static kern_return_t config_read(struct client_connection *connection, uint64_t offset,
                                 uint64_t width, uint64_t *out_value)
{
    const uint64_t in[] = {offset, width};
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status = client_call(connection, DEXT_SEL_CONFIG_READ, in, out);

    if (status == kIOReturnSuccess) {
        *out_value = out[0] & client_ones(width);
    }
    return status;
}

kern_return_t apple_dext_config_read(io_connect_t connection, uint64_t offset, uint64_t width,
                                     uint64_t *out_value)
{
    struct client_connection *state;
    uint64_t value;
    kern_return_t status;

    if (out_value == NULL ||
        !client_access_is_valid(offset, width, CONFIG_WIDEST, DEXT_CONFIG_BYTES)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = config_read(state, offset, width, &value);
    if (status == kIOReturnSuccess) {
        *out_value = value;
        if (value == client_ones(width)) {
            status = client_verify_device(state);
        }
    }
    client_connection_leave(state);
    return status;
}

kern_return_t apple_dext_config_write(io_connect_t connection, uint64_t offset, uint64_t width,
                                      uint64_t value)
{
    struct client_connection *state;
    kern_return_t status;

    if (!client_access_is_valid(offset, width, CONFIG_WIDEST, DEXT_CONFIG_BYTES)) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    const uint64_t in[] = {offset, width, value & client_ones(width)};
    status = client_call(state, DEXT_SEL_CONFIG_WRITE, in, NULL);
    if (status == kIOReturnSuccess && !atomic_load(&state->is_claimed)) {
        status = client_verify_device(state); /* without any claim writes vanish with success */
    }
    client_connection_leave(state);
    return status;
}

static uint64_t widest_step(uint64_t offset, uint64_t left)
{
    uint64_t width = CONFIG_WIDEST;

    while ((offset & (width - 1)) != 0 || width > left) {
        width /= 2;
    }
    return width;
}

static kern_return_t read_block(struct client_connection *connection, uint64_t offset,
                                uint8_t *bytes, size_t len)
{
    bool is_verified = false; /* the device answered since ones were last seen */
    bool has_ones = false;
    size_t done = 0;

    while (done < len) {
        uint64_t width = widest_step(offset + done, len - done);
        uint64_t value = 0;
        kern_return_t status = config_read(connection, offset + done, width, &value);

        has_ones = status == kIOReturnSuccess && value == client_ones(width);
        if (has_ones && !is_verified) {
            status = client_verify_device(connection);
            is_verified = true;
            has_ones = false;
            if (status == kIOReturnNoDevice || status == kIOReturnNotOpen) {
                memset(bytes + done, 0xff, len - done);
                return status;
            }
        }
        if (status != kIOReturnSuccess) {
            memset(bytes + done, 0, len - done);
            return status;
        }
        for (uint64_t i = 0; i < width; i++) {
            bytes[done + i] = (uint8_t)(value >> (8 * i));
        }
        done += width;
    }
    /* Ones at the end, after an earlier look: the device may have died in between. */
    return has_ones ? client_verify_device(connection) : kIOReturnSuccess;
}

kern_return_t apple_dext_config_read_block(io_connect_t connection, uint64_t offset, void *buf,
                                           size_t len)
{
    struct client_connection *state;
    kern_return_t status;

    if (buf == NULL || len > DEXT_CONFIG_BYTES || offset > DEXT_CONFIG_BYTES - len) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = read_block(state, offset, buf, len);
    client_connection_leave(state);
    return status;
}
