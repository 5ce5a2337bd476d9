/*
 * Serving other processes at a Unix socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SERVER_H
#define DEXTLINK_HOST_SERVER_H

struct DextHost;
struct server;

/** Listen at path (NULL: the default place) and serve on threads of the host. 0 and *out;
 * -EADDRINUSE, -ENAMETOOLONG, -EACCES, -EINVAL, -errno, with *errp (see dext-host.h). */
int server_start(struct DextHost *host, const char *path, struct server **out, char **errp);

/** Where it listens; borrowed. */
const char *server_path(const struct server *server);

/** Take no more clients and remove the socket, if it is still the one that was made. Clients that
 * are connected stay. NULL is fine. */
void server_stop(struct server *server);

#endif
