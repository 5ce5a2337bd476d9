/*
 * The vfio-user server: one device of the client library, offered at a Unix socket to one client at
 * a time (QEMU's vfio-user-pci, or any other).
 *
 * SIGPIPE must be ignored by the process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_SERVER_H
#define DEXTLINK_VFIOUSER_SERVER_H

#include <IOKit/IOKitLib.h>
#include <stdbool.h>

#include "vfiouser/report.h"

struct vu_server;

/**
 * Claim a device and listen.
 *
 * @connection: of the client library, opened; borrowed until vu_server_destroy
 * @path: where to listen; a socket that nobody listens at is replaced. Only the owner may connect
 * @report: borrowed likewise
 * @cause: on failure one malloc'ed line, or NULL when there is no memory for it
 *
 * 0; -ENAMETOOLONG, -EADDRINUSE somebody listens there, -ENOTSOCK something else is there, or
 * -errno of the socket calls; -ENODEV the device cannot be served.
 */
int vu_server_create(io_connect_t connection, const char *path, const struct vu_report *report,
                     struct vu_server **out, char **cause);

/**
 * Serve clients until vu_server_stop, or with is_once one client. Blocks.
 *
 * 0; with is_once what went wrong with that client; -ENODEV: the device has gone.
 */
int vu_server_run(struct vu_server *server, bool is_once);

/** End vu_server_run soon, whatever it waits for. Any thread, any number of times, not from a
 * signal handler. */
void vu_server_stop(struct vu_server *server);

/** Release the device and remove the socket. Not while vu_server_run runs. NULL is fine. */
void vu_server_destroy(struct vu_server *server);

#endif
