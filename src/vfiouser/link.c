/*
 * The session's side of the link.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/patience.h"
#include "vfiouser/link_internal.h"

#define QEMU_MINOR 0 /* what QEMU up to 11.1 asks for */

uint64_t vu_link_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void vu_link_init(struct vu_link *link, const struct vu_report *report)
{
    memset(link, 0, sizeof(*link));
    link->report = report;
    link->patience_ms = patience_ms(VU_LINK_PATIENCE_MS);
    link->sync_patience_ms = VU_LINK_SYNC_PATIENCE_MS;
    link->channel.fd = link->twin.fd = -1;
    link->wake[0] = link->wake[1] = -1;
    STAILQ_INIT(&link->kept);
    pthread_mutex_init(&link->send_lock, NULL);
    pthread_mutex_init(&link->lock, NULL);
    pthread_cond_init(&link->changed, NULL);
}

void vu_link_destroy(struct vu_link *link)
{
    vu_link_close(link);
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->lock);
    pthread_mutex_destroy(&link->send_lock);
}

int vu_link_open(struct vu_link *link, int fd)
{
    pthread_mutex_lock(&link->lock);
    int error = vu_channel_open(&link->channel, fd);
    link->error = error;
    link->is_open = error == 0;
    link->max_transfer = VU_MAX_TRANSFER;
    link->in_hands = 0;
    link->next_id = 0;
    link->is_deaf = link->is_sync_said = link->answers_meanwhile = false;
    memset(link->given_up, 0, sizeof(link->given_up));
    pthread_mutex_unlock(&link->lock);
    return error;
}

static void kept_free(struct vu_kept *kept)
{
    if (kept) {
        vu_message_close(&kept->message);
        free(kept);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void link_release_locked(struct vu_link *link)
{
    struct vu_kept *kept;
    while ((kept = STAILQ_FIRST(&link->kept)) != NULL) {
        STAILQ_REMOVE_HEAD(&link->kept, link);
        kept_free(kept);
    }
    kept_free(link->current);
    link->current = NULL;
    link->kept_bytes = link->kept_fds = 0;
    vu_channel_close(&link->channel);
    vu_channel_close(&link->twin);
    close_fd(&link->wake[0]);
    close_fd(&link->wake[1]);
    free(link->side_payload);
    link->side_payload = NULL;
}

void vu_link_close(struct vu_link *link)
{
    pthread_mutex_lock(&link->lock);
    link->is_open = false;
    link->error = -ENOTCONN;
    if (link->channel.fd >= 0) {
        shutdown(link->channel.fd, SHUT_RDWR); /* where the memory thread may be stuck */
    }
    if (link->twin.fd >= 0) {
        shutdown(link->twin.fd, SHUT_RDWR);
    }
    vu_link_wake_locked(link);
    while (link->is_asking) {
        pthread_cond_wait(&link->changed, &link->lock);
    }
    link_release_locked(link);
    pthread_mutex_unlock(&link->lock);
}

/* ---- Receiving ---------------------------------------------------------------------------------
 */

static bool is_awaited(const struct vu_header *header)
{
    return (header->flags & VU_HEADER_TYPE) == VU_HEADER_COMMAND &&
           !(header->flags & VU_HEADER_NO_REPLY);
}

void vu_link_count_locked(struct vu_link *link, const struct vu_header *header)
{
    if (is_awaited(header) && link->in_hands++ == 0) {
        link->in_hands_since = vu_link_now_ms();
    }
}

void vu_link_done(struct vu_link *link, const struct vu_header *header)
{
    if (is_awaited(header)) {
        pthread_mutex_lock(&link->lock);
        link->in_hands--;
        link->in_hands_since = vu_link_now_ms();
        vu_link_wake_locked(link);
        pthread_mutex_unlock(&link->lock);
    }
}

int vu_link_keep_locked(struct vu_link *link, struct vu_message *message)
{
    size_t bytes = message->header.size - VU_HEADER_BYTES;
    struct vu_kept *kept = malloc(sizeof(*kept) + bytes);
    if (!kept) {
        vu_message_close(message);
        return -ENOMEM;
    }
    kept->message = *message;
    kept->message.payload = kept->payload;
    memcpy(kept->payload, message->payload, bytes);
    STAILQ_INSERT_TAIL(&link->kept, kept, link);
    link->kept_bytes += sizeof(*kept) + bytes;
    link->kept_fds += message->fd_count;
    return 0;
}

static void take_kept_locked(struct vu_link *link, struct vu_message *message)
{
    struct vu_kept *kept = STAILQ_FIRST(&link->kept);
    STAILQ_REMOVE_HEAD(&link->kept, link);
    link->kept_bytes -= sizeof(*kept) + kept->message.header.size - VU_HEADER_BYTES;
    link->kept_fds -= kept->message.fd_count;
    *message = kept->message;
    kept->message.fd_count = 0; /* the taker's now */
    link->current = kept;
}

/* Read the socket until something comes that is the session's. Lock held, but not meanwhile. */
static int read_own_locked(struct vu_link *link, struct vu_message *message)
{
    bool is_taken = true;
    int error = 0;
    link->is_reading = true;
    while (error == 0 && is_taken) {
        pthread_mutex_unlock(&link->lock);
        error = vu_channel_receive(&link->channel, message);
        pthread_mutex_lock(&link->lock);
        is_taken = error == 0 && vu_link_take_answer_locked(link, message);
    }
    link->is_reading = false;
    if (error == 0) {
        vu_link_count_locked(link, &message->header);
    }
    vu_link_wake_locked(link); /* to read itself, now that the session is busy */
    return error;
}

int vu_link_receive(struct vu_link *link, struct vu_message *message)
{
    pthread_mutex_lock(&link->lock);
    kept_free(link->current);
    link->current = NULL;
    while (STAILQ_EMPTY(&link->kept) && link->is_reading && link->error == 0) {
        pthread_cond_wait(&link->changed, &link->lock);
    }
    int error = 0;
    if (!STAILQ_EMPTY(&link->kept)) {
        take_kept_locked(link, message);
        vu_link_wake_locked(link); /* there is room for more */
    } else if (link->error != 0) {
        error = link->error;
        message->header = link->bad_header;
        message->fd_count = 0;
    } else {
        error = read_own_locked(link, message);
    }
    pthread_mutex_unlock(&link->lock);
    return error;
}

/* ---- Sending -----------------------------------------------------------------------------------
 */

int vu_link_send(struct vu_link *link, struct vu_header *header, const void *payload,
                 size_t payload_bytes, int fd)
{
    pthread_mutex_lock(&link->send_lock);
    int error = vu_channel_send(&link->channel, header, payload, payload_bytes, NULL, 0, fd);
    pthread_mutex_unlock(&link->send_lock);
    return error;
}

/* On a socket of its own nobody else would ever notice that the client sends half a message, or
 * reads none. */
static void set_patience(int fd, unsigned patience_ms)
{
    const struct timeval patience = {.tv_sec = patience_ms / 1000,
                                     .tv_usec = (suseconds_t)(patience_ms % 1000) * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

int vu_link_agree(struct vu_link *link, const struct vu_version *peer, bool has_twin, int *peer_fd)
{
    int ends[2] = {-1, -1};
    int error = 0;
    *peer_fd = -1;
    if (has_twin && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return -errno;
    }
    pthread_mutex_lock(&link->lock);
    link->max_transfer = peer->capabilities.max_transfer;
    link->answers_meanwhile = peer->minor > QEMU_MINOR;
    if (has_twin) {
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        set_patience(ends[0], link->patience_ms);
        error = vu_channel_open(&link->twin, ends[0]);
    }
    pthread_mutex_unlock(&link->lock);
    if (error != 0) {
        close_fd(&ends[1]);
    }
    *peer_fd = ends[1];
    return error;
}
