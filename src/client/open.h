/*
 * Opening a service with a deadline: IOServiceOpen itself waits for the driver without end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_OPEN_H
#define DEXTLINK_CLIENT_OPEN_H

#include <stdbool.h>

#include "apple-dext-client.h"

enum { CLIENT_IDENTITY_WORDS = 6 };

/* What GetIdentity says: bus, device, function, vendor ID, device ID, class code. */
struct client_open_request {
    io_service_t service; /* borrowed for the call */
    bool wants_identity;  /* also ask the driver who it is, under the same deadline */
    unsigned deadline_ms;
};

/**
 * Open the service on a helper thread. A helper that comes too late closes what it opened itself.
 * identity: filled when the request wants it; else untouched
 * kIOReturnTimeout the deadline passed; kIOReturnNoMemory, kIOReturnNoResources no helper;
 * else the code of the open or of GetIdentity.
 */
kern_return_t client_open(const struct client_open_request *request, io_connect_t *out_port,
                          uint64_t identity[CLIENT_IDENTITY_WORDS]);

#endif
