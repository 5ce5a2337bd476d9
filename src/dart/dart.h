/*
 * Apple's IOMMU for PCI devices (DART) as a model: it chooses bus addresses, enforces aperture,
 * slots and granule, and checks every access of a device. One DART a PCI function.
 *
 * Threads: any. Accesses of devices run side by side; map and unmap exclude them, so after
 * dart_unmap returns no access to that memory runs or will run. Lock order: the DART's lock is a
 * leaf but for dma_memory ops, which are called under it (shared).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DART_DART_H
#define DEXTLINK_DART_DART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dart/dma_memory.h"

typedef uint64_t iova_t; /* a bus address, or what a client asked to have as one */

enum dart_direction {
    DART_DEVICE_READS = 1,  /* the device may read the memory */
    DART_DEVICE_WRITES = 2, /* the device may write it */
    DART_BOTH = 3,
};

struct dart_options {
    bool identity;           /* bus address = the IOVA asked for, byte-exact, no granule */
    uint64_t aperture_bytes; /* 0 = 1.5 GiB; budget of mapped bytes (granules count whole) */
    uint32_t slots;          /* 0 = 65,536 mappings */
    uint64_t segment_bytes;  /* longest mapping in whole granules, 0 = no such limit: memory that
                              * does  not become one bus segment (field note D9). Mappings then leave
                              * gaps  between them. Unused with identity */
    uint64_t base;           /* first bus address, 0 = 0x80000000 (field note D21); granule-aligned.
                              * Unused with identity */
};

#define DART_GRANULE_BYTES 16384

struct dart;

/* A live mapping; owned by the DART, valid until dart_unmap. */
struct dart_mapping {
    iova_t bus_address;
    uint64_t bytes;
    iova_t wanted;             /* as given to dart_map, with the two below */
    struct dma_memory *memory; /* borrowed */
    uint64_t offset;           /* of its first byte in the memory */
};

enum dart_fault_kind {
    DART_FAULT_UNMAPPED,  /* no live mapping there */
    DART_FAULT_DIRECTION, /* mapped, but not for that direction */
    DART_FAULT_GONE,      /* mapped, but the owner's pages are not there any more */
};

/* What is known of a refused access; borrowed for the call of the fault handler. */
struct dart_fault {
    enum dart_fault_kind kind;
    iova_t bus_address; /* first refused byte of the access */
    uint64_t bytes;     /* refused from there on, up to the next mapping or the end */
    bool is_write;
    bool has_nearest; /* nearest live mapping: around, below or above bus_address */
    iova_t nearest_address;
    uint64_t nearest_bytes;
    bool was_freed;    /* unmapped now, but among the last 4,096 mappings that ended */
    uint64_t freed_by; /* owner tag given to dart_map */
    uint64_t freed_ago_ns;
};

/* Called on the accessing thread with the DART's lock held (shared): must not call the DART. */
typedef void (*dart_fault_fn)(void *context, const struct dart_fault *fault);

struct dart_statistics {
    uint64_t live_mappings, peak_mappings;
    uint64_t live_bytes, peak_bytes; /* as counted against the aperture */
    uint64_t faults;
    iova_t last_fault; /* first refused byte of the latest fault; 0 while faults is 0 */
};

/** Make one. options may be NULL (all defaults). on_fault may be NULL.
 * 0; -ENOMEM; -EINVAL aperture below one granule or above 16 TiB, base not granule-aligned, base +
 * aperture past 2^64. */
int dart_create(const struct dart_options *options, dart_fault_fn on_fault, void *context,
                struct dart **out);

/** NULL is fine. Forgets what is still mapped (the memories stay their owners'). No access may run.
 */
void dart_destroy(struct dart *dart);

/**
 * Make [offset, offset + bytes) of memory reachable for the device.
 *
 * wanted: the IOVA the client asked for: used as is with identity, else an address the DART does
 * not choose while it has another. owner: a tag for fault reports, chosen by the caller. memory:
 * borrowed; must live until dart_unmap returns. One memory may be mapped several times. 0 and *out
 * (borrowed, valid until dart_unmap); -EINVAL range empty or outside memory, no direction, or
 * wanted + bytes wraps with identity; -ENOSPC slots or aperture used up, or too fragmented for one
 * run of granules; -EADDRNOTAVAIL longer than segment_bytes; -EEXIST (identity) overlaps a live
 * mapping; -ENOMEM.
 */
int dart_map(struct dart *dart, struct dma_memory *memory, uint64_t offset, uint64_t bytes,
             iova_t wanted, enum dart_direction direction, uint64_t owner,
             struct dart_mapping **out);

/** End a mapping; blocks until accesses under way are over and it is pinned no more: to the end of
 * an operation of a disk, where that works on it. NULL is fine. */
void dart_unmap(struct dart *dart, struct dart_mapping *mapping);

/**
 * An access of the device. length any; may cross adjacent mappings.
 * 0 (always for length 0), or -EFAULT after reporting one fault for the whole access: bytes of a
 * read that could not be had are ones, bytes of a write that could not land are dropped; the parts
 * before and after are carried out.
 */
int dart_device_read(struct dart *dart, iova_t bus_address, void *buffer, size_t length);
int dart_device_write(struct dart *dart, iova_t bus_address, const void *buffer, size_t length);

/**
 * For accesses without a copy: plain memory at bus_address for *bytes (> 0, at most length) of the
 * length (> 0) asked for. It may be used until dart_unpin(*pinned), which any thread may call once:
 * dart_unmap of that mapping waits for it, and nothing else does. NULL when there is no mapping,
 * not for that direction, or no plain memory; that is no fault, the plain calls above report it.
 */
void *dart_pin(struct dart *dart, iova_t bus_address, size_t length, bool is_write, size_t *bytes,
               struct dart_mapping **pinned);
void dart_unpin(struct dart *dart, struct dart_mapping *pinned);

/** Say a fault in one line of text, cut at size (> 0) like snprintf; 256 bytes hold every report.
 * Pure, any thread, also inside the fault handler. */
void dart_fault_format(const struct dart_fault *fault, char *text, size_t size);

/* What dart_each tells of a live mapping; memory is borrowed for the call. */
struct dart_mapping_info {
    iova_t bus_address;
    uint64_t bytes;
    iova_t wanted; /* as given to dart_map, with owner and memory */
    uint64_t owner;
    const struct dma_memory *memory;
};

/**
 * Call fn for each live mapping that ends at or above from, lowest bus address first, until it
 * answers false. Nothing is mapped or unmapped meanwhile: fn must not call the DART.
 */
void dart_each(struct dart *dart, iova_t from,
               bool (*fn)(void *context, const struct dart_mapping_info *mapping), void *context);

void dart_get_statistics(struct dart *dart, struct dart_statistics *out);
/** Limits in force after defaults. */
void dart_get_limits(struct dart *dart, struct dart_options *out);

#endif
