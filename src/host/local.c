/*
 * Links into the host of this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/local.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/host.h"
#include "host/session.h"
#include "wire/link.h"
#include "wire/no_host.h"

/* Counted: links may outlive the host, and then answer that it is gone. */
struct local_host {
    struct wire_local_host entry;
    struct DextHost *host;
    _Atomic unsigned references;
    pthread_rwlock_t gate; /* shared: a call is in the host; exclusive: closing */
    bool is_closed;        /* under gate */
};

/* A control link (connection NULL) or a call link. */
struct local_link {
    struct wire_link link;
    struct local_host *local;      /* counted */
    struct session *session;       /* counted; control links only */
    struct connection *connection; /* counted; call links only */
    /* Of the last WIRE_OPEN that no accept has taken, per control link: */
    pthread_mutex_t lock;
    TAILQ_HEAD(, opened) opened;
};

struct opened {
    TAILQ_ENTRY(opened) link;
    struct connection *connection; /* counted */
};

/* The sinks of a session whose client is in this process. */
struct local_sinks {
    wire_event_fn on_event;
    wire_gone_fn on_gone;
    void *context;
};

static void local_put(struct local_host *local)
{
    if (--local->references == 0) {
        pthread_rwlock_destroy(&local->gate);
        free(local);
    }
}

static void local_send(struct session *session, struct wire_message *event)
{
    struct local_sinks *sinks = session->sink_context; /* NULL: the link is closed */
    if (sinks) {
        sinks->on_event(sinks->context, event);
    }
}

static void local_gone(struct session *session)
{
    struct local_sinks *sinks = session->sink_context;
    if (sinks) {
        sinks->on_gone(sinks->context);
    }
}

static const struct session_sink local_sink = {
    .send = local_send,
    .gone = local_gone,
};

static struct local_link *local_link_create(struct local_host *local);

static void local_remember_opened(struct local_link *self, struct connection *connection,
                                  struct wire_message *reply)
{
    struct opened *opened = malloc(sizeof(*opened));
    if (!opened) {
        connection_close(connection);
        connection_put(connection);
        wire_message_reset(reply, WIRE_OPEN);
        reply->header.status = kIOReturnNoMemory;
        return;
    }
    opened->connection = connection;
    pthread_mutex_lock(&self->lock);
    TAILQ_INSERT_TAIL(&self->opened, opened, link);
    pthread_mutex_unlock(&self->lock);
}

static int local_link_call(struct wire_link *link, struct wire_message *request,
                           struct wire_message *reply)
{
    struct local_link *self = (struct local_link *)link;
    if (request->is_bad) {
        return -ENOMEM;
    }
    pthread_rwlock_rdlock(&self->local->gate);
    if (self->local->is_closed) {
        pthread_rwlock_unlock(&self->local->gate);
        return -ENOTCONN;
    }
    request->position = 0;
    if (self->connection) {
        connection_request(self->connection, request, reply);
    } else {
        struct connection *opened;
        session_request(self->session, request, reply, &opened);
        if (opened) {
            local_remember_opened(self, opened, reply);
        }
    }
    pthread_rwlock_unlock(&self->local->gate);
    reply->position = 0;
    return 0;
}

static int local_link_call_small(struct wire_link *link, struct wire_words *words)
{
    struct local_link *self = (struct local_link *)link;
    int error = -ENOTCONN;
    if (words->type == WIRE_CALL_AT) {
        return -EAGAIN; /* inside a process a frame takes less than fetching does */
    }
    pthread_rwlock_rdlock(&self->local->gate);
    if (!self->local->is_closed) {
        connection_request_small(self->connection, words);
        error = 0;
    }
    pthread_rwlock_unlock(&self->local->gate);
    return error;
}

static struct connection *local_take_opened(struct local_link *self, uint64_t connection_id)
{
    struct connection *connection = NULL;
    struct opened *opened;
    pthread_mutex_lock(&self->lock);
    TAILQ_FOREACH (opened, &self->opened, link) {
        if (opened->connection->id == connection_id) {
            TAILQ_REMOVE(&self->opened, opened, link);
            connection = opened->connection;
            free(opened);
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return connection;
}

static struct wire_link *local_link_accept(struct wire_link *control, struct wire_message *reply,
                                           uint64_t connection_id)
{
    struct local_link *self = (struct local_link *)control;
    (void)reply;
    struct connection *connection = local_take_opened(self, connection_id);
    if (!connection) {
        return NULL;
    }
    struct local_link *call = local_link_create(self->local);
    if (!call) {
        connection_close(connection);
        connection_put(connection);
        return NULL;
    }
    call->connection = connection;
    return &call->link;
}

/* End a session from the client's side; the host may be closing it, or gone, at this moment. */
static void local_close_session(struct local_link *self)
{
    pthread_rwlock_rdlock(&self->local->gate);
    if (!self->local->is_closed) {
        session_end(self->session);
    }
    pthread_rwlock_unlock(&self->local->gate);
    pthread_mutex_lock(&self->session->lock);
    struct local_sinks *sinks = self->session->sink_context;
    self->session->sink_context = NULL;
    pthread_mutex_unlock(&self->session->lock);
    free(sinks);
    session_put(self->session);
}

static void local_link_close(struct wire_link *link)
{
    struct local_link *self = (struct local_link *)link;
    struct opened *opened;
    while ((opened = TAILQ_FIRST(&self->opened)) != NULL) {
        TAILQ_REMOVE(&self->opened, opened, link);
        connection_close(opened->connection);
        connection_put(opened->connection);
        free(opened);
    }
    if (self->connection) {
        connection_close(self->connection);
        connection_put(self->connection);
    }
    if (self->session) {
        local_close_session(self);
    }
    local_put(self->local);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const struct wire_link_ops local_link_ops = {
    .call = local_link_call,
    .call_small = local_link_call_small,
    .accept = local_link_accept,
    .close = local_link_close,
};

static struct local_link *local_link_create(struct local_host *local)
{
    struct local_link *self = calloc(1, sizeof(*self));
    if (self) {
        self->link.ops = &local_link_ops;
        self->local = local;
        local->references++;
        TAILQ_INIT(&self->opened);
        pthread_mutex_init(&self->lock, NULL);
    }
    return self;
}

static struct wire_link *local_connect(void *host, wire_event_fn on_event, wire_gone_fn on_gone,
                                       void *context, uint32_t *page_size)
{
    struct local_host *local = host;
    struct local_link *self = local_link_create(local);
    struct local_sinks *sinks = malloc(sizeof(*sinks));
    if (!self || !sinks) {
        goto fail;
    }
    *sinks = (struct local_sinks){.on_event = on_event, .on_gone = on_gone, .context = context};
    const struct client_owner owner = client_owner_own(getpid());
    self->session = session_create(local->host, &owner, &local_sink, sinks);
    if (!self->session) {
        goto fail;
    }
    *page_size = local->host->page_size;
    return &self->link;

fail:
    free(sinks);
    if (self) {
        local_link_close(&self->link);
    }
    return NULL;
}

int local_host_start(struct DextHost *host, struct local_host **out)
{
    struct local_host *local = calloc(1, sizeof(*local));
    if (!local) {
        return -ENOMEM;
    }
    local->host = host;
    local->references = 1;
    local->entry = (struct wire_local_host){.connect = local_connect, .host = local};
    pthread_rwlock_init(&local->gate, NULL);
    int error = wire_local_set(&local->entry);
    if (error) {
        local_put(local);
        return error;
    }
    *out = local;
    return 0;
}

void local_host_stop(struct local_host *local)
{
    if (!local) {
        return;
    }
    wire_local_set(NULL);
    pthread_rwlock_wrlock(&local->gate);
    local->is_closed = true;
    pthread_rwlock_unlock(&local->gate);
    local_put(local);
}

void dext_host_why_none(char *text, size_t bytes)
{
    wire_no_host_text(text, bytes);
}
