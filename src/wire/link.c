/*
 * Links over sockets, and by call slots where there are some.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/trace.h"
#include "wire/protocol.h"
#include "wire/slots.h"

/* A connection that makes fewer calls than this does without slots: a tool that looks at each of
 * many devices pays for none. */
#define CALLS_BEFORE_SLOTS 4

struct socket_link {
    struct wire_link link;
    int fd;
    _Atomic int error;    /* first failure: the stream is out of step from there on */
    pthread_mutex_t lock; /* one request and its reply at a time; guards the two below */
    uint64_t sequence;
    unsigned calls_before_slots;            /* 0: never, or there are some */
    pthread_mutex_t send_lock;              /* leaf; one frame at a time */
    struct wire_slot_client *_Atomic slots; /* NULL: none; once set, it stays */
};

/* A stream that ends inside a frame: whoever sent it has died. */
static bool socket_has_ended(int fd)
{
    char byte;
    return recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int socket_link_send(struct socket_link *self, struct wire_message *request)
{
    pthread_mutex_lock(&self->send_lock);
    int error = wire_send(self->fd, request);
    pthread_mutex_unlock(&self->send_lock);
    return error;
}

static int socket_link_exchange(struct socket_link *self, struct wire_message *request,
                                struct wire_message *reply)
{
    request->header.sequence = ++self->sequence;
    trace_hop("wire", "request type=%u, %zu bytes", request->header.type, request->length);
    int error = socket_link_send(self, request);
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

/* Call slots. */

static int socket_link_kick(void *context)
{
    struct wire_message kick;
    wire_message_init(&kick);
    wire_message_reset(&kick, WIRE_KICK);
    return socket_link_send(context, &kick);
}

/* Ask for slots; lock held. A host that has none refuses, and everything goes as before. */
static int socket_link_ask_for_slots(struct socket_link *self)
{
    struct wire_message request;
    struct wire_message reply;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_SLOTS);
    wire_put_u32(&request, WIRE_SLOTS_LAYOUT);
    int error = request.is_bad ? 0 : socket_link_exchange(self, &request, &reply);
    if (!error && !request.is_bad && reply.header.status == 0) {
        uint32_t count = wire_get_u32(&reply);
        cleanup_close int fd = wire_take_fd(&reply, 0);
        if (wire_is_consumed(&reply) && count == WIRE_SLOT_COUNT && fd >= 0) {
            self->slots = wire_slot_client_create(fd);
        }
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return error;
}

/* The first failure is what the link has from there on. */
static int socket_link_fail(struct socket_link *self, int error)
{
    int none = 0;
    if (error && error != -EMFILE) {
        atomic_compare_exchange_strong(&self->error, &none, error);
    }
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
    int error = socket_link_fail(self, self->error ? -ENOTCONN
                                                   : socket_link_exchange(self, request, reply));
    pthread_mutex_unlock(&self->lock);
    return error;
}

/* One small call more that goes by frame. 0; what ended the link. */
static int socket_link_count_small(struct socket_link *self)
{
    int error = 0;
    pthread_mutex_lock(&self->lock);
    if (!self->error && self->calls_before_slots && --self->calls_before_slots == 0) {
        error = socket_link_fail(self, socket_link_ask_for_slots(self));
    }
    pthread_mutex_unlock(&self->lock);
    return error == -EMFILE ? 0 : error; /* no room for their descriptor: without them, then */
}

static int socket_link_call_small(struct wire_link *link, struct wire_words *words)
{
    struct socket_link *self = (struct socket_link *)link;
    struct wire_slot_client *slots = self->slots;
    if (self->error) {
        return -ENOTCONN;
    }
    if (!slots) {
        int error = socket_link_count_small(self);
        return error ? error : -EAGAIN;
    }
    trace_hop("wire", "request type=%u, by slot", words->type);
    int error = wire_slot_client_call(slots, self->fd, socket_link_kick, self, words);
    if (error == -EAGAIN) {
        return error;
    }
    trace_hop("wire", "reply type=%u, %u words, by slot (%d)", words->type, words->count, error);
    return socket_link_fail(self, error);
}

static struct wire_link *socket_link_accept(struct wire_link *control, struct wire_message *reply,
                                            uint64_t connection_id)
{
    (void)control;
    (void)connection_id;
    int fd = wire_take_fd(reply, 0);
    struct wire_link *link = fd < 0 ? NULL : wire_link_from_socket(fd);
    if (link && wire_slots_are_wanted()) {
        ((struct socket_link *)link)->calls_before_slots = CALLS_BEFORE_SLOTS;
    }
    return link;
}

static void socket_link_close(struct wire_link *link)
{
    struct socket_link *self = (struct socket_link *)link;
    close(self->fd);
    wire_slot_client_destroy(self->slots);
    pthread_mutex_destroy(&self->send_lock);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const struct wire_link_ops socket_link_ops = {
    .call = socket_link_call,
    .call_small = socket_link_call_small,
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
    pthread_mutex_init(&self->send_lock, NULL);
    return &self->link;
}
