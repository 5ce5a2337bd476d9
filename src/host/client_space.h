/*
 * The address space of a client: copies to and from it.
 *
 * A client of the host's own user is reached by its number: the kernel looks each time whether that
 * user may, which ends where the process becomes another program with more rights. Root may always.
 * So another user's client is reached by /proc/PID/mem, opened with the rights of that user: it
 * names the address space there was then, and nothing that comes after it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_CLIENT_SPACE_H
#define DEXTLINK_HOST_CLIENT_SPACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/client_mapping.h"
#include "host/client_owner.h"

struct iovec;

struct client_space {
    struct client_owner owner;
    bool is_foreign;
    pthread_mutex_t lock;    /* the two below */
    int memory;              /* -1: not open */
    struct client_maps maps; /* what its pages allow: a write by /proc would not ask */
};

void client_space_init(struct client_space *space, const struct client_owner *owner);
void client_space_close(struct client_space *space);

/** Copy length bytes, not 0, to (is_write) or from address; does not wrap. Any thread. 0; -EFAULT
 * not all of it is there, or allows that; -EPERM the kernel does not let us; -ESRCH it has gone. */
int client_space_copy(struct client_space *space, uint64_t address, void *buffer, size_t length,
                      bool is_write);

#define CLIENT_SPACE_PLACES 512

/** Whether one byte at each of at most CLIENT_SPACE_PLACES places may be read. As above. */
int client_space_touch(struct client_space *space, const struct iovec *places, unsigned count);

#endif
