/*
 * The dext and its user clients: made, stopped, terminated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/ticks.h"

int dext_create(struct pci_provider *provider, const struct dext_host_ops *ops, void *dext_context,
                const struct dext_options *options, struct dext **out)
{
    struct dext *dext = calloc(1, sizeof(*dext));
    if (!dext) {
        return -ENOMEM;
    }
    ticks_prepare();
    dext->provider = provider;
    dext->ops = ops;
    dext->host_context = dext_context;
    if (options) {
        dext->options = *options;
    }
    TAILQ_INIT(&dext->clients);
    TAILQ_INIT(&dext->subscribers);
    int error = pthread_mutex_init(&dext->lock, NULL);
    if (error) {
        goto fail_lock;
    }
    error = pthread_mutex_init(&dext->irq_lock, NULL);
    if (error) {
        goto fail_irq_lock;
    }
    *out = dext;
    return 0;

fail_irq_lock:
    pthread_mutex_destroy(&dext->lock);
fail_lock:
    free(dext);
    return -error;
}

void dext_destroy(struct dext *dext)
{
    if (!dext) {
        return;
    }
    assert(TAILQ_EMPTY(&dext->clients));
    assert(dext->claim_count == 0);
    pthread_mutex_destroy(&dext->irq_lock);
    pthread_mutex_destroy(&dext->lock);
    free(dext);
}

bool dext_is_removed(struct dext *dext)
{
    return dext->is_removed || dext->provider->is_removed;
}

void dext_device_removed(struct dext *dext)
{
    dext->is_removed = true;
    dext_irq_end(dext);
}

IOReturn dext_client_open(struct dext *dext, uint32_t type, void *client_context,
                          struct dext_client **out)
{
    if (type != DEXT_USER_CLIENT_TYPE) {
        return dext_refuse(kIOReturnUnsupported, "open with type %u", type);
    }
    if (dext->options.refuses_clients) {
        return dext_refuse(kIOReturnNotPermitted, "open");
    }
    if (dext_is_removed(dext)) {
        return dext_refuse(kIOReturnNoDevice, "open of a device that is gone");
    }
    struct dext_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return dext_refuse(kIOReturnNoMemory, "open");
    }
    client->dext = dext;
    client->host_context = client_context;
    client->irq.page = SHARED_MEMORY_NONE;
    client->process = dext->ops->client_process ? dext->ops->client_process(client_context) : 0;
    pthread_mutex_lock(&dext->lock);
    client->id = ++dext->last_client_id;
    TAILQ_INSERT_TAIL(&dext->clients, client, link);
    pthread_mutex_unlock(&dext->lock);
    *out = client;
    return kIOReturnSuccess;
}

void dext_client_stop(struct dext_client *client)
{
    if (!client) {
        return;
    }
    struct dext *dext = client->dext;
    pthread_mutex_lock(&dext->lock);
    if (client->is_claimed && dext->claim_count == 1) {
        dext_claim_quiesce(dext);
        dext_irq_release_provider(dext);
    }
    dext_irq_release(client);
    dext_dma_release(client);
    dext_claim_release(client);
    TAILQ_REMOVE(&dext->clients, client, link);
    pthread_mutex_unlock(&dext->lock);
    free(client);
}

IOReturn dext_client_terminate(struct dext_client *client, struct dext_arguments *arguments)
{
    (void)arguments;
    struct dext *dext = client->dext;
    if (!dext->is_terminating) {
        dext->is_terminating = true;
        dext_irq_end(dext);
        dext->ops->terminate(dext->host_context);
    }
    return kIOReturnSuccess;
}
