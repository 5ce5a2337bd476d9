/*
 * The DART: live mappings, bus addresses chosen or taken as asked for, and the check of every
 * access of the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "dart/dart.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/ticks.h"
#include "dart/granules.h"
#include "dart/history.h"
#include "dart/mapping_index.h"

#define DART_DEFAULT_APERTURE (UINT64_C(1536) << 20)
#define DART_DEFAULT_SLOTS    65536
#define DART_DEFAULT_BASE     UINT64_C(0x80000000)
#define DART_MAX_APERTURE     (UINT64_C(1) << 44) /* keeps the bitmap below 128 MiB */

struct dart {
    pthread_rwlock_t lock; /* shared by accesses, exclusive for map and unmap */
    struct dart_options limits;
    dart_fault_fn on_fault;
    void *context;
    struct granules granules; /* unused with identity */
    struct mapping_index mappings;
    struct dart_statistics statistics; /* all but faults and last_fault */
    _Atomic uint64_t faults;
    _Atomic iova_t last_fault;
    struct history freed;
    uint64_t made_ns, made_ticks;
    pthread_mutex_t unpin_lock; /* with unpinned: for who waits for pins to go */
    pthread_cond_t unpinned;
    _Atomic unsigned unpin_waiters;
};

/* How long ago that was. The counter is read with each mapping that ends, so it is the processor's;
 * its rate is what it has been since the DART was made, which takes no time to measure. */
static uint64_t age_ns(const struct dart *dart, uint64_t ticks)
{
    double ns = (double)(ticks_of_clock() - dart->made_ns);
    double passed = (double)(ticks_now() - dart->made_ticks);
    return passed > 0 ? (uint64_t)((double)(ticks_now() - ticks) * (ns / passed)) : 0;
}

/* A device that never stops reading must not keep unmap waiting for ever, which glibc's default
 * (readers first) would do. */
static int lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    int error = pthread_rwlockattr_init(&attributes);
    if (error) {
        return -error;
    }
#ifdef PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    error = pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return -error;
}

static int limits_resolve(const struct dart_options *options, struct dart_options *limits)
{
    *limits = options ? *options : (struct dart_options){0};
    limits->aperture_bytes =
        limits->aperture_bytes ? limits->aperture_bytes : DART_DEFAULT_APERTURE;
    limits->slots = limits->slots ? limits->slots : DART_DEFAULT_SLOTS;
    if (limits->identity) {
        limits->base = 0;
        limits->segment_bytes = 0;
        return 0;
    }
    limits->base = limits->base ? limits->base : DART_DEFAULT_BASE;
    limits->aperture_bytes -= limits->aperture_bytes % DART_GRANULE_BYTES;
    if (limits->aperture_bytes == 0 || limits->aperture_bytes > DART_MAX_APERTURE ||
        !is_aligned(limits->base, DART_GRANULE_BYTES) ||
        range_wraps(limits->base, limits->aperture_bytes)) {
        return -EINVAL;
    }
    return 0;
}

int dart_create(const struct dart_options *options, dart_fault_fn on_fault, void *context,
                struct dart **out)
{
    struct dart_options limits;
    int result = limits_resolve(options, &limits);
    if (result < 0) {
        return result;
    }
    struct dart *dart = calloc(1, sizeof(*dart));
    if (!dart) {
        return -ENOMEM;
    }
    ticks_prepare();
    dart->made_ns = ticks_of_clock();
    dart->made_ticks = ticks_now();
    dart->limits = limits;
    dart->on_fault = on_fault;
    dart->context = context;
    if (!limits.identity) {
        result = granules_create(&dart->granules, limits.aperture_bytes / DART_GRANULE_BYTES);
        if (result < 0) {
            goto free_dart;
        }
    }
    result = mapping_index_create(&dart->mappings, limits.base,
                                  limits.identity ? NULL : &dart->granules);
    if (result < 0) {
        goto free_granules;
    }
    result = lock_init(&dart->lock);
    if (result < 0) {
        goto free_index;
    }
    pthread_mutex_init(&dart->unpin_lock, NULL);
    pthread_cond_init(&dart->unpinned, NULL);
    *out = dart;
    return 0;

free_index:
    mapping_index_destroy(&dart->mappings);
free_granules:
    granules_destroy(&dart->granules);
free_dart:
    free(dart);
    return result;
}

/* Take a mapping out of the index and give its granules back. */
static void drop(struct dart *dart, struct mapping *mapping)
{
    mapping_index_remove(&dart->mappings, mapping);
    if (!dart->limits.identity) {
        granules_give(&dart->granules, mapping_index_first_granule(&dart->mappings, mapping),
                      mapping_index_granule_count(mapping));
    }
}

void dart_destroy(struct dart *dart)
{
    if (!dart) {
        return;
    }
    struct mapping *mapping;
    while ((mapping = mapping_index_at_or_above(&dart->mappings, 0)) != NULL) {
        drop(dart, mapping);
        free(mapping);
    }
    mapping_index_destroy(&dart->mappings);
    pthread_rwlock_destroy(&dart->lock);
    pthread_cond_destroy(&dart->unpinned);
    pthread_mutex_destroy(&dart->unpin_lock);
    granules_destroy(&dart->granules);
    free(dart);
}

/* Choose the bus address and take its granules. Called with the lock held exclusively. */
static int place_by_dart(struct dart *dart, struct mapping *mapping, uint64_t page_offset)
{
    iova_t base = dart->limits.base;
    iova_t wanted = mapping->public.wanted;
    uint64_t avoid = GRANULES_NONE;
    /* An address equal to the IOVA would hide callers that take one for the other. */
    if (wanted >= base && wanted % DART_GRANULE_BYTES == page_offset) {
        avoid = (wanted - base) / DART_GRANULE_BYTES;
    }
    uint64_t count = mapping_granules(page_offset, mapping->public.bytes);
    uint64_t segment = dart->limits.segment_bytes;
    if (segment && count * DART_GRANULE_BYTES > segment) {
        return -EADDRNOTAVAIL;
    }
    uint64_t first = granules_take(&dart->granules, count, avoid);
    if (first == GRANULES_NONE) {
        return -ENOSPC;
    }
    if (segment) {
        granules_pass(&dart->granules);
    }
    mapping->public.bus_address = base + first * DART_GRANULE_BYTES + page_offset;
    mapping_index_insert(&dart->mappings, mapping);
    return 0;
}

static int place_by_identity(struct dart *dart, struct mapping *mapping)
{
    if (mapping->public.bytes > dart->limits.aperture_bytes - dart->statistics.live_bytes) {
        return -ENOSPC;
    }
    mapping->public.bus_address = mapping->public.wanted;
    return mapping_index_insert(&dart->mappings, mapping) ? 0 : -EEXIST;
}

/* What it takes of the aperture. */
static uint64_t charged_bytes(const struct dart *dart, const struct mapping *mapping)
{
    return dart->limits.identity ? mapping->public.bytes
                                 : mapping_index_granule_count(mapping) * DART_GRANULE_BYTES;
}

static void account_mapped(struct dart_statistics *statistics, uint64_t charged)
{
    statistics->live_mappings++;
    statistics->live_bytes += charged;
    if (statistics->live_mappings > statistics->peak_mappings) {
        statistics->peak_mappings = statistics->live_mappings;
    }
    if (statistics->live_bytes > statistics->peak_bytes) {
        statistics->peak_bytes = statistics->live_bytes;
    }
}

int dart_map(struct dart *dart, struct dma_memory *memory, uint64_t offset, uint64_t bytes,
             iova_t wanted, enum dart_direction direction, uint64_t owner,
             struct dart_mapping **out)
{
    bool identity = dart->limits.identity;
    if (bytes == 0 || !range_is_within(offset, bytes, memory->bytes) ||
        (direction & ~DART_BOTH) != 0 || direction == 0 ||
        (identity && range_wraps(wanted, bytes))) {
        return -EINVAL;
    }
    uint64_t page_offset = (memory->page_offset + offset) % DART_GRANULE_BYTES;
    /* Also keeps the rounding below from overflowing. */
    if (bytes > dart->limits.aperture_bytes) {
        return -ENOSPC;
    }
    struct mapping *mapping = mapping_index_allocate(&dart->mappings);
    if (!mapping) {
        return -ENOMEM;
    }
    mapping->public =
        (struct dart_mapping){.bytes = bytes, .wanted = wanted, .memory = memory, .offset = offset};
    mapping->direction = (uint8_t)direction;
    mapping->owner = owner;
    atomic_init(&mapping->pins, 0);

    pthread_rwlock_wrlock(&dart->lock);
    int result = -ENOSPC;
    if (dart->statistics.live_mappings < dart->limits.slots) {
        result =
            identity ? place_by_identity(dart, mapping) : place_by_dart(dart, mapping, page_offset);
    }
    if (result == 0) {
        account_mapped(&dart->statistics, charged_bytes(dart, mapping));
    }
    pthread_rwlock_unlock(&dart->lock);
    if (result < 0) {
        free(mapping);
        return result;
    }
    *out = &mapping->public;
    return 0;
}

static void fault_add_nearest(struct dart *dart, struct dart_fault *fault)
{
    iova_t address = fault->bus_address;
    struct mapping *above = mapping_index_at_or_above(&dart->mappings, address);
    struct mapping *below = mapping_index_below(&dart->mappings, address);
    struct mapping *nearest = above ? above : below;
    if (above && below && above->public.bus_address > address &&
        address - mapping_last(below) < above->public.bus_address - address) {
        nearest = below;
    }
    if (nearest) {
        fault->has_nearest = true;
        fault->nearest_address = nearest->public.bus_address;
        fault->nearest_bytes = nearest->public.bytes;
    }
}

static void report_fault(struct dart *dart, struct dart_fault *fault)
{
    fault_add_nearest(dart, fault);
    const struct history_entry *freed =
        fault->kind == DART_FAULT_UNMAPPED ? history_find(&dart->freed, fault->bus_address) : NULL;
    if (freed) {
        fault->was_freed = true;
        fault->freed_by = freed->owner;
        fault->freed_ago_ns = age_ns(dart, freed->freed);
    }
    atomic_fetch_add_explicit(&dart->faults, 1, memory_order_relaxed);
    atomic_store_explicit(&dart->last_fault, fault->bus_address, memory_order_relaxed);
    if (dart->on_fault) {
        dart->on_fault(dart->context, fault);
    }
}

/* One access under way. */
struct access {
    iova_t address;
    size_t length;
    unsigned char *read_into;        /* NULL for a write */
    const unsigned char *write_from; /* NULL for a read */
    bool has_fault;
    struct dart_fault fault; /* the first */
};

static void refuse(struct access *access, size_t done, size_t bytes, enum dart_fault_kind kind)
{
    if (access->read_into) {
        memset(access->read_into + done, 0xff, bytes);
    }
    if (!access->has_fault) {
        access->has_fault = true;
        access->fault = (struct dart_fault){.kind = kind,
                                            .bus_address = access->address + done,
                                            .bytes = bytes,
                                            .is_write = access->write_from != NULL};
    }
}

static void access_mapping(struct access *access, size_t done, size_t bytes,
                           const struct mapping *mapping)
{
    enum dart_direction wanted = access->write_from ? DART_DEVICE_WRITES : DART_DEVICE_READS;
    if (!(mapping->direction & wanted)) {
        refuse(access, done, bytes, DART_FAULT_DIRECTION);
        return;
    }
    struct dma_memory *memory = mapping->public.memory;
    uint64_t offset =
        mapping->public.offset + (access->address + done - mapping->public.bus_address);
    int result = access->write_from
                     ? memory->ops->write(memory, offset, access->write_from + done, bytes)
                     : memory->ops->read(memory, offset, access->read_into + done, bytes);
    if (result < 0) {
        refuse(access, done, bytes, DART_FAULT_GONE);
    }
}

/* Carry an access out piece by piece: a piece is what one mapping holds, or the gap up to the next.
 */
static int access_run(struct dart *dart, struct access *access)
{
    /* What lies past 2^64 is not mapped; it does not wrap to address 0. */
    uint64_t top = UINT64_MAX - access->address;
    size_t reachable =
        access->length == 0 || access->length - 1 <= top ? access->length : (size_t)top + 1;
    size_t done = 0;
    pthread_rwlock_rdlock(&dart->lock);
    while (done < reachable) {
        iova_t at = access->address + done;
        const struct mapping *mapping = mapping_index_at_or_above(&dart->mappings, at);
        uint64_t bytes = reachable - done;
        if (!mapping || mapping->public.bus_address > at) {
            uint64_t gap = mapping ? mapping->public.bus_address - at : bytes;
            bytes = bytes < gap ? bytes : gap;
            refuse(access, done, bytes, DART_FAULT_UNMAPPED);
        } else {
            uint64_t here = mapping_last(mapping) - at;
            bytes = bytes - 1 <= here ? bytes : here + 1;
            access_mapping(access, done, bytes, mapping);
        }
        done += bytes;
    }
    if (done < access->length) {
        refuse(access, done, access->length - done, DART_FAULT_UNMAPPED);
    }
    if (access->has_fault) {
        report_fault(dart, &access->fault);
    }
    pthread_rwlock_unlock(&dart->lock);
    return access->has_fault ? -EFAULT : 0;
}

int dart_device_read(struct dart *dart, iova_t bus_address, void *buffer, size_t length)
{
    struct access access = {.address = bus_address, .length = length, .read_into = buffer};
    return access_run(dart, &access);
}

int dart_device_write(struct dart *dart, iova_t bus_address, const void *buffer, size_t length)
{
    struct access access = {.address = bus_address, .length = length, .write_from = buffer};
    return access_run(dart, &access);
}

void *dart_pin(struct dart *dart, iova_t bus_address, size_t length, bool is_write, size_t *bytes,
               struct dart_mapping **pinned)
{
    enum dart_direction wanted = is_write ? DART_DEVICE_WRITES : DART_DEVICE_READS;
    void *where = NULL;
    pthread_rwlock_rdlock(&dart->lock);
    struct mapping *mapping = mapping_index_at_or_above(&dart->mappings, bus_address);
    if (mapping && mapping->public.bus_address <= bus_address && (mapping->direction & wanted) &&
        mapping->public.memory->ops->point) {
        uint64_t here = mapping_last(mapping) - bus_address;
        *bytes = length - 1 <= here ? length : (size_t)here + 1;
        struct dma_memory *memory = mapping->public.memory;
        uint64_t offset = mapping->public.offset + (bus_address - mapping->public.bus_address);
        where = memory->ops->point(memory, offset, *bytes, is_write);
    }
    if (where) {
        atomic_fetch_add(&mapping->pins, 1);
        *pinned = &mapping->public;
    }
    pthread_rwlock_unlock(&dart->lock);
    return where;
}

void dart_unpin(struct dart *dart, struct dart_mapping *pinned)
{
    struct mapping *mapping = (struct mapping *)pinned;
    /* The mapping may be freed as soon as it has no pin. Who waits says so before it looks. */
    if (atomic_fetch_sub(&mapping->pins, 1) == 1 && atomic_load(&dart->unpin_waiters) > 0) {
        pthread_mutex_lock(&dart->unpin_lock);
        pthread_cond_broadcast(&dart->unpinned);
        pthread_mutex_unlock(&dart->unpin_lock);
    }
}

/* Of a mapping that cannot be found any more. */
static void wait_until_unpinned(struct dart *dart, struct mapping *mapping)
{
    if (atomic_load(&mapping->pins) == 0) {
        return;
    }
    atomic_fetch_add(&dart->unpin_waiters, 1);
    pthread_mutex_lock(&dart->unpin_lock);
    while (atomic_load(&mapping->pins) > 0) {
        pthread_cond_wait(&dart->unpinned, &dart->unpin_lock);
    }
    pthread_mutex_unlock(&dart->unpin_lock);
    atomic_fetch_sub(&dart->unpin_waiters, 1);
}

void dart_unmap(struct dart *dart, struct dart_mapping *public)
{
    if (!public) {
        return;
    }
    struct mapping *mapping = (struct mapping *)public;
    pthread_rwlock_wrlock(&dart->lock);
    drop(dart, mapping);
    dart->statistics.live_mappings--;
    dart->statistics.live_bytes -= charged_bytes(dart, mapping);
    history_add(&dart->freed, public->bus_address, mapping_last(mapping), mapping->owner,
                ticks_now());
    pthread_rwlock_unlock(&dart->lock);
    wait_until_unpinned(dart, mapping);
    free(mapping);
}

void dart_each(struct dart *dart, iova_t from,
               bool (*fn)(void *context, const struct dart_mapping_info *mapping), void *context)
{
    bool goes_on = true;
    pthread_rwlock_rdlock(&dart->lock);
    const struct mapping *mapping = mapping_index_at_or_above(&dart->mappings, from);
    while (mapping && goes_on) {
        const struct dart_mapping_info info = {.bus_address = mapping->public.bus_address,
                                               .bytes = mapping->public.bytes,
                                               .wanted = mapping->public.wanted,
                                               .owner = mapping->owner,
                                               .memory = mapping->public.memory};
        goes_on = fn(context, &info) && mapping_last(mapping) < UINT64_MAX;
        mapping =
            goes_on ? mapping_index_at_or_above(&dart->mappings, mapping_last(mapping) + 1) : NULL;
    }
    pthread_rwlock_unlock(&dart->lock);
}

void dart_get_statistics(struct dart *dart, struct dart_statistics *out)
{
    pthread_rwlock_rdlock(&dart->lock);
    *out = dart->statistics;
    pthread_rwlock_unlock(&dart->lock);
    out->faults = atomic_load_explicit(&dart->faults, memory_order_relaxed);
    out->last_fault = atomic_load_explicit(&dart->last_fault, memory_order_relaxed);
}

void dart_get_limits(struct dart *dart, struct dart_options *out)
{
    *out = dart->limits;
}
