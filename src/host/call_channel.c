/*
 * Serving one connection: by sleeping on its socket, or by polling its slots while there is
 * traffic.
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
#include "base/pause.h"
#include "base/status.h"
#include "base/trace.h"
#include "host/host.h"
#include "host/session.h"
#include "wire/slots.h"
#include "wire/spin.h"

/* Two calls with less than this between them are traffic: as long as two processes take to wake
 * each other. */
#define TRAFFIC_GAP_NS UINT64_C(200000)

/* How long a thread polls after the last call. */
#define POLL_NS UINT64_C(100000)

/* What it costs a call that the host sleeps: polling that costs more than that was in vain. */
#define WAKE_UPS_NS UINT64_C(60000)

/* Looks at the slots that are used between two looks at all of them, and between two looks at clock
 * and socket: about 10 µs. A client takes the lowest free slot. */
#define POLLS_A_SWEEP 16
#define POLLS_A_LOOK  512

/* A poller that finds this much time gone between two looks had no processor: who sleeps gets one
 * when he wakes, who polls has used up his share. That may cost each call as much as a wake-up does
 * on such a busy machine, on the average of some time; else sleeping is better. */
#define AWAY_NS        INT64_C(500000)
#define AWAY_A_CALL_NS INT64_C(10000)
#define CREDIT_MAX_NS  INT64_C(10000000)
#define CREDIT_MIN_NS  INT64_C(1000000)

/* Polling in vain is tried again after 1, 3, 7 ... calls, at most 2^this - 1. */
#define MISSES_MAX 8

struct call_channel {
    struct connection *connection; /* counted */
    int fd;
    bool is_open;
    struct wire_message request;
    struct wire_message reply;
    struct wire_slot_host slots; /* none until the client asks */
    unsigned lively;             /* slots that clients have used lately: the first ones */
    uint64_t last_ns;            /* when the last call ended */
    int64_t credit_ns;           /* time without a processor that polling may still cost */
    unsigned misses;             /* times polled in vain, one after the other */
    unsigned skips;              /* calls until it is tried again */
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
    if (channel->slots.shared) {
        return kIOReturnStillOpen;
    }
    int error = wire_slot_host_create(&channel->slots, &fd);
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
    if (request->header.type == WIRE_KICK && channel->slots.shared && request->length == 0 &&
        request->fd_count == 0) {
        return; /* whoever is woken looks at the slots */
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

/* The request in one slot. Returns whether there was one that made sense: nobody keeps this thread
 * awake with rubbish. */
static bool channel_serve_slot(struct call_channel *channel, unsigned index)
{
    if (!wire_slot_host_take(&channel->slots, index, &channel->request)) {
        return false;
    }
    connection_request(channel->connection, &channel->request, &channel->reply);
    trace_set_current_call(0);
    bool made_sense = channel->reply.header.status != kIOReturnIPCError;
    wire_slot_host_answer(&channel->slots, index, &channel->reply);
    if (index >= channel->lively) {
        channel->lively = index + 1;
    }
    return made_sense;
}

/* Serve what is in the first slots now, each once. Returns how much. */
static unsigned channel_serve_slots(struct call_channel *channel, unsigned count)
{
    unsigned served = 0;
    for (unsigned i = 0; i < count; i++) {
        if (wire_slot_host_has(&channel->slots, i)) {
            served += channel_serve_slot(channel, i);
        }
    }
    return served;
}

static bool channel_has_frame(const struct call_channel *channel)
{
    char byte;
    return recv(channel->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* One time of polling. */
struct channel_watch {
    uint64_t begin_ns;
    uint64_t look_ns; /* the last look at the clock */
    uint64_t served;
    uint64_t served_at_look;
    struct wire_turn turn;
};

/* Calls that came earn what is lost while this thread has no processor. */
static void channel_account(struct call_channel *channel, struct channel_watch *watch, uint64_t now)
{
    uint64_t gone = now - watch->look_ns;
    if (gone > AWAY_NS) {
        channel->credit_ns -= (int64_t)gone;
    }
    if (watch->served != watch->served_at_look) {
        channel->credit_ns += (int64_t)(watch->served - watch->served_at_look) * AWAY_A_CALL_NS;
        channel->last_ns = now;
        watch->served_at_look = watch->served;
    }
    if (channel->credit_ns > CREDIT_MAX_NS) {
        channel->credit_ns = CREDIT_MAX_NS;
    }
    watch->look_ns = now;
}

/* Look at clock and socket. false: polling ends. */
static bool channel_look(struct call_channel *channel, struct channel_watch *watch)
{
    uint64_t now = wire_now_ns();
    channel_account(channel, watch, now);
    channel->lively = 1; /* until a sweep finds more */
    if (now - channel->last_ns > POLL_NS || channel->credit_ns < 0 ||
        !wire_turn_keep(&watch->turn)) {
        return false;
    }
    if (channel_has_frame(channel)) {
        channel_serve_socket(channel);
        watch->served++;
        watch->look_ns = wire_now_ns(); /* what goes by frame may take long */
    }
    return true;
}

/* Look at slots and socket until nothing has come for a while. Returns whether it was worth it. */
static bool channel_poll(struct call_channel *channel, const struct wire_turn *turn)
{
    struct channel_watch watch = {.turn = *turn, .begin_ns = wire_now_ns()};
    watch.look_ns = watch.begin_ns;
    if (channel->credit_ns < CREDIT_MIN_NS) {
        channel->credit_ns = CREDIT_MIN_NS;
    }
    for (unsigned round = 1; channel->is_open; round++) {
        bool is_thorough = round % POLLS_A_SWEEP == 0;
        watch.served +=
            channel_serve_slots(channel, is_thorough ? WIRE_SLOT_COUNT : channel->lively);
        pause_processor();
        if (round % POLLS_A_LOOK == 0 && !channel_look(channel, &watch)) {
            break;
        }
    }
    wire_turn_end(&watch.turn);
    return channel->credit_ns >= 0 && wire_now_ns() - watch.begin_ns < watch.served * WAKE_UPS_NS;
}

/* After a call that came `gap_ns` after the one before: poll for the next one if that is likely to
 * be worth it. */
static void channel_poll_if_busy(struct call_channel *channel, uint64_t gap_ns)
{
    channel->last_ns = wire_now_ns();
    if (gap_ns > TRAFFIC_GAP_NS) {
        return;
    }
    if (channel->skips > 0) {
        channel->skips--;
        return;
    }
    struct wire_turn turn;
    if (!wire_turn_begin(&turn)) {
        return;
    }
    if (channel_poll(channel, &turn)) {
        channel->misses = 0;
    } else {
        channel->misses += channel->misses < MISSES_MAX;
        channel->skips = (1U << channel->misses) - 1;
    }
    channel->last_ns = wire_now_ns();
}

/* The same with slots: awake from the first byte of a frame to the last look at the slots. */
static void channel_serve_with_slots(struct call_channel *channel)
{
    wire_slot_host_set_awake(&channel->slots, false);
    unsigned served = channel_serve_slots(channel, WIRE_SLOT_COUNT);
    if (!served) {
        if (wire_receive(channel->fd, &channel->request) != 0) {
            channel->is_open = false;
            return;
        }
    }
    uint64_t gap_ns = wire_now_ns() - channel->last_ns;
    wire_slot_host_set_awake(&channel->slots, true);
    if (!served) {
        channel_serve_frame(channel);
    }
    channel_serve_slots(channel, WIRE_SLOT_COUNT);
    channel_poll_if_busy(channel, gap_ns);
}

static void channel_main(void *argument)
{
    struct call_channel *channel = argument;
    struct session *session = channel->connection->session;
    while (channel->is_open) {
        if (channel->slots.shared) {
            channel_serve_with_slots(channel);
        } else {
            channel_serve_socket(channel);
        }
    }
    connection_close(channel->connection);
    wire_slot_host_end(&channel->slots);
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
    channel->credit_ns = CREDIT_MAX_NS;
    channel->lively = 1;
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
