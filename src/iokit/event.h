/*
 * Frames of the event channel, on their way to notification ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_EVENT_H
#define DEXTLINK_IOKIT_EVENT_H

#include "iokit/session.h"

/** Handle one frame. On the session's event thread, or under locks of a host inside the process:
 * never blocks, never calls the host. Malformed and unknown frames are logged and dropped. */
void io_event_dispatch(struct io_session *session, struct wire_message *message);

/** The host has gone: whoever is interested in one of its services hears that it terminated. */
void io_event_host_gone(struct io_session *session);

#endif
