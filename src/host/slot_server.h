/*
 * Serving the call slots of one connection: a thread that sleeps on their word, and hands them to a
 * poller (host/slot_poller.h) while there is traffic.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SLOT_SERVER_H
#define DEXTLINK_HOST_SLOT_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/slots.h"

struct DextHost;
struct connection;
struct slot_poller;

struct slot_server {
    _Atomic unsigned references;   /* the connection's channel, the thread, a poller */
    struct connection *connection; /* counted */
    struct slot_pollers *pollers;  /* the host's */
    _Atomic bool has_ended;
    struct wire_slot_host slots;

    /* Held while a request is carried out. A leaf, but for what a request takes. */
    pthread_mutex_t serving;
    bool is_shut;                       /* under serving: the slots have ended */
    struct slot_poller *_Atomic poller; /* stored under serving: who looks at the slots, or NULL:
                                           the thread */
    _Atomic unsigned misses;            /* times that polling was in vain, one after the other */

    /* Held by who serves in a poller's place: the thread, or the channel's. Taken before `serving`,
     * guards what follows. */
    pthread_mutex_t working;
    uint64_t last_ns;         /* when the last call ended */
    unsigned where;           /* the last caller's processor + 1, or so it says */
    unsigned strays;          /* times in a row that the thread woke up elsewhere */
    unsigned stays;           /* calls until it follows again */
    unsigned skips;           /* calls until polling is tried again */
    struct slot_poller *home; /* the one that is asked, once one was */

    /* The poller's own. */
    unsigned lively;      /* slots that clients have used lately: the first ones */
    uint32_t unwoken;     /* a bit a slot: its caller sleeps, and has been answered */
    uint64_t served;      /* since it has been polled for; */
    uint64_t served_then; /* the same at the last look, */
    uint64_t served_ns;   /* and when there was something new */
};

/** Make slots and start to serve them. *fd is the caller's, to hand out. connection is counted.
 * 0, -errno. */
int slot_server_start(struct DextHost *host, struct connection *connection,
                      struct slot_server **out, int *fd);

/** The client says by a frame that there is a request in a slot: serve it, unless the thread does.
 * Blocks as the request does. */
void slot_server_kick(struct slot_server *server);

/** The connection has closed: nothing is answered any more, and whoever waits is woken. Waits for
 * the request that is carried out now. The thread ends by itself. NULL is fine. */
void slot_server_end(struct slot_server *server);

/* For pollers. */

struct slot_server *slot_server_get(struct slot_server *server);
void slot_server_put(struct slot_server *server);

/** What one request was. */
struct slot_served {
    bool makes_sense; /* what does not keeps nobody awake */
    bool sleeps;      /* the caller has to be woken */
    unsigned where;   /* the caller's processor + 1, or so it says */
};

/** Carry out the request in one slot, if there is one. serving is held. */
bool slot_server_serve(struct slot_server *server, unsigned index, struct slot_served *served);

#endif
