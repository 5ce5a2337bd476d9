/*
 * The composition: what a host is made of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_HOST_H
#define DEXTLINK_HOST_HOST_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dext-host.h"
#include "host/quota.h"
#include "host/registry.h"
#include "host/service.h"
#include "host/worker.h"

struct server;
struct session;
struct slot_pollers;
struct local_host;

/* Lock order: host, service, registry, session (leaf). A connection's and a dext's lock may be held
 * when a session's is taken; none of these is held when a connection's or a dext's is taken. */
struct DextHost {
    struct registry *registry;
    struct service_owner owner;
    struct worker *worker;
    struct thread_group threads;
    struct quota quota; /* of clients in other processes */
    struct slot_pollers *pollers;
    uint32_t page_size;
    bool access_open;
    char *group;
    pthread_mutex_t lock; /* the five below */
    TAILQ_HEAD(, service) services;
    TAILQ_HEAD(, session) sessions;
    uint64_t next_connection_id;
    struct server *server;    /* NULL: serves nobody */
    struct local_host *local; /* NULL: not embedded */
};

/** The service of a registry entry, counted; NULL when there is none (any more). */
struct service *host_find_service(struct DextHost *host, uint64_t entry_id);

uint64_t host_new_connection_id(struct DextHost *host);

/** malloc'ed text into *errp (when errp is given). Returns -code for a return statement. */
int host_fail(char **errp, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
