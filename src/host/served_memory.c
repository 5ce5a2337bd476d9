/*
 * The ranges a client serves, and regions in them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host/served_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "dart/dart.h"
#include "host/served_channel.h"

struct served_range {
    RB_ENTRY(served_range) link;
    uint64_t address, bytes;
    struct served_channel *channel; /* counted */
    _Atomic unsigned references;    /* the tree's and one a memory */
    _Atomic bool is_withdrawn;
};

struct served_memory {
    struct dma_memory memory;
    struct served_range *range; /* counted */
    uint64_t address;
};

static int range_compare(const struct served_range *a, const struct served_range *b)
{
    return a->address < b->address ? -1 : a->address > b->address;
}

/* RB_GENERATE_STATIC, whose spelling of "may be unused" glibc does not have. */
RB_GENERATE_INTERNAL(served_ranges, served_range, link, range_compare,
                     __attribute__((unused)) static)

static void served_range_put(struct served_range *range)
{
    if (--range->references == 0) {
        served_channel_put(range->channel);
        free(range);
    }
}

void served_memories_init(struct served_memories *served, pid_t pid, uint64_t patience_ns)
{
    *served = (struct served_memories){.pid = pid, .patience_ns = patience_ns};
    pthread_mutex_init(&served->lock, NULL);
    RB_INIT(&served->ranges);
    TAILQ_INIT(&served->channels);
}

static void range_remove_locked(struct served_memories *served, struct served_range *range)
{
    RB_REMOVE(served_ranges, &served->ranges, range);
    served->range_count--;
    atomic_store(&range->is_withdrawn, true);
    served_range_put(range);
}

static void channel_remove_locked(struct served_memories *served, struct served_channel *channel)
{
    struct served_range *range;
    struct served_range *next;
    RB_FOREACH_SAFE (range, served_ranges, &served->ranges, next) {
        if (range->channel == channel) {
            range_remove_locked(served, range);
        }
    }
    TAILQ_REMOVE(&served->channels, channel, link);
    served->channel_count--;
    served_channel_kill(channel, NULL);
    served_channel_put(channel);
}

void served_memories_destroy(struct served_memories *served)
{
    struct served_channel *channel;
    pthread_mutex_lock(&served->lock);
    while ((channel = TAILQ_FIRST(&served->channels)) != NULL) {
        channel_remove_locked(served, channel);
    }
    pthread_mutex_unlock(&served->lock);
    pthread_mutex_destroy(&served->lock);
}

static struct served_channel *channel_find_locked(struct served_memories *served, uint64_t id)
{
    struct served_channel *channel;
    TAILQ_FOREACH (channel, &served->channels, link) {
        if (channel->id == id) {
            break;
        }
    }
    return channel;
}

int served_channel_open(struct served_memories *served, uint64_t *id, int *client_fd)
{
    struct served_channel *channel = NULL;
    pthread_mutex_lock(&served->lock);
    int error = served->is_cut                                 ? -ESRCH
                : served->channel_count == SERVED_MAX_CHANNELS ? -ENOSPC
                                                               : 0;
    if (!error) {
        error = served_channel_create(served->pid, served->patience_ns, &channel, client_fd);
    }
    if (!error) {
        channel->id = *id = ++served->next_id;
        TAILQ_INSERT_TAIL(&served->channels, channel, link);
        served->channel_count++;
    }
    pthread_mutex_unlock(&served->lock);
    return error;
}

int served_channel_close(struct served_memories *served, uint64_t id)
{
    pthread_mutex_lock(&served->lock);
    struct served_channel *channel = channel_find_locked(served, id);
    if (channel) {
        channel_remove_locked(served, channel);
    }
    pthread_mutex_unlock(&served->lock);
    return channel ? 0 : -ENOENT;
}

/* The lowest range that ends behind address; NULL when there is none. */
static struct served_range *range_from_locked(struct served_memories *served, uint64_t address)
{
    struct served_range key = {.address = address};
    struct served_range *above = RB_NFIND(served_ranges, &served->ranges, &key);
    struct served_range *below = above ? RB_PREV(served_ranges, &served->ranges, above)
                                       : RB_MAX(served_ranges, &served->ranges);
    return below && address - below->address < below->bytes ? below : above;
}

static bool range_touches(const struct served_range *range, uint64_t address, uint64_t bytes)
{
    return range && range->address <= address + (bytes - 1) &&
           address <= range->address + (range->bytes - 1);
}

static int range_add_locked(struct served_memories *served, uint64_t id, uint64_t address,
                            uint64_t bytes)
{
    struct served_channel *channel = channel_find_locked(served, id);
    if (!channel) {
        return -ENOENT;
    }
    if (served_channel_is_dead(channel)) {
        return -ENOTCONN;
    }
    if (range_touches(range_from_locked(served, address), address, bytes)) {
        return -EEXIST;
    }
    if (served->range_count == SERVED_MAX_RANGES) {
        return -ENOSPC;
    }
    struct served_range *range = calloc(1, sizeof(*range));
    if (!range) {
        return -ENOMEM;
    }
    range->address = address;
    range->bytes = bytes;
    range->channel = served_channel_get(channel);
    range->references = 1;
    RB_INSERT(served_ranges, &served->ranges, range);
    served->range_count++;
    return 0;
}

int served_range_add(struct served_memories *served, uint64_t id, uint64_t address, uint64_t bytes)
{
    if (address == 0 || bytes == 0 || range_wraps(address, bytes)) {
        return -EINVAL;
    }
    pthread_mutex_lock(&served->lock);
    int error = range_add_locked(served, id, address, bytes);
    pthread_mutex_unlock(&served->lock);
    return error;
}

int served_range_withdraw(struct served_memories *served, uint64_t address)
{
    struct served_range key = {.address = address};
    pthread_mutex_lock(&served->lock);
    struct served_range *range = RB_FIND(served_ranges, &served->ranges, &key);
    if (range) {
        range_remove_locked(served, range);
    }
    pthread_mutex_unlock(&served->lock);
    return range ? 0 : -ENOENT;
}

void served_memories_cut(struct served_memories *served)
{
    struct served_channel *channel;
    pthread_mutex_lock(&served->lock);
    served->is_cut = true;
    TAILQ_FOREACH (channel, &served->channels, link) {
        served_channel_kill(channel, NULL);
    }
    pthread_mutex_unlock(&served->lock);
}

/* Memories. */

static int served_memory_copy(struct served_memory *self, uint64_t offset, void *buffer,
                              size_t length, bool is_write)
{
    if (atomic_load(&self->range->is_withdrawn)) {
        return -EFAULT;
    }
    return served_channel_access(self->range->channel, self->address + offset, buffer, length,
                                 is_write);
}

static int served_memory_read(struct dma_memory *memory, uint64_t offset, void *buffer,
                              size_t length)
{
    return served_memory_copy((struct served_memory *)memory, offset, buffer, length, false);
}

static int served_memory_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                               size_t length)
{
    /* A write only reads its buffer. */
    return served_memory_copy((struct served_memory *)memory, offset, (void *)(uintptr_t)buffer,
                              length, true);
}

static void served_memory_release(struct dma_memory *memory)
{
    struct served_memory *self = (struct served_memory *)memory;
    served_range_put(self->range);
    free(self);
}

static const struct dma_memory_ops served_memory_ops = {
    .read = served_memory_read,
    .write = served_memory_write,
    .release = served_memory_release,
};

/* 0 and a counted range around it. */
static int range_find(struct served_memories *served, uint64_t address, uint64_t bytes,
                      struct served_range **out)
{
    int error = 0;
    pthread_mutex_lock(&served->lock);
    struct served_range *range = range_from_locked(served, address);
    if (!range_touches(range, address, bytes)) {
        error = -ENOENT;
    } else if (address < range->address ||
               !range_is_within(address - range->address, bytes, range->bytes) ||
               served_channel_is_dead(range->channel)) {
        error = -EFAULT;
    } else {
        range->references++;
        *out = range;
    }
    pthread_mutex_unlock(&served->lock);
    return error;
}

int served_memory_create(struct served_memories *served, uint64_t address, uint64_t bytes,
                         struct dma_memory **out)
{
    struct served_range *range = NULL;
    /* Most clients serve nothing; who adds a range meanwhile cannot say which came first. */
    int error = served->range_count == 0 ? -ENOENT : range_find(served, address, bytes, &range);
    if (error) {
        return error;
    }
    struct served_memory *self = calloc(1, sizeof(*self));
    if (!self) {
        served_range_put(range);
        return -ENOMEM;
    }
    self->memory = (struct dma_memory){.ops = &served_memory_ops,
                                       .bytes = bytes,
                                       .page_offset = address & (DART_GRANULE_BYTES - 1)};
    self->range = range;
    self->address = address;
    *out = &self->memory;
    return 0;
}
