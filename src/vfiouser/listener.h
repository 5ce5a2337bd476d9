/*
 * A Unix socket that only its owner may connect to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_LISTENER_H
#define DEXTLINK_VFIOUSER_LISTENER_H

#include <sys/types.h>
#include <sys/un.h>

struct vu_listener {
    int fd; /* -1: closed */
    struct sockaddr_un address;
    dev_t device; /* of the file we made */
    ino_t inode;
};

/**
 * Bind and listen at path. A socket there that nobody listens at is replaced.
 *
 * 0; -ENAMETOOLONG; -EADDRINUSE; -ENOTSOCK a file that is no socket is there; -errno.
 */
int vu_listener_open(struct vu_listener *listener, const char *path);

/** Stop listening; the file goes when it is still ours. Takes one with fd -1. */
void vu_listener_close(struct vu_listener *listener);

#endif
