/*
 * Interrupt notices: the driver's one-shot wait, delivered on a serial queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dispatch/dispatch.h>
#include <pthread.h>
#include <stdlib.h>

#include "client/call.h"
#include "client/log.h"

struct AppleDextInterruptNotify {
    struct AppleDextInterruptNotify *next; /* under live_lock while in the list */
    unsigned rearms;                       /* under live_lock: re-arms under way */
    bool is_ending;                        /* under live_lock: destroy has begun */
    struct client_connection *connection;  /* a reference; it may be closed */
    IONotificationPortRef port;
    dispatch_queue_t queue;
    void (*handler_fn)(void *opaque);
    void *opaque;
};

/* Live notices, so that a re-arm which comes after destroy finds nothing instead of freed memory.
 */
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rearms_ended = PTHREAD_COND_INITIALIZER;
static AppleDextInterruptNotify *live_list;

/* The address is the key that a notice's queue carries. */
static const char notify_queue_key;

static AppleDextInterruptNotify **live_find(const AppleDextInterruptNotify *notify)
{
    AppleDextInterruptNotify **link = &live_list;

    while (*link != NULL && *link != notify) {
        link = &(*link)->next;
    }
    return link;
}

/* A completion, on the notice's queue. Its argument count is the driver's affair: none is used. */
static void notify_completed(void *opaque, IOReturn result)
{
    AppleDextInterruptNotify *notify = opaque;

    pthread_mutex_lock(&live_lock);
    bool is_ending = notify->is_ending;
    pthread_mutex_unlock(&live_lock);
    /* Any other failure is passed on as a wake-up: a needless look costs less than a lost one. */
    if (!is_ending && result != kIOReturnAborted) {
        notify->handler_fn(notify->opaque);
    }
}

static kern_return_t notify_arm(AppleDextInterruptNotify *notify)
{
    uint64_t reference[kIOAsyncCalloutCount] = {0};
    kern_return_t status = client_connection_reenter(notify->connection);

    if (status != kIOReturnSuccess) {
        return status;
    }
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)notify_completed;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)notify;
    status = IOConnectCallAsyncScalarMethod(notify->connection->port, DEXT_SEL_WAIT_INTERRUPT,
                                            IONotificationPortGetMachPort(notify->port), reference,
                                            kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
    status = client_call_status(notify->connection, status);
    client_connection_leave(notify->connection);
    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_ERROR, "the interrupt notice is not armed: 0x%08x, %s",
                   (unsigned)status, apple_dext_status_text(status));
    }
    return status;
}

static void notify_free(void *opaque)
{
    AppleDextInterruptNotify *notify = opaque;

    if (notify->queue != NULL) {
        dispatch_release(notify->queue);
    }
    client_connection_put(notify->connection);
    free(notify);
}

static void notify_drained(void *opaque)
{
    (void)opaque;
}

static AppleDextInterruptNotify *notify_new(struct client_connection *connection)
{
    AppleDextInterruptNotify *notify = calloc(1, sizeof(*notify));

    if (notify == NULL) {
        return NULL;
    }
    client_connection_get(connection);
    notify->connection = connection;
    notify->queue = dispatch_queue_create("apple-dext-client.interrupt", DISPATCH_QUEUE_SERIAL);
    if (notify->queue != NULL) {
        dispatch_queue_set_specific(notify->queue, &notify_queue_key, notify, NULL);
        notify->port = IONotificationPortCreate(MACH_PORT_NULL);
    }
    if (notify->port == NULL) {
        notify_free(notify);
        return NULL;
    }
    IONotificationPortSetDispatchQueue(notify->port, notify->queue);
    return notify;
}

AppleDextInterruptNotify *apple_dext_interrupt_notify_create(io_connect_t connection,
                                                             void (*handler_fn)(void *opaque),
                                                             void *opaque)
{
    struct client_connection *state;
    AppleDextInterruptNotify *notify;

    if (handler_fn == NULL || connection == IO_OBJECT_NULL) {
        return NULL;
    }
    kern_return_t status = client_connection_enter(connection, &state);
    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_ERROR, "no interrupt notice: 0x%08x, %s", (unsigned)status,
                   apple_dext_status_text(status));
        return NULL;
    }
    notify = notify_new(state);
    client_connection_leave(state);
    if (notify == NULL) {
        client_log(APPLE_DEXT_LOG_ERROR, "no memory for an interrupt notice");
        return NULL;
    }
    notify->handler_fn = handler_fn;
    notify->opaque = opaque;

    /* Listed before it is armed: the handler may run, and re-arm, before arming returns. */
    pthread_mutex_lock(&live_lock);
    notify->next = live_list;
    live_list = notify;
    pthread_mutex_unlock(&live_lock);
    if (notify_arm(notify) != kIOReturnSuccess) {
        apple_dext_interrupt_notify_destroy(notify);
        return NULL;
    }
    return notify;
}

kern_return_t apple_dext_interrupt_notify_rearm(AppleDextInterruptNotify *notify)
{
    kern_return_t status = kIOReturnAborted;
    bool is_live;

    if (notify == NULL) {
        return kIOReturnBadArgument;
    }
    pthread_mutex_lock(&live_lock);
    is_live = *live_find(notify) != NULL && !notify->is_ending;
    if (is_live) {
        notify->rearms++;
    }
    pthread_mutex_unlock(&live_lock);
    if (!is_live) {
        return status;
    }
    status = notify_arm(notify);
    pthread_mutex_lock(&live_lock);
    if (--notify->rearms == 0 && notify->is_ending) {
        pthread_cond_broadcast(&rearms_ended);
    }
    pthread_mutex_unlock(&live_lock);
    return status;
}

void apple_dext_interrupt_notify_destroy(AppleDextInterruptNotify *notify)
{
    pthread_mutex_lock(&live_lock);
    if (notify == NULL || *live_find(notify) == NULL || notify->is_ending) {
        pthread_mutex_unlock(&live_lock);
        return;
    }
    notify->is_ending = true;
    while (notify->rearms > 0) {
        pthread_cond_wait(&rearms_ended, &live_lock);
    }
    *live_find(notify) = notify->next;
    pthread_mutex_unlock(&live_lock);

    IONotificationPortDestroy(notify->port); /* waits for nothing, but starts no new completion */
    if (dispatch_get_specific(&notify_queue_key) == notify) {
        /* Called from the handler: free behind it. */
        dispatch_async_f(notify->queue, notify, notify_free);
    } else {
        dispatch_sync_f(notify->queue, NULL, notify_drained);
        notify_free(notify);
    }
}
