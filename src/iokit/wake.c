/*
 * Wake channels on this side: taken from a session's pool, given back when their port has gone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/wake.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iokit/event.h"
#include "wire/wake.h"

struct io_wake {
    struct dispatch_inlet inlet;
    _Atomic unsigned references; /* 0: free. From 0 to 1 under the pool's lock */
    struct io_session *session;  /* its owner; counted while there are references */
    struct wire_wake_client *client;
    uint32_t number;
    pthread_mutex_t lock; /* one thread takes at a time */
};

static struct io_wake *wake_of(struct dispatch_inlet *inlet)
{
    return (struct io_wake *)inlet;
}

static bool wake_has_work(struct dispatch_inlet *inlet)
{
    return wire_wake_has_completion(wake_of(inlet)->client);
}

/* Mostly on the thread that will run the callback. A completion for a port that has gone is
 * dropped. */
static void wake_take(struct dispatch_inlet *inlet)
{
    struct io_wake *wake = wake_of(inlet);
    struct wire_completion completion;
    pthread_mutex_lock(&wake->lock);
    while (wire_wake_take(wake->client, &completion)) {
        struct wire_message event = wire_message_borrowing(WIRE_EVENT_COMPLETION, &completion,
                                                           wire_completion_bytes(&completion));
        io_event_dispatch(wake->session, &event);
    }
    pthread_mutex_unlock(&wake->lock);
}

static void wake_get(struct dispatch_inlet *inlet)
{
    wake_of(inlet)->references++;
}

static void wake_free(struct io_wake *wake)
{
    wire_wake_client_destroy(wake->client);
    pthread_mutex_destroy(&wake->lock);
    free(wake);
}

void io_wake_put(struct io_wake *wake)
{
    struct io_session *session = wake ? wake->session : NULL;
    if (wake && --wake->references == 0) {
        io_session_put(session); /* with which the channel may go */
    }
}

bool io_wake_attach(struct io_wake *wake, dispatch_queue_t queue)
{
    bool is_attached = dispatch_queue_attach(queue, &wake->inlet);
    if (is_attached) {
        wire_wake_set_attended(wake->client, true);
    }
    return is_attached;
}

void io_wake_detach(struct io_wake *wake, dispatch_queue_t queue)
{
    dispatch_queue_detach(queue, &wake->inlet);
    wire_wake_set_attended(wake->client, false);
}

void io_wake_end(struct io_wake *wake)
{
    if (wake) {
        wake_take(&wake->inlet);
        io_wake_put(wake);
    }
}

static void wake_put(struct dispatch_inlet *inlet)
{
    io_wake_put(wake_of(inlet));
}

void io_wake_pool_init(struct io_wake_pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    memset(pool->all, 0, sizeof(pool->all));
}

void io_wake_pool_fini(struct io_wake_pool *pool)
{
    for (size_t i = 0; i < WIRE_MAX_WAKES; i++) {
        if (pool->all[i]) {
            wake_free(pool->all[i]);
        }
    }
    pthread_mutex_destroy(&pool->lock);
}

static struct io_wake *pool_take(struct io_wake_pool *pool)
{
    struct io_wake *found = NULL;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < WIRE_MAX_WAKES && !found; i++) {
        if (pool->all[i] && pool->all[i]->references == 0) {
            found = pool->all[i];
            found->references = 1;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

void io_wake_look(struct io_session *session, uint32_t number)
{
    struct io_wake_pool *pool = io_session_wakes(session);
    if (!pool || number == 0 || number > WIRE_MAX_WAKES) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    struct io_wake *wake = pool->all[number - 1];
    pthread_mutex_unlock(&pool->lock);
    if (wake) { /* lives as long as the session, which its event thread keeps */
        wake_take(&wake->inlet);
    }
}

/* number and *client of a channel that the host makes; 0: none. */
static uint32_t wake_ask(struct io_session *session, struct wire_wake_client **client)
{
    struct wire_message request;
    struct wire_message reply;
    uint32_t number = 0;
    wire_message_init(&request);
    wire_message_init(&reply);
    wire_message_reset(&request, WIRE_WAKE_OPEN);
    if (io_session_request(session, &request, &reply) == KERN_SUCCESS) {
        uint64_t answer = wire_get_u64(&reply);
        int fd = wire_take_fd(&reply, 0);
        if (wire_is_consumed(&reply) && answer > 0 && answer <= WIRE_MAX_WAKES && fd >= 0) {
            *client = wire_wake_client_create(fd);
            number = *client ? (uint32_t)answer : 0;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    wire_message_destroy(&request);
    wire_message_destroy(&reply);
    return number;
}

static struct io_wake *wake_create(struct io_session *session, struct io_wake_pool *pool)
{
    struct io_wake *wake = calloc(1, sizeof(*wake));
    if (!wake) {
        return NULL;
    }
    wake->number = wake_ask(session, &wake->client);
    if (!wake->number) {
        free(wake);
        return NULL;
    }
    wake->references = 1;
    wake->session = session;
    pthread_mutex_init(&wake->lock, NULL);
    wake->inlet = (struct dispatch_inlet){.bell = wire_wake_bell(wake->client),
                                          .has_work = wake_has_work,
                                          .take = wake_take,
                                          .get = wake_get,
                                          .put = wake_put};
    pthread_mutex_lock(&pool->lock);
    bool is_new = pool->all[wake->number - 1] == NULL;
    if (is_new) {
        pool->all[wake->number - 1] = wake;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_new) { /* a host that gives a number twice */
        wake_free(wake);
        return NULL;
    }
    return wake;
}

struct io_wake *io_wake_open(struct io_session *session)
{
    struct io_wake_pool *pool = io_session_wakes(session);
    struct io_wake *wake = pool ? pool_take(pool) : NULL;
    if (!wake && pool) {
        wake = wake_create(session, pool);
    }
    if (wake) {
        io_session_get(session);
    }
    return wake;
}

uint32_t io_wake_number(const struct io_wake *wake)
{
    return wake->number;
}

struct io_session *io_wake_session(const struct io_wake *wake)
{
    return wake->session;
}
