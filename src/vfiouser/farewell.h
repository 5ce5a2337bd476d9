/*
 * Whoever is stuck in a write to a client's descriptors is let go when the client goes, or is to
 * go: a thread watches for that as long as the client is served.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_FAREWELL_H
#define DEXTLINK_VFIOUSER_FAREWELL_H

#include <pthread.h>
#include <stdbool.h>

#include "vfiouser/irq.h"

struct vu_farewell {
    struct vu_irqs *irqs;
    int client, stop;
    pthread_t thread;
    pthread_mutex_t lock; /* is_over */
    pthread_cond_t changed;
    bool is_over;
};

/** irqs, and both descriptors, borrowed until the end: the client's socket, and one that is
 * readable when serving is to stop. 0; -errno of starting a thread. */
int vu_farewell_begin(struct vu_farewell *farewell, struct vu_irqs *irqs, int client, int stop);

/** Everything of the client is released. */
void vu_farewell_end(struct vu_farewell *farewell);

#endif
