/*
 * The IRQ state page of one connection: pending vectors and the mask without a call.
 *
 * Mapped once interrupts are set up, and never unmapped before the connection is closed: whoever
 * looks into it needs no lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_IRQ_PAGE_H
#define DEXTLINK_CLIENT_IRQ_PAGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "apple-dext-client.h"
#include "abi/dext_abi.h"

struct client_connection;

struct client_irq_page {
    _Atomic(struct dext_irq_state *) state; /* NULL: by calls */
    atomic_bool was_mapped;                 /* a dead connection answers differently then */
    atomic_uint_fast64_t asked_ms;          /* when the driver last answered a look by call */
    pthread_mutex_t mask_lock;              /* words of two masks do not mix */
};

void client_irq_page_init(struct client_irq_page *page);
void client_irq_page_deinit(struct client_irq_page *page);

/** Map it, now that interrupts are set up. Where that fails calls serve. */
void client_irq_page_map(struct client_connection *connection);

/** After a reset: the driver may have another page by now, or none. */
void client_irq_page_renew(struct client_connection *connection);

/** The driver is not known to be there any more: go by calls from here on. */
void client_irq_page_forget(struct client_irq_page *page);

/** The driver has answered a look by call. */
void client_irq_page_asked(struct client_irq_page *page);

enum client_irq_look {
    CLIENT_IRQ_UNKNOWN, /* ask the driver: there is no page, or it says that the driver has ended */
    CLIENT_IRQ_PENDING,
    CLIENT_IRQ_NONE, /* so it would be, too, if the driver had gone without a word */
};

/**
 * Read and clear the pending words. asked_ms: for client_irq_page_was_asked, which tells whether
 * CLIENT_IRQ_NONE can be believed. Any thread, never blocks.
 */
enum client_irq_look client_irq_page_look(struct client_irq_page *page,
                                          uint64_t pending[DEXT_IRQ_WORDS], uint64_t *asked_ms);

/** Whether the driver has answered not long ago. */
bool client_irq_page_was_asked(uint64_t asked_ms);

/** Write the mask. false: ask the driver. */
bool client_irq_page_set_mask(struct client_irq_page *page, const uint64_t mask[DEXT_IRQ_WORDS]);

#endif
