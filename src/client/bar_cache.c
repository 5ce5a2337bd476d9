/*
 * What the driver said of a device's BARs, kept so that MMIO calls can be checked without asking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/bar_cache.h"

void client_bar_cache_init(struct client_bar_cache *cache)
{
    *cache = (struct client_bar_cache){0};
    pthread_mutex_init(&cache->lock, NULL);
}

void client_bar_cache_deinit(struct client_bar_cache *cache)
{
    pthread_mutex_destroy(&cache->lock);
}

bool client_bar_cache_get(struct client_bar_cache *cache, unsigned index, struct client_bar *out)
{
    pthread_mutex_lock(&cache->lock);
    bool is_known = cache->is_known[index];
    *out = cache->bars[index];
    pthread_mutex_unlock(&cache->lock);
    return is_known;
}

void client_bar_cache_put(struct client_bar_cache *cache, unsigned index,
                          const struct client_bar *bar)
{
    pthread_mutex_lock(&cache->lock);
    cache->is_known[index] = true;
    cache->bars[index] = *bar;
    pthread_mutex_unlock(&cache->lock);
}
