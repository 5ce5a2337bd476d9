/*
 * Polling the call slots of connections with traffic.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/slot_poller.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/pause.h"
#include "host/slot_server.h"
#include "host/worker.h"
#include "wire/message.h"
#include "wire/spin.h"

#define POLLERS_MAX 8
#define SERVERS_MAX 64 /* of one poller */
#define OFFERS_MAX  16 /* that it has not looked at */

/* How long a poller goes on after the last call: at least the first, half as long again as there
 * has been traffic, and no longer than the second, since a caller that lost its processor comes
 * back within that. Meanwhile another connection more costs nothing; one that is silent for the
 * third is let go of, and a thread that has nothing to do so long ends. */
#define POLL_MIN_NS UINT64_C(100000)
#define POLL_MAX_NS UINT64_C(4000000)
#define IDLE_NS     UINT64_C(100000000)

/* What it costs a call that the host sleeps: polling that costs more than that was in vain. */
#define WAKE_UPS_NS UINT64_C(60000)

/* Looks at the slots that are used between two looks at all of them, and between two looks at the
 * clock: about 10 µs. A client takes the lowest free slot. */
#define POLLS_A_SWEEP 16
#define POLLS_A_LOOK  512

/* A poller that finds this much time gone between two looks had no processor: who sleeps gets one
 * when he wakes, who polls has used up his share. That may cost each call as much as a wake-up does
 * on such a busy machine, on the average of some time; else sleeping is better. */
#define AWAY_NS        UINT64_C(500000)
#define AWAY_A_CALL_NS INT64_C(10000)
#define CREDIT_MAX_NS  INT64_C(10000000)
#define CREDIT_MIN_NS  INT64_C(1000000)

/* A poller moves to a processor that no caller runs on no more often than the first; where there is
 * none, it is in everybody's way by turns as long as the second. */
#define MOVE_NS UINT64_C(200000)
#define TURN_NS UINT64_C(5000000)

/* How long it is remembered where callers ran: twice this, at most. */
#define CALLERS_NS UINT64_C(1000000)

struct slot_poller {
    pthread_mutex_t lock; /* the four below; a leaf */
    pthread_cond_t changed;
    struct slot_server *offers[OFFERS_MAX]; /* counted */
    unsigned offer_count;
    bool has_thread;
    _Atomic bool is_ending;
    _Atomic bool has_news; /* something of them has changed */
    _Atomic unsigned load; /* servers that it has */

    /* The thread's own. */
    struct slot_server *servers[SERVERS_MAX]; /* counted */
    uint64_t processors;                      /* where the thread may run, as bits */
    uint32_t here;                            /* where the thread ran when it last looked */
    uint64_t callers[2]; /* bit n: a caller ran on processor n, in this time and the one before */
    uint64_t callers_ns; /* when this time began */
    uint64_t moved_ns;   /* when it last moved */
    uint64_t look_ns;    /* when it last looked at the clock */
    uint64_t begin_ns;   /* when it began to poll, */
    uint64_t served_ns;  /* when there last was a call, */
    uint64_t served;     /* and how many */
    uint64_t used_at_ns; /* when it last asked how much processor time */
    uint64_t used_ns;    /* it had had */
    int64_t credit_ns;   /* time without a processor that polling may still cost */
};

struct slot_pollers {
    struct thread_group *threads;
    unsigned count;
    struct slot_poller pollers[POLLERS_MAX];
};

/* Servers. */

/* Wake those who were answered while this thread was in their way. */
static void poller_wake(struct slot_server *server)
{
    for (; server->unwoken; server->unwoken &= server->unwoken - 1) {
        wire_slot_host_wake(&server->slots, (unsigned)__builtin_ctz(server->unwoken));
    }
}

/* The request in one slot. A caller that sleeps on this processor would have it the moment he is
 * woken: he has his answer, and is woken when there is room. */
static void poller_serve(struct slot_poller *poller, struct slot_server *server, unsigned index)
{
    struct slot_served served;
    if (pthread_mutex_trylock(&server->serving)) {
        return; /* its own thread is at it */
    }
    bool is_served = server->poller == poller && slot_server_serve(server, index, &served);
    pthread_mutex_unlock(&server->serving);
    if (!is_served) {
        return;
    }
    server->served += served.makes_sense;
    if (index >= server->lively) {
        server->lively = index + 1;
    }
    if (served.where > 0 && served.where <= 64) {
        poller->callers[0] |= UINT64_C(1) << (served.where - 1);
    }
    if (served.sleeps && served.where == poller->here) {
        server->unwoken |= UINT32_C(1) << index;
    } else if (served.sleeps) {
        wire_slot_host_wake(&server->slots, index);
    }
}

static void poller_sweep(struct slot_poller *poller, struct slot_server *server, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (wire_slot_host_has(&server->slots, i)) {
            poller_serve(poller, server, i);
        }
    }
}

static void poller_take(struct slot_poller *poller, struct slot_server *server)
{
    const unsigned load = poller->load;
    pthread_mutex_lock(&server->serving);
    bool is_ours = load < SERVERS_MAX && !server->poller && !server->is_shut;
    if (is_ours) {
        server->poller = poller;
        server->lively = 1;
        server->unwoken = 0;
        server->served = 0;
        server->served_then = 0;
        server->served_ns = poller->look_ns;
        wire_slot_host_set_awake(&server->slots, poller->here);
    }
    pthread_mutex_unlock(&server->serving);
    if (!is_ours) {
        slot_server_put(server);
        return;
    }
    poller->servers[load] = server;
    poller->load = load + 1;
    poller_sweep(poller, server, WIRE_SLOT_COUNT);
}

static bool poller_is_worth_it(const struct slot_poller *poller)
{
    return poller->credit_ns >= 0 &&
           poller->look_ns - poller->begin_ns < poller->served * WAKE_UPS_NS;
}

/* Give a server back to its thread, which sleeps: what comes after the last look wakes it. */
static void poller_drop(struct slot_poller *poller, unsigned at)
{
    struct slot_server *server = poller->servers[at];
    pthread_mutex_lock(&server->serving);
    if (server->poller == poller) {
        server->poller = NULL;
        server->misses = poller_is_worth_it(poller) ? 0 : server->misses + 1;
        if (!server->is_shut) {
            wire_slot_host_set_awake(&server->slots, WIRE_HOST_ASLEEP);
        }
        for (unsigned i = 0; i < WIRE_SLOT_COUNT; i++) {
            struct slot_served served;
            if (wire_slot_host_has(&server->slots, i) && slot_server_serve(server, i, &served) &&
                served.sleeps) {
                wire_slot_host_wake(&server->slots, i);
            }
        }
    }
    pthread_mutex_unlock(&server->serving);
    poller_wake(server);
    slot_server_put(server);
    poller->load--;
    poller->servers[at] = poller->servers[poller->load];
}

/* Where it runs. */

static void poller_say_where(struct slot_poller *poller, uint32_t here)
{
    poller->here = here;
    for (unsigned i = 0; i < poller->load; i++) {
        struct slot_server *server = poller->servers[i];
        pthread_mutex_lock(&server->serving);
        if (server->poller == poller) {
            wire_slot_host_set_awake(&server->slots, here);
        }
        pthread_mutex_unlock(&server->serving);
    }
}

static bool poller_is_in_the_way(const struct slot_poller *poller, uint64_t here)
{
    bool is_slept_on = false;
    for (unsigned i = 0; i < poller->load; i++) {
        is_slept_on = is_slept_on || poller->servers[i]->unwoken;
    }
    return is_slept_on || ((poller->callers[0] | poller->callers[1]) & here);
}

/* A processor that is none of those, its number + 1; 0: there is none. */
static uint32_t poller_other(const struct slot_poller *poller, uint64_t busy)
{
    const uint64_t rest = poller->processors & ~busy;
    return rest ? (uint32_t)__builtin_ctzll(rest) + 1 : 0;
}

/* A poller on a caller's processor keeps it from making its next call: one that all callers leave
 * free is better. If there is none they wait by turns. */
static void poller_make_room(struct slot_poller *poller, uint64_t now)
{
    const uint32_t at = wire_processor_here();
    const uint64_t here = at <= 64 ? UINT64_C(1) << (at - 1) : 0;
    const uint64_t callers = here | poller->callers[0] | poller->callers[1];
    const bool is_in_the_way = poller_is_in_the_way(poller, here);
    uint32_t there = 0;
    if (is_in_the_way && now - poller->moved_ns > MOVE_NS) {
        there = poller_other(poller, callers);
        if (!there && now - poller->moved_ns > TURN_NS) {
            there = poller_other(poller, here);
            poller->credit_ns = there ? poller->credit_ns : -1; /* nowhere: sleeping is better */
        }
    }
    if (there) {
        poller->moved_ns = now;
        poller_say_where(poller, there); /* before: who waits for it there sleeps */
        wire_processor_go(there);
    }
    if (there || at != poller->here) {
        poller_say_where(poller, wire_processor_here());
    }
    for (unsigned i = 0; there && i < poller->load; i++) {
        poller_wake(poller->servers[i]);
    }
    if (now - poller->callers_ns > CALLERS_NS) {
        poller->callers[1] = poller->callers[0];
        poller->callers[0] = 0;
        poller->callers_ns = now;
    }
}

/* The thread. */

static uint64_t thread_used_ns(void)
{
    struct timespec used = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* A long call is none of the time without a processor. */
static void poller_account_away(struct slot_poller *poller, uint64_t now)
{
    const uint64_t used_ns = thread_used_ns();
    poller->credit_ns -= (int64_t)(now - poller->used_at_ns) - (int64_t)(used_ns - poller->used_ns);
    poller->used_at_ns = now;
    poller->used_ns = used_ns;
}

/* Calls that came earn what is lost while this thread has no processor. */
static void poller_account(struct slot_poller *poller, uint64_t now)
{
    if (now - poller->look_ns > AWAY_NS) {
        poller_account_away(poller, now);
    }
    for (unsigned i = 0; i < poller->load; i++) {
        struct slot_server *server = poller->servers[i];
        if (server->served != server->served_then) {
            poller->credit_ns += (int64_t)(server->served - server->served_then) * AWAY_A_CALL_NS;
            poller->served += server->served - server->served_then;
            server->served_then = server->served;
            server->served_ns = poller->served_ns = now;
        }
        server->lively = 1; /* until a sweep finds more */
    }
    if (poller->credit_ns > CREDIT_MAX_NS) {
        poller->credit_ns = CREDIT_MAX_NS;
    }
    poller->look_ns = now;
}

static void poller_take_offers(struct slot_poller *poller)
{
    struct slot_server *offers[OFFERS_MAX];
    pthread_mutex_lock(&poller->lock);
    unsigned count = poller->offer_count;
    for (unsigned i = 0; i < count; i++) {
        offers[i] = poller->offers[i];
    }
    poller->offer_count = 0;
    poller->has_news = poller->is_ending;
    pthread_mutex_unlock(&poller->lock);
    for (unsigned i = 0; i < count; i++) {
        poller_take(poller, offers[i]);
    }
}

/* Whether it is time to sleep. */
static bool poller_is_done(const struct slot_poller *poller, uint64_t now)
{
    uint64_t patience = POLL_MIN_NS + (poller->served_ns - poller->begin_ns) / 2;
    patience = patience < POLL_MAX_NS ? patience : POLL_MAX_NS;
    return poller->credit_ns < 0 || poller->is_ending || now - poller->served_ns > patience;
}

/* Look at the clock and all that is not a request. */
static void poller_look(struct slot_poller *poller)
{
    const uint64_t now = wire_now_ns();
    poller_account(poller, now);
    const bool is_done = poller_is_done(poller, now);
    for (unsigned i = poller->load; i-- > 0;) {
        const struct slot_server *server = poller->servers[i];
        if (is_done || server->poller != poller || server->has_ended ||
            now - server->served_ns > IDLE_NS) {
            poller_drop(poller, i);
        }
    }
    if (poller->has_news && !is_done) {
        poller_take_offers(poller);
    }
    poller_make_room(poller, now);
}

/* Look at the slots until nothing has come for a while. */
static void poller_poll(struct slot_poller *poller)
{
    poller->look_ns = poller->begin_ns = poller->served_ns = wire_now_ns();
    poller->served = 0;
    poller->used_at_ns = poller->look_ns;
    poller->used_ns = thread_used_ns();
    if (poller->credit_ns < CREDIT_MIN_NS) {
        poller->credit_ns = CREDIT_MIN_NS;
    }
    poller->processors = wire_processors();
    poller->here = wire_processor_here();
    poller_take_offers(poller);
    for (unsigned round = 1; poller->load > 0; round++) {
        for (unsigned i = 0; i < poller->load; i++) {
            struct slot_server *server = poller->servers[i];
            poller_sweep(poller, server, round % POLLS_A_SWEEP ? server->lively : WIRE_SLOT_COUNT);
        }
        pause_processor();
        if (round % POLLS_A_LOOK == 0) {
            poller_look(poller);
        }
    }
}

/* lock held. Sleep until somebody wants to be polled for, the host ends, or that has lasted. */
static void poller_wait_for_offers(struct slot_poller *poller)
{
    struct timespec deadline;
    const uint64_t until_ns = wire_now_ns() + IDLE_NS;
    int error = 0;
    deadline.tv_sec = (time_t)(until_ns / 1000000000);
    deadline.tv_nsec = (long)(until_ns % 1000000000);
    while (poller->offer_count == 0 && !poller->is_ending && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&poller->changed, &poller->lock, &deadline);
    }
}

/* false: the thread ends; there may be another one from then on. */
static bool poller_sleep(struct slot_poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    poller_wait_for_offers(poller);
    poller->has_thread = poller->offer_count > 0 && !poller->is_ending;
    bool has_thread = poller->has_thread;
    bool is_ending = poller->is_ending;
    pthread_mutex_unlock(&poller->lock);
    for (unsigned i = 0; is_ending && i < poller->offer_count; i++) {
        slot_server_put(poller->offers[i]); /* nobody adds any more */
    }
    return has_thread;
}

static void poller_main(void *argument)
{
    struct slot_poller *poller = argument;
    while (poller_sleep(poller)) {
        poller_poll(poller);
    }
}

/* All of a host. */

struct slot_pollers *slot_pollers_create(struct thread_group *threads)
{
    struct slot_pollers *pollers = calloc(1, sizeof(*pollers));
    if (!pollers) {
        return NULL;
    }
    pollers->threads = threads;
    pollers->count = wire_processor_count() / 2;
    pollers->count = pollers->count < POLLERS_MAX ? pollers->count : POLLERS_MAX;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    for (unsigned i = 0; i < POLLERS_MAX; i++) {
        pthread_mutex_init(&pollers->pollers[i].lock, NULL);
        pthread_cond_init(&pollers->pollers[i].changed, &attributes);
        pollers->pollers[i].credit_ns = CREDIT_MAX_NS;
    }
    pthread_condattr_destroy(&attributes);
    return pollers;
}

/* The one with the least to do. */
static struct slot_poller *pollers_choose(struct slot_pollers *pollers)
{
    struct slot_poller *best = NULL;
    for (unsigned i = 0; i < pollers->count; i++) {
        struct slot_poller *poller = &pollers->pollers[i];
        if (!best || poller->load < best->load) {
            best = poller;
        }
    }
    return best;
}

/* lock held. */
static bool poller_add_offer(struct slot_poller *poller, struct slot_server *server)
{
    if (poller->is_ending || !poller->has_thread || poller->offer_count == OFFERS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < poller->offer_count; i++) {
        if (poller->offers[i] == server) {
            return false;
        }
    }
    poller->offers[poller->offer_count++] = slot_server_get(server);
    poller->has_news = true;
    return true;
}

void slot_pollers_offer(struct slot_pollers *pollers, struct slot_server *server)
{
    struct slot_poller *poller = server->home;
    if (!poller) {
        server->home = poller = pollers_choose(pollers);
    }
    if (!poller) {
        return; /* one processor */
    }
    pthread_mutex_lock(&poller->lock);
    if (!poller->has_thread && !poller->is_ending) {
        poller->has_thread = thread_group_start(pollers->threads, poller_main, poller) == 0;
    }
    bool is_first = poller_add_offer(poller, server) && poller->offer_count == 1;
    pthread_mutex_unlock(&poller->lock);
    if (is_first) {
        pthread_cond_signal(&poller->changed);
    }
}

void slot_pollers_end(struct slot_pollers *pollers)
{
    for (unsigned i = 0; pollers && i < POLLERS_MAX; i++) {
        struct slot_poller *poller = &pollers->pollers[i];
        pthread_mutex_lock(&poller->lock);
        poller->is_ending = true;
        poller->has_news = true;
        pthread_cond_signal(&poller->changed);
        pthread_mutex_unlock(&poller->lock);
    }
}

void slot_pollers_destroy(struct slot_pollers *pollers)
{
    if (!pollers) {
        return;
    }
    for (unsigned i = 0; i < POLLERS_MAX; i++) {
        pthread_cond_destroy(&pollers->pollers[i].changed);
        pthread_mutex_destroy(&pollers->pollers[i].lock);
    }
    free(pollers);
}
