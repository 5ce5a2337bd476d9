/*
 * Watching driver instances come and go.
 *
 * Arrivals come from a matching notification. Departures come from an interest in each instance,
 * which says so also while somebody has the instance open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOMessage.h>
#include <dispatch/dispatch.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "abi/dext_abi.h"
#include "client/log.h"
#include "client/pci_entry.h"
#include "client/registry.h"

/* An instance that was seen. It stays until the watch ends: messages on their way lead to it. */
struct watched {
    struct watched *next;
    struct AppleDextWatch *watch;
    io_object_t interest;
    uint64_t entry_id;
    AppleDextInstance *instance; /* NULL once it has gone */
};

/* All but is_ending belongs to the queue. */
struct AppleDextWatch {
    pthread_mutex_t lock; /* is_ending */
    bool is_ending;       /* destroy has begun */
    IONotificationPortRef port;
    dispatch_queue_t queue;
    io_iterator_t arrivals;
    struct watched *seen;
    void (*handler_fn)(void *opaque, AppleDextEvent event, const AppleDextInstance *instance);
    void *opaque;
};

/* IOKit's prototypes name arrays of this type: gcc warns of shorter ones. */
static const io_name_t first_match = kIOFirstMatchNotification;
static const io_name_t general_interest = kIOGeneralInterest;

/* The address is the key that a watch's queue carries. */
static const char watch_queue_key;

static bool watch_is_ending(AppleDextWatch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool is_ending = watch->is_ending;
    pthread_mutex_unlock(&watch->lock);
    return is_ending;
}

static void watch_tell(AppleDextWatch *watch, AppleDextEvent event,
                       const AppleDextInstance *instance)
{
    if (!watch_is_ending(watch)) {
        watch->handler_fn(watch->opaque, event, instance);
    }
}

/* More messages may follow the one that it is gone. */
static void watch_interest(void *opaque, io_service_t service, uint32_t type, void *argument)
{
    struct watched *watched = opaque;
    AppleDextInstance *instance = watched->instance;

    (void)service;
    (void)argument;
    if (type != kIOMessageServiceIsTerminated || instance == NULL) {
        return;
    }
    watched->instance = NULL;
    IOObjectRelease(watched->interest);
    watched->interest = IO_OBJECT_NULL;
    watch_tell(watched->watch, APPLE_DEXT_DEPARTED, instance);
    free(instance);
}

static bool watch_has_seen(const AppleDextWatch *watch, uint64_t entry_id)
{
    const struct watched *watched = watch->seen;

    while (watched != NULL && watched->entry_id != entry_id) {
        watched = watched->next;
    }
    return watched != NULL;
}

/* One that has gone again, or that there is no memory for, is passed over. */
static void watch_add(AppleDextWatch *watch, const struct client_candidate *candidate)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    AppleDextInstance *instance = malloc(sizeof(*instance));
    kern_return_t status = kIOReturnNoMemory;

    if (watched != NULL && instance != NULL) {
        *instance = candidate->instance;
        *watched = (struct watched){.next = watch->seen,
                                    .watch = watch,
                                    .entry_id = instance->entry_id,
                                    .instance = instance};
        status = IOServiceAddInterestNotification(watch->port, candidate->service, general_interest,
                                                  watch_interest, watched, &watched->interest);
    }
    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_WARNING, "watch: %s is passed over: 0x%08x, %s",
                   candidate->instance.name, (unsigned)status, apple_dext_status_text(status));
        free(instance);
        free(watched);
        return;
    }
    watch->seen = watched;
    watch_tell(watch, APPLE_DEXT_ARRIVED, instance);
}

/* On the queue, each time something has matched. Draining arms the notification again. */
static void watch_arrived(void *opaque, io_iterator_t arrivals)
{
    AppleDextWatch *watch = opaque;
    struct client_candidate *candidates = NULL;
    size_t count = 0;

    if (client_registry_drain(arrivals, NULL, &candidates, &count) != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_ERROR, "watch: no memory for what arrived");
        return;
    }
    for (size_t i = 0; i < count && !watch_is_ending(watch); i++) {
        if (!watch_has_seen(watch, candidates[i].instance.entry_id)) {
            watch_add(watch, &candidates[i]);
        }
    }
    client_registry_free(candidates, count);
}

static void watch_first(void *opaque)
{
    AppleDextWatch *watch = opaque;

    if (!watch_is_ending(watch)) {
        watch_arrived(watch, watch->arrivals);
    }
}

/* Takes a half-built one. */
static void watch_free(void *opaque)
{
    AppleDextWatch *watch = opaque;

    while (watch->seen != NULL) {
        struct watched *next = watch->seen->next;
        if (watch->seen->interest != IO_OBJECT_NULL) {
            IOObjectRelease(watch->seen->interest);
        }
        free(watch->seen->instance);
        free(watch->seen);
        watch->seen = next;
    }
    if (watch->arrivals != IO_OBJECT_NULL) {
        IOObjectRelease(watch->arrivals);
    }
    if (watch->queue != NULL) {
        dispatch_release(watch->queue);
    }
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

static AppleDextWatch *watch_new(void)
{
    AppleDextWatch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL) {
        return NULL;
    }
    pthread_mutex_init(&watch->lock, NULL);
    watch->queue = dispatch_queue_create("apple-dext-client.watch", DISPATCH_QUEUE_SERIAL);
    if (watch->queue != NULL) {
        dispatch_queue_set_specific(watch->queue, &watch_queue_key, watch, NULL);
        watch->port = IONotificationPortCreate(MACH_PORT_NULL);
    }
    if (watch->port == NULL) {
        watch_free(watch);
        return NULL;
    }
    IONotificationPortSetDispatchQueue(watch->port, watch->queue);
    return watch;
}

static kern_return_t watch_start(AppleDextWatch *watch)
{
    CFMutableDictionaryRef matching = IOServiceMatching(DEXT_SERVICE_CLASS);

    if (matching == NULL) {
        return kIOReturnNoMemory;
    }
    /* The dictionary is the call's. Nothing is delivered before the first draining. */
    return IOServiceAddMatchingNotification(watch->port, first_match, matching, watch_arrived,
                                            watch, &watch->arrivals);
}

AppleDextWatch *apple_dext_watch_create(void (*handler_fn)(void *opaque, AppleDextEvent event,
                                                           const AppleDextInstance *instance),
                                        void *opaque)
{
    kern_return_t status = kIOReturnNoMemory;
    AppleDextWatch *watch = handler_fn == NULL ? NULL : watch_new();

    if (handler_fn == NULL) {
        return NULL;
    }
    if (watch != NULL) {
        watch->handler_fn = handler_fn;
        watch->opaque = opaque;
        status = watch_start(watch);
    }
    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_ERROR, "no watch: 0x%08x, %s", (unsigned)status,
                   apple_dext_status_text(status));
        if (watch != NULL) {
            IONotificationPortDestroy(watch->port);
            watch_free(watch);
        }
        return NULL;
    }
    /* Those there are come like all others, on the queue. */
    dispatch_async_f(watch->queue, watch, watch_first);
    return watch;
}

static void watch_drained(void *opaque)
{
    (void)opaque;
}

void apple_dext_watch_destroy(AppleDextWatch *watch)
{
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->is_ending = true;
    pthread_mutex_unlock(&watch->lock);

    IONotificationPortDestroy(watch->port); /* waits for nothing, but starts no new callback */
    if (dispatch_get_specific(&watch_queue_key) == watch) {
        /* Called from the handler: free behind it. */
        dispatch_async_f(watch->queue, watch, watch_free);
    } else {
        dispatch_sync_f(watch->queue, NULL, watch_drained);
        watch_free(watch);
    }
}
