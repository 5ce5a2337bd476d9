/*
 * Framing over a stream socket.
 *
 * Descriptors come with the first byte of a message, and a read that goes on into the next message
 * cannot tell whose they are. So one read asks for no more than the shortest request that may bring
 * descriptors. Only after a shorter one can it have the start of the next message, and then the
 * descriptors are that one's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/pause.h"
#include "vfiouser/codec.h"

#define KERNEL_MAX_FDS 254 /* more never come with one message */
#define FIRST_BYTES    (2 * VU_HEADER_BYTES)
#define PAUSES         8 /* between two looks */

/* count may be more than there is room for: those are closed. */
static void close_fds(const int *fds, size_t count)
{
    for (size_t i = 0; i < count && i < VU_MAX_FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

int vu_channel_open(struct vu_channel *channel, int fd)
{
    channel->fd = fd;
    channel->lookout = (struct vu_lookout){0};
    channel->payload = malloc(VU_MAX_MESSAGE);
    if (!channel->payload) {
        vu_channel_close(channel);
        return -ENOMEM;
    }
    return 0;
}

void vu_channel_close(struct vu_channel *channel)
{
    if (channel->fd >= 0) {
        close(channel->fd);
    }
    channel->fd = -1;
    free(channel->payload);
    channel->payload = NULL;
    close_fds(channel->ahead_fds, channel->ahead_fd_count);
    channel->ahead_fd_count = 0;
    channel->ahead_bytes = 0;
}

void vu_message_close(struct vu_message *message)
{
    close_fds(message->fds, message->fd_count);
    message->fd_count = 0;
}

static void take_fds(struct msghdr *from, struct vu_message *message)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(from); control;
         control = CMSG_NXTHDR(from, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(control) + i * sizeof(fd), sizeof(fd));
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            if (message->fd_count < VU_MAX_FDS) {
                message->fds[message->fd_count] = fd;
            } else {
                close(fd);
            }
            message->fd_count++;
        }
    }
}

/* Read on until bytes are there. Descriptors where none belong are closed by the kernel. */
static int receive_rest(int fd, uint8_t *where, size_t bytes)
{
    while (bytes > 0) {
        ssize_t count = recv(fd, where, bytes, MSG_WAITALL);
        if (count == 0) {
            return -EPROTO;
        }
        if (count < 0 && errno != EINTR) {
            return -errno;
        }
        if (count > 0) {
            where += count;
            bytes -= (size_t)count;
        }
    }
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Give the peer a moment, and the processor if it has none of its own. */
static void rest_between_looks(void)
{
    for (int i = 0; i < PAUSES; i++) {
        pause_processor();
    }
    sched_yield();
}

/* recvmsg that waits, by looking where that pays. */
static ssize_t receive_wait(struct vu_channel *channel, struct msghdr *from)
{
    struct vu_lookout *lookout = &channel->lookout;
    const struct msghdr wanted = *from; /* a call that fails may have changed it */
    bool looks = vu_lookout_begin(lookout, now_ns());
    ssize_t count;
    do {
        *from = wanted;
        count = recvmsg(channel->fd, from, looks ? MSG_DONTWAIT : 0);
        if (count >= 0 || (errno != EAGAIN && errno != EINTR)) {
            vu_lookout_end(lookout, now_ns());
            return count;
        }
        if (looks) {
            rest_between_looks();
            looks = vu_lookout_again(lookout, now_ns());
        }
    } while (true);
}

/* Read a header and perhaps more; *have says how much. */
static int receive_first(struct vu_channel *channel, uint8_t bytes[FIRST_BYTES], size_t *have,
                         struct vu_message *message)
{
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = FIRST_BYTES};
    struct msghdr from;
    ssize_t count;

    memset(&from, 0, sizeof(from));
    from.msg_iov = &vector;
    from.msg_iovlen = 1;
    from.msg_control = control.bytes;
    from.msg_controllen = sizeof(control.bytes);
    count = receive_wait(channel, &from);
    if (count <= 0) {
        return count == 0 ? -ENOTCONN : -errno;
    }
    *have = (size_t)count;
    take_fds(&from, message);
    message->has_lost_fds = (from.msg_flags & MSG_CTRUNC) != 0;
    return 0;
}

static void take_ahead(struct vu_channel *channel, uint8_t bytes[FIRST_BYTES], size_t *have,
                       struct vu_message *message)
{
    *have = channel->ahead_bytes;
    memcpy(bytes, channel->ahead, channel->ahead_bytes);
    message->has_lost_fds = channel->has_lost_ahead;
    channel->has_lost_ahead = false;
    message->fd_count = channel->ahead_fd_count;
    memcpy(message->fds, channel->ahead_fds, sizeof(message->fds));
    channel->ahead_bytes = 0;
    channel->ahead_fd_count = 0;
}

/* Keep what was read of the next message; descriptors too when they came with this read. */
static void keep_ahead(struct vu_channel *channel, const uint8_t *bytes, size_t count,
                       struct vu_message *message, bool is_new)
{
    memcpy(channel->ahead, bytes, count);
    channel->ahead_bytes = count;
    if (is_new) {
        channel->has_lost_ahead = message->has_lost_fds;
        message->has_lost_fds = false;
        channel->ahead_fd_count = message->fd_count;
        memcpy(channel->ahead_fds, message->fds, sizeof(message->fds));
        message->fd_count = 0;
    }
}

static int receive_payload(struct vu_channel *channel, struct vu_message *message,
                           const uint8_t bytes[FIRST_BYTES], size_t have, bool is_new)
{
    size_t size = message->header.size;
    size_t here = have < size ? have : size;
    memcpy(channel->payload, bytes + VU_HEADER_BYTES, here - VU_HEADER_BYTES);
    if (here < have) {
        keep_ahead(channel, bytes + here, have - here, message, is_new);
    }
    return receive_rest(channel->fd, channel->payload + (here - VU_HEADER_BYTES), size - here);
}

int vu_channel_receive(struct vu_channel *channel, struct vu_message *message)
{
    uint8_t bytes[FIRST_BYTES];
    size_t have = 0;
    bool is_new = channel->ahead_bytes == 0;
    int error = 0;

    message->fd_count = 0;
    message->has_lost_fds = false;
    message->payload = channel->payload;
    if (is_new) {
        error = receive_first(channel, bytes, &have, message);
    } else {
        take_ahead(channel, bytes, &have, message);
    }
    if (error == 0 && have < VU_HEADER_BYTES) {
        error = receive_rest(channel->fd, bytes + have, VU_HEADER_BYTES - have);
        have = VU_HEADER_BYTES;
    }
    if (error == 0 && !vu_header_decode(bytes, &message->header)) {
        error = -EBADMSG;
    }
    if (error == 0) {
        error = receive_payload(channel, message, bytes, have, is_new);
    }
    if (error != 0) {
        vu_message_close(message);
    }
    return error;
}

/* Step over bytes that were sent; returns how many pieces are left. */
static void skip_sent(struct msghdr *to, size_t sent)
{
    while (to->msg_iovlen > 0 && sent >= to->msg_iov->iov_len) {
        sent -= to->msg_iov->iov_len;
        to->msg_iov++;
        to->msg_iovlen--;
    }
    if (to->msg_iovlen > 0) {
        to->msg_iov->iov_base = (char *)to->msg_iov->iov_base + sent;
        to->msg_iov->iov_len -= sent;
    }
}

int vu_channel_send(struct vu_channel *channel, struct vu_header *header, const void *payload,
                    size_t payload_bytes, const void *more, size_t more_bytes, int fd)
{
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vectors[3] = {
        {.iov_base = header, .iov_len = sizeof(*header)},
        {.iov_base = (void *)(uintptr_t)payload, .iov_len = payload_bytes},
        {.iov_base = (void *)(uintptr_t)more, .iov_len = more_bytes},
    };
    struct msghdr to;

    memset(&to, 0, sizeof(to));
    to.msg_iov = vectors;
    to.msg_iovlen = more_bytes > 0 ? 3 : payload_bytes > 0 ? 2 : 1;
    header->size = (uint32_t)(sizeof(*header) + payload_bytes + more_bytes);
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        to.msg_control = control.bytes;
        to.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *first = CMSG_FIRSTHDR(&to);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(first), &fd, sizeof(fd));
    }
    while (to.msg_iovlen > 0) {
        ssize_t sent = sendmsg(channel->fd, &to, 0);
        if (sent < 0 && errno != EINTR) {
            return -errno;
        }
        if (sent > 0) {
            to.msg_control = NULL; /* it went with the first byte */
            to.msg_controllen = 0;
            skip_sent(&to, (size_t)sent);
        }
    }
    return 0;
}
