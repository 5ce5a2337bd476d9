/*
 * A listening Unix socket that nobody else serves, and its file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_LISTENER_H
#define DEXTLINK_HOST_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "host/client_owner.h"

struct listener {
    int fd;
    int lock_fd; /* flock on PATH.lock, held as long as we serve: who has it owns the path */
    struct sockaddr_un address;
    dev_t device; /* of the socket file that was made here */
    ino_t inode;
    bool has_group;
    gid_t group; /* whose members may connect, with has_group */
};

/**
 * Bind and listen. A socket file that nobody serves is replaced. group: name, may be NULL.
 * 0; -EADDRINUSE somebody serves there, or the path is no socket; the codes of wire_socket_address;
 * -EINVAL unknown group; -errno. *errp as in dext-host.h. On failure *listener holds nothing.
 */
int listener_open(const char *path, const char *group, struct listener *listener, char **errp);

/** Stop listening and remove the socket file, if it is still ours. */
void listener_close(struct listener *listener);

/** Whether the process at the other end of fd may be served: this user, root, or a member of the
 * group. *owner receives which process it is, and whose. */
bool listener_admits(const struct listener *listener, int fd, struct client_owner *owner);

#endif
