/*
 * The host inside this process. A file and a library of its own: a program has it once, however
 * many of the installed libraries it loads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/link.h"

#include <errno.h>
#include <pthread.h>

static pthread_mutex_t local_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct wire_local_host *local_host; /* under local_lock */

int wire_local_set(const struct wire_local_host *host)
{
    pthread_mutex_lock(&local_lock);
    int error = host && local_host ? -EBUSY : 0;
    if (!error) {
        local_host = host;
    }
    pthread_mutex_unlock(&local_lock);
    return error;
}

struct wire_link *wire_local_connect(wire_event_fn on_event, wire_gone_fn on_gone, void *context,
                                     uint32_t *page_size)
{
    struct wire_link *link = NULL;
    pthread_mutex_lock(&local_lock);
    if (local_host) {
        link = local_host->connect(local_host->host, on_event, on_gone, context, page_size);
    }
    pthread_mutex_unlock(&local_lock);
    return link;
}
