/*
 * Serving the call slots of one connection: by sleeping on their word, or by polling them while
 * there is traffic.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/slot_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/pause.h"
#include "base/trace.h"
#include "host/connection.h"
#include "host/worker.h"
#include "wire/message.h"
#include "wire/slots.h"
#include "wire/spin.h"

/* Two calls with less than this between them are traffic: as long as two processes take to wake
 * each other. */
#define TRAFFIC_GAP_NS UINT64_C(200000)

/* How long a thread polls after the last call. */
#define POLL_NS UINT64_C(100000)

/* What it costs a call that the host sleeps: polling that costs more than that was in vain. */
#define WAKE_UPS_NS UINT64_C(60000)

/* Looks at the slots that are used between two looks at all of them, and between two looks at the
 * clock: about 10 µs. A client takes the lowest free slot. */
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

/* A poller makes room for its callers no more often than this. */
#define MOVE_NS UINT64_C(1000000)

struct slot_server {
    _Atomic unsigned references;   /* the connection's channel, and the thread */
    struct connection *connection; /* counted */
    _Atomic bool has_ended;
    pthread_mutex_t serving; /* held while a request is carried out; guards what follows */
    struct wire_slot_host slots;
    bool is_shut; /* the slots have ended */

    /* The thread's own. */
    unsigned lively;   /* slots that clients have used lately: the first ones */
    uint64_t callers;  /* bit n: a caller lately ran on processor n */
    uint32_t here;     /* where this thread ran when it last looked */
    uint64_t moved_ns; /* when it last made room */
    uint64_t last_ns;  /* when the last call ended */
    int64_t credit_ns; /* time without a processor that polling may still cost */
    unsigned misses;   /* times polled in vain, one after the other */
    unsigned skips;    /* calls until it is tried again */
};

static void server_put(struct slot_server *server)
{
    if (--server->references == 0) {
        wire_slot_host_destroy(&server->slots);
        pthread_mutex_destroy(&server->serving);
        connection_put(server->connection);
        free(server);
    }
}

/* The request in one slot. Returns whether there was one that made sense: nobody keeps this thread
 * awake with rubbish. */
static bool server_serve_slot(struct slot_server *server, unsigned index)
{
    struct wire_words words;
    unsigned where = 0;
    bool makes_sense = false;
    pthread_mutex_lock(&server->serving);
    if (!server->is_shut && wire_slot_host_take(&server->slots, index, &words, &where)) {
        connection_request_small(server->connection, &words);
        makes_sense = words.status != kIOReturnIPCError;
        wire_slot_host_answer(&server->slots, index, &words);
        trace_set_current_call(0);
    }
    pthread_mutex_unlock(&server->serving);
    if (index >= server->lively) {
        server->lively = index + 1;
    }
    if (where > 0 && where <= 64) {
        server->callers |= UINT64_C(1) << (where - 1);
    }
    return makes_sense;
}

/* Serve what is in the first slots now, each once. Returns how much. */
static unsigned server_serve(struct slot_server *server, unsigned count)
{
    unsigned served = 0;
    for (unsigned i = 0; i < count; i++) {
        if (wire_slot_host_has(&server->slots, i)) {
            served += server_serve_slot(server, i);
        }
    }
    return served;
}

static void server_say_where(struct slot_server *server)
{
    uint32_t here = wire_processor_here();
    if (here != server->here) {
        server->here = here;
        wire_slot_host_set_awake(&server->slots, here);
    }
}

/* A poller on a caller's processor keeps it from making its next call: one that all callers leave
 * free is better, if there is one. */
static void server_make_room(struct slot_server *server, uint64_t now)
{
    bool is_in_the_way = server->here <= 64 && (server->callers >> (server->here - 1) & 1);
    if (is_in_the_way && now - server->moved_ns > MOVE_NS) {
        server->moved_ns = now;
        wire_processor_leave(server->callers);
    }
    server->callers = 0;
    server_say_where(server);
}

/* One time of polling. */
struct server_watch {
    uint64_t begin_ns;
    uint64_t look_ns; /* the last look at the clock */
    uint64_t served;
    uint64_t served_at_look;
    struct wire_turn turn;
};

/* Calls that came earn what is lost while this thread has no processor. */
static void server_account(struct slot_server *server, struct server_watch *watch, uint64_t now)
{
    uint64_t gone = now - watch->look_ns;
    if (gone > AWAY_NS) {
        server->credit_ns -= (int64_t)gone;
    }
    if (watch->served != watch->served_at_look) {
        server->credit_ns += (int64_t)(watch->served - watch->served_at_look) * AWAY_A_CALL_NS;
        server->last_ns = now;
        watch->served_at_look = watch->served;
    }
    if (server->credit_ns > CREDIT_MAX_NS) {
        server->credit_ns = CREDIT_MAX_NS;
    }
    watch->look_ns = now;
}

/* Look at the clock. false: polling ends. */
static bool server_look(struct slot_server *server, struct server_watch *watch)
{
    uint64_t now = wire_now_ns();
    server_account(server, watch, now);
    server->lively = 1; /* until a sweep finds more */
    server_make_room(server, now);
    return now - server->last_ns <= POLL_NS && server->credit_ns >= 0 &&
           wire_turn_keep(&watch->turn);
}

/* Look at the slots until nothing has come for a while. Returns whether it was worth it. */
static bool server_poll(struct slot_server *server, const struct wire_turn *turn)
{
    struct server_watch watch = {.turn = *turn, .begin_ns = wire_now_ns()};
    watch.look_ns = watch.begin_ns;
    if (server->credit_ns < CREDIT_MIN_NS) {
        server->credit_ns = CREDIT_MIN_NS;
    }
    server_make_room(server, watch.begin_ns);
    for (unsigned round = 1; !server->has_ended; round++) {
        bool is_thorough = round % POLLS_A_SWEEP == 0;
        watch.served += server_serve(server, is_thorough ? WIRE_SLOT_COUNT : server->lively);
        pause_processor();
        if (round % POLLS_A_LOOK == 0 && !server_look(server, &watch)) {
            break;
        }
    }
    wire_turn_end(&watch.turn);
    return server->credit_ns >= 0 && wire_now_ns() - watch.begin_ns < watch.served * WAKE_UPS_NS;
}

/* After a call that came `gap_ns` after the one before: poll for the next one if that is likely to
 * be worth it. */
static void server_poll_if_busy(struct slot_server *server, uint64_t gap_ns)
{
    struct wire_turn turn;
    server->last_ns = wire_now_ns();
    if (gap_ns > TRAFFIC_GAP_NS) {
        return;
    }
    if (server->skips > 0) {
        server->skips--;
        return;
    }
    if (!wire_turn_begin(&turn)) {
        return;
    }
    if (server_poll(server, &turn)) {
        server->misses = 0;
    } else {
        server->misses += server->misses < MISSES_MAX;
        server->skips = (1U << server->misses) - 1;
    }
    server->last_ns = wire_now_ns();
}

static void server_main(void *argument)
{
    struct slot_server *server = argument;
    while (!server->has_ended) {
        wire_slot_host_set_awake(&server->slots, WIRE_HOST_ASLEEP);
        unsigned served = server_serve(server, WIRE_SLOT_COUNT);
        if (!served && !server->has_ended) {
            wire_slot_host_sleep(&server->slots);
        }
        server->here = WIRE_HOST_ASLEEP;
        server_say_where(server);
        uint64_t gap_ns = wire_now_ns() - server->last_ns;
        if (served + server_serve(server, WIRE_SLOT_COUNT) > 0) {
            server_poll_if_busy(server, gap_ns);
        }
    }
    server_put(server);
}

int slot_server_start(struct thread_group *threads, struct connection *connection,
                      struct slot_server **out, int *fd)
{
    struct slot_server *server = calloc(1, sizeof(*server));
    if (!server) {
        return -ENOMEM;
    }
    int error = wire_slot_host_create(&server->slots, fd);
    if (error) {
        free(server);
        return error;
    }
    pthread_mutex_init(&server->serving, NULL);
    server->connection = connection_get(connection);
    server->references = 2;
    server->credit_ns = CREDIT_MAX_NS;
    server->lively = 1;
    error = thread_group_start(threads, server_main, server);
    if (error) {
        close(*fd);
        server->references = 1;
        server_put(server);
        return error;
    }
    *out = server;
    return 0;
}

void slot_server_ring(struct slot_server *server)
{
    wire_slot_host_ring(&server->slots);
}

void slot_server_end(struct slot_server *server)
{
    if (!server) {
        return;
    }
    server->has_ended = true;
    pthread_mutex_lock(&server->serving);
    server->is_shut = true;
    wire_slot_host_end(&server->slots);
    pthread_mutex_unlock(&server->serving);
    wire_slot_host_ring(&server->slots);
    server_put(server);
}
