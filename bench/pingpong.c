/*
 * A message to another process and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pingpong.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE_BYTES 64 /* about what a call of two scalars needs */

static void answer_until_closed(int fd)
{
    char message[MESSAGE_BYTES];
    while (recv(fd, message, sizeof(message), 0) > 0) {
        if (send(fd, message, sizeof(message), MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    _exit(0);
}

bool pingpong_open(struct pingpong *pingpong)
{
    int pair[2];

    *pingpong = (struct pingpong){.fd = -1, .child = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    pingpong->child = fork();
    if (pingpong->child == 0) {
        close(pair[0]);
        answer_until_closed(pair[1]);
    }
    close(pair[1]);
    pingpong->fd = pair[0];
    if (pingpong->child < 0) {
        pingpong_close(pingpong);
        return false;
    }
    return true;
}

void pingpong_close(struct pingpong *pingpong)
{
    if (pingpong->fd >= 0) {
        close(pingpong->fd);
    }
    if (pingpong->child > 0) {
        waitpid(pingpong->child, NULL, 0);
    }
    *pingpong = (struct pingpong){.fd = -1, .child = -1};
}

bool pingpong_once(struct pingpong *pingpong)
{
    char message[MESSAGE_BYTES] = {0};
    return send(pingpong->fd, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message) &&
           recv(pingpong->fd, message, sizeof(message), MSG_WAITALL) == sizeof(message);
}
