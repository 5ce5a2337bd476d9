/*
 * A client in another process: its control, event and call channels over sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_REMOTE_H
#define DEXTLINK_HOST_REMOTE_H

#include "host/client_owner.h"

struct DextHost;

/** Serve a connected socket on a thread of the host; owns fd from here on, also on failure.
 * 0, -ENOMEM, -errno; -EDQUOT: the client has as many channels as it may have, and is told. */
int remote_client_start(struct DextHost *host, int fd, const struct client_owner *owner);

#endif
