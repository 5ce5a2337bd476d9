/*
 * One call to the driver: scalars in and out, with the counts its interface promises.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/log.h"

struct selector_row {
    enum dext_selector selector;
    uint32_t in_count;
    uint32_t out_count;
    const char *name;
};

static const struct selector_row selector_rows[] = {
#define SELECTOR_ROW(name, number, in, out, async) {DEXT_SEL_##name, in, out, #name},
    DEXT_SELECTORS(SELECTOR_ROW)
#undef SELECTOR_ROW
};

static const struct selector_row *selector_row(enum dext_selector selector)
{
    const struct selector_row *row = selector_rows;

    while (row->selector != selector) {
        row++;
    }
    return row;
}

static void log_failed_call(const struct selector_row *row, const uint64_t *in,
                            kern_return_t status)
{
    char arguments[8 + 20 * 4];
    int used = 0;

    arguments[0] = '\0';
    for (uint32_t i = 0; i < row->in_count; i++) {
        used += snprintf(arguments + used, sizeof(arguments) - (size_t)used, "%s0x%" PRIx64,
                         i == 0 ? "" : ", ", in[i]);
    }
    client_log(APPLE_DEXT_LOG_DEBUG, "%s(%s): 0x%08x, %s", row->name, arguments, (unsigned)status,
               apple_dext_status_text(status));
}

kern_return_t client_call_status(struct client_connection *connection, kern_return_t status)
{
    uint64_t identity[CLIENT_SCALARS_MAX];
    uint32_t count = selector_row(DEXT_SEL_GET_IDENTITY)->out_count;

    if (status != kIOReturnBadArgument || !atomic_load(&connection->irq_page.was_mapped)) {
        return status;
    }
    /* What no driver refuses while it is there. */
    return IOConnectCallScalarMethod(connection->port, DEXT_SEL_GET_IDENTITY, NULL, 0, identity,
                                     &count) == kIOReturnBadArgument
               ? MACH_SEND_INVALID_DEST
               : status;
}

kern_return_t client_call_structures(struct client_connection *connection,
                                     enum dext_selector selector, const uint64_t *in, uint64_t *out,
                                     const struct client_structures *structures)
{
    const struct selector_row *row = selector_row(selector);
    uint32_t out_count = row->out_count;
    size_t out_bytes = structures->out_bytes;
    kern_return_t status;

    if (row->out_count > 0) {
        memset(out, 0, row->out_count * sizeof(*out));
    }
    status =
        IOConnectCallMethod(connection->port, (uint32_t)selector, in, row->in_count, structures->in,
                            structures->in_bytes, row->out_count > 0 ? out : NULL,
                            row->out_count > 0 ? &out_count : NULL, structures->out,
                            structures->out != NULL ? &out_bytes : NULL);
    status = client_call_status(connection, status);
    if (status != kIOReturnSuccess) {
        log_failed_call(row, in, status);
    } else if (out_count < row->out_count ||
               (structures->out_got == NULL && out_bytes < structures->out_bytes)) {
        client_log(APPLE_DEXT_LOG_ERROR,
                   "%s: the reply has %" PRIu32 " of %" PRIu32 " outputs, %zu of %zu bytes",
                   row->name, out_count, row->out_count, out_bytes, structures->out_bytes);
        status = kIOReturnUnderrun;
    } else if (structures->out_got != NULL) {
        *structures->out_got = out_bytes;
    }
    if (status != kIOReturnSuccess && row->out_count > 0) {
        memset(out, 0, row->out_count * sizeof(*out));
    }
    return status;
}

kern_return_t client_call(struct client_connection *connection, enum dext_selector selector,
                          const uint64_t *in, uint64_t *out)
{
    const struct client_structures none = {0};

    return client_call_structures(connection, selector, in, out, &none);
}
