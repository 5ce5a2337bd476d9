/*
 * A client's memory as something a device may reach.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CLIENT_MEMORY_H
#define DEXTLINK_HOST_CLIENT_MEMORY_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dart/dma_memory.h"
#include "host/client_mapping.h"
#include "host/client_owner.h"
#include "host/client_space.h"
#include "host/served_memory.h"
#include "host/shared_file.h"

struct client_view;

/* A client process as an owner of memory. Counted: memory objects outlive its session. */
struct client_process {
    _Atomic unsigned references;
    pid_t pid;
    _Atomic bool is_gone; /* its memory must not be looked for any more: the pid may be reused */
    pthread_mutex_t lock; /* the three below; nothing else is taken under it */
    struct client_maps maps;
    struct shared_files files;      /* each counted by the regions in it */
    LIST_HEAD(, client_view) views; /* the most recently used first */
    struct client_space space;      /* has a lock of its own, as has the next */
    struct served_memories served;
};

/** One reference, NULL when out of memory. */
struct client_process *client_process_create(const struct client_owner *owner);
struct client_process *client_process_get(struct client_process *process);
void client_process_put(struct client_process *process);

/** The process has gone or is sent away: devices that wait for memory it serves wait no longer. */
void client_process_cut(struct client_process *process);

/** Copy length bytes, not 0, from (is_write: to) address in the client. Any thread. 0, or as
 * client_space_copy. */
int client_process_copy(struct client_process *process, uint64_t address, void *buffer,
                        size_t length, bool is_write);

/* What need not be asked twice while a batch of regions is described. Zeroed: no batch. The owner
 * serialises. */
struct client_hold {
    const void *requests; /* struct dext_dma_request, count of them, not aligned; borrowed */
    size_t count;
    uint64_t address;              /* what mapping was found for; mapping.map_end 0: nothing yet */
    struct client_mapping mapping; /* inode 0: no file to share */
    bool is_touched;               /* every page of every entry is there */
    bool is_untouchable;           /* that was tried: they must be looked at one by one */
};

/**
 * Describe [address, address + bytes) of a client: it begins *offset bytes into *out, which may
 * serve many regions. Any thread.
 *
 * A range that the client serves is asked for, access by access (host/served_memory.h). A stretch
 * of one file mapped shared, guest RAM as a rule, is shared with the host by descriptor: the device
 * reaches the file's pages, whatever becomes of the client's mapping or of the client. Anything
 * else is copied through the kernel (host/client_space.h), and every page of it is touched here, so
 * that holes show now and not when the device comes by. Either way the device sees the client's
 * later stores and the client the device's; writes to memory the client itself may only read are
 * -EFAULT.
 *
 * The kernel is asked each time what lies at the address, by one call on a descriptor that is open:
 * only it knows whether the client has mapped something else since. hold (NULL: none) is for
 * regions that are described together: then once for each mapping.
 *
 * 0 and *out (one ops->release for each call); -EFAULT a page is not there, or served memory only
 * in part; -ESRCH the process has gone; -EPERM the kernel does not let us (ptrace policy); -ENOMEM.
 */
int client_memory_create(struct client_process *process, struct client_hold *hold, uint64_t address,
                         uint64_t bytes, struct dma_memory **out, uint64_t *offset);

#endif
