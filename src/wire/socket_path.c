/*
 * The host's socket path.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/socket_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_NAME "dextlink.sock"

static int socket_path_set(struct sockaddr_un *address, const char *directory, const char *name)
{
    int length = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s%s", directory,
                          directory[0] ? "/" : "", name);
    return length < 0 || (size_t)length >= sizeof(address->sun_path) ? -ENAMETOOLONG : 0;
}

static bool socket_directory_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* /tmp is everybody's: a directory there counts only when nobody else could have made it. */
static int socket_private_directory(const char *path, bool create)
{
    struct stat status;
    if (create && mkdir(path, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    if (lstat(path, &status) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    return S_ISDIR(status.st_mode) && status.st_uid == geteuid() && (status.st_mode & 077) == 0
               ? 0
               : -EACCES;
}

static int socket_default_address(bool create, struct sockaddr_un *address)
{
    char directory[64];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && runtime[0]) {
        return socket_path_set(address, runtime, SOCKET_NAME);
    }
    snprintf(directory, sizeof(directory), "/run/user/%u", (unsigned)geteuid());
    if (socket_directory_exists(directory)) {
        return socket_path_set(address, directory, SOCKET_NAME);
    }
    snprintf(directory, sizeof(directory), "/tmp/dextlink-%u", (unsigned)geteuid());
    int error = socket_private_directory(directory, create);
    return error ? error : socket_path_set(address, directory, SOCKET_NAME);
}

int wire_socket_address(const char *path, bool create, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (!path) {
        path = getenv("DEXTLINK_SOCKET");
    }
    if (!path) {
        return socket_default_address(create, address);
    }
    return path[0] ? socket_path_set(address, "", path) : -EINVAL;
}

const char *wire_socket_address_cause(int error)
{
    switch (error) {
    case -ENAMETOOLONG:
        return "the socket's path is longer than 107 bytes";
    case -EINVAL:
        return "the socket's path is empty";
    case -EACCES:
        return "/tmp/dextlink-UID is not a folder of this user's that nobody else may enter";
    default:
        return strerror(-error);
    }
}
