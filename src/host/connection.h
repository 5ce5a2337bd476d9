/*
 * One open user client of a host, and what its call channel may ask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CONNECTION_H
#define DEXTLINK_HOST_CONNECTION_H

#include <IOKit/IOReturn.h>
#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdint.h>

#include "host/client_memory.h"
#include "host/service.h"
#include "wire/message.h"
#include "wire/protocol.h"
#include "wire/words.h"

struct quota_share;
struct session;

#define CONNECTION_ASYNC_MAX 16 /* asynchronous calls of one client that may be outstanding */

/* Where the completion of an asynchronous call goes. token 0 = free. */
struct async_reference {
    uint64_t token;
    uint32_t wake; /* channel of the session, 0: the event channel */
    uint64_t wake_port;
    uint64_t reference[WIRE_MAX_REFERENCES];
};

/* Kept from call to call. */
struct call_buffer {
    uint8_t *bytes; /* NULL: none yet */
    size_t room;
};

struct connection {
    TAILQ_ENTRY(connection) service_link; /* under service->lock */
    TAILQ_ENTRY(connection) session_link; /* under session->lock */
    uint64_t id;
    struct session *session; /* counted */
    struct service *service; /* counted */
    _Atomic unsigned references;
    _Atomic bool is_dead;       /* the service has terminated */
    bool is_claimed;            /* under service->lock: what the registry says */
    pthread_rwlock_t lock;      /* shared: calls; exclusive: mapping, stopping. Guards client */
    struct dext_client *client; /* NULL once stopped */
    struct quota_share *share;  /* a place of its client's, NULL in this process; session->lock */
    struct client_hold hold;    /* of a batch; under the dext's lock */
    struct call_buffer structures; /* of the CALL_AT under way: the slots have one at a time */
    int socket;                    /* call channel, -1 when it is local; under session->lock */
    pthread_mutex_t async_lock;    /* leaf; the two below */
    uint64_t next_token;
    struct async_reference async[CONNECTION_ASYNC_MAX];
};

/** Open a user client of service for session. Success: *out with one reference, on both lists.
 * kIOReturnNoDevice terminated; codes of dext_client_open; kIOReturnNoMemory. */
IOReturn connection_open(struct session *session, struct service *service, uint32_t type,
                         struct connection **out);

/** Hand over the place that its client has taken for it: given back when it is closed. */
void connection_give_share(struct connection *connection, struct quota_share *share);

struct connection *connection_get(struct connection *connection);
void connection_put(struct connection *connection);

/** Stop the user client: everything it held is released when this returns. Idempotent. The
 * connection stays on its lists. */
void connection_stop(struct connection *connection);

/** Stop it and take it off its lists. The caller's reference stays the caller's. */
void connection_close(struct connection *connection);

/** Answer one request of the call channel. reply is reset and filled, status included; a malformed
 * request is answered kIOReturnIPCError. Returns false when the channel ends (WIRE_CLOSE). */
bool connection_request(struct connection *connection, struct wire_message *request,
                        struct wire_message *reply);

/** The same for a small request, whose reply takes its place. */
void connection_request_small(struct connection *connection, struct wire_words *words);

/* What the dext is offered; its client_context is a connection, its dext_context a service. */
extern const struct dext_host_ops connection_dext_ops;

#endif
