/*
 * The memory thread's side of the link: DMA_READ and DMA_WRITE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfiouser/codec.h"
#include "vfiouser/link.h"
#include "vfiouser/link_internal.h"
#include "vfiouser/share_check.h"

void vu_link_wake_locked(struct vu_link *link)
{
    if (link->is_asking && link->wake[1] >= 0) {
        ssize_t written = write(link->wake[1], "", 1); /* full: it will look anyway */
        (void)written;
    }
}

static void wake_drain(struct vu_link *link)
{
    char bytes[64];
    while (read(link->wake[0], bytes, sizeof(bytes)) > 0) {
    }
}

/* ---- Ids ---------------------------------------------------------------------------------------
 */

static bool is_given_up(const struct vu_link *link, uint16_t id)
{
    return link->given_up[id / 8] & (1u << id % 8);
}

static void give_up(struct vu_link *link, uint16_t id)
{
    link->given_up[id / 8] |= (uint8_t)(1u << id % 8);
}

static uint16_t new_id(struct vu_link *link)
{
    /* All given up: then one is used again; the client has never answered anything. */
    for (unsigned tries = 0; tries < 65536; tries++) {
        if (++link->next_id != VU_SHARE_MESSAGE_ID && !is_given_up(link, link->next_id)) {
            break;
        }
    }
    return link->next_id;
}

/* ---- Answers -----------------------------------------------------------------------------------
 */

static int judge_answer(const struct vu_question *question, const struct vu_message *message)
{
    struct vu_dma_access echo;
    const struct vu_header *header = &message->header;
    size_t bytes = header->size - VU_HEADER_BYTES;
    if (header->flags & VU_HEADER_ERROR) {
        return header->error > 0 && header->error <= 4096 ? -(int)header->error : -EIO;
    }
    if (question->is_write && bytes == 0) {
        return 0;
    }
    if (bytes != sizeof(echo) + (question->is_write ? 0 : question->count)) {
        return -EPROTO;
    }
    memcpy(&echo, message->payload, sizeof(echo));
    if (echo.address != question->address || echo.count != question->count) {
        return -EPROTO;
    }
    if (!question->is_write) {
        memcpy(question->buffer, message->payload + sizeof(echo), question->count);
    }
    return 0;
}

bool vu_link_take_answer_locked(struct vu_link *link, const struct vu_message *message)
{
    struct vu_question *question = &link->question;
    uint16_t id = message->header.id;
    if ((message->header.flags & VU_HEADER_TYPE) != VU_HEADER_REPLY || message->fd_count > 0) {
        return false;
    }
    if (question->is_open && question->id == id) {
        question->is_open = false;
        question->result = judge_answer(question, message);
        link->answers_meanwhile = link->answers_meanwhile || link->in_hands > 0;
        vu_link_wake_locked(link);
        return true;
    }
    if (is_given_up(link, id)) {
        link->given_up[id / 8] &= (uint8_t) ~(1u << id % 8);
        link->is_deaf = false;
        return true;
    }
    return false;
}

/* ---- Waiting -----------------------------------------------------------------------------------
 */

/* Poll a wake-up and a channel, if it is given. Whether the channel has something: the start of a
 * message may be here already, read with the one before. */
static bool wait_for_channel(struct vu_link *link, const struct vu_channel *channel,
                             uint64_t until_ms)
{
    bool is_ahead = channel && channel->ahead_bytes > 0;
    uint64_t now = vu_link_now_ms();
    struct pollfd fds[2] = {{.fd = link->wake[0], .events = POLLIN},
                            {.fd = channel ? channel->fd : -1, .events = POLLIN}};
    int ready = poll(fds, 2, !is_ahead && now < until_ms ? (int)(until_ms - now) : 0);
    if (ready > 0 && fds[0].revents) {
        wake_drain(link);
    }
    return is_ahead || (ready > 0 && fds[1].revents);
}

static bool may_read_locked(const struct vu_link *link)
{
    return !link->is_reading && link->kept_bytes < VU_LINK_MAX_KEPT_BYTES &&
           link->kept_fds < VU_LINK_MAX_KEPT_FDS;
}

/* The client's socket has something. Lock held, but not while it is read. The session may still be
 * looking at the payload that it has read: this goes elsewhere. */
static void read_for_session_locked(struct vu_link *link)
{
    struct vu_message message;
    uint8_t *payload = link->channel.payload;
    link->channel.payload = link->side_payload;
    pthread_mutex_unlock(&link->lock);
    int error = vu_channel_receive(&link->channel, &message);
    pthread_mutex_lock(&link->lock);
    link->channel.payload = payload;
    if (error != 0) {
        link->bad_header = message.header;
    } else if (!vu_link_take_answer_locked(link, &message)) {
        vu_link_count_locked(link, &message.header);
        error = vu_link_keep_locked(link, &message);
    }
    if (error != 0 && link->error == 0) {
        link->error = error;
    }
}

/* Wait for whatever comes next, at most till then: a wake-up, or a message of the client if nobody
 * else reads. Lock held, but not meanwhile. */
static void wait_locked(struct vu_link *link, uint64_t until_ms)
{
    bool reads = may_read_locked(link);
    link->is_reading = link->is_reading || reads;
    pthread_mutex_unlock(&link->lock);
    bool has_more = wait_for_channel(link, reads ? &link->channel : NULL, until_ms);
    pthread_mutex_lock(&link->lock);
    if (reads) {
        if (has_more && link->error == 0) {
            read_for_session_locked(link);
        }
        link->is_reading = false;
        pthread_cond_broadcast(&link->changed);
    }
}

static bool must_not_ask_locked(const struct vu_link *link)
{
    return link->in_hands > 0 && !link->answers_meanwhile;
}

/* The moment from which a command in our hands is taken to wait for this very access. */
static uint64_t sync_deadline_locked(const struct vu_link *link)
{
    return must_not_ask_locked(link) ? link->in_hands_since + link->sync_patience_ms : UINT64_MAX;
}

static int say_sync_locked(struct vu_link *link)
{
    if (!link->is_sync_said) {
        link->is_sync_said = true;
        vu_say(link->report, VU_LEVEL_WARNING,
               "the device wants memory that only the client can give, while the client waits for "
               "an answer: the device's access fails (said once). Memory that comes with a file "
               "descriptor has no such limit");
    }
    return -EDEADLK;
}

static int say_deaf_locked(struct vu_link *link)
{
    link->is_deaf = true;
    vu_say(link->report, VU_LEVEL_WARNING,
           "the client does not answer a request for its memory within %u ms: accesses of the "
           "device fail until it does",
           link->patience_ms);
    return -ETIMEDOUT;
}

/* Nothing is asked while the client waits for us. */
static int wait_for_turn_locked(struct vu_link *link)
{
    while (link->error == 0 && must_not_ask_locked(link)) {
        uint64_t sync = sync_deadline_locked(link);
        uint64_t now = vu_link_now_ms();
        if (now >= sync) {
            return say_sync_locked(link);
        }
        if (now >= link->ask_deadline) {
            return -ETIMEDOUT; /* command after command; nothing was asked */
        }
        wait_locked(link, sync < link->ask_deadline ? sync : link->ask_deadline);
    }
    return link->error;
}

static int wait_for_answer_locked(struct vu_link *link)
{
    const uint64_t deadline = link->ask_deadline;
    while (link->question.is_open && link->error == 0) {
        uint64_t now = vu_link_now_ms();
        uint64_t sync = sync_deadline_locked(link);
        if (now >= sync) {
            return say_sync_locked(link);
        }
        if (now >= deadline) {
            return say_deaf_locked(link);
        }
        wait_locked(link, sync < deadline ? sync : deadline);
    }
    return link->question.is_open ? link->error : link->question.result;
}

/* ---- Asking ------------------------------------------------------------------------------------
 */

static struct vu_header question_header(const struct vu_question *question)
{
    return (struct vu_header){.id = question->id,
                              .command = question->is_write ? VU_DMA_WRITE : VU_DMA_READ};
}

static int send_question(struct vu_channel *channel, const struct vu_question *question)
{
    struct vu_header header = question_header(question);
    const struct vu_dma_access access = {question->address, question->count};
    return vu_channel_send(channel, &header, &access, sizeof(access),
                           question->is_write ? question->buffer : NULL,
                           question->is_write ? question->count : 0, -1);
}

/* On the client's socket. Lock held, but not while it is sent or waited for. */
static int exchange_locked(struct vu_link *link)
{
    int error = wait_for_turn_locked(link);
    if (error != 0) {
        return error;
    }
    link->question.is_open = true;
    pthread_mutex_unlock(&link->lock);
    pthread_mutex_lock(&link->send_lock);
    error = send_question(&link->channel, &link->question);
    pthread_mutex_unlock(&link->send_lock);
    pthread_mutex_lock(&link->lock);
    error = error ? error : wait_for_answer_locked(link);
    if (link->question.is_open) {
        link->question.is_open = false;
        give_up(link, link->question.id);
    }
    return error;
}

/* Receive on the twin socket till the answer comes. Lock held, but not meanwhile. */
static int wait_for_twin_locked(struct vu_link *link)
{
    const uint64_t deadline = link->ask_deadline;
    while (link->question.is_open && link->error == 0) {
        struct vu_message message;
        if (vu_link_now_ms() >= deadline) {
            return say_deaf_locked(link);
        }
        pthread_mutex_unlock(&link->lock);
        bool has_more = wait_for_channel(link, &link->twin, deadline);
        int error = has_more ? vu_channel_receive(&link->twin, &message) : 0;
        pthread_mutex_lock(&link->lock);
        if (has_more && error == 0 && !vu_link_take_answer_locked(link, &message)) {
            vu_message_close(&message);
            error = -EPROTO;
        }
        if (error != 0) {
            return error == -EAGAIN ? -EPROTO : error; /* half a message, and no more */
        }
    }
    return link->question.is_open ? link->error : link->question.result;
}

/* What does not fit ends the twin socket: nothing behind it could be believed. */
static int exchange_twin_locked(struct vu_link *link)
{
    link->question.is_open = true;
    pthread_mutex_unlock(&link->lock);
    int error = send_question(&link->twin, &link->question);
    pthread_mutex_lock(&link->lock);
    error = error ? error : wait_for_twin_locked(link);
    if (link->question.is_open) {
        link->question.is_open = false;
        give_up(link, link->question.id);
        if (error != -ETIMEDOUT && link->is_open) {
            vu_say(link->report, VU_LEVEL_ERROR,
                   "the twin socket fails: %s; the device does not reach the client's memory any "
                   "more",
                   strerror(-error));
            shutdown(link->twin.fd, SHUT_RDWR);
        }
    }
    return error;
}

/* Is the late answer there by now? Then the client is asked again. */
static void listen_again_locked(struct vu_link *link)
{
    struct vu_message message;
    while (link->twin.fd >= 0 && link->is_deaf && wait_for_channel(link, &link->twin, 0)) {
        if (vu_channel_receive(&link->twin, &message) != 0) {
            shutdown(link->twin.fd, SHUT_RDWR); /* half a message: what follows means nothing */
            return;
        }
        vu_link_take_answer_locked(link, &message);
        vu_message_close(&message);
    }
}

static int ask_piece_locked(struct vu_link *link, bool is_write, uint64_t address, void *buffer,
                            size_t count)
{
    listen_again_locked(link);
    if (link->error != 0 || link->is_deaf) {
        return link->error ? link->error : -ETIMEDOUT;
    }
    link->question = (struct vu_question){.id = new_id(link),
                                          .is_write = is_write,
                                          .address = address,
                                          .count = count,
                                          .buffer = buffer};
    int error = link->twin.fd >= 0 ? exchange_twin_locked(link) : exchange_locked(link);
    vu_say(link->report, VU_LEVEL_TRACE, "> %s id=0x%x 0x%" PRIx64 ", %zu bytes (%s)",
           is_write ? "DMA_WRITE" : "DMA_READ", link->question.id, address, count,
           error ? strerror(-error) : "done");
    return error;
}

/* What only clients whose memory is asked for cost. */
static int prepare_locked(struct vu_link *link)
{
    if (!link->side_payload && !(link->side_payload = malloc(VU_MAX_MESSAGE))) {
        return -ENOMEM;
    }
    if (link->wake[0] >= 0) {
        return 0;
    }
    if (pipe(link->wake) != 0) {
        link->wake[0] = link->wake[1] = -1;
        return -errno;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(link->wake[i], F_SETFD, FD_CLOEXEC);
        fcntl(link->wake[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

int vu_link_ask(struct vu_link *link, bool is_write, uint64_t address, void *buffer, size_t length)
{
    uint64_t most = is_write ? VU_LINK_MAX_WRITE : VU_LINK_MAX_READ;
    pthread_mutex_lock(&link->lock);
    int error = !link->is_open            ? -ENOTCONN
                : link->max_transfer == 0 ? -EMSGSIZE
                                          : prepare_locked(link);
    most = link->max_transfer < most ? link->max_transfer : most;
    link->is_asking = error == 0;
    link->ask_deadline = vu_link_now_ms() + link->patience_ms;
    for (size_t done = 0; error == 0 && done < length;) {
        size_t count = length - done < most ? length - done : (size_t)most;
        error = ask_piece_locked(link, is_write, address + done, (uint8_t *)buffer + done, count);
        done += count;
    }
    link->is_asking = false;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
    return error;
}
