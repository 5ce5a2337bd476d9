/*
 * One device of a host: its provider, its dext, its place in the registry, and the life of all
 * three from arrival to termination.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_HOST_SERVICE_H
#define DEXTLINK_HOST_SERVICE_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dext-host.h"
#include "dext/dext.h"
#include "host/device_spec.h"
#include "host/registry.h"

struct connection;
struct service;

/* What a service asks of the host around it. */
struct service_owner {
    struct registry *registry;
    /* The service with this entry id has terminated: tell every client. Any thread. */
    void (*terminated)(void *context, uint64_t entry_id);
    /* The dext asked to be terminated: call service_terminate later, on another thread. The
     * reference that comes with the call belongs to the callee. Must not block. */
    void (*wants_termination)(void *context, struct service *service);
    void *context;
};

struct service {
    TAILQ_ENTRY(service) link; /* the host's list, under the host's lock */
    const struct service_owner *owner;
    char root[DEVICE_ROOT_MAX];
    struct pci_address address;
    uint64_t nub_id;   /* the IOPCIDevice */
    uint64_t entry_id; /* the dext's IOUserService below it */
    struct pci_provider *provider;
    struct dext *dext;
    _Atomic unsigned references;
    pthread_mutex_t lock; /* the two below */
    TAILQ_HEAD(, connection) connections;
    bool is_terminated;
};

/**
 * Build a device from its specification. owner is borrowed and outlives it.
 * 0 and *out with one reference; -EINVAL with *error (malloc'ed) from the model; -ENOMEM; -errno.
 */
int service_create(const struct service_owner *owner, const struct device_spec *spec,
                   bool access_open, struct service **out, char **error);

/** Enter it into the registry, where clients find it. 0, -ENOMEM. */
int service_publish(struct service *service);

/** Add what it holds for clients to *usage. */
void service_add_usage(struct service *service, DextHostUsage *usage);

/** Whether connection, one of its own, holds a claim: the registry says who does. */
void service_set_claimed(struct service *service, struct connection *connection, bool is_claimed);

struct service *service_get(struct service *service);
void service_put(struct service *service);

/**
 * End the dext: clients are told, their connections die and what they held is released. unplugged:
 * the device goes too, before anything else. Blocks until calls under way have returned. Again:
 * only the unplugging is done.
 */
void service_terminate(struct service *service, bool unplugged);

/** The PCI address as people write it, "ROOT/BB:DD.F". */
#define SERVICE_NAME_MAX (DEVICE_ROOT_MAX + 16)
void service_format_name(const struct service *service, char name[SERVICE_NAME_MAX]);

#endif
