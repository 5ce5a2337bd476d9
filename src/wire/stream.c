/*
 * Frames on a stream socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/message.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

union wire_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
};

uint64_t wire_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* 0 when one of the descriptors is ready, -ETIMEDOUT. deadline_ns 0: no deadline. */
static int wire_poll(struct pollfd *fds, unsigned count, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = deadline_ns ? wire_now_ns() : 0;
        uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
        struct timespec patience = {.tv_sec = (time_t)(left / 1000000000),
                                    .tv_nsec = (long)(left % 1000000000)};
        int ready = ppoll(fds, count, deadline_ns ? &patience : NULL, NULL);
        if (ready > 0) {
            return 0;
        }
        if (ready < 0 && errno != EINTR) {
            return -errno;
        }
        if (ready == 0 && left == 0) {
            return -ETIMEDOUT;
        }
    }
}

static int wire_wait_writable(int socket_fd, uint64_t deadline_ns)
{
    struct pollfd pfd = {.fd = socket_fd, .events = POLLOUT};
    return wire_poll(&pfd, 1, deadline_ns);
}

/* One stream and what may cut short the wait for it. */
struct wire_source {
    int socket_fd;
    int guard_fd;         /* -1: none */
    uint64_t deadline_ns; /* 0: none */
};

/* Until there is something to read; the guard comes first. */
static int wire_wait_readable(const struct wire_source *source)
{
    struct pollfd fds[2] = {{.fd = source->guard_fd, .events = POLLIN},
                            {.fd = source->socket_fd, .events = POLLIN}};
    int error = wire_poll(fds, 2, source->deadline_ns);
    return error ? error : fds[0].revents ? -ECANCELED : 0;
}

static void wire_attach_fds(struct msghdr *header, union wire_control *control,
                            const struct wire_message *message)
{
    memset(control, 0, sizeof(*control));
    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof(int) * message->fd_count);
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * message->fd_count);
    memcpy(CMSG_DATA(cmsg), message->fds, sizeof(int) * message->fd_count);
}

/* With a deadline the wait for room begins before the frame does. */
static int wire_send_frame(int socket_fd, struct wire_message *message, uint64_t deadline_ns)
{
    if (message->is_bad) {
        return -EBADMSG;
    }
    message->header.payload_bytes = (uint32_t)message->length;
    message->header.fd_count = (uint16_t)message->fd_count;

    union wire_control control;
    struct iovec parts[2] = {
        {.iov_base = &message->header, .iov_len = sizeof(message->header)},
        {.iov_base = message->payload, .iov_len = message->length},
    };
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = message->length ? 2 : 1};
    if (message->fd_count) {
        wire_attach_fds(&header, &control, message);
    }

    size_t left = sizeof(message->header) + message->length;
    bool has_begun = false;
    while (left > 0) {
        ssize_t sent = sendmsg(socket_fd, &header, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN && (has_begun || deadline_ns)) {
            /* A frame that has begun must end: a non-blocking sender waits here only. */
            int error = wire_wait_writable(socket_fd, deadline_ns);
            if (error) {
                return error;
            }
            continue;
        }
        if (sent < 0) {
            return -errno;
        }
        has_begun = true;
        left -= (size_t)sent;
        header.msg_control = NULL;
        header.msg_controllen = 0;
        size_t skip = (size_t)sent;
        while (skip > 0 && skip >= header.msg_iov->iov_len) {
            skip -= header.msg_iov->iov_len;
            header.msg_iov++;
            header.msg_iovlen--;
        }
        if (skip > 0) {
            header.msg_iov->iov_base = (uint8_t *)header.msg_iov->iov_base + skip;
            header.msg_iov->iov_len -= skip;
        }
    }
    return 0;
}

int wire_send(int socket_fd, struct wire_message *message)
{
    return wire_send_frame(socket_fd, message, 0);
}

int wire_send_until(int socket_fd, uint64_t deadline_ns, struct wire_message *message)
{
    return wire_send_frame(socket_fd, message, deadline_ns);
}

/* Keep the descriptors of one read; false when there are more than a frame may have. */
static bool wire_collect_fds(struct msghdr *header, struct wire_message *message)
{
    bool fits = true;
    message->has_lost_fds |= (header->msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
            if (message->fd_count < WIRE_MAX_FDS) {
                message->fds[message->fd_count++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

/* Read what there is, at most length. Returns bytes, 0 at the end. */
static ssize_t wire_read_some(const struct wire_source *source, struct wire_message *message,
                              void *where, size_t length)
{
    union wire_control control;
    struct iovec part = {.iov_base = where, .iov_len = length};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    ssize_t got;
    while ((got = recvmsg(source->socket_fd, &header, MSG_CMSG_CLOEXEC)) < 0) {
        int error = errno == EAGAIN ? wire_wait_readable(source) : -errno;
        if (error && error != -EINTR) {
            return error;
        }
    }
    return wire_collect_fds(&header, message) ? got : -EBADMSG;
}

static int wire_read_exactly(const struct wire_source *source, struct wire_message *message,
                             uint8_t *where, size_t length)
{
    while (length > 0) {
        ssize_t got = wire_read_some(source, message, where, length);
        if (got <= 0) {
            return got == 0 ? -EBADMSG : (int)got;
        }
        where += got;
        length -= (size_t)got;
    }
    return 0;
}

static bool wire_header_is_valid(const struct wire_header *header)
{
    return header->magic == WIRE_MAGIC && header->payload_bytes <= WIRE_MAX_PAYLOAD &&
           header->fd_count <= WIRE_MAX_FDS;
}

static int wire_grow(struct wire_message *message, size_t wanted)
{
    if (wanted <= message->capacity) {
        return 0;
    }
    uint8_t *grown = realloc(message->payload, wanted);
    if (!grown) {
        return -ENOMEM;
    }
    message->payload = grown;
    message->capacity = wanted;
    return 0;
}

/* Reads are exact: a stream may hold the next frame already, with descriptors of its own. */
static int wire_receive_header(const struct wire_source *source, struct wire_message *message)
{
    uint8_t *header = (uint8_t *)&message->header;
    ssize_t got = wire_read_some(source, message, header, sizeof(message->header));
    if (got <= 0) {
        return got == 0 ? -ECONNRESET : (int)got;
    }
    return wire_read_exactly(source, message, header + got, sizeof(message->header) - (size_t)got);
}

static int wire_receive_frame(const struct wire_source *source, struct wire_message *message)
{
    wire_message_reset(message, 0);
    int error = wire_receive_header(source, message);
    if (!error && !wire_header_is_valid(&message->header)) {
        error = -EBADMSG;
    }
    if (!error) {
        error = wire_grow(message, message->header.payload_bytes);
    }
    if (!error) {
        error = wire_read_exactly(source, message, message->payload, message->header.payload_bytes);
    }
    if (!error && (message->has_lost_fds || message->fd_count != message->header.fd_count)) {
        /* The bytes are all there: without room for descriptors the stream is in step still. */
        bool is_full = message->has_lost_fds && message->fd_count < message->header.fd_count;
        error = is_full ? -EMFILE : -EBADMSG;
    }
    if (error) {
        wire_message_reset(message, 0);
        return error;
    }
    message->length = message->header.payload_bytes;
    return 0;
}

int wire_receive(int socket_fd, struct wire_message *message)
{
    return wire_receive_guarded(socket_fd, -1, message);
}

int wire_receive_guarded(int socket_fd, int guard_fd, struct wire_message *message)
{
    const struct wire_source source = {.socket_fd = socket_fd, .guard_fd = guard_fd};
    return wire_receive_frame(&source, message);
}

int wire_receive_until(int socket_fd, uint64_t deadline_ns, struct wire_message *message)
{
    const struct wire_source source = {
        .socket_fd = socket_fd, .guard_fd = -1, .deadline_ns = deadline_ns};
    return wire_receive_frame(&source, message);
}
