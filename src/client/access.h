/*
 * Checks that config and MMIO accesses share: width, alignment, range, and dead devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_ACCESS_H
#define DEXTLINK_CLIENT_ACCESS_H

#include <stdbool.h>

#include "client/connection.h"

/** Whether width is a power of two up to widest, offset is aligned to it, and both fit in limit. */
bool client_access_is_valid(uint64_t offset, uint64_t width, uint64_t widest, uint64_t limit);

/** The low width bytes all ones; width 1 to 8. */
uint64_t client_ones(uint64_t width);

/**
 * Look at the vendor ID, after something that a dead or unopened device would also answer.
 * kIOReturnSuccess the device answers; kIOReturnNoDevice it does not; kIOReturnNotOpen it does not
 * and this connection has no claim of its own; else the code of the look.
 */
kern_return_t client_verify_device(struct client_connection *connection);

#endif
