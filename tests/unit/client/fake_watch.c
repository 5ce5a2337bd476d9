/*
 * A scripted IOKit: who hears of arrivals and departures. Messages about a departure come several
 * at a time, and those that were sent before their notification was released still arrive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <IOKit/IOMessage.h>
#include <CoreFoundation/CoreFoundation.h>
#include <stdlib.h>
#include <string.h>

#include "fake_iokit.h"

enum { WATCH = 0x60, FIRST_INTEREST = 0x80 };

struct interest {
    IONotificationPortRef port;
    IOServiceInterestCallback callback;
    void *refcon;
};

struct fake_watch {
    IONotificationPortRef port;
    IOServiceMatchingCallback callback;
    void *refcon;
    bool is_armed;
    int pending[FAKE_ENTRIES];
    unsigned count;
};

static struct interest interests[FAKE_ENTRIES]; /* by entry */

static bool is_service(const struct fake_entry *entry)
{
    return strcmp(entry->class_name, DEXT_SERVICE_CLASS) == 0 && !entry->is_gone;
}

kern_return_t IOServiceAddMatchingNotification(IONotificationPortRef notifyPort,
                                               const io_name_t notificationType,
                                               CFDictionaryRef matching,
                                               IOServiceMatchingCallback callback, void *refCon,
                                               io_iterator_t *notification)
{
    CFRelease(matching);
    assert_string_equal(notificationType, kIOFirstMatchNotification);
    if (fake.watch_status != kIOReturnSuccess) {
        return fake.watch_status;
    }
    struct fake_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return kIOReturnNoMemory;
    }
    watch->port = notifyPort;
    watch->callback = callback;
    watch->refcon = refCon;
    pthread_mutex_lock(&fake.lock);
    for (unsigned i = 0; i < fake.entry_count; i++) {
        if (is_service(&fake.entries[i])) {
            watch->pending[watch->count++] = (int)i;
        }
    }
    fake.watch = watch;
    pthread_mutex_unlock(&fake.lock);
    *notification = WATCH;
    return kIOReturnSuccess;
}

io_object_t fake_watch_next(io_iterator_t iterator)
{
    io_object_t object = IO_OBJECT_NULL;

    pthread_mutex_lock(&fake.lock);
    struct fake_watch *watch = iterator == WATCH ? fake.watch : NULL;
    if (watch != NULL && watch->count > 0) {
        int entry = watch->pending[--watch->count];
        fake.entries[entry].references++;
        object = FAKE_FIRST_ENTRY + (io_object_t)entry;
    } else if (watch != NULL) {
        watch->is_armed = true;
    }
    pthread_mutex_unlock(&fake.lock);
    return object;
}

kern_return_t IOServiceAddInterestNotification(IONotificationPortRef notifyPort,
                                               io_service_t service, const io_name_t interestType,
                                               IOServiceInterestCallback callback, void *refCon,
                                               io_object_t *notification)
{
    unsigned entry = service - FAKE_FIRST_ENTRY;

    assert_string_equal(interestType, kIOGeneralInterest);
    if (fake.entries[entry].interest_is_refused) {
        return kIOReturnUnsupported;
    }
    pthread_mutex_lock(&fake.lock);
    interests[entry] =
        (struct interest){.port = notifyPort, .callback = callback, .refcon = refCon};
    fake.interests++;
    pthread_mutex_unlock(&fake.lock);
    *notification = FIRST_INTEREST + entry;
    return kIOReturnSuccess;
}

void fake_watch_released(io_object_t object)
{
    if (object == WATCH) {
        free(fake.watch);
        fake.watch = NULL;
    } else if (object >= FIRST_INTEREST && object < FIRST_INTEREST + FAKE_ENTRIES) {
        interests[object - FIRST_INTEREST].callback = NULL;
        fake.interests--;
    }
}

void fake_watch_port_destroyed(IONotificationPortRef port)
{
    if (fake.watch != NULL && fake.watch->port == port) {
        fake.watch->port = NULL;
    }
    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        if (interests[i].port == port) {
            interests[i].callback = NULL;
        }
    }
}

struct message {
    IOServiceMatchingCallback matched;
    IOServiceInterestCallback interested;
    void *refcon;
    uint32_t type;
};

static void deliver(void *context)
{
    const struct message *message = context;

    if (message->matched != NULL) {
        message->matched(message->refcon, WATCH);
    } else {
        /* The service's handle is not the one that the interest was registered with. */
        message->interested(message->refcon, 0x7777, message->type, NULL);
    }
}

static void post(IONotificationPortRef port, struct message content)
{
    struct message *message = malloc(sizeof(*message));

    if (message != NULL) {
        *message = content;
        fake_port_post(port, deliver, free, message);
    }
}

void fake_arrive(int entry)
{
    pthread_mutex_lock(&fake.lock);
    struct fake_watch *watch = fake.watch;
    if (watch != NULL) {
        watch->pending[watch->count++] = entry;
        if (watch->is_armed && watch->port != NULL) {
            watch->is_armed = false;
            post(watch->port,
                 (struct message){.matched = watch->callback, .refcon = watch->refcon});
        }
    }
    pthread_mutex_unlock(&fake.lock);
}

void fake_depart(int entry)
{
    static const uint32_t types[] = {
        kIOMessageServiceBusyStateChange,
        kIOMessageServiceIsTerminated,
        kIOMessageServiceIsTerminated,
        kIOMessageServiceWasClosed,
    };

    pthread_mutex_lock(&fake.lock);
    struct interest interest = interests[entry];
    fake.entries[entry].is_gone = true;
    for (unsigned i = 0; interest.callback != NULL && i < sizeof(types) / sizeof(*types); i++) {
        post(interest.port, (struct message){.interested = interest.callback,
                                             .refcon = interest.refcon,
                                             .type = types[i]});
    }
    pthread_mutex_unlock(&fake.lock);
}
