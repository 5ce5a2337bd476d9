/*
 * Opening the device a subcommand works on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "output.h"

/* Where there is no device at all, the address is not what is wrong. */
static bool has_no_device(void)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;

    if (!embedded_found_host()) {
        return true; /* and looking again could take as long again */
    }
    kern_return_t code = apple_dext_list(&instances, &count);
    apple_dext_free_list(instances);
    return code == KERN_SUCCESS && count == 0;
}

int list_failure(kern_return_t code)
{
    return code == kIOReturnTimeout ? failure(NULL, "%s", embedded_hint())
                                    : failure(NULL, "cannot list devices: %s", code_text(code));
}

/* Whether a device has this stable name; *address is then where it is now. */
static kern_return_t find_name(const char *name, struct address *address, bool *found)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;

    kern_return_t code = apple_dext_list(&instances, &count);
    *found = false;
    for (size_t i = 0; i < count && !*found; i++) {
        const AppleDextInstance *it = &instances[i];
        *found = it->has_address && strcmp(it->name, name) == 0;
        if (*found) {
            *address =
                (struct address){.bus = it->bus, .device = it->device, .function = it->function};
            snprintf(address->root, sizeof(address->root), "%s", it->root);
        }
    }
    apple_dext_free_list(instances);
    return code;
}

/* A name may look like ROOT/BB:DD.F, so the devices there are decide. */
static int resolve(const char *text, struct address *address)
{
    bool found = false;
    kern_return_t code = strchr(text, '/') ? find_name(text, address, &found) : KERN_SUCCESS;
    if (code == kIOReturnTimeout) {
        return list_failure(code);
    }
    if (found || address_parse(text, address)) {
        return STATUS_OK;
    }
    return address_is_name(text)
               ? failure(text, "no device has this name; dextctl list prints those there are")
               : usage_error("\"%s\" is no address: want BB:DD.F or ROOT/BB:DD.F, in hexadecimal, "
                             "as in 01:00.0, or a name of dextctl list",
                             text);
}

int session_open(struct session *session, const char *address, enum session_access access)
{
    char *cause = NULL;

    *session = (struct session){.name = address};
    struct address *at = &session->address;
    int status = resolve(address, at);
    if (status != STATUS_OK) {
        return status;
    }
    session->connection = apple_dext_connect_with_root(at->bus, at->device, at->function,
                                                       at->root[0] ? at->root : NULL, &cause);
    if (session->connection == IO_OBJECT_NULL) {
        if (has_no_device()) {
            failure(address, "%s", embedded_hint());
        } else { /* the cause names the address */
            failure(NULL, "%s", cause ? cause : "cannot connect: out of memory");
        }
        free(cause);
        return STATUS_FAILED;
    }
    kern_return_t code = access == SESSION_CLAIM ? apple_dext_claim(session->connection) : 0;
    if (code != KERN_SUCCESS) {
        status = session_failure(session, code, "cannot claim");
        session_close(session);
        return status;
    }
    return STATUS_OK;
}

void session_close(struct session *session)
{
    apple_dext_disconnect(session->connection);
    session->connection = IO_OBJECT_NULL;
}

int session_failure(const struct session *session, kern_return_t code, const char *format, ...)
{
    char what[160];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return failure(session->name, "%s: %s", what, code_text(code));
}

const char *code_text(kern_return_t code)
{
    return apple_dext_status_text(code);
}
