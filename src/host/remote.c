/*
 * Client processes at the other end of a socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/remote.h"

#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"
#include "host/call_channel.h"
#include "host/host.h"
#include "host/quota.h"
#include "host/session.h"

/* Events a client has not taken yet; the kernel keeps about as many messages before it drops. */
#define REMOTE_MAX_QUEUED 65534

struct queued_event {
    STAILQ_ENTRY(queued_event) link;
    struct wire_message message;
};

struct remote_client {
    struct DextHost *host;
    struct session *session;
    struct quota_share *share; /* of the client's, one place for the control channel */
    int control;
    int pid_fd;  /* -1 where the kernel has none: then the sockets alone tell of death */
    int wake_fd; /* eventfd: there are queued events, or the host ends */
    bool is_greeted;
    struct wire_message request; /* the control thread's */
    struct wire_message reply;
    /* Under the session's lock: */
    int event; /* our end of the event socket, non-blocking; -1 before HELLO */
    STAILQ_HEAD(, queued_event) queue;
    size_t queued;
    bool is_ending;
};

/* The event channel. */

static void remote_wake(struct remote_client *client)
{
    uint64_t one = 1;
    while (write(client->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

static void remote_queue_event(struct remote_client *client, const struct wire_message *event)
{
    if (client->queued == REMOTE_MAX_QUEUED) {
        log_warning("host", "client %d does not take its events: one is dropped",
                    (int)client->session->process->pid);
        return;
    }
    struct queued_event *item = calloc(1, sizeof(*item));
    if (!item) {
        log_error("host", "out of memory: an event is dropped");
        return;
    }
    wire_message_init(&item->message);
    wire_message_reset(&item->message, event->header.type);
    wire_put_bytes(&item->message, event->payload, event->length);
    STAILQ_INSERT_TAIL(&client->queue, item, link);
    client->queued++;
    remote_wake(client);
}

static void remote_send(struct session *session, struct wire_message *event)
{
    struct remote_client *client = session->sink_context;
    if (client->event < 0) {
        return;
    }
    int error = STAILQ_EMPTY(&client->queue) ? wire_send(client->event, event) : -EAGAIN;
    if (error == -EAGAIN) {
        remote_queue_event(client, event);
    }
}

static void remote_gone(struct session *session)
{
    struct remote_client *client = session->sink_context;
    client->is_ending = true;
    shutdown(client->control, SHUT_RDWR); /* its thread may wait for the rest of a frame */
    remote_wake(client);
}

static const struct session_sink remote_sink = {
    .send = remote_send,
    .gone = remote_gone,
};

/* Send what is queued; false when the channel is broken. */
static bool remote_flush(struct remote_client *client)
{
    bool is_whole = true;
    pthread_mutex_lock(&client->session->lock);
    struct queued_event *item;
    while ((item = STAILQ_FIRST(&client->queue)) != NULL) {
        int error = wire_send(client->event, &item->message);
        if (error) {
            is_whole = error == -EAGAIN;
            break;
        }
        STAILQ_REMOVE_HEAD(&client->queue, link);
        client->queued--;
        wire_message_destroy(&item->message);
        free(item);
    }
    pthread_mutex_unlock(&client->session->lock);
    return is_whole;
}

/* Call channels. */

static void remote_opened(struct remote_client *client, struct connection *connection)
{
    int client_end;
    int error = call_channel_start(client->host, connection, &client_end);
    if (!error) {
        wire_put_fd(&client->reply, client_end);
    } else {
        wire_message_answer(&client->reply, &client->request);
        client->reply.header.status = status_from_errno(error);
        connection_close(connection);
        connection_put(connection);
    }
}

/* The control channel. */

/* Send the reply. A client that has died takes none, and the socket does not tell as long as a
 * child of it keeps the other end. */
static bool remote_answer(struct remote_client *client)
{
    struct pollfd fds[2] = {{.fd = client->pid_fd, .events = POLLIN},
                            {.fd = client->control, .events = POLLOUT}};
    int error;
    while ((error = wire_send(client->control, &client->reply)) == -EAGAIN) {
        if ((poll(fds, 2, -1) < 0 && errno != EINTR) || fds[0].revents) {
            return false;
        }
    }
    wire_message_reset(&client->reply, 0);
    return error == 0;
}

static bool remote_greet(struct remote_client *client)
{
    struct wire_message *reply = &client->reply;
    int ends[2];
    uint32_t version = wire_get_u32(&client->request);
    wire_message_answer(reply, &client->request);
    if (client->is_greeted || client->request.header.type != WIRE_HELLO ||
        !wire_is_consumed(&client->request) || client->request.fd_count) {
        reply->header.status = kIOReturnIPCError;
        remote_answer(client);
        return false;
    }
    wire_put_u32(reply, WIRE_VERSION);
    wire_put_u32(reply, client->host->page_size);
    if (version != WIRE_VERSION) {
        log_warning("host", "client %d speaks version %u, not %u",
                    (int)client->session->process->pid, version, WIRE_VERSION);
        reply->header.status = kIOReturnUnsupported;
        remote_answer(client);
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        reply->header.status = status_from_errno(-errno);
        log_error("host", "client %d: no event channel: %s", (int)client->session->process->pid,
                  strerror(errno));
        remote_answer(client);
        return false;
    }
    wire_put_fd(reply, ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pthread_mutex_lock(&client->session->lock);
    client->event = ends[0];
    pthread_mutex_unlock(&client->session->lock);
    client->is_greeted = true;
    return remote_answer(client);
}

/* OPEN, which costs a thread and descriptors: there may be none left for this client. */
static void remote_open(struct remote_client *client)
{
    struct connection *opened = NULL;
    if (quota_take_more(&client->host->quota, client->share)) {
        wire_message_answer(&client->reply, &client->request);
        client->reply.header.status = kIOReturnNoResources;
        return;
    }
    session_request(client->session, &client->request, &client->reply, &opened);
    if (!opened) {
        quota_give(&client->host->quota, client->share);
        return;
    }
    connection_give_share(opened, client->share);
    remote_opened(client, opened);
}

static bool remote_serve_request(struct remote_client *client)
{
    struct connection *opened = NULL;
    int error = wire_receive_guarded(client->control, client->pid_fd, &client->request);
    if (error) {
        if (error != -ECONNRESET) {
            log_warning("host", "client %d: bad frame on the control channel (%s)",
                        (int)client->session->process->pid, strerror(-error));
        }
        return false;
    }
    if (!client->is_greeted || client->request.header.type == WIRE_HELLO) {
        return remote_greet(client);
    }
    if (client->request.header.type == WIRE_OPEN) {
        remote_open(client);
    } else {
        session_request(client->session, &client->request, &client->reply, &opened);
    }
    return remote_answer(client);
}

static bool remote_drain_wake(struct remote_client *client)
{
    uint64_t count;
    if (read(client->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
    }
    pthread_mutex_lock(&client->session->lock);
    bool is_ending = client->is_ending;
    pthread_mutex_unlock(&client->session->lock);
    return !is_ending;
}

static void remote_serve(struct remote_client *client)
{
    enum { CONTROL, WAKE, EVENT, PROCESS };
    struct pollfd fds[4] = {
        [CONTROL] = {.fd = client->control, .events = POLLIN},
        [WAKE] = {.fd = client->wake_fd, .events = POLLIN},
        [PROCESS] = {.fd = client->pid_fd, .events = POLLIN},
    };
    for (;;) {
        pthread_mutex_lock(&client->session->lock);
        bool has_queue = !STAILQ_EMPTY(&client->queue);
        fds[EVENT] = (struct pollfd){.fd = client->event, .events = has_queue ? POLLOUT : 0};
        pthread_mutex_unlock(&client->session->lock);
        if (poll(fds, 4, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return;
        }
        if (fds[PROCESS].revents || (fds[EVENT].revents & (POLLHUP | POLLERR | POLLNVAL))) {
            return;
        }
        if ((fds[WAKE].revents && !remote_drain_wake(client)) ||
            (fds[EVENT].revents && !remote_flush(client)) ||
            (fds[CONTROL].revents && !remote_serve_request(client))) {
            return;
        }
    }
}

static void remote_client_free(struct remote_client *client)
{
    struct queued_event *item;
    while ((item = STAILQ_FIRST(&client->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&client->queue, link);
        wire_message_destroy(&item->message);
        free(item);
    }
    wire_message_destroy(&client->request);
    wire_message_destroy(&client->reply);
    if (client->event >= 0) {
        close(client->event);
    }
    if (client->pid_fd >= 0) {
        close(client->pid_fd);
    }
    if (client->wake_fd >= 0) {
        close(client->wake_fd);
    }
    close(client->control);
    quota_give(&client->host->quota, client->share);
    free(client);
}

static void remote_client_main(void *argument)
{
    struct remote_client *client = argument;
    remote_serve(client);
    session_end(client->session);
    session_put(client->session);
    remote_client_free(client);
}

/* The answer to a HELLO that nobody waits for: whoever waited could be kept waiting. */
static void remote_refuse(int fd)
{
    struct wire_message refusal;
    wire_message_init(&refusal);
    wire_message_reset(&refusal, WIRE_HELLO);
    refusal.header.status = kIOReturnNoResources;
    wire_put_u32(&refusal, WIRE_VERSION);
    wire_put_u32(&refusal, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    wire_send(fd, &refusal);
    wire_message_destroy(&refusal);
}

int remote_client_start(struct DextHost *host, int fd, const struct client_owner *owner)
{
    struct quota_share *share;
    int refused = quota_take(&host->quota, owner, &share);
    if (refused == -EDQUOT) {
        remote_refuse(fd);
    }
    struct remote_client *client = refused ? NULL : calloc(1, sizeof(*client));
    if (!client) {
        quota_give(&host->quota, share);
        close(fd);
        return refused ? refused : -ENOMEM;
    }
    client->host = host;
    client->share = share;
    client->control = fd;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    client->event = -1;
    STAILQ_INIT(&client->queue);
    wire_message_init(&client->request);
    wire_message_init(&client->reply);
    /* A child forked by the client keeps its sockets open after its death: the process tells. */
    client->pid_fd = (int)syscall(SYS_pidfd_open, owner->pid, 0);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = client->wake_fd < 0 ? -errno : 0;
    if (!error) {
        client->session = session_create(host, owner, &remote_sink, client);
        error = client->session ? 0 : -ENOMEM;
    }
    if (!error) {
        error = thread_group_start(&host->threads, remote_client_main, client);
        if (error) {
            session_end(client->session);
            session_put(client->session);
        }
    }
    if (error) {
        remote_client_free(client);
    }
    return error;
}
