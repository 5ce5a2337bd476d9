/*
 * How much of a host one client may take: its control and call channels, each of which costs a
 * thread and descriptors, so that a program that leaks them stops itself and nobody else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_QUOTA_H
#define DEXTLINK_HOST_QUOTA_H

#include <bsd/sys/queue.h>
#include <pthread.h>

#include "host/client_owner.h"

struct quota_share;

/* A process of the host's own user is a client; all those of another user are one. */
struct quota {
    pthread_mutex_t lock; /* leaf; all below */
    LIST_HEAD(, quota_share) shares;
    unsigned most; /* for each client */
};

void quota_init(struct quota *quota, unsigned most);
void quota_destroy(struct quota *quota);

/** Take a place of this client's. 0 and *out, to give back; -EDQUOT it has the most it may have;
 * -ENOMEM. Any thread. */
int quota_take(struct quota *quota, const struct client_owner *owner, struct quota_share **out);

/** Take another place of the same client's, of whom one is taken. As above, never -ENOMEM. */
int quota_take_more(struct quota *quota, struct quota_share *share);

/** Give a place back. NULL is fine. Any thread. */
void quota_give(struct quota *quota, struct quota_share *share);

#endif
