/*
 * The thread of an open connection's call channel: frames on its socket, requests in its slots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CALL_CHANNEL_H
#define DEXTLINK_HOST_CALL_CHANNEL_H

struct DextHost;
struct connection;

/**
 * Give an opened connection its socket and thread. 0: takes over the reference, and *client_end is
 * the caller's, to hand out; -ENOMEM, -errno of socketpair or of starting a thread.
 */
int call_channel_start(struct DextHost *host, struct connection *connection, int *client_end);

#endif
