/*
 * Services from arrival to termination.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "backend/sim.h"
#include "base/log.h"
#include "host/connection.h"
#include "host/pci_tree.h"
#include "host/session.h"

void service_format_name(const struct service *service, char name[SERVICE_NAME_MAX])
{
    snprintf(name, SERVICE_NAME_MAX, "%s/%02x:%02x.%x", service->root, service->address.bus,
             service->address.device, service->address.function);
}

static void service_free(struct service *service)
{
    dext_destroy(service->dext);
    provider_destroy(service->provider);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

int service_publish(struct service *service)
{
    struct registry *registry = service->owner->registry;
    int error = pci_tree_publish_nub(registry, service->root, &service->provider->identity,
                                     &service->nub_id);
    if (!error) {
        error = pci_tree_publish_dext(registry, service->nub_id, &service->entry_id);
        if (error) {
            registry_retire(registry, service->nub_id);
        }
    }
    return error;
}

/* Asked as a client would ask: the dext's own count is the one that must be right. */
static void service_count_claims(struct service *service, DextHostUsage *usage)
{
    struct dext_client *client;
    uint64_t counts[DEXT_STAT_COUNT] = {0};
    struct dext_arguments arguments = {.scalar_out = counts, .scalar_out_count = DEXT_STAT_COUNT};
    if (dext_client_open(service->dext, DEXT_USER_CLIENT_TYPE, NULL, &client)) {
        return;
    }
    if (dext_client_external_method(client, DEXT_SEL_GET_STATISTICS, &arguments) == 0) {
        usage->claims += counts[DEXT_STAT_CLAIMS];
    }
    dext_client_stop(client);
}

void service_add_usage(struct service *service, DextHostUsage *usage)
{
    struct dart_statistics statistics;
    struct connection *connection;
    dart_get_statistics(service->provider->dart, &statistics);
    usage->regions += statistics.live_mappings;
    usage->bytes += statistics.live_bytes;
    pthread_mutex_lock(&service->lock);
    TAILQ_FOREACH (connection, &service->connections, service_link) {
        usage->connections++;
    }
    pthread_mutex_unlock(&service->lock);
    service_count_claims(service, usage);
}

int service_create(const struct service_owner *owner, const struct device_spec *spec,
                   bool access_open, struct service **out, char **error_text)
{
    struct service *service = calloc(1, sizeof(*service));
    if (!service) {
        return -ENOMEM;
    }
    service->owner = owner;
    service->address = spec->address;
    service->references = 1;
    snprintf(service->root, sizeof(service->root), "%s", spec->root);
    TAILQ_INIT(&service->connections);
    pthread_mutex_init(&service->lock, NULL);

    struct dext_options options = {.access_open = access_open,
                                   .no_extensions = spec->no_extensions,
                                   .refuses_clients =
                                       spec->fault && strcmp(spec->fault, "open") == 0};
    int error = backend_sim_create(spec->model, spec->address, spec->options, spec->option_count,
                                   &spec->dart, &service->provider, error_text);
    if (!error && spec->fault) {
        error = backend_sim_set_fault(service->provider, spec->fault, error_text);
    }
    if (!error) {
        error =
            dext_create(service->provider, &connection_dext_ops, service, &options, &service->dext);
    }
    if (error) {
        service_free(service);
        return error;
    }
    *out = service;
    return 0;
}

/* As the kernel names who made a user client. */
static struct wire_value *service_claimant(const struct connection *connection)
{
    char path[32];
    char name[32] = "";
    char text[64];
    int pid = (int)connection->session->process->pid;
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(name, sizeof(name), file)) {
            name[0] = '\0';
        }
        fclose(file);
    }
    name[strcspn(name, "\n")] = '\0';
    snprintf(text, sizeof(text), "pid %d, %s", pid, name[0] ? name : "?");
    return wire_value_string(text);
}

void service_set_claimed(struct service *service, struct connection *connection, bool is_claimed)
{
    struct connection *one;
    pthread_mutex_lock(&service->lock);
    if (connection->is_claimed != is_claimed) {
        struct wire_value *claimants = wire_value_array();
        int error = 0;
        connection->is_claimed = is_claimed;
        TAILQ_FOREACH (one, &service->connections, service_link) {
            if (one->is_claimed) {
                error |= wire_value_append(claimants, service_claimant(one));
            }
        }
        if (error) {
            wire_value_free(claimants);
            claimants = NULL;
        }
        error = registry_set_property(service->owner->registry, service->entry_id,
                                      DEXT_CLAIMED_BY_KEY, claimants);
        if (error == -ENOMEM) {
            log_error("host", "out of memory: the registry does not say who holds claims");
        }
    }
    pthread_mutex_unlock(&service->lock);
}

struct service *service_get(struct service *service)
{
    service->references++;
    return service;
}

void service_put(struct service *service)
{
    if (service && --service->references == 0) {
        service_free(service);
    }
}

/* Counted connections of the service; *count of them, malloc'ed. NULL when there are none, or when
 * memory is short: then they die with their clients. */
static struct connection **service_snapshot(struct service *service, size_t *count)
{
    struct connection *connection;
    size_t total = 0;
    TAILQ_FOREACH (connection, &service->connections, service_link) {
        total++;
    }
    struct connection **all = total ? calloc(total, sizeof(struct connection *)) : NULL;
    *count = 0;
    TAILQ_FOREACH (connection, &service->connections, service_link) {
        connection->is_dead = true;
        if (all) {
            all[(*count)++] = connection_get(connection);
        }
    }
    return all;
}

static void service_end_dext(struct service *service)
{
    size_t count;
    pthread_mutex_lock(&service->lock);
    struct connection **connections = service_snapshot(service, &count);
    pthread_mutex_unlock(&service->lock);

    registry_retire(service->owner->registry, service->entry_id);
    service->owner->terminated(service->owner->context, service->entry_id);
    for (size_t i = 0; i < count; i++) {
        connection_stop(connections[i]);
        connection_put(connections[i]);
    }
    free(connections);
}

void service_terminate(struct service *service, bool unplugged)
{
    char name[SERVICE_NAME_MAX];
    pthread_mutex_lock(&service->lock);
    bool is_first = !service->is_terminated;
    service->is_terminated = true;
    pthread_mutex_unlock(&service->lock);

    service_format_name(service, name);
    if (unplugged) {
        log_info("host", "%s: unplugged", name);
        provider_remove(service->provider);
        dext_device_removed(service->dext);
    }
    if (is_first) {
        log_info("host", "%s: service terminated", name);
        service_end_dext(service);
    }
    if (unplugged) {
        registry_retire(service->owner->registry, service->nub_id);
    }
}
