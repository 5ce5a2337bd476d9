/*
 * Connecting: choosing the instance, opening it, claiming it, ending it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/call.h"
#include "client/clock.h"
#include "client/identity.h"
#include "client/log.h"
#include "client/open.h"
#include "client/registry.h"

enum { OPEN_DEADLINE_MS = 5000, IDENTITY_DEADLINE_MS = 2000, REASON_BYTES = 400 };

/* What is looked for, and what was found so far. */
struct search {
    uint8_t bus, device, function;
    const char *root; /* NULL: any */
    const struct client_candidate *found;
    io_connect_t port; /* open already when the driver had to be asked */
    unsigned matches;
    char roots[160]; /* of all matches, for a person */
    char reason[REASON_BYTES];
};

static void fail(struct search *search, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "01:00.0", or "01:00.0 under ROOT", then the reason. */
static void fail(struct search *search, const char *format, ...)
{
    va_list arguments;
    int used =
        snprintf(search->reason, sizeof(search->reason), "%02x:%02x.%x%s%.127s: ", search->bus,
                 search->device, search->function, search->root != NULL ? " under " : "",
                 search->root != NULL ? search->root : "");

    va_start(arguments, format);
    vsnprintf(search->reason + used, sizeof(search->reason) - (size_t)used, format, arguments);
    va_end(arguments);
}

static void add_match(struct search *search, const struct client_candidate *candidate)
{
    size_t used = strlen(search->roots);

    snprintf(search->roots + used, sizeof(search->roots) - used, "%s%s", used == 0 ? "" : ", ",
             candidate->instance.root);
    search->found = candidate;
    search->matches++;
}

static bool root_matches(const struct search *search, const AppleDextInstance *instance)
{
    return search->root == NULL || strcmp(search->root, instance->root) == 0;
}

static void search_registry(struct search *search, const struct client_candidate *candidates,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const AppleDextInstance *instance = &candidates[i].instance;

        if (instance->has_address && instance->bus == search->bus &&
            instance->device == search->device && instance->function == search->function &&
            root_matches(search, instance)) {
            add_match(search, &candidates[i]);
        }
    }
}

/* Last resort, for instances whose place the registry does not tell. */
static void ask_drivers(struct search *search, struct client_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AppleDextInstance *instance = &candidates[i].instance;
        struct client_open_request request = {.service = candidates[i].service,
                                              .wants_identity = true,
                                              .deadline_ms = IDENTITY_DEADLINE_MS};
        uint64_t identity[CLIENT_IDENTITY_WORDS];
        io_connect_t port = IO_OBJECT_NULL;

        if (instance->has_address || !root_matches(search, instance)) {
            continue;
        }
        kern_return_t status = client_open(&request, &port, identity);
        if (status != kIOReturnSuccess) {
            client_log(APPLE_DEXT_LOG_WARNING,
                       "an instance under %s does not tell its address: "
                       "0x%08x, %s",
                       instance->root, (unsigned)status, apple_dext_status_text(status));
            continue;
        }
        client_identity_from_reply(identity, instance);
        if (instance->bus == search->bus && instance->device == search->device &&
            instance->function == search->function && search->port == IO_OBJECT_NULL) {
            add_match(search, &candidates[i]);
            search->port = port;
            continue;
        }
        if (instance->bus == search->bus && instance->device == search->device &&
            instance->function == search->function) {
            add_match(search, &candidates[i]);
        }
        IOServiceClose(port);
    }
}

static io_connect_t open_found(struct search *search)
{
    struct client_open_request request = {.service = search->found->service,
                                          .deadline_ms = OPEN_DEADLINE_MS};
    io_connect_t port = search->port;
    kern_return_t status = kIOReturnSuccess;

    search->port = IO_OBJECT_NULL;
    if (port == IO_OBJECT_NULL) {
        status = client_open(&request, &port, NULL);
    }
    if (status == kIOReturnTimeout) {
        fail(search, "the driver does not answer within %u ms",
             client_patience_ms(OPEN_DEADLINE_MS));
        return IO_OBJECT_NULL;
    }
    if (status != kIOReturnSuccess) {
        fail(search, "opening the driver failed: 0x%08x, %s", (unsigned)status,
             apple_dext_status_text(status));
        return IO_OBJECT_NULL;
    }
    status = client_connection_add(port, &search->found->instance);
    if (status != kIOReturnSuccess) {
        IOServiceClose(port);
        fail(search, "out of memory");
        return IO_OBJECT_NULL;
    }
    return port;
}

static io_connect_t search_and_open(struct search *search, struct client_candidate *candidates,
                                    size_t count)
{
    io_connect_t port = IO_OBJECT_NULL;

    search_registry(search, candidates, count);
    if (search->matches == 0) {
        ask_drivers(search, candidates, count);
    }
    if (search->matches == 1) {
        port = open_found(search);
    } else if (search->matches == 0) {
        fail(search, "no such instance of %s among the %zu there are", DEXT_USER_CLASS, count);
    } else {
        fail(search, "ambiguous: %u instances have this address; name the root, one of %s",
             search->matches, search->roots);
    }
    if (search->port != IO_OBJECT_NULL) {
        IOServiceClose(search->port);
    }
    return port;
}

io_connect_t apple_dext_connect_with_root(uint8_t bus, uint8_t device, uint8_t function,
                                          const char *host_root, char **errp)
{
    struct search search = {.bus = bus, .device = device, .function = function, .root = host_root};
    struct client_candidate *candidates = NULL;
    io_connect_t port = IO_OBJECT_NULL;
    size_t count = 0;
    const struct client_address wanted = {bus, device, function};
    kern_return_t status = client_registry_list(&wanted, &candidates, &count);

    if (status == kIOReturnSuccess) {
        port = search_and_open(&search, candidates, count);
    } else {
        fail(&search, "searching the registry failed: 0x%08x, %s", (unsigned)status,
             apple_dext_status_text(status));
    }
    client_registry_free(candidates, count);
    if (port != IO_OBJECT_NULL) {
        client_log(APPLE_DEXT_LOG_INFO, "connected to %02x:%02x.%x", bus, device, function);
        return port;
    }
    client_log(APPLE_DEXT_LOG_ERROR, "%s", search.reason);
    if (errp != NULL) {
        *errp = strdup(search.reason);
    }
    return IO_OBJECT_NULL;
}

io_connect_t apple_dext_connect(uint8_t bus, uint8_t device, uint8_t function)
{
    return apple_dext_connect_with_root(bus, device, function, NULL, NULL);
}

void apple_dext_disconnect(io_connect_t connection)
{
    if (connection != IO_OBJECT_NULL) {
        client_connection_close(connection);
        client_log(APPLE_DEXT_LOG_INFO, "disconnected");
    }
}

kern_return_t apple_dext_claim(io_connect_t connection)
{
    struct client_connection *state;
    kern_return_t status = client_connection_enter(connection, &state);

    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_CLAIM, NULL, NULL);
    if (status == kIOReturnSuccess) {
        atomic_store(&state->is_claimed, true);
    }
    client_log(APPLE_DEXT_LOG_INFO, "claim: 0x%08x", (unsigned)status);
    client_connection_leave(state);
    return status;
}

kern_return_t apple_dext_terminate(io_connect_t connection)
{
    struct client_connection *state;
    kern_return_t status = client_connection_enter(connection, &state);

    if (status != kIOReturnSuccess) {
        return status;
    }
    status = client_call(state, DEXT_SEL_TERMINATE, NULL, NULL);
    if (status == kIOReturnSuccess) {
        client_irq_page_forget(&state->irq_page);
    }
    client_log(APPLE_DEXT_LOG_INFO, "terminate: 0x%08x", (unsigned)status);
    client_connection_leave(state);
    return status;
}
