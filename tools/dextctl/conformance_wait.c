/*
 * Waiting for an interrupt by the driver's own asynchronous call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dispatch/dispatch.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "conformance.h"

struct conformance_wait {
    IONotificationPortRef port;
    dispatch_queue_t queue;
    _Atomic unsigned int completions;
};

/* IOAsyncCallback0, on the queue. */
static void completed(void *opaque, IOReturn result)
{
    struct conformance_wait *wait = opaque;
    (void)result;
    atomic_fetch_add(&wait->completions, 1);
}

struct conformance_wait *conformance_wait_create(void)
{
    struct conformance_wait *wait = calloc(1, sizeof(*wait));

    if (!wait) {
        return NULL;
    }
    atomic_init(&wait->completions, 0);
    wait->queue = dispatch_queue_create("dextctl.conformance", DISPATCH_QUEUE_SERIAL);
    wait->port = wait->queue ? IONotificationPortCreate(MACH_PORT_NULL) : NULL;
    if (!wait->port) {
        conformance_wait_destroy(wait);
        return NULL;
    }
    IONotificationPortSetDispatchQueue(wait->port, wait->queue);
    return wait;
}

kern_return_t conformance_wait_arm(struct conformance_wait *wait, io_connect_t connection)
{
    uint64_t reference[kIOAsyncCalloutCount] = {0};

    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)completed;
    reference[kIOAsyncCalloutRefconIndex] = (uint64_t)(uintptr_t)wait;
    return IOConnectCallAsyncScalarMethod(connection, SEL_WAIT_INTERRUPT,
                                          IONotificationPortGetMachPort(wait->port), reference,
                                          kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
}

struct goal {
    struct conformance_wait *wait;
    unsigned int wanted;
};

static bool has_completed(void *opaque)
{
    const struct goal *goal = opaque;
    return atomic_load(&goal->wait->completions) >= goal->wanted;
}

unsigned int conformance_wait_count(struct conformance_wait *wait, unsigned int wanted)
{
    struct goal goal = {.wait = wait, .wanted = wanted};

    conformance_eventually(has_completed, &goal);
    return atomic_load(&wait->completions);
}

static void do_nothing(void *opaque)
{
    (void)opaque;
}

void conformance_wait_destroy(struct conformance_wait *wait)
{
    if (!wait) {
        return;
    }
    if (wait->port) {
        IONotificationPortDestroy(wait->port); /* no new completion begins; one may be running */
        dispatch_sync_f(wait->queue, NULL, do_nothing);
    }
    if (wait->queue) {
        dispatch_release(wait->queue);
    }
    free(wait);
}
