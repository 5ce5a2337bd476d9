/*
 * A request and its reply for each thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <stdlib.h>

#include "iokit/connection.h"

/* A buffer that one huge call has grown is given back. */
#define EXCHANGE_KEEP_BYTES 65536

static pthread_once_t exchange_once = PTHREAD_ONCE_INIT;
static pthread_key_t exchange_key;
static bool exchange_has_key;

static void exchange_free(void *opaque)
{
    struct io_exchange *exchanges = opaque;
    for (int i = 0; i < IO_EXCHANGE_USES; i++) {
        wire_message_destroy(&exchanges[i].request);
        wire_message_destroy(&exchanges[i].reply);
    }
    free(exchanges);
}

static void exchange_make_key(void)
{
    exchange_has_key = pthread_key_create(&exchange_key, exchange_free) == 0;
}

/* A thread that ends gives its exchanges back; the thread that ends the process has no end. */
__attribute__((destructor)) static void exchange_free_last(void)
{
    void *exchanges = exchange_has_key ? pthread_getspecific(exchange_key) : NULL;
    if (exchanges) {
        pthread_setspecific(exchange_key, NULL);
        exchange_free(exchanges);
    }
}

static struct io_exchange *exchange_of_thread(void)
{
    pthread_once(&exchange_once, exchange_make_key);
    if (!exchange_has_key) {
        return NULL;
    }
    struct io_exchange *exchanges = pthread_getspecific(exchange_key);
    if (!exchanges) {
        exchanges = calloc(IO_EXCHANGE_USES, sizeof(*exchanges));
        if (exchanges && pthread_setspecific(exchange_key, exchanges)) {
            free(exchanges);
            exchanges = NULL;
        }
    }
    return exchanges;
}

struct io_exchange *io_exchange_begin(enum io_exchange_use use, uint16_t type)
{
    struct io_exchange *exchanges = exchange_of_thread();
    if (!exchanges) {
        return NULL;
    }
    struct io_exchange *exchange = &exchanges[use];
    if (exchange->request.capacity > EXCHANGE_KEEP_BYTES) {
        wire_message_destroy(&exchange->request);
    }
    if (exchange->reply.capacity > EXCHANGE_KEEP_BYTES) {
        wire_message_destroy(&exchange->reply);
    }
    wire_message_reset(&exchange->request, type);
    return exchange;
}

kern_return_t io_exchange_send(struct io_connection *connection, struct io_exchange *exchange)
{
    pthread_rwlock_rdlock(&connection->lock);
    kern_return_t status = io_connection_request(connection, &exchange->request, &exchange->reply);
    pthread_rwlock_unlock(&connection->lock);
    return status;
}
