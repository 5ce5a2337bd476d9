/*
 * Making room in eventfds, pipes and sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vfiouser/notice.h"

bool vu_notice_may_block(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* By an open file of our own, whose mode nobody else changes. */
static void drain_pipe(int fd)
{
    char path[32];
    char bytes[4096];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (reader >= 0) {
        ssize_t got = read(reader, bytes, sizeof(bytes));
        (void)got;
        close(reader);
    }
}

/* Whatever the mode of the open file, this does not wait. */
static void drain_eventfd(int fd)
{
    uint64_t count;
    const struct iovec vector = {.iov_base = &count, .iov_len = sizeof(count)};
    ssize_t got = preadv2(fd, &vector, 1, -1, RWF_NOWAIT);
    (void)got;
}

void vu_notice_drain(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    struct stat status;
    if (poll(&room, 1, 0) != 0 || fstat(fd, &status) < 0) {
        return;
    }
    if (S_ISFIFO(status.st_mode)) {
        drain_pipe(fd);
    } else if (S_ISSOCK(status.st_mode)) {
        shutdown(fd, SHUT_RDWR);
    } else {
        drain_eventfd(fd);
    }
}
