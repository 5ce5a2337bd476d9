/*
 * How much of a host one client may take.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/quota.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

/* What one client has; there while it has any. */
struct quota_share {
    LIST_ENTRY(quota_share) link;
    struct client_owner owner; /* the first process's */
    unsigned taken;
};

void quota_init(struct quota *quota, unsigned most)
{
    pthread_mutex_init(&quota->lock, NULL);
    LIST_INIT(&quota->shares);
    quota->most = most;
}

void quota_destroy(struct quota *quota)
{
    pthread_mutex_destroy(&quota->lock);
}

static bool quota_is_same_client(const struct client_owner *one, const struct client_owner *other)
{
    return one->uid == other->uid && (client_owner_is_foreign(one) || one->pid == other->pid);
}

static struct quota_share *quota_find(struct quota *quota, const struct client_owner *owner)
{
    struct quota_share *share;
    LIST_FOREACH (share, &quota->shares, link) {
        if (quota_is_same_client(&share->owner, owner)) {
            return share;
        }
    }
    share = calloc(1, sizeof(*share));
    if (share) {
        share->owner = *owner;
        LIST_INSERT_HEAD(&quota->shares, share, link);
    }
    return share;
}

static int quota_take_locked(const struct quota *quota, struct quota_share *share)
{
    if (share->taken >= quota->most) {
        return -EDQUOT;
    }
    share->taken++;
    return 0;
}

int quota_take(struct quota *quota, const struct client_owner *owner, struct quota_share **out)
{
    pthread_mutex_lock(&quota->lock);
    struct quota_share *share = quota_find(quota, owner);
    int error = share ? quota_take_locked(quota, share) : -ENOMEM;
    pthread_mutex_unlock(&quota->lock);
    if (error == -EDQUOT) {
        log_warning("host", "client %d: refused, it has %u channels already (--per-client)",
                    (int)owner->pid, quota->most);
    }
    *out = error ? NULL : share;
    return error;
}

int quota_take_more(struct quota *quota, struct quota_share *share)
{
    pthread_mutex_lock(&quota->lock);
    int error = quota_take_locked(quota, share);
    pthread_mutex_unlock(&quota->lock);
    if (error) {
        log_warning("host", "client %d: not opened, it has %u channels already (--per-client)",
                    (int)share->owner.pid, quota->most);
    }
    return error;
}

void quota_give(struct quota *quota, struct quota_share *share)
{
    if (!share) {
        return;
    }
    pthread_mutex_lock(&quota->lock);
    if (--share->taken == 0) {
        LIST_REMOVE(share, link);
        free(share);
    }
    pthread_mutex_unlock(&quota->lock);
}
