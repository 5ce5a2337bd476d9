/*
 * Checks that config and MMIO accesses share: width, alignment, range, and dead devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/access.h"

#include "client/call.h"
#include "client/log.h"

enum { VENDOR_ID_BYTES = 2 };

bool client_access_is_valid(uint64_t offset, uint64_t width, uint64_t widest, uint64_t limit)
{
    return width != 0 && width <= widest && (width & (width - 1)) == 0 &&
           (offset & (width - 1)) == 0 && width <= limit && offset <= limit - width;
}

uint64_t client_ones(uint64_t width)
{
    return UINT64_MAX >> (64 - 8 * width);
}

kern_return_t client_verify_device(struct client_connection *connection)
{
    const uint64_t in[] = {0, VENDOR_ID_BYTES};
    uint64_t out[CLIENT_SCALARS_MAX];
    kern_return_t status = client_call(connection, DEXT_SEL_CONFIG_READ, in, out);

    if (status != kIOReturnSuccess) {
        return status;
    }
    if ((out[0] & client_ones(VENDOR_ID_BYTES)) != client_ones(VENDOR_ID_BYTES)) {
        return kIOReturnSuccess;
    }
    if (!atomic_load(&connection->is_claimed)) {
        client_log(APPLE_DEXT_LOG_ERROR, "the device reads as ones: this connection has no claim");
        return kIOReturnNotOpen;
    }
    client_log(APPLE_DEXT_LOG_ERROR, "the device does not answer: its vendor ID reads as ones");
    return kIOReturnNoDevice;
}
