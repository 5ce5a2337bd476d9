/*
 * Serving one connection's socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/call_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"
#include "base/trace.h"
#include "host/host.h"
#include "host/session.h"
#include "host/slot_server.h"
#include "wire/slots.h"

struct call_channel {
    struct connection *connection; /* counted */
    int fd;
    bool is_open;
    struct wire_message request;
    struct wire_message reply;
    struct slot_server *slots; /* NULL until the client asks */
};

/* Send the reply and let go of the descriptors in it: as long as we keep the client's end of a
 * socket, we never see that the client has closed it. */
static void channel_reply(struct call_channel *channel)
{
    if (wire_send(channel->fd, &channel->reply) != 0) {
        channel->is_open = false;
    }
    wire_message_reset(&channel->reply, 0);
}

static IOReturn channel_make_slots(struct call_channel *channel)
{
    int fd = -1;
    uint32_t layout = wire_get_u32(&channel->request);
    if (!wire_is_consumed(&channel->request) || channel->request.fd_count) {
        return kIOReturnIPCError;
    }
    if (layout != WIRE_SLOTS_LAYOUT || !wire_slots_are_wanted()) {
        return kIOReturnUnsupported;
    }
    if (channel->slots) {
        return kIOReturnStillOpen;
    }
    int error = slot_server_start(channel->connection->session->host, channel->connection,
                                  &channel->slots, &fd);
    if (error) {
        log_warning("host", "a connection gets no call slots: %s", strerror(-error));
        return status_from_errno(error);
    }
    wire_put_u32(&channel->reply, WIRE_SLOT_COUNT);
    wire_put_fd(&channel->reply, fd);
    return kIOReturnSuccess;
}

/* One frame that has come. */
static void channel_serve_frame(struct call_channel *channel)
{
    struct wire_message *request = &channel->request;
    if (request->header.type == WIRE_KICK && channel->slots && request->length == 0 &&
        request->fd_count == 0) {
        slot_server_kick(channel->slots);
        return;
    }
    if (request->header.type == WIRE_SLOTS) {
        wire_message_answer(&channel->reply, request);
        channel->reply.header.status = channel_make_slots(channel);
        channel_reply(channel);
        return;
    }
    channel->is_open = connection_request(channel->connection, request, &channel->reply);
    trace_set_current_call(0);
    if (!channel->is_open) {
        /* Closed, it is on no list: nobody would cut short the wait for one who never reads. */
        fcntl(channel->fd, F_SETFL, O_NONBLOCK);
    }
    channel_reply(channel);
}

/* Wait for a frame and serve it. */
static void channel_serve_socket(struct call_channel *channel)
{
    if (wire_receive(channel->fd, &channel->request) == 0) {
        channel_serve_frame(channel);
    } else {
        channel->is_open = false;
    }
}

static void channel_main(void *argument)
{
    struct call_channel *channel = argument;
    struct session *session = channel->connection->session;
    while (channel->is_open) {
        channel_serve_socket(channel);
    }
    connection_close(channel->connection);
    slot_server_end(channel->slots);
    pthread_mutex_lock(&session->lock); /* nobody may shut a number that is given away */
    channel->connection->socket = -1;
    close(channel->fd);
    pthread_mutex_unlock(&session->lock);
    connection_put(channel->connection);
    wire_message_destroy(&channel->request);
    wire_message_destroy(&channel->reply);
    free(channel);
}

static void channel_set_socket(struct connection *connection, int fd)
{
    pthread_mutex_lock(&connection->session->lock);
    connection->socket = fd;
    pthread_mutex_unlock(&connection->session->lock);
}

int call_channel_start(struct DextHost *host, struct connection *connection, int *client_end)
{
    int ends[2];
    struct call_channel *channel = calloc(1, sizeof(*channel));
    if (!channel) {
        return -ENOMEM;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        int error = -errno;
        free(channel);
        return error;
    }
    channel->connection = connection;
    channel->fd = ends[0];
    channel->is_open = true;
    wire_message_init(&channel->request);
    wire_message_init(&channel->reply);
    channel_set_socket(connection, ends[0]);
    int error = thread_group_start(&host->threads, channel_main, channel);
    if (error) {
        channel_set_socket(connection, -1);
        close(ends[0]);
        close(ends[1]);
        free(channel);
        return error;
    }
    *client_end = ends[1];
    return 0;
}
