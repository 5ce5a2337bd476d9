/*
 * Where host and clients meet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_SOCKET_PATH_H
#define DEXTLINK_WIRE_SOCKET_PATH_H

#include <stdbool.h>
#include <sys/un.h>

/**
 * The address of the host's socket: path, else DEXTLINK_SOCKET, else dextlink.sock in the per-user
 * runtime directory (XDG_RUNTIME_DIR, else /run/user/UID, else a private directory
 * /tmp/dextlink-UID that must belong to this user).
 *
 * create: make the private directory when it is needed and not there.
 * 0; -ENAMETOOLONG (a socket path is at most 107 bytes); -EINVAL an empty path; -EACCES the private
 * directory belongs to somebody else or is open to others; -errno of mkdir.
 */
int wire_socket_address(const char *path, bool create, struct sockaddr_un *address);

/** What such an error means, for people who set the variables; static storage. */
const char *wire_socket_address_cause(int error);

#endif
