/*
 * Matching and interest notifications.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_NOTIFY_H
#define DEXTLINK_IOKIT_NOTIFY_H

#include <stdint.h>

#include "iokit/object.h"
#include "iokit/session.h"

/** A service came or went for the notification with this token; never blocks. */
void notify_matched(struct io_session *session, uint64_t token, uint64_t entry_id);

/** A message for the interest with this token; never blocks. */
void notify_interest(struct io_session *session, uint64_t token, uint32_t type, uint64_t argument);

/** Tell every interest of a session that its service terminated. */
void notify_all_terminated(struct io_session *session);

/** The next entry of a matching notification, 0 when it is drained (and armed). */
uint64_t notify_next(struct io_object *notification);

#endif
