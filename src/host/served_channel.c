/*
 * Asking a client for its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/served_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/trace.h"
#include "wire/protocol.h"

/* A buffer that a client's oversized answer has grown is given back. */
#define SERVED_KEEP_BYTES (2 * WIRE_MAX_MEMORY)

int served_channel_create(pid_t pid, uint64_t patience_ns, struct served_channel **out,
                          int *client_fd)
{
    int ends[2];
    pthread_condattr_t attributes;
    struct served_channel *channel = calloc(1, sizeof(*channel));
    if (!channel) {
        return -ENOMEM;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        int error = -errno;
        free(channel);
        return error;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    channel->fd = ends[0];
    channel->references = 1;
    channel->pid = pid;
    channel->patience_ns = patience_ns;
    pthread_mutex_init(&channel->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&channel->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    wire_message_init(&channel->request);
    wire_message_init(&channel->reply);
    *out = channel;
    *client_fd = ends[1];
    return 0;
}

struct served_channel *served_channel_get(struct served_channel *channel)
{
    channel->references++;
    return channel;
}

void served_channel_put(struct served_channel *channel)
{
    if (channel && --channel->references == 0) {
        close(channel->fd);
        wire_message_destroy(&channel->request);
        wire_message_destroy(&channel->reply);
        pthread_cond_destroy(&channel->changed);
        pthread_mutex_destroy(&channel->lock);
        free(channel);
    }
}

bool served_channel_is_dead(struct served_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    bool is_dead = channel->is_dead;
    pthread_mutex_unlock(&channel->lock);
    return is_dead;
}

void served_channel_kill(struct served_channel *channel, const char *why)
{
    pthread_mutex_lock(&channel->lock);
    bool is_first = !channel->is_dead;
    channel->is_dead = true;
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
    if (is_first) {
        shutdown(channel->fd, SHUT_RDWR); /* where an access may be waiting, and the client reads */
        if (why) {
            log_warning("host", "client %d: memory it serves: %s; accesses of devices fail",
                        (int)channel->pid, why);
        }
    }
}

/* Wait for the turn. 0; -EFAULT the channel is dead, or others took all the time there was. */
static int served_channel_enter(struct served_channel *channel, uint64_t deadline_ns)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                      .tv_nsec = (long)(deadline_ns % 1000000000)};
    int error = 0;
    pthread_mutex_lock(&channel->lock);
    while (channel->is_busy && !channel->is_dead && !error) {
        error = pthread_cond_timedwait(&channel->changed, &channel->lock, &deadline);
    }
    bool is_ours = !channel->is_busy && !channel->is_dead;
    channel->is_busy = channel->is_busy || is_ours;
    pthread_mutex_unlock(&channel->lock);
    return is_ours ? 0 : -EFAULT;
}

static void served_channel_leave(struct served_channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    channel->is_busy = false;
    pthread_cond_signal(&channel->changed);
    pthread_mutex_unlock(&channel->lock);
}

/* NULL when the answer is one to the request and of its shape. */
static const char *answer_is_wrong(const struct wire_message *request,
                                   const struct wire_message *reply, size_t want_bytes)
{
    if (reply->header.type != request->header.type ||
        reply->header.sequence != request->header.sequence) {
        return "an answer to something else";
    }
    if (reply->fd_count) {
        return "an answer with descriptors";
    }
    if (reply->header.status == 0 && reply->length != want_bytes) {
        return "an answer of the wrong size";
    }
    return NULL;
}

static const char *failure_text(int error)
{
    switch (error) {
    case -ETIMEDOUT:
        return "no answer in time";
    case -ECONNRESET:
    case -EPIPE:
        return "the client closed its end";
    case -EBADMSG:
        return "bytes that are no frame";
    default:
        return strerror(-error);
    }
}

/* One request and its answer. 0; -EFAULT the client refused this one, or the channel is dead now.
 */
static int served_exchange(struct served_channel *channel, uint64_t address, void *buffer,
                           size_t length, bool is_write)
{
    const uint64_t deadline_ns = wire_now_ns() + channel->patience_ns;
    struct wire_message *request = &channel->request;
    struct wire_message *reply = &channel->reply;
    const char *why = NULL;
    wire_message_reset(request, is_write ? WIRE_MEMORY_WRITE : WIRE_MEMORY_READ);
    request->header.sequence = ++channel->sequence;
    request->header.call_id = trace_current_call();
    wire_put_u64(request, address);
    wire_put_u64(request, length);
    if (is_write) {
        wire_put_bytes(request, buffer, length);
    }
    if (request->is_bad) {
        return -EFAULT; /* out of memory; nothing was sent */
    }
    int error = wire_send_until(channel->fd, deadline_ns, request);
    if (!error) {
        error = wire_receive_until(channel->fd, deadline_ns, reply);
    }
    why = error ? failure_text(error) : answer_is_wrong(request, reply, is_write ? 0 : length);
    if (why) {
        served_channel_kill(channel, why);
        return -EFAULT;
    }
    if (reply->header.status) {
        return -EFAULT;
    }
    if (!is_write) {
        memcpy(buffer, reply->payload, length);
    }
    return 0;
}

int served_channel_access(struct served_channel *channel, uint64_t address, void *buffer,
                          size_t length, bool is_write)
{
    int error = served_channel_enter(channel, wire_now_ns() + channel->patience_ns);
    if (error) {
        return error;
    }
    for (size_t done = 0; done < length && !error;) {
        size_t part = length - done < WIRE_MAX_MEMORY ? length - done : WIRE_MAX_MEMORY;
        error = served_exchange(channel, address + done, (uint8_t *)buffer + done, part, is_write);
        done += part;
    }
    if (channel->reply.capacity > SERVED_KEEP_BYTES) {
        wire_message_destroy(&channel->reply);
    }
    served_channel_leave(channel);
    return error;
}
