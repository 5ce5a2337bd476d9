/*
 * What the client knows of each open connection: one record a handle, in a table of the process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/connection.h"

#include <stdlib.h>

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t calls_ended = PTHREAD_COND_INITIALIZER;
static struct client_connection *table;

/* A child of fork has the table as it was between two calls, and none of its parent's calls. */

static void lock_before_fork(void)
{
    pthread_mutex_lock(&table_lock);
}

static void unlock_after_fork(void)
{
    pthread_mutex_unlock(&table_lock);
}

static void forget_calls_in_child(void)
{
    static const pthread_cond_t nobody_waits = PTHREAD_COND_INITIALIZER;

    for (struct client_connection *one = table; one != NULL; one = one->next) {
        one->references -= one->calls;
        one->calls = 0;
    }
    calls_ended = nobody_waits;
    pthread_mutex_unlock(&table_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(lock_before_fork, unlock_after_fork, forget_calls_in_child);
}

/* The newest record comes first: a handle that is reused while its old record closes wins. */
static struct client_connection *table_find(io_connect_t port)
{
    struct client_connection *connection = table;

    while (connection != NULL && connection->port != port) {
        connection = connection->next;
    }
    return connection;
}

static void table_remove(struct client_connection *connection)
{
    struct client_connection **link = &table;

    while (*link != connection) {
        link = &(*link)->next;
    }
    *link = connection->next;
}

static struct client_connection *connection_create(io_connect_t port)
{
    struct client_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL) {
        return NULL;
    }
    connection->port = port;
    connection->references = 1;
    atomic_init(&connection->is_claimed, false);
    atomic_init(&connection->max_batch, 0);
    client_bar_cache_init(&connection->bars);
    client_mappings_init(&connection->mappings);
    client_irq_page_init(&connection->irq_page);
    return connection;
}

static void connection_drop(struct client_connection *connection)
{
    if (--connection->references == 0) {
        client_irq_page_deinit(&connection->irq_page);
        client_mappings_deinit(&connection->mappings);
        client_bar_cache_deinit(&connection->bars);
        free(connection);
    }
}

/* A record made for a foreign handle goes with its last call unless there is something to keep. */
static bool connection_is_needless(const struct client_connection *connection)
{
    return !connection->is_opened_here && !connection->is_closing && connection->references == 1 &&
           !atomic_load(&connection->is_claimed) &&
           client_mappings_are_empty(&connection->mappings);
}

kern_return_t client_connection_add(io_connect_t port, const AppleDextInstance *instance)
{
    struct client_connection *connection = connection_create(port);

    if (connection == NULL) {
        return kIOReturnNoMemory;
    }
    connection->is_opened_here = true;
    connection->instance = *instance;
    pthread_mutex_lock(&table_lock);
    connection->next = table;
    table = connection;
    pthread_mutex_unlock(&table_lock);
    return kIOReturnSuccess;
}

static kern_return_t connection_begin_call(struct client_connection *connection)
{
    if (connection->is_closing) {
        return MACH_SEND_INVALID_DEST;
    }
    connection->references++;
    connection->calls++;
    return kIOReturnSuccess;
}

kern_return_t client_connection_enter(io_connect_t port, struct client_connection **out)
{
    kern_return_t status;

    if (port == IO_OBJECT_NULL) {
        return kIOReturnBadArgument;
    }
    pthread_mutex_lock(&table_lock);
    struct client_connection *connection = table_find(port);
    if (connection == NULL) {
        connection = connection_create(port);
        if (connection != NULL) {
            connection->next = table;
            table = connection;
        }
    }
    status = connection == NULL ? kIOReturnNoMemory : connection_begin_call(connection);
    pthread_mutex_unlock(&table_lock);
    if (status == kIOReturnSuccess) {
        *out = connection;
    }
    return status;
}

/* Under the table's lock the connection cannot be closed, and looking takes no longer than entering
 * would. */
enum client_irq_look client_connection_look(io_connect_t port, uint64_t pending[DEXT_IRQ_WORDS],
                                            uint64_t *asked_ms)
{
    enum client_irq_look look = CLIENT_IRQ_UNKNOWN;

    pthread_mutex_lock(&table_lock);
    struct client_connection *connection = table_find(port);
    if (connection != NULL && !connection->is_closing) {
        look = client_irq_page_look(&connection->irq_page, pending, asked_ms);
    }
    pthread_mutex_unlock(&table_lock);
    return look;
}

kern_return_t client_connection_reenter(struct client_connection *connection)
{
    pthread_mutex_lock(&table_lock);
    kern_return_t status = connection_begin_call(connection);
    pthread_mutex_unlock(&table_lock);
    return status;
}

void client_connection_leave(struct client_connection *connection)
{
    pthread_mutex_lock(&table_lock);
    if (--connection->calls == 0 && connection->is_closing) {
        pthread_cond_broadcast(&calls_ended);
    }
    connection_drop(connection);
    if (connection_is_needless(connection)) {
        table_remove(connection);
        connection_drop(connection);
    }
    pthread_mutex_unlock(&table_lock);
}

void client_connection_get(struct client_connection *connection)
{
    pthread_mutex_lock(&table_lock);
    connection->references++;
    pthread_mutex_unlock(&table_lock);
}

void client_connection_put(struct client_connection *connection)
{
    pthread_mutex_lock(&table_lock);
    bool is_in_table = !connection->is_closing;
    connection_drop(connection);
    if (is_in_table && connection_is_needless(connection)) {
        table_remove(connection);
        connection_drop(connection);
    }
    pthread_mutex_unlock(&table_lock);
}

void client_connection_close(io_connect_t port)
{
    pthread_mutex_lock(&table_lock);
    struct client_connection *connection = table_find(port);
    if (connection != NULL && connection->is_closing) {
        pthread_mutex_unlock(&table_lock);
        return;
    }
    if (connection != NULL) {
        connection->is_closing = true;
        while (connection->calls > 0) {
            pthread_cond_wait(&calls_ended, &table_lock);
        }
    }
    pthread_mutex_unlock(&table_lock);

    IOServiceClose(port);

    if (connection != NULL) {
        pthread_mutex_lock(&table_lock);
        table_remove(connection);
        connection_drop(connection);
        pthread_mutex_unlock(&table_lock);
    }
}
