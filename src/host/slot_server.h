/*
 * Serving the call slots of one connection, on a thread of their own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SLOT_SERVER_H
#define DEXTLINK_HOST_SLOT_SERVER_H

struct connection;
struct slot_server;
struct thread_group;

/** Make slots and start to serve them. *fd is the caller's, to hand out. connection is counted.
 * 0, -errno. */
int slot_server_start(struct thread_group *threads, struct connection *connection,
                      struct slot_server **out, int *fd);

/** Look at the slots: the client says by a frame that there is a request in one. */
void slot_server_ring(struct slot_server *server);

/** The connection has closed: nothing is answered any more, and whoever waits is woken. Waits for
 * the request that is carried out now. The thread ends by itself. NULL is fine. */
void slot_server_end(struct slot_server *server);

#endif
