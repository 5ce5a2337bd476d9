/*
 * Watching for the end of a client.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/farewell.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#define AGAIN_NS 10000000 /* a client that stays may fill again what was emptied */

static void wait_for_leave(const struct vu_farewell *farewell)
{
    /* Of the client only that it hung up. */
    struct pollfd fds[2] = {{.fd = farewell->client}, {.fd = farewell->stop, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
}

static void *farewell_main(void *opaque)
{
    struct vu_farewell *farewell = opaque;
    wait_for_leave(farewell);
    pthread_mutex_lock(&farewell->lock);
    while (!farewell->is_over) {
        struct timespec again;
        vu_irqs_let_go(farewell->irqs);
        clock_gettime(CLOCK_REALTIME, &again);
        again.tv_nsec += AGAIN_NS;
        again.tv_sec += again.tv_nsec / 1000000000;
        again.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&farewell->changed, &farewell->lock, &again);
    }
    pthread_mutex_unlock(&farewell->lock);
    return NULL;
}

int vu_farewell_begin(struct vu_farewell *farewell, struct vu_irqs *irqs, int client, int stop)
{
    *farewell = (struct vu_farewell){.irqs = irqs, .client = client, .stop = stop};
    pthread_mutex_init(&farewell->lock, NULL);
    pthread_cond_init(&farewell->changed, NULL);
    int error = pthread_create(&farewell->thread, NULL, farewell_main, farewell);
    if (error != 0) {
        pthread_cond_destroy(&farewell->changed);
        pthread_mutex_destroy(&farewell->lock);
    }
    return -error;
}

void vu_farewell_end(struct vu_farewell *farewell)
{
    pthread_mutex_lock(&farewell->lock);
    farewell->is_over = true;
    pthread_cond_signal(&farewell->changed);
    pthread_mutex_unlock(&farewell->lock);
    pthread_join(farewell->thread, NULL);
    pthread_cond_destroy(&farewell->changed);
    pthread_mutex_destroy(&farewell->lock);
}
