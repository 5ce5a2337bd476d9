/*
 * Accepting clients, and the threads of their control and call channels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/status.h"
#include "host/host.h"
#include "host/listener.h"
#include "host/remote.h"

struct server {
    struct DextHost *host;
    struct listener listener;
    int stop_fd; /* eventfd: readable when it is time to stop */
    struct thread_group thread;
};

static void server_accept(struct server *server)
{
    cleanup_close int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC);
    struct client_owner owner;
    if (fd < 0) {
        /* Out of descriptors: the client waits in the queue, we must not spin on it. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_error("host", "cannot accept a client: %s", strerror(errno));
            poll(NULL, 0, 100);
        }
        return;
    }
    if (!listener_admits(&server->listener, fd, &owner)) {
        log_warning("host", "a client of another user was refused");
        return;
    }
    int error = remote_client_start(server->host, steal_fd(&fd), &owner);
    if (error && error != -EDQUOT) { /* which is the client's affair, and has been logged */
        log_error("host", "client %d: cannot be served: %s", (int)owner.pid, strerror(-error));
    }
}

static void server_main(void *argument)
{
    struct server *server = argument;
    struct pollfd fds[2] = {{.fd = server->listener.fd, .events = POLLIN},
                            {.fd = server->stop_fd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            log_error("host", "poll: %s", strerror(errno));
            return;
        }
        if (fds[1].revents) {
            return;
        }
        if (fds[0].revents) {
            server_accept(server);
        }
    }
}

int server_start(struct DextHost *host, const char *path, struct server **out, char **errp)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server) {
        return host_fail(errp, ENOMEM, "out of memory");
    }
    server->host = host;
    int error = listener_open(path, host->group, &server->listener, errp);
    if (error) {
        goto free_server;
    }
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (server->stop_fd < 0) {
        error = host_fail(errp, errno, "eventfd: %s", strerror(errno));
        goto close_listener;
    }
    thread_group_init(&server->thread);
    error = thread_group_start(&server->thread, server_main, server);
    if (error) {
        error = host_fail(errp, -error, "cannot start a thread: %s", strerror(-error));
        goto destroy_group;
    }
    *out = server;
    return 0;

destroy_group:
    thread_group_destroy(&server->thread);
    close(server->stop_fd);
close_listener:
    listener_close(&server->listener);
free_server:
    free(server);
    return error;
}

const char *server_path(const struct server *server)
{
    return server->listener.address.sun_path;
}

void server_stop(struct server *server)
{
    if (!server) {
        return;
    }
    uint64_t one = 1;
    while (write(server->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    thread_group_wait(&server->thread);
    thread_group_destroy(&server->thread);
    listener_close(&server->listener);
    close(server->stop_fd);
    free(server);
}
