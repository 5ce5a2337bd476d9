/*
 * This process's session with a host: where registry requests go and events come from.
 *
 * There is at most one live session. It begins with the first IOKit call that finds a host and ends
 * when the host does; a later call then looks for a host anew. Objects of an ended session are
 * dead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_SESSION_H
#define DEXTLINK_IOKIT_SESSION_H

#include <mach/mach.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/link.h"
#include "wire/message.h"
#include "wire/protocol.h"
#include "wire/value.h"

struct io_session;
struct io_wake_pool;

/**
 * The live session, counted. May block while connecting. NULL: *why is kIOReturnNoDevice when there
 * is no host, kIOReturnTimeout when there is one that does not answer, kIOReturnNoMemory.
 */
struct io_session *io_session_current(kern_return_t *why);

struct io_session *io_session_get(struct io_session *session);
void io_session_put(struct io_session *session); /* NULL is fine; not from an event */

/** Its wake channels; NULL with a host inside this process, whose events come without a wake. */
struct io_wake_pool *io_session_wakes(struct io_session *session);

bool io_session_is_gone(const struct io_session *session);

/**
 * One request on the control channel. Returns the host's status, or MACH_SEND_INVALID_DEST when the
 * host has gone, MIG_SERVER_DIED when it went during the call, kIOReturnNoMemory.
 */
kern_return_t io_session_request(struct io_session *session, struct wire_message *request,
                                 struct wire_message *reply);

/** Open a user client: a call channel of its own. Codes as above and of the driver. */
kern_return_t io_session_open(struct io_session *session, uint64_t entry_id, uint32_t type,
                              struct wire_link **out);

/** What the host knows of a registry entry: a dictionary with WIRE_ENTRY_* keys, the caller's.
 * MACH_SEND_INVALID_DEST for entries the host does not know (any more). */
kern_return_t io_session_describe(struct io_session *session, uint64_t entry_id,
                                  struct wire_value **out);

/** The code for a link's -errno. */
kern_return_t io_status_of_link(int error);

#endif
