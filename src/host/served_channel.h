/*
 * A memory socket to a client: one request at a time, each with a deadline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SERVED_CHANNEL_H
#define DEXTLINK_HOST_SERVED_CHANNEL_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/message.h"

/* Counted: ranges, and through them the memories of registered regions, outlive its closing. */
struct served_channel {
    TAILQ_ENTRY(served_channel) link; /* its owner's */
    uint64_t id;                      /* its owner's */
    _Atomic unsigned references;
    pid_t pid;
    uint64_t patience_ns;
    int fd;               /* non-blocking; open until the last reference goes */
    pthread_mutex_t lock; /* leaf; the two below */
    bool is_busy;         /* an access has its turn: what follows is its thread's */
    bool is_dead;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    uint64_t sequence;
    struct wire_message request, reply;
};

/** A channel with one reference, and the client's end. 0, -ENOMEM, -errno of socketpair. */
int served_channel_create(pid_t pid, uint64_t patience_ns, struct served_channel **out,
                          int *client_fd);
struct served_channel *served_channel_get(struct served_channel *channel);
void served_channel_put(struct served_channel *channel);

bool served_channel_is_dead(struct served_channel *channel);

/** No access goes through any more; one that waits ends at once. why: for the log, NULL: expected.
 * Idempotent. */
void served_channel_kill(struct served_channel *channel, const char *why);

/** Copy length bytes at the client's address to buffer, or from it. 0, -EFAULT; see
 * served_memory_create. */
int served_channel_access(struct served_channel *channel, uint64_t address, void *buffer,
                          size_t length, bool is_write);

#endif
