/*
 * Memory that a client answers for itself: address ranges whose reads and writes by a device are
 * requests to the client process over a memory socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SERVED_MEMORY_H
#define DEXTLINK_HOST_SERVED_MEMORY_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dart/dma_memory.h"

#define SERVED_PATIENCE_MS  3000  /* for the answer to one request */
#define SERVED_MAX_CHANNELS 16    /* of one client */
#define SERVED_MAX_RANGES   65536 /* of one client: one for each DMA region */

struct served_channel;
struct served_range;

/* What one client process serves. */
struct served_memories {
    pid_t pid;
    uint64_t patience_ns;
    pthread_mutex_t lock; /* the ones below; a channel's lock is taken under it */
    RB_HEAD(served_ranges, served_range) ranges;
    TAILQ_HEAD(, served_channel) channels;
    _Atomic unsigned range_count; /* changes under the lock; 0 is seen without it */
    unsigned channel_count;
    uint64_t next_id;
    bool is_cut;
};

/** patience_ns: how long an access of a device waits for its turn, and for the answer to each
 * request; SERVED_PATIENCE_MS but in tests. */
void served_memories_init(struct served_memories *served, pid_t pid, uint64_t patience_ns);
/** Memories made of it may outlive it. */
void served_memories_destroy(struct served_memories *served);

/**
 * A channel and the client's end of its socket (the caller's to hand over and close).
 * 0; -ENOSPC the client has SERVED_MAX_CHANNELS; -ESRCH it is cut; -ENOMEM; -errno of socketpair.
 */
int served_channel_open(struct served_memories *served, uint64_t *id, int *client_fd);

/** Withdraw the channel's ranges and let go of it. 0, -ENOENT. */
int served_channel_close(struct served_memories *served, uint64_t id);

/**
 * From now on [address, address + bytes) of the client is reached through the channel; regions that
 * exist stay what they are. 0; -EINVAL address 0, no bytes, or past 2^64; -ENOENT no such channel;
 * -EEXIST some of it is served already; -ENOSPC the client has SERVED_MAX_RANGES; -ENOTCONN the
 * channel is dead; -ENOMEM.
 */
int served_range_add(struct served_memories *served, uint64_t id, uint64_t address, uint64_t bytes);

/** Every later access of a device to the range that begins at address fails. Does not wait for one
 * under way. 0, -ENOENT. */
int served_range_withdraw(struct served_memories *served, uint64_t address);

/** The client has gone: accesses that wait end at once, later ones fail, nothing is added. */
void served_memories_cut(struct served_memories *served);

/**
 * Describe [address, address + bytes) when it lies in one served range. Any thread.
 *
 * An access is one request to the client for each 64 KiB, and waits for the answers, patience_ns
 * for each, and as long for its turn on the channel. An answer with a status is -EFAULT and nothing
 * more, as is a turn that does not come. No answer in that time, one of a wrong shape, or a closed
 * socket is -EFAULT too, and the channel is dead from there on with everything it serves: no late
 * answer can be taken for another.
 *
 * 0 and *out (owned by the caller until ops->release); -ENOENT none of it is served; -EFAULT a part
 * of it is, or its channel is dead; -ENOMEM.
 */
int served_memory_create(struct served_memories *served, uint64_t address, uint64_t bytes,
                         struct dma_memory **out);

#endif
