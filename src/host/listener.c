/*
 * Binding the host's socket, and who may use it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host.h"
#include "wire/socket_path.h"

static void listener_lock_path(const struct listener *listener, char *path, size_t size)
{
    snprintf(path, size, "%s.lock", listener->address.sun_path);
}

/* The lock file may be removed by the one that held it between our open and our flock: then the
 * lock is on a file nobody else will find, and the next try makes a new one. */
static int listener_lock(struct listener *listener)
{
    char path[sizeof(listener->address.sun_path) + 8];
    listener_lock_path(listener, path, sizeof(path));
    for (;;) {
        struct stat held;
        struct stat present;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            return -errno;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int error = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
            close(fd);
            return error;
        }
        if (fstat(fd, &held) == 0 && stat(path, &present) == 0 && held.st_ino == present.st_ino &&
            held.st_dev == present.st_dev) {
            listener->lock_fd = fd;
            return 0;
        }
        close(fd);
    }
}

static void listener_unlock(struct listener *listener)
{
    char path[sizeof(listener->address.sun_path) + 8];
    listener_lock_path(listener, path, sizeof(path));
    unlink(path);
    close(listener->lock_fd);
}

/* With the lock held a socket file here is stale, or of a server that knows no lock: ask it. */
static int listener_clear_path(const struct listener *listener)
{
    const char *path = listener->address.sun_path;
    struct stat status;
    if (lstat(path, &status) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -ENOTSOCK;
    }
    /* Not blocking: a server that hangs, its queue full, is a server. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int is_refused =
        connect(fd, (const struct sockaddr *)&listener->address, sizeof(listener->address)) < 0 &&
        errno == ECONNREFUSED;
    close(fd);
    if (!is_refused) {
        return -EADDRINUSE;
    }
    return unlink(path) < 0 ? -errno : 0;
}

static int listener_bind(struct listener *listener)
{
    struct stat status;
    const char *path = listener->address.sun_path;
    int error = listener_clear_path(listener);
    if (error) {
        return error;
    }
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0) {
        return -errno;
    }
    /* Nobody can connect before listen: the mode is right by then. */
    if (bind(listener->fd, (struct sockaddr *)&listener->address, sizeof(listener->address)) < 0) {
        error = -errno;
        goto close_socket;
    }
    if (lstat(path, &status) < 0 || chmod(path, listener->has_group ? 0660 : 0600) < 0 ||
        (listener->has_group && chown(path, (uid_t)-1, listener->group) < 0) ||
        listen(listener->fd, 64) < 0) {
        error = -errno;
        goto remove_file;
    }
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;

remove_file:
    unlink(path);
close_socket:
    close(listener->fd);
    return error;
}

static int listener_find_group(struct listener *listener, const char *name, char **errp)
{
    struct group entry;
    struct group *found = NULL;
    char buffer[4096];
    if (!name) {
        return 0;
    }
    if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found) {
        return host_fail(errp, EINVAL, "unknown group \"%s\"", name);
    }
    listener->has_group = true;
    listener->group = found->gr_gid;
    return 0;
}

static int listener_fail(const struct listener *listener, int error, char **errp)
{
    const char *cause = strerror(-error);
    if (error == -EADDRINUSE) {
        cause = "somebody is serving there";
    } else if (error == -ENOTSOCK) {
        error = -EADDRINUSE;
        cause = "there is a file that is no socket; it is left alone";
    }
    return host_fail(errp, -error, "socket %s: %s", listener->address.sun_path, cause);
}

int listener_open(const char *path, const char *group, struct listener *listener, char **errp)
{
    memset(listener, 0, sizeof(*listener));
    int error = wire_socket_address(path, true, &listener->address);
    if (error) {
        return host_fail(errp, -error, "socket %s: %s",
                         path ? path : "of DEXTLINK_SOCKET, or in the per-user runtime directory",
                         wire_socket_address_cause(error));
    }
    error = listener_find_group(listener, group, errp);
    if (error) {
        return error;
    }
    error = listener_lock(listener);
    if (error == -EADDRINUSE) {
        return host_fail(errp, EADDRINUSE, "socket %s: another host is serving there",
                         listener->address.sun_path);
    }
    if (!error) {
        error = listener_bind(listener);
        if (error) {
            listener_unlock(listener);
        }
    }
    return error ? listener_fail(listener, error, errp) : 0;
}

void listener_close(struct listener *listener)
{
    struct stat status;
    close(listener->fd);
    if (lstat(listener->address.sun_path, &status) == 0 && status.st_ino == listener->inode &&
        status.st_dev == listener->device) {
        unlink(listener->address.sun_path);
    }
    listener_unlock(listener);
}

static bool listener_is_member(gid_t group, int fd, gid_t primary)
{
    gid_t groups[256];
    socklen_t length = sizeof(groups);
    if (primary == group) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0) {
        return false;
    }
    for (size_t i = 0; i < length / sizeof(groups[0]); i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

bool listener_admits(const struct listener *listener, int fd, struct client_owner *owner)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.pid <= 0) {
        return false;
    }
    *owner = (struct client_owner){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    return peer.uid == geteuid() || peer.uid == 0 ||
           (listener->has_group && listener_is_member(listener->group, fd, peer.gid));
}
