/*
 * Serving the call slots of one connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/slot_server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/trace.h"
#include "host/connection.h"
#include "host/host.h"
#include "host/slot_poller.h"
#include "wire/message.h"
#include "wire/spin.h"

/* Two calls whose ends have less than this between them are traffic: as long as two processes take
 * to wake each other. */
#define TRAFFIC_GAP_NS UINT64_C(200000)

/* Polling in vain is tried again after 1, 3, 7 ... calls, at most 2^this - 1. */
#define MISSES_MAX 8

/* The same for following a caller. */
#define STRAYS_MAX 6

struct slot_server *slot_server_get(struct slot_server *server)
{
    server->references++;
    return server;
}

void slot_server_put(struct slot_server *server)
{
    if (--server->references == 0) {
        wire_slot_host_destroy(&server->slots);
        pthread_mutex_destroy(&server->working);
        pthread_mutex_destroy(&server->serving);
        connection_put(server->connection);
        free(server);
    }
}

bool slot_server_serve(struct slot_server *server, unsigned index, struct slot_served *served)
{
    struct wire_words words;
    if (server->is_shut || !wire_slot_host_take(&server->slots, index, &words, &served->where)) {
        return false;
    }
    connection_request_small(server->connection, &words);
    served->makes_sense = words.status != kIOReturnIPCError;
    served->sleeps = wire_slot_host_answer(&server->slots, index, &words);
    trace_set_current_call(0);
    return true;
}

/* Serve what is in the slots now, each once. Returns how much of it made sense. */
static unsigned server_serve_all(struct slot_server *server)
{
    struct slot_served served;
    unsigned count = 0;
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        if (!wire_slot_host_has(&server->slots, i)) {
            continue;
        }
        pthread_mutex_lock(&server->serving);
        bool is_served = slot_server_serve(server, i, &served);
        pthread_mutex_unlock(&server->serving);
        if (is_served) {
            count += served.makes_sense;
            server->where = served.where;
            if (served.sleeps) {
                wire_slot_host_wake(&server->slots, i);
            }
        }
    }
    return count;
}

static bool server_has_request(const struct slot_server *server)
{
    for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
        if (wire_slot_host_has(&server->slots, i)) {
            return true;
        }
    }
    return false;
}

/* Say that nobody looks at the slots, unless a poller does. Returns whether there is something in
 * them then. */
static bool server_rest(struct slot_server *server)
{
    pthread_mutex_lock(&server->serving);
    bool has_poller = server->poller;
    if (!has_poller && !server->is_shut) {
        wire_slot_host_set_awake(&server->slots, WIRE_HOST_ASLEEP);
    }
    pthread_mutex_unlock(&server->serving);
    return !has_poller && !server->has_ended && server_has_request(server);
}

/* Sleep until there is something to do. false: nothing for this thread. */
static bool server_sleep(struct slot_server *server)
{
    bool is_woken = server_rest(server);
    if (!is_woken && !server->has_ended) {
        is_woken = wire_slot_host_sleep(&server->slots);
    }
    return is_woken && !server->has_ended;
}

/* Whoever was woken serves, also what a poller should: that one may be in a long call of another
 * connection, or have no processor. Not if it has been quicker. */
static bool server_take_back(struct slot_server *server)
{
    pthread_mutex_lock(&server->serving);
    bool is_ours = !server->poller || server_has_request(server);
    if (is_ours && server->poller) {
        server->poller = NULL;
        wire_slot_host_set_awake(&server->slots, WIRE_HOST_SOMEWHERE);
    }
    pthread_mutex_unlock(&server->serving);
    return is_ours;
}

/* Let a poller look for the next call, if that has been worth it. */
static void server_hand_over(struct slot_server *server)
{
    if (server->skips > 0) {
        server->skips--;
        return;
    }
    unsigned misses = server->misses < MISSES_MAX ? server->misses : MISSES_MAX;
    server->skips = (1U << misses) - 1;
    slot_pollers_offer(server->pollers, server);
}

/* A caller that rings now and then sleeps until he has his answer: his processor is free for
 * whoever gives it, and any other is busy or has to be woken. Not over and over where the system
 * has another place for this thread. */
static void server_follow(struct slot_server *server)
{
    if (server->where == 0 || server->where == wire_processor_here()) {
        server->strays = 0;
        server->stays = 0;
    } else if (server->stays > 0) {
        server->stays--;
    } else {
        server->strays += server->strays < STRAYS_MAX;
        server->stays = (1U << server->strays) - 1;
        wire_processor_go(server->where);
    }
}

/* Serve what there is; working held. */
static void server_work(struct slot_server *server)
{
    if (!server_take_back(server)) {
        return;
    }
    if (!server_serve_all(server)) {
        return;
    }
    const uint64_t before_ns = server->last_ns;
    server->last_ns = wire_now_ns();
    if (server->last_ns - before_ns > TRAFFIC_GAP_NS) {
        server_follow(server);
    } else {
        server_hand_over(server);
    }
}

static void server_main(void *argument)
{
    struct slot_server *server = argument;
    while (!server->has_ended) {
        if (server_sleep(server)) {
            pthread_mutex_lock(&server->working);
            server_work(server);
            pthread_mutex_unlock(&server->working);
        }
    }
    slot_server_put(server);
}

void slot_server_kick(struct slot_server *server)
{
    if (pthread_mutex_trylock(&server->working)) {
        return; /* its thread is at it, and looks once more before it sleeps */
    }
    do {
        server_work(server);
    } while (server_rest(server));
    pthread_mutex_unlock(&server->working);
}

int slot_server_start(struct DextHost *host, struct connection *connection,
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
    pthread_mutex_init(&server->working, NULL);
    server->connection = connection_get(connection);
    server->pollers = host->pollers;
    server->references = 2;
    error = thread_group_start(&host->threads, server_main, server);
    if (error) {
        close(*fd);
        server->references = 1;
        slot_server_put(server);
        return error;
    }
    *out = server;
    return 0;
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
    slot_server_put(server);
}
