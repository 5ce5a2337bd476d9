/*
 * Links over sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/trace.h"
#include "wire/protocol.h"

struct socket_link {
    struct wire_link link;
    int fd;
    pthread_mutex_t lock; /* one request and its reply at a time; guards the two below */
    uint64_t sequence;
    int error; /* first failure: the stream is out of step from there on */
};

/* A stream that ends inside a frame: whoever sent it has died. */
static bool socket_has_ended(int fd)
{
    char byte;
    return recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int socket_link_exchange(struct socket_link *self, struct wire_message *request,
                                struct wire_message *reply)
{
    request->header.sequence = ++self->sequence;
    trace_hop("wire", "request type=%u, %zu bytes", request->header.type, request->length);
    int error = wire_send(self->fd, request);
    if (error == -EPIPE) {
        return -ENOTCONN; /* nobody was there to take it */
    }
    if (!error) {
        error = wire_receive(self->fd, reply);
    }
    if (error == -EBADMSG && socket_has_ended(self->fd)) {
        error = -ECONNRESET;
    }
    if (!error && (reply->header.sequence != request->header.sequence ||
                   reply->header.type != request->header.type)) {
        error = -EBADMSG;
    }
    trace_hop("wire", "reply type=%u, %zu bytes (%d)", request->header.type, reply->length, error);
    return error;
}

static int socket_link_call(struct wire_link *link, struct wire_message *request,
                            struct wire_message *reply)
{
    struct socket_link *self = (struct socket_link *)link;
    if (request->is_bad) {
        return -ENOMEM; /* never sent: the stream stays usable */
    }
    pthread_mutex_lock(&self->lock);
    int error = self->error ? -ENOTCONN : socket_link_exchange(self, request, reply);
    if (error && !self->error) {
        self->error = error;
    }
    pthread_mutex_unlock(&self->lock);
    return error;
}

static struct wire_link *socket_link_accept(struct wire_link *control, struct wire_message *reply,
                                            uint64_t connection_id)
{
    (void)control;
    (void)connection_id;
    int fd = wire_take_fd(reply, 0);
    return fd < 0 ? NULL : wire_link_from_socket(fd);
}

static void socket_link_close(struct wire_link *link)
{
    struct socket_link *self = (struct socket_link *)link;
    close(self->fd);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const struct wire_link_ops socket_link_ops = {
    .call = socket_link_call,
    .accept = socket_link_accept,
    .close = socket_link_close,
};

struct wire_link *wire_link_from_socket(int fd)
{
    struct socket_link *self = calloc(1, sizeof(*self));
    if (!self) {
        close(fd);
        return NULL;
    }
    self->link.ops = &socket_link_ops;
    self->fd = fd;
    pthread_mutex_init(&self->lock, NULL);
    return &self->link;
}
