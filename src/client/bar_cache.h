/*
 * What the driver said of a device's BARs, kept so that MMIO calls can be checked without asking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_CLIENT_BAR_CACHE_H
#define DEXTLINK_CLIENT_BAR_CACHE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/dext_abi.h"

struct client_bar {
    uint8_t memory_index;
    uint8_t type;
    uint64_t bytes; /* 0: there is no such BAR */
};

struct client_bar_cache {
    pthread_mutex_t lock;
    bool is_known[DEXT_BAR_COUNT];
    struct client_bar bars[DEXT_BAR_COUNT];
};

void client_bar_cache_init(struct client_bar_cache *cache);
void client_bar_cache_deinit(struct client_bar_cache *cache);

/** Whether BAR index is known, and what is known. */
bool client_bar_cache_get(struct client_bar_cache *cache, unsigned index, struct client_bar *out);
void client_bar_cache_put(struct client_bar_cache *cache, unsigned index,
                          const struct client_bar *bar);

#endif
