/*
 * Reset, and the proof that the device came back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>

#include "client/access.h"
#include "client/call.h"
#include "client/clock.h"
#include "client/log.h"

enum { RESET_DEADLINE_MS = 5000, POLL_FIRST_MS = 1, POLL_LAST_MS = 100 };

/* Ones: nobody answers. 0x0001: configuration request retry status, "not ready yet". */
static bool vendor_id_is_real(uint64_t dword)
{
    uint64_t vendor = dword & 0xffff;

    return vendor != 0xffff && vendor != 0x0001 && vendor != 0x0000;
}

/* Codes that a device which is still coming back may cause. */
static bool status_may_pass(kern_return_t status)
{
    return status == kIOReturnSuccess || status == kIOReturnNoDevice ||
           status == kIOReturnNotReady || status == kIOReturnNotResponding ||
           status == kIOReturnBusy || status == kIOReturnTimeout;
}

static kern_return_t wait_for_device(struct client_connection *connection)
{
    const uint64_t in[] = {0, 4};
    uint64_t deadline_ms = client_clock_ms() + RESET_DEADLINE_MS;
    uint64_t out[CLIENT_SCALARS_MAX];
    unsigned pause_ms = POLL_FIRST_MS;

    for (;;) {
        /* Before it is asked: whatever held this thread up, the device had its time. */
        bool is_late = client_clock_ms() >= deadline_ms;
        kern_return_t status = client_call(connection, DEXT_SEL_CONFIG_READ, in, out);

        if (!status_may_pass(status) || (status == kIOReturnSuccess && vendor_id_is_real(out[0]))) {
            return status;
        }
        if (is_late) {
            client_log(APPLE_DEXT_LOG_ERROR,
                       "reset: the device did not come back in %d ms (last ID 0x%08" PRIx64
                       ", last code 0x%08x)",
                       RESET_DEADLINE_MS, out[0], (unsigned)status);
            return kIOReturnNotResponding;
        }
        client_sleep_ms(pause_ms);
        pause_ms = pause_ms * 2 < POLL_LAST_MS ? pause_ms * 2 : POLL_LAST_MS;
    }
}

kern_return_t apple_dext_reset_device(io_connect_t connection)
{
    struct client_connection *state;
    kern_return_t status = client_connection_enter(connection, &state);

    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_RESET_DEVICE, NULL, NULL);
    client_irq_page_renew(state);
    if (status == kIOReturnSuccess) {
        status = wait_for_device(state);
    }
    client_log(APPLE_DEXT_LOG_INFO, "reset: 0x%08x", (unsigned)status);
    client_connection_leave(state);
    return status;
}
