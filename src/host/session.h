/*
 * One client process of a host: what its control channel may ask, its connections, and the events
 * that go to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SESSION_H
#define DEXTLINK_HOST_SESSION_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/client_memory.h"
#include "host/connection.h"
#include "wire/link.h"
#include "wire/message.h"
#include "wire/wake.h"

struct DextHost;

/* How frames of the event channel leave; called under the session's lock, must not block. */
struct session_sink {
    void (*send)(struct session *session, struct wire_message *event);
    void (*gone)(struct session *session); /* the host ends; once */
};

struct interest {
    TAILQ_ENTRY(interest) link;
    uint64_t token;
    uint64_t entry_id;
};

struct session {
    TAILQ_ENTRY(session) link; /* under the host's lock */
    bool is_dismissed;         /* under the host's lock: the ending host has come by */
    struct DextHost *host;
    struct client_process *process;
    const struct session_sink *sink;
    void *sink_context;
    _Atomic unsigned references;
    pthread_mutex_t lock; /* all below; held while a frame is handed to the sink */
    TAILQ_HEAD(, connection) connections;
    TAILQ_HEAD(, interest) interests;
    uint32_t interest_count;
    bool is_gone;                                 /* no connection may be opened, no event sent */
    struct wire_wake_host *wakes[WIRE_MAX_WAKES]; /* channel number is the index + 1 */
    uint32_t wake_count;
};

/** One reference, on the host's list. NULL when out of memory. */
struct session *session_create(struct DextHost *host, const struct client_owner *owner,
                               const struct session_sink *sink, void *sink_context);
struct session *session_get(struct session *session);
void session_put(struct session *session);

/**
 * The client has gone or is being sent away: stop everything it has open, drop what it watches,
 * take it off the host's list. Socket connections end on their own threads soon after. Idempotent.
 */
void session_end(struct session *session);

/** The host ends: tell the client, then session_end. */
void session_dismiss(struct session *session);

/** Answer one request of the control channel. *opened receives a counted connection when the
 * request was a successful WIRE_OPEN (else NULL): the caller adds the call channel. */
void session_request(struct session *session, struct wire_message *request,
                     struct wire_message *reply, struct connection **opened);

/** Send an event; takes the session's lock. Does nothing once it is gone. */
void session_send(struct session *session, struct wire_message *event);

/** Whether the client has opened this wake channel. Takes the session's lock. */
bool session_has_wake(struct session *session, uint32_t wake);

/** Tell of a completion by that wake channel, or, 0 and where there is no room, by an event. Takes
 * the session's lock. Does nothing once it is gone. */
void session_complete(struct session *session, uint32_t wake,
                      const struct wire_completion *completion);

/** A service has terminated: its names are dead, and those interested are told. */
void session_service_terminated(struct session *session, uint64_t entry_id);

#endif
