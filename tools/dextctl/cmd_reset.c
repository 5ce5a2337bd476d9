/*
 * dextctl reset: resets a device and shows that it answers again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>

#include "dextctl.h"
#include "output.h"
#include "session.h"

/* Vendor ID in the low half, device ID in the high half. */
static kern_return_t read_ids(const struct session *session, uint64_t *ids)
{
    return apple_dext_config_read(session->connection, 0, 4, ids);
}

static int reset(const struct session *session, uint64_t *ids, double *took_ms)
{
    uint64_t before;

    kern_return_t code = read_ids(session, &before);
    bool was_alive = code == KERN_SUCCESS;
    if (!was_alive && code != kIOReturnNoDevice) {
        return session_failure(session, code, "cannot read its ids before the reset");
    }
    double start = now_ms();
    code = apple_dext_reset_device(session->connection);
    *took_ms = now_ms() - start;
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "reset failed after %.1f ms", *took_ms);
    }
    code = read_ids(session, ids);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "does not answer after the reset");
    }
    if (was_alive && *ids != before) {
        return failure(session->name, "answers as %04x:%04x after the reset, was %04x:%04x",
                       (unsigned)(*ids & 0xffff), (unsigned)(*ids >> 16),
                       (unsigned)(before & 0xffff), (unsigned)(before >> 16));
    }
    return STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
    struct session session;
    uint64_t ids = 0;
    double took_ms = 0;

    (void)argc;
    int status = session_open(&session, argv[0], SESSION_CLAIM);
    if (status != STATUS_OK) {
        return status;
    }
    status = reset(&session, &ids, &took_ms);
    if (status == STATUS_OK && options->json) {
        json_object *object = json_object_new_object();
        json_add_text(object, "address", session.name);
        json_add_hex(object, "vendor_id", ids & 0xffff, 4);
        json_add_hex(object, "device_id", ids >> 16, 4);
        json_add_ms(object, "time_ms", took_ms);
        json_print(object);
    } else if (status == STATUS_OK) {
        printf("%s: reset in %.3f ms, %04x:%04x answers\n", session.name, took_ms,
               (unsigned)(ids & 0xffff), (unsigned)(ids >> 16));
    }
    session_close(&session);
    return status;
}

const struct command command_reset = {
    .name = "reset",
    .summary = "reset a device and check that it came back",
    .synopsis = "ADDR",
    .details =
        "Reset a device and read its ids again; says which answered, and how long the reset\n"
        "took. Other clients of the device see it reset under them.\n"
        "\n"
        "Examples:\n"
        "  dextctl reset 01:00.0\n"
        "  dextctl reset 01:00.0 --device edu,addr=01:00.0 --json\n",
    .accepts = OPTION_HOST | OPTION_JSON,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
