/*
 * The public interface of the host: composition and its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "host/host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "host/device_spec.h"
#include "host/local.h"
#include "host/replay_spec.h"
#include "host/server.h"
#include "host/session.h"
#include "host/slot_poller.h"
#include "model/replay.h"

/* Channels of one client: a control channel and 1,023 user clients, and more where that is wanted.
 */
#define HOST_PER_CLIENT      1024u
#define HOST_PER_CLIENT_MOST 65536u

int host_fail(char **errp, int code, const char *format, ...)
{
    if (errp) {
        va_list arguments;
        va_start(arguments, format);
        if (vasprintf(errp, format, arguments) < 0) {
            *errp = NULL;
        }
        va_end(arguments);
    }
    return -code;
}

uint64_t host_new_connection_id(struct DextHost *host)
{
    pthread_mutex_lock(&host->lock);
    uint64_t id = ++host->next_connection_id;
    pthread_mutex_unlock(&host->lock);
    return id;
}

struct service *host_find_service(struct DextHost *host, uint64_t entry_id)
{
    struct service *found = NULL;
    struct service *service;
    pthread_mutex_lock(&host->lock);
    TAILQ_FOREACH (service, &host->services, link) {
        if (service->entry_id == entry_id) {
            found = service_get(service);
            break;
        }
    }
    pthread_mutex_unlock(&host->lock);
    return found;
}

/* Tell every client; sessions are held, not the lock: they take locks of their own. */
static void host_service_terminated(void *context, uint64_t entry_id)
{
    struct DextHost *host = context;
    struct session *session;
    size_t count = 0;
    size_t room = 0;
    pthread_mutex_lock(&host->lock);
    TAILQ_FOREACH (session, &host->sessions, link) {
        room++;
    }
    struct session **sessions = room ? calloc(room, sizeof(struct session *)) : NULL;
    TAILQ_FOREACH (session, &host->sessions, link) {
        if (sessions) {
            sessions[count++] = session_get(session);
        }
    }
    pthread_mutex_unlock(&host->lock);
    for (size_t i = 0; i < count; i++) {
        session_service_terminated(sessions[i], entry_id);
        session_put(sessions[i]);
    }
    if (room && !sessions) {
        log_error("host", "out of memory: clients are not told of a termination");
    }
    free(sessions);
}

static void host_run_termination(void *argument)
{
    service_terminate(argument, false);
    service_put(argument);
}

static void host_wants_termination(void *context, struct service *service)
{
    struct DextHost *host = context;
    if (worker_queue(host->worker, host_run_termination, service)) {
        log_error("host", "out of memory: a service stays although its end was asked for");
        service_put(service);
    }
}

static int host_set_options(DextHost *host, const DextHostOptions *options, char **errp)
{
    uint32_t page_size = options ? options->page_size : 0;
    if (page_size == 0) {
        page_size = (uint32_t)sysconf(_SC_PAGESIZE);
    }
    if (page_size != 4096 && page_size != 16384) {
        return host_fail(errp, EINVAL, "page size %u: takes 4096 or 16384", page_size);
    }
    if (page_size % (uint32_t)sysconf(_SC_PAGESIZE)) {
        return host_fail(errp, EINVAL, "page size %u: this machine's pages are larger", page_size);
    }
    host->page_size = page_size;
    uint32_t most = options ? options->per_client : 0;
    if (most == 1 || most > HOST_PER_CLIENT_MOST) {
        return host_fail(errp, EINVAL, "%u channels for a client: takes 2 to %u", most,
                         HOST_PER_CLIENT_MOST);
    }
    host->quota.most = most ? most : HOST_PER_CLIENT;
    host->access_open = options && options->access_open;
    if (options && options->group && !(host->group = strdup(options->group))) {
        return host_fail(errp, ENOMEM, "out of memory");
    }
    return 0;
}

DextHost *dext_host_create(const DextHostOptions *options, char **errp)
{
    DextHost *host = calloc(1, sizeof(*host));
    if (!host) {
        host_fail(errp, ENOMEM, "out of memory");
        return NULL;
    }
    TAILQ_INIT(&host->services);
    TAILQ_INIT(&host->sessions);
    pthread_mutex_init(&host->lock, NULL);
    thread_group_init(&host->threads);
    quota_init(&host->quota, HOST_PER_CLIENT);
    if (host_set_options(host, options, errp)) {
        goto fail;
    }
    host->registry = registry_create();
    host->worker = worker_create();
    host->pollers = slot_pollers_create(&host->threads);
    if (!host->registry || !host->worker || !host->pollers) {
        host_fail(errp, ENOMEM, "out of memory, or no thread to be had");
        goto fail;
    }
    host->owner = (struct service_owner){.registry = host->registry,
                                         .terminated = host_service_terminated,
                                         .wants_termination = host_wants_termination,
                                         .context = host};
    return host;

fail:
    dext_host_destroy(host);
    return NULL;
}

/* The service at an address, under host->lock. root "" means any; *is_ambiguous when several. */
static struct service *host_at_address(DextHost *host, const struct pci_address *address,
                                       const char *root, bool *is_ambiguous)
{
    struct service *found = NULL;
    struct service *service;
    *is_ambiguous = false;
    TAILQ_FOREACH (service, &host->services, link) {
        if (service->address.bus == address->bus && service->address.device == address->device &&
            service->address.function == address->function &&
            (root[0] == '\0' || strcmp(root, service->root) == 0)) {
            *is_ambiguous = found != NULL;
            found = service;
        }
    }
    return found;
}

/* Published and listed under one lock: whoever is told of a service can open it. */
static int host_insert(DextHost *host, struct service *service, char **errp)
{
    bool is_ambiguous;
    char name[SERVICE_NAME_MAX];
    service_format_name(service, name);
    pthread_mutex_lock(&host->lock);
    bool is_taken = host_at_address(host, &service->address, service->root, &is_ambiguous) != NULL;
    int error = is_taken ? -EEXIST : service_publish(service);
    if (!error) {
        TAILQ_INSERT_TAIL(&host->services, service, link);
    }
    pthread_mutex_unlock(&host->lock);
    if (error) {
        host_fail(errp, 0, "%s: %s", name,
                  is_taken ? "there is a device at this address already" : strerror(-error));
    }
    return error;
}

/* Undo host_insert, unless somebody took the device away meanwhile. */
static void host_withdraw(DextHost *host, struct service *service)
{
    struct service *listed;
    pthread_mutex_lock(&host->lock);
    TAILQ_FOREACH (listed, &host->services, link) {
        if (listed == service) {
            TAILQ_REMOVE(&host->services, service, link);
            break;
        }
    }
    pthread_mutex_unlock(&host->lock);
    if (listed) {
        service_terminate(service, true);
        service_put(service);
    }
}

/* All or none of them. *cause: from a model, malloc'ed. */
static int host_create_services(DextHost *host, const struct device_spec *specs, size_t count,
                                struct service **services, char **cause)
{
    for (size_t i = 0; i < count; i++) {
        int error = service_create(&host->owner, &specs[i], host->access_open, &services[i], cause);
        if (error) {
            while (i-- > 0) {
                service_put(services[i]);
            }
            return error;
        }
    }
    return 0;
}

static int host_insert_services(DextHost *host, struct service **services, size_t count,
                                char **errp)
{
    for (size_t i = 0; i < count; i++) {
        int error = host_insert(host, services[i], errp);
        if (error) {
            for (size_t j = i; j < count; j++) {
                service_put(services[j]);
            }
            while (i-- > 0) {
                host_withdraw(host, services[i]);
            }
            return error;
        }
    }
    return 0;
}

/* One specification, or those that a replay device stands for. */
static int host_add_spec(DextHost *host, const struct device_spec *spec, char **cause, char **errp)
{
    struct replay_specs expanded = {0};
    const struct device_spec *list = spec;
    size_t count = 1;
    if (spec->model == &replay_model) {
        int failed = replay_spec_expand(spec, &expanded, cause);
        if (failed) {
            return failed;
        }
        list = expanded.list;
        count = expanded.count;
    }
    cleanup_free struct service **services = calloc(count, sizeof(struct service *));
    int error = services ? host_create_services(host, list, count, services, cause) : -ENOMEM;
    replay_specs_clear(&expanded);
    return error ? error : host_insert_services(host, services, count, errp);
}

int dext_host_add_device(DextHost *host, const char *specification, char **errp)
{
    struct device_spec spec;
    char *cause = NULL;
    char *inserting = NULL;
    const char *hint = "";
    if (!host || !specification) {
        return host_fail(errp, EINVAL, "no device specification");
    }
    int error = device_spec_parse(specification, &spec, &cause);
    if (!error) {
        error = host_add_spec(host, &spec, &cause, &inserting);
        hint = error == -EINVAL ? device_spec_hint(&spec) : "";
        device_spec_clear(&spec);
    }
    if (inserting) { /* names the device itself */
        host_fail(errp, 0, "%s", inserting);
    } else if (error) {
        host_fail(errp, 0, "device %s: %s%s", specification, cause ? cause : strerror(-error),
                  hint);
    }
    free(inserting);
    free(cause);
    return error;
}

int dext_host_remove_device(DextHost *host, const char *address_text, char **errp)
{
    struct pci_address address;
    char root[DEVICE_ROOT_MAX];
    bool is_ambiguous;
    if (!host || !address_text || device_address_parse(address_text, &address, root)) {
        return host_fail(errp, EINVAL, "%s: not an address BB:DD.F or ROOT/BB:DD.F",
                         address_text ? address_text : "(null)");
    }
    pthread_mutex_lock(&host->lock);
    struct service *service = host_at_address(host, &address, root, &is_ambiguous);
    if (service && !is_ambiguous) {
        TAILQ_REMOVE(&host->services, service, link);
    }
    pthread_mutex_unlock(&host->lock);
    if (!service) {
        return host_fail(errp, ENOENT, "%s: no device there", address_text);
    }
    if (is_ambiguous) {
        return host_fail(errp, EINVAL, "%s: several roots have this address, name one",
                         address_text);
    }
    service_terminate(service, true);
    service_put(service);
    return 0;
}

int dext_host_embed(DextHost *host, char **errp)
{
    if (!host) {
        return host_fail(errp, EINVAL, "no host to embed");
    }
    if (host->local) {
        return host_fail(errp, EBUSY, "this process has an embedded host already");
    }
    int error = local_host_start(host, &host->local);
    return error == -EBUSY
               ? host_fail(errp, EBUSY, "this process has an embedded host already")
               : (error ? host_fail(errp, -error, "embedding: %s", strerror(-error)) : 0);
}

int dext_host_serve(DextHost *host, const char *path, char **errp)
{
    if (!host) {
        return host_fail(errp, EINVAL, "no host to serve");
    }
    if (host->server) {
        return host_fail(errp, EBUSY, "this host is serving already");
    }
    return server_start(host, path, &host->server, errp);
}

const char *dext_host_socket_path(const DextHost *host)
{
    return host && host->server ? server_path(host->server) : NULL;
}

/* The services there are, counted, and how many sessions; *count of them, malloc'ed. NULL when
 * there are none, or when memory is short. */
static struct service **host_snapshot(DextHost *host, size_t *count, size_t *session_count)
{
    struct session *session;
    struct service *service;
    size_t room = 0;
    *count = 0;
    *session_count = 0;
    pthread_mutex_lock(&host->lock);
    TAILQ_FOREACH (session, &host->sessions, link) {
        (*session_count)++;
    }
    TAILQ_FOREACH (service, &host->services, link) {
        room++;
    }
    struct service **services = room ? calloc(room, sizeof(struct service *)) : NULL;
    TAILQ_FOREACH (service, &host->services, link) {
        if (services) {
            services[(*count)++] = service_get(service);
        }
    }
    pthread_mutex_unlock(&host->lock);
    if (room && !services) {
        log_error("host", "out of memory: services are not counted");
    }
    return services;
}

void dext_host_get_usage(DextHost *host, DextHostUsage *usage)
{
    size_t count;
    size_t session_count;
    *usage = (DextHostUsage){0};
    struct service **services = host_snapshot(host, &count, &session_count);
    usage->sessions = session_count;
    /* Not under the host's lock: a dext in a reset answers when that is over. */
    for (size_t i = 0; i < count; i++) {
        service_add_usage(services[i], usage);
        service_put(services[i]);
    }
    free(services);
}

static struct service *host_take_service(DextHost *host)
{
    pthread_mutex_lock(&host->lock);
    struct service *service = TAILQ_FIRST(&host->services);
    if (service) {
        TAILQ_REMOVE(&host->services, service, link);
    }
    pthread_mutex_unlock(&host->lock);
    return service;
}

static struct session *host_next_undismissed(DextHost *host)
{
    struct session *session;
    pthread_mutex_lock(&host->lock);
    TAILQ_FOREACH (session, &host->sessions, link) {
        if (!session->is_dismissed) {
            session->is_dismissed = true;
            session_get(session);
            break;
        }
    }
    pthread_mutex_unlock(&host->lock);
    return session;
}

static void host_end_sessions(DextHost *host)
{
    struct session *session;
    while ((session = host_next_undismissed(host)) != NULL) {
        session_dismiss(session);
        session_put(session);
    }
}

/* An access that waits for a client's memory holds up the end of its service. */
static void host_cut_clients(DextHost *host)
{
    struct session *session;
    pthread_mutex_lock(&host->lock);
    TAILQ_FOREACH (session, &host->sessions, link) {
        client_process_cut(session->process);
    }
    pthread_mutex_unlock(&host->lock);
}

void dext_host_destroy(DextHost *host)
{
    struct service *service;
    if (!host) {
        return;
    }
    server_stop(host->server);
    host_cut_clients(host);
    while ((service = host_take_service(host)) != NULL) {
        service_terminate(service, true);
        service_put(service);
    }
    local_host_stop(host->local);
    host_end_sessions(host);
    slot_pollers_end(host->pollers);
    thread_group_wait(&host->threads);
    slot_pollers_destroy(host->pollers);
    worker_destroy(host->worker);
    registry_destroy(host->registry);
    thread_group_destroy(&host->threads);
    quota_destroy(&host->quota);
    pthread_mutex_destroy(&host->lock);
    free(host->group);
    free(host);
}

bool dext_host_model_at(size_t index, const char **name, const char **summary, const char **options)
{
    const struct model_ops *model = model_at(index);
    if (!model) {
        return false;
    }
    *name = model->name;
    *summary = model->summary;
    *options = model->options;
    return true;
}
