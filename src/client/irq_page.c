/*
 * The IRQ state page of one connection: pending vectors and the mask without a call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/irq_page.h"

#include <mach/mach.h>

#include "client/clock.h"
#include "client/connection.h"
#include "client/log.h"

/* Whoever looks into an empty page all the time asks the driver this often whether it lives. */
enum { ASK_EVERY_MS = 100 };

void client_irq_page_init(struct client_irq_page *page)
{
    atomic_init(&page->state, NULL);
    atomic_init(&page->was_mapped, false);
    atomic_init(&page->asked_ms, 0);
    pthread_mutex_init(&page->mask_lock, NULL);
}

void client_irq_page_deinit(struct client_irq_page *page)
{
    pthread_mutex_destroy(&page->mask_lock);
}

/* The page is little-endian whatever this machine is. */
static uint64_t swapped(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

void client_irq_page_map(struct client_connection *connection)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t bytes = 0;
    struct client_irq_page *page = &connection->irq_page;

    /* A handle that was opened elsewhere may be closed elsewhere, and its memory goes with it. */
    if (!connection->is_opened_here) {
        return;
    }
    kern_return_t status = IOConnectMapMemory64(connection->port, DEXT_MEMORY_IRQ_STATE,
                                                mach_task_self(), &address, &bytes, kIOMapAnywhere);
    if (status != kIOReturnSuccess) {
        client_log(APPLE_DEXT_LOG_INFO, "no IRQ state page, by calls then: 0x%08x",
                   (unsigned)status);
        return;
    }
    atomic_store(&page->was_mapped, true);
    if (bytes < sizeof(struct dext_irq_state) || address % sizeof(uint64_t) != 0) {
        client_log(APPLE_DEXT_LOG_WARNING, "the IRQ state page has %u bytes: by calls then",
                   (unsigned)bytes);
        return;
    }
    atomic_store(&page->state, (struct dext_irq_state *)(uintptr_t)address);
}

void client_irq_page_forget(struct client_irq_page *page)
{
    atomic_store(&page->state, NULL);
}

void client_irq_page_renew(struct client_connection *connection)
{
    struct client_irq_page *page = &connection->irq_page;

    if (atomic_load(&page->state) != NULL) {
        client_irq_page_forget(page);
        client_irq_page_map(connection);
    }
}

void client_irq_page_asked(struct client_irq_page *page)
{
    if (atomic_load(&page->state) != NULL) {
        atomic_store(&page->asked_ms, client_clock_coarse_ms());
    }
}

static bool has_ended(struct dext_irq_state *state)
{
    return __atomic_load_n(&state->life, __ATOMIC_ACQUIRE) == swapped(DEXT_IRQ_LIFE_ENDED);
}

enum client_irq_look client_irq_page_look(struct client_irq_page *page,
                                          uint64_t pending[DEXT_IRQ_WORDS], uint64_t *asked_ms)
{
    struct dext_irq_state *state = atomic_load_explicit(&page->state, memory_order_acquire);
    uint64_t any = 0;

    if (state == NULL) {
        return CLIENT_IRQ_UNKNOWN;
    }
    for (unsigned i = 0; i < DEXT_IRQ_WORDS; i++) {
        /* Only a word that has bits is written: looks leave its cache line with the driver. */
        uint64_t word = __atomic_load_n(&state->pending[i], __ATOMIC_RELAXED);
        if (word != 0) {
            word = __atomic_exchange_n(&state->pending[i], 0, __ATOMIC_ACQ_REL);
        }
        pending[i] = swapped(word);
        any |= word;
    }
    *asked_ms = atomic_load_explicit(&page->asked_ms, memory_order_relaxed);
    return any != 0 ? CLIENT_IRQ_PENDING : has_ended(state) ? CLIENT_IRQ_UNKNOWN : CLIENT_IRQ_NONE;
}

bool client_irq_page_was_asked(uint64_t asked_ms)
{
    return client_clock_coarse_ms() - asked_ms < ASK_EVERY_MS;
}

bool client_irq_page_set_mask(struct client_irq_page *page, const uint64_t mask[DEXT_IRQ_WORDS])
{
    struct dext_irq_state *state = atomic_load(&page->state);

    if (state == NULL || has_ended(state)) {
        return false;
    }
    pthread_mutex_lock(&page->mask_lock);
    for (unsigned i = 0; i < DEXT_IRQ_WORDS; i++) {
        __atomic_store_n(&state->enabled[i], swapped(mask[i]), __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&page->mask_lock);
    return true;
}
