/*
 * Interrupts: vectors of the device become bits of each client's IRQ state page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <endian.h>
#include <string.h>

#include "base/log.h"
#include "base/prefetch.h"
#include "base/status.h"

#define CAPABILITY_MSI       0x05
#define CAPABILITY_MSIX      0x11
#define CAPABILITY_CONTROL   2 /* offset of Message Control in either capability */
#define MSIX_TABLE_SIZE      0x7ffu
#define MSI_MULTIPLE_CAPABLE 0x7u /* after the shift */
#define MSI_MULTIPLE_SHIFT   1
#define MSI_MULTIPLE_MOST    5 /* 32 vectors; 6 and 7 are reserved */

static struct dext_irq_state *irq_state(const struct dext_client *client)
{
    return client->irq.page.address;
}

/* The page is the client's to write: whatever it holds, words are only tested and masked. */
static bool irq_is_enabled(struct dext_client *client, unsigned vector)
{
    uint64_t word = __atomic_load_n(&irq_state(client)->enabled[vector / 64], __ATOMIC_ACQUIRE);
    return (le64toh(word) >> (vector % 64)) & 1;
}

static bool irq_is_pending(struct dext_client *client)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < DEXT_IRQ_WORDS; i++) {
        any |= __atomic_load_n(&irq_state(client)->pending[i], __ATOMIC_ACQUIRE);
    }
    return any != 0;
}

/* One-shot: a wait completes once. irq_lock held. */
static void irq_complete_wait(struct dext_client *client)
{
    if (!client->irq.is_waiting) {
        return;
    }
    client->irq.is_waiting = false;
    client->dext->ops->async_complete(client->host_context, client->irq.token, kIOReturnSuccess,
                                      NULL, 0);
}

static void irq_deliver(struct dext_client *client, unsigned vector)
{
    if (!irq_is_enabled(client, vector)) {
        /* The real dext drops it rather than keep it for later (field note E1). */
        client->dext->irqs_dropped++;
        return;
    }
    uint64_t bit = htole64(UINT64_C(1) << (vector % 64));
    __atomic_fetch_or(&irq_state(client)->pending[vector / 64], bit, __ATOMIC_ACQ_REL);
    client->dext->irqs_delivered++;
    irq_complete_wait(client);
}

/* pci_interrupt_fn: runs under the back end's device lock, so dext.lock is out of reach here. The
 * bits come first and are counted after: who looks into the page does not wait for the count, and
 * who asks for the count waits for the lock. Hot, like all that runs from a model's timer to here:
 * linkers put such functions side by side, and code that runs once in a while is in no cache. */
__attribute__((hot)) static void irq_handler(void *context, unsigned vector)
{
    struct dext *dext = context;
    /* A client that polls has the line; by the time the lock is ours, so may be the line. */
    prefetch_to_write(atomic_load_explicit(&dext->irq_newest, memory_order_relaxed));
    pthread_mutex_lock(&dext->irq_lock);
    if (vector >= DEXT_IRQ_MAX_VECTORS || TAILQ_EMPTY(&dext->subscribers)) {
        dext->irqs_dropped++;
    } else {
        struct dext_client *client;
        TAILQ_FOREACH (client, &dext->subscribers, irq.link) {
            irq_deliver(client, vector);
        }
    }
    dext->irqs_raised++;
    pthread_mutex_unlock(&dext->irq_lock);
}

static unsigned irq_msix_vectors(struct dext *dext)
{
    unsigned offset = provider_find_capability(dext->provider, CAPABILITY_MSIX);
    if (!offset) {
        return 0;
    }
    uint32_t control = dext_config_raw(dext, offset + CAPABILITY_CONTROL, 2);
    unsigned vectors = (control & MSIX_TABLE_SIZE) + 1;
    return vectors < DEXT_IRQ_MAX_VECTORS ? vectors : DEXT_IRQ_MAX_VECTORS;
}

static unsigned irq_msi_vectors(struct dext *dext)
{
    unsigned offset = provider_find_capability(dext->provider, CAPABILITY_MSI);
    if (!offset) {
        return 1;
    }
    uint32_t control = dext_config_raw(dext, offset + CAPABILITY_CONTROL, 2);
    unsigned power = (control >> MSI_MULTIPLE_SHIFT) & MSI_MULTIPLE_CAPABLE;
    return 1u << (power < MSI_MULTIPLE_MOST ? power : MSI_MULTIPLE_MOST);
}

static int irq_configure_kind(struct dext *dext, enum pci_interrupt_kind kind, unsigned wanted)
{
    unsigned granted = 0;
    int error =
        provider_configure_interrupts(dext->provider, kind, wanted, irq_handler, dext, &granted);
    if (error < 0) {
        return error;
    }
    dext->irq_is_configured = true;
    dext->irq_vectors = granted;
    return 0;
}

/* MSI-X, else MSI, else one; MSI-X that cannot be had falls to one MSI vector (field note E2). */
static int irq_configure(struct dext *dext)
{
    if (dext->irq_is_configured) {
        return 0;
    }
    unsigned wanted = irq_msix_vectors(dext);
    if (!wanted) {
        return irq_configure_kind(dext, PCI_INTERRUPT_MSI, irq_msi_vectors(dext));
    }
    int error = irq_configure_kind(dext, PCI_INTERRUPT_MSIX, wanted);
    if (error < 0) {
        log_info("dext", "no MSI-X vectors (%s), trying one MSI vector",
                 status_text(status_from_errno(error)));
        error = irq_configure_kind(dext, PCI_INTERRUPT_MSI, 1);
    }
    return error;
}

static void irq_subscribe(struct dext_client *client, const struct shared_memory *page)
{
    struct dext *dext = client->dext;
    struct dext_irq_state *state = page->address;
    memset(state->enabled, 0xff, sizeof(state->enabled));
    state->life = htole64(DEXT_IRQ_LIFE_LIVE);
    pthread_mutex_lock(&dext->irq_lock);
    client->irq.page = *page;
    client->irq.is_set_up = true;
    TAILQ_INSERT_TAIL(&dext->subscribers, client, irq.link);
    atomic_store_explicit(&dext->irq_newest, state, memory_order_relaxed);
    pthread_mutex_unlock(&dext->irq_lock);
}

/* Whoever looks into the page only is told by it. irq_lock held. */
static void irq_tell_end(struct dext_client *client)
{
    __atomic_store_n(&irq_state(client)->life, htole64(DEXT_IRQ_LIFE_ENDED), __ATOMIC_RELEASE);
}

void dext_irq_end(struct dext *dext)
{
    struct dext_client *client;
    pthread_mutex_lock(&dext->irq_lock);
    TAILQ_FOREACH (client, &dext->subscribers, irq.link) {
        irq_tell_end(client);
    }
    pthread_mutex_unlock(&dext->irq_lock);
}

void dext_irq_release(struct dext_client *client)
{
    struct dext *dext = client->dext;
    if (!client->irq.is_set_up) {
        return;
    }
    pthread_mutex_lock(&dext->irq_lock);
    irq_tell_end(client);
    TAILQ_REMOVE(&dext->subscribers, client, irq.link);
    client->irq.is_set_up = false;
    client->irq.is_waiting = false;
    pthread_mutex_unlock(&dext->irq_lock);
    shared_memory_destroy(&client->irq.page);
}

void dext_irq_release_provider(struct dext *dext)
{
    if (dext->irq_is_configured) {
        provider_release_interrupts(dext->provider);
        dext->irq_is_configured = false;
        dext->irq_vectors = 0;
    }
}

IOReturn dext_irq_setup(struct dext_client *client, struct dext_arguments *arguments)
{
    struct dext *dext = client->dext;
    if (client->irq.is_set_up) {
        return dext_refuse(kIOReturnStillOpen, "client %llu has set interrupts up already",
                           (unsigned long long)client->id);
    }
    if (dext_is_removed(dext)) {
        return dext_refuse(kIOReturnNoDevice, "interrupts of a device that is gone");
    }
    struct shared_memory page;
    int error = shared_memory_create("dext-irq-state", DEXT_IRQ_STATE_BYTES, &page);
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "IRQ state page");
    }
    /* Before the provider delivers: a vector that fires at once must find its client. */
    irq_subscribe(client, &page);
    error = irq_configure(dext);
    if (error < 0) {
        dext_irq_release(client);
        return dext_refuse(status_from_errno(error), "no interrupt vectors");
    }
    arguments->scalar_out[0] = dext->irq_vectors;
    return kIOReturnSuccess;
}

static IOReturn irq_check_set_up(struct dext_client *client)
{
    if (!client->irq.is_set_up) {
        return dext_refuse(kIOReturnNotReady, "client %llu has not set interrupts up",
                           (unsigned long long)client->id);
    }
    return kIOReturnSuccess;
}

IOReturn dext_irq_check(struct dext_client *client, struct dext_arguments *arguments)
{
    IOReturn status = irq_check_set_up(client);
    if (status != kIOReturnSuccess) {
        return status;
    }
    for (unsigned i = 0; i < DEXT_IRQ_WORDS; i++) {
        uint64_t word = __atomic_exchange_n(&irq_state(client)->pending[i], 0, __ATOMIC_ACQ_REL);
        arguments->scalar_out[i] = le64toh(word);
    }
    return kIOReturnSuccess;
}

IOReturn dext_irq_wait(struct dext_client *client, struct dext_arguments *arguments)
{
    IOReturn status = irq_check_set_up(client);
    if (status != kIOReturnSuccess) {
        return status;
    }
    /* Under irq_lock, so that no vector slips between the look and the arming. */
    pthread_mutex_lock(&client->dext->irq_lock);
    client->irq.is_waiting = true;
    client->irq.token = arguments->completion_token;
    if (irq_is_pending(client)) {
        irq_complete_wait(client);
    }
    pthread_mutex_unlock(&client->dext->irq_lock);
    return kIOReturnSuccess;
}

IOReturn dext_irq_set_mask(struct dext_client *client, struct dext_arguments *arguments)
{
    IOReturn status = irq_check_set_up(client);
    if (status != kIOReturnSuccess) {
        return status;
    }
    for (unsigned i = 0; i < DEXT_IRQ_WORDS; i++) {
        __atomic_store_n(&irq_state(client)->enabled[i], htole64(arguments->scalar_in[i]),
                         __ATOMIC_RELEASE);
    }
    return kIOReturnSuccess;
}
