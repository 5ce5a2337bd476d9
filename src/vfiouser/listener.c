/*
 * Binding a Unix socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 64 /* clients that wait for the one before them */

static int open_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    return fd;
}

/* What lies at the path goes only when it is a socket and nobody answers there. */
static int clear_path(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -ENOTSOCK;
    }
    int fd = open_socket();
    if (fd < 0) {
        return -errno;
    }
    int is_dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                  errno == ECONNREFUSED;
    close(fd);
    if (!is_dead) {
        return -EADDRINUSE;
    }
    return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* Nobody can connect before listen: the mode is right by then. */
static int bind_and_listen(struct vu_listener *listener)
{
    struct stat status;
    const char *path = listener->address.sun_path;
    if (bind(listener->fd, (const struct sockaddr *)&listener->address, sizeof(listener->address)) <
        0) {
        return -errno;
    }
    if (chmod(path, 0600) < 0 || lstat(path, &status) < 0 || listen(listener->fd, BACKLOG) < 0) {
        int error = -errno;
        unlink(path);
        return error;
    }
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;
}

int vu_listener_open(struct vu_listener *listener, const char *path)
{
    memset(listener, 0, sizeof(*listener));
    listener->fd = -1;
    listener->address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(listener->address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(listener->address.sun_path, path, strlen(path));
    int error = clear_path(&listener->address);
    if (error != 0) {
        return error;
    }
    listener->fd = open_socket();
    if (listener->fd < 0) {
        return -errno;
    }
    error = bind_and_listen(listener);
    if (error != 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    return error;
}

void vu_listener_close(struct vu_listener *listener)
{
    struct stat status;
    if (listener->fd < 0) {
        return;
    }
    if (lstat(listener->address.sun_path, &status) == 0 && status.st_dev == listener->device &&
        status.st_ino == listener->inode) {
        unlink(listener->address.sun_path);
    }
    close(listener->fd);
    listener->fd = -1;
}
