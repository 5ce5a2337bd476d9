/*
 * Interrupt vectors: set-up, mask, pending bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "client/call.h"
#include "client/log.h"

kern_return_t apple_dext_setup_interrupts(io_connect_t connection, uint32_t *out_num_vectors)
{
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    kern_return_t status;

    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_SETUP_INTERRUPTS, NULL, out);
    if (status == kIOReturnSuccess) {
        client_irq_page_map(state);
    }
    client_connection_leave(state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (out[0] > DEXT_IRQ_MAX_VECTORS) {
        client_log(APPLE_DEXT_LOG_WARNING,
                   "the driver says %" PRIu64 " vectors; only %d have a pending bit", out[0],
                   DEXT_IRQ_MAX_VECTORS);
        out[0] = DEXT_IRQ_MAX_VECTORS;
    }
    if (out_num_vectors != NULL) {
        *out_num_vectors = (uint32_t)out[0];
    }
    return kIOReturnSuccess;
}

kern_return_t apple_dext_set_irq_mask(io_connect_t connection, const uint64_t mask[4])
{
    struct client_connection *state;
    kern_return_t status;

    if (mask == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (!client_irq_page_set_mask(&state->irq_page, mask)) {
        status = client_call(state, DEXT_SEL_SET_IRQ_MASK, mask, NULL);
    }
    client_connection_leave(state);
    return status;
}

kern_return_t apple_dext_read_pending_irqs(io_connect_t connection, uint64_t pending[4])
{
    uint64_t out[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    uint64_t asked_ms = 0;

    if (pending == NULL) {
        return kIOReturnBadArgument;
    }
    enum client_irq_look look = client_connection_look(connection, out, &asked_ms);
    if (look == CLIENT_IRQ_UNKNOWN ||
        (look == CLIENT_IRQ_NONE && !client_irq_page_was_asked(asked_ms))) {
        kern_return_t status = client_connection_enter(connection, &state);
        if (status != kIOReturnSuccess) {
            return status;
        }
        status = client_call(state, DEXT_SEL_CHECK_INTERRUPT, NULL, out);
        if (status == kIOReturnSuccess) {
            client_irq_page_asked(&state->irq_page);
        }
        client_connection_leave(state);
        if (status != kIOReturnSuccess) {
            return status;
        }
    }
    memcpy(pending, out, DEXT_IRQ_WORDS * sizeof(*pending));
    return kIOReturnSuccess;
}
