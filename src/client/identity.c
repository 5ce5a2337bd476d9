/*
 * Who is at the other end of a connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/identity.h"

#include "client/call.h"
#include "client/registry.h"

/* Outputs of GetIdentity. */
enum {
    IDENTITY_BUS = 0,
    IDENTITY_DEVICE = 1,
    IDENTITY_FUNCTION = 2,
    IDENTITY_VENDOR = 3,
    IDENTITY_DEVICE_ID = 4,
    IDENTITY_CLASS = 5,
};

enum { ID_NONE = 0xffff, CLASS_MASK = 0xffffff };

void client_identity_from_reply(const uint64_t reply[6], AppleDextInstance *instance)
{
    instance->has_address = 1;
    instance->bus = (uint8_t)reply[IDENTITY_BUS];
    instance->device = (uint8_t)reply[IDENTITY_DEVICE];
    instance->function = (uint8_t)reply[IDENTITY_FUNCTION];
    if (!instance->has_ids && (reply[IDENTITY_VENDOR] & ID_NONE) != ID_NONE) {
        instance->has_ids = 1;
        instance->vendor_id = (uint16_t)reply[IDENTITY_VENDOR];
        instance->device_id = (uint16_t)reply[IDENTITY_DEVICE_ID];
        instance->class_code = (uint32_t)reply[IDENTITY_CLASS] & CLASS_MASK;
    }
}

/* A connection opened elsewhere: the registry's entry for its address, where there is only one. */
static void find_in_registry(AppleDextInstance *instance)
{
    struct client_candidate *candidates = NULL;
    const AppleDextInstance *found = NULL;
    size_t count = 0;
    unsigned matches = 0;

    if (client_registry_list(NULL, &candidates, &count) != kIOReturnSuccess) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const AppleDextInstance *other = &candidates[i].instance;
        if (other->has_address && other->bus == instance->bus &&
            other->device == instance->device && other->function == instance->function) {
            found = other;
            matches++;
        }
    }
    if (matches == 1) {
        *instance = *found;
    }
    client_registry_free(candidates, count);
}

kern_return_t apple_dext_get_identity(io_connect_t connection, AppleDextInstance *out_instance)
{
    uint64_t reply[CLIENT_SCALARS_MAX];
    struct client_connection *state;
    AppleDextInstance instance;
    kern_return_t status;

    if (out_instance == NULL) {
        return kIOReturnBadArgument;
    }
    status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        return status;
    }
    instance = state->instance;
    if (!state->is_opened_here || !instance.has_ids) {
        status = client_call(state, DEXT_SEL_GET_IDENTITY, NULL, reply);
        if (status == kIOReturnSuccess) {
            client_identity_from_reply(reply, &instance);
        } else if (state->is_opened_here) {
            status = kIOReturnSuccess; /* without IDs, then */
        }
    }
    if (status == kIOReturnSuccess && !state->is_opened_here) {
        find_in_registry(&instance);
    }
    client_connection_leave(state);
    if (status == kIOReturnSuccess) {
        *out_instance = instance;
    }
    return status;
}
