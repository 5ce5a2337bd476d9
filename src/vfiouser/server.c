/*
 * Accepting clients, one after the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfiouser/device.h"
#include "vfiouser/farewell.h"
#include "vfiouser/listener.h"
#include "vfiouser/session.h"

#define ACCEPT_RETRY_MS 100 /* when there is no descriptor for a client */

struct vu_server {
    const struct vu_report *report;
    struct vu_device *device;
    struct vu_listener listener;
    int wake[2];          /* a byte in it ends waiting for clients */
    pthread_mutex_t lock; /* the two below */
    bool is_stopping;
    int client; /* to be shut down; -1 = none */
};

static void say_cause(char **cause, const char *path, int error)
{
    char line[400];
    const char *text = strerror(-error);
    if (error == -EADDRINUSE) {
        text = "somebody listens there already";
    } else if (error == -ENOTSOCK) {
        text = "there is a file that is no socket";
    } else if (error == -ENAMETOOLONG) {
        text = "the path of a socket has at most 107 characters";
    }
    snprintf(line, sizeof(line), "cannot listen at %s: %s", path, text);
    *cause = strdup(line);
}

static int open_pipe(int ends[2])
{
    if (pipe(ends) != 0) {
        ends[0] = ends[1] = -1;
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

int vu_server_create(io_connect_t connection, const char *path, const struct vu_report *report,
                     struct vu_server **out, char **cause)
{
    struct vu_server *server = calloc(1, sizeof(*server));
    *cause = NULL;
    if (!server) {
        return -ENOMEM;
    }
    server->report = report;
    server->client = -1;
    server->listener.fd = -1;
    server->wake[0] = server->wake[1] = -1;
    pthread_mutex_init(&server->lock, NULL);
    int error = open_pipe(server->wake);
    if (error == 0) {
        server->device = vu_device_open(connection, report, cause);
        error = server->device ? 0 : -ENODEV;
    }
    if (error == 0) {
        error = vu_listener_open(&server->listener, path);
        if (error != 0) {
            say_cause(cause, path, error);
        }
    }
    if (error != 0) {
        vu_server_destroy(server);
        return error;
    }
    *out = server;
    return 0;
}

/* Wait for a client. -1: to be stopped, or *error. */
static int accept_client(struct vu_server *server, int *error)
{
    struct pollfd fds[2] = {{.fd = server->wake[0], .events = POLLIN},
                            {.fd = server->listener.fd, .events = POLLIN}};
    bool is_said = false;
    *error = 0;
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            *error = -errno;
            return -1;
        }
        if (fds[0].revents) {
            return -1;
        }
        int fd = accept(server->listener.fd, NULL, NULL);
        if (fd >= 0) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            fcntl(fd, F_SETFL, 0);
            return fd;
        }
        if (errno == EBADF || errno == EINVAL) {
            *error = -errno;
            return -1;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (!is_said) {
                vu_say(server->report, VU_LEVEL_WARNING, "a client has to wait: %s",
                       strerror(errno));
            }
            is_said = true;
            poll(fds, 1, ACCEPT_RETRY_MS);
        }
    }
}

/* From here on a stop ends the client. false: it was stopped before. */
static bool set_client(struct vu_server *server, int fd)
{
    pthread_mutex_lock(&server->lock);
    bool is_wanted = !server->is_stopping;
    server->client = is_wanted ? fd : -1;
    pthread_mutex_unlock(&server->lock);
    return is_wanted;
}

static void say_released(const struct vu_server *server, size_t regions, uint64_t bytes)
{
    vu_say(server->report, VU_LEVEL_INFO,
           "client gone: %zu regions, %" PRIu64 " bytes released, device reset", regions, bytes);
}

/* kept: the same socket, of which the number is ours till the end. */
static int serve_kept_client(struct vu_server *server, int fd, int kept)
{
    struct vu_device *device = server->device;
    struct vu_farewell farewell;
    int error = vu_farewell_begin(&farewell, &device->irqs, kept, server->wake[0]);
    if (error != 0) {
        vu_say(server->report, VU_LEVEL_ERROR, "a client cannot be served: %s", strerror(-error));
        close(fd);
        return error;
    }
    vu_say(server->report, VU_LEVEL_INFO, "client attached");
    error = vu_session_run(device, server->report, fd);
    size_t regions = device->dma.count;
    uint64_t bytes = device->dma.bytes;
    set_client(server, -1);
    shutdown(kept, SHUT_RDWR);
    vu_device_release(device);
    vu_farewell_end(&farewell);
    say_released(server, regions, bytes);
    return error;
}

static int serve_client(struct vu_server *server, int fd)
{
    int error = 0;
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (kept < 0) {
        error = -errno;
        close(fd);
    } else if (set_client(server, kept)) {
        error = serve_kept_client(server, fd, kept);
        set_client(server, -1);
    } else {
        close(fd);
    }
    if (kept >= 0) {
        close(kept);
    }
    return error;
}

int vu_server_run(struct vu_server *server, bool is_once)
{
    int error;
    do {
        int fd = accept_client(server, &error);
        if (fd < 0) {
            return error;
        }
        error = serve_client(server, fd);
        if (atomic_load(&server->device->is_lost)) {
            return -ENODEV;
        }
    } while (!is_once);
    return error;
}

void vu_server_stop(struct vu_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_stopping = true;
    ssize_t written = write(server->wake[1], "", 1); /* first: a client may let the notice wait */
    (void)written;
    if (server->client >= 0) {
        vu_irqs_notify(&server->device->irqs, VU_IRQ_REQ);
        shutdown(server->client, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
}

void vu_server_destroy(struct vu_server *server)
{
    if (!server) {
        return;
    }
    vu_listener_close(&server->listener);
    vu_device_close(server->device);
    for (int i = 0; i < 2; i++) {
        if (server->wake[i] >= 0) {
            close(server->wake[i]);
        }
    }
    pthread_mutex_destroy(&server->lock);
    free(server);
}
