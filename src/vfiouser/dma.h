/*
 * A peer's memory for the device: DMA regions by address, the files behind them mapped once each,
 * and registered with the driver.
 *
 * Regions lie in a balanced tree whose order calls overlapping ranges equal, so that one search
 * finds what is in the way. One thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_DMA_H
#define DEXTLINK_VFIOUSER_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "vfiouser/protocol.h"
#include "vfiouser/report.h"

struct vu_dma_region;

/* Who makes memory reachable for the device: the client library; a fake in tests. */
struct vu_dma_ops {
    /* Register bytes of this process at address for the device under iova; *bus is where the device
     * finds them. 0 or -errno. */
    int (*map)(void *opaque, uint64_t iova, void *address, uint64_t bytes, uint64_t *bus);
    /* End what starts at iova; when it returns the device no longer reaches it. */
    void (*unmap)(void *opaque, uint64_t iova);
    /* Memory that only the peer reaches: set region->served and region->server so that the device's
     * accesses to [served, served + bytes) are asked of the peer. region stays where it is until
     * unserve. -ENOTSUP: this host cannot; -errno. NULL, as the other: it cannot. */
    int (*serve)(void *opaque, struct vu_dma_region *region);
    void (*unserve)(void *opaque, struct vu_dma_region *region);
};

struct vu_dma {
    const struct vu_dma_ops *ops;
    void *opaque;
    const struct vu_report *report;
    void *regions;                    /* tree of struct vu_dma_region */
    void *files;                      /* tree of struct vu_dma_file */
    TAILQ_HEAD(, vu_dma_region) list; /* the regions again */
    size_t count;
    uint64_t bytes;           /* of all regions */
    uint64_t reachable_bytes; /* of those in files that the device reaches */
};

/* A file of the peer, mapped whole. */
struct vu_dma_file {
    dev_t device;
    ino_t inode;
    bool is_writable; /* one mapping each way */
    bool is_listed;   /* in the tree: found by the next region */
    unsigned references;
    uint64_t start; /* of the mapping in the file */
    uint64_t bytes; /* mapped */
    uint8_t *address;
};

/* The driver takes no more in one registration. */
#define VU_DMA_PIECE_BYTES (UINT64_C(1) << 30)

struct vu_dma_region {
    TAILQ_ENTRY(vu_dma_region) link;
    uint64_t address, bytes;
    uint64_t offset;          /* in its file */
    uint32_t flags;           /* VU_DMA_READABLE and so on */
    struct vu_dma_file *file; /* NULL: see served */
    uint8_t *served;          /* stands in for a file; NULL too: the device cannot reach it */
    void *server;
    unsigned piece_count;
    uint64_t bus_addresses[]; /* what the host answered for each piece of VU_DMA_PIECE_BYTES */
};

/** All borrowed until vu_dma_clear. */
void vu_dma_init(struct vu_dma *dma, const struct vu_dma_ops *ops, void *opaque,
                 const struct vu_report *report);

/**
 * Add a region.
 *
 * @map: decoded, so its range does not wrap and is not empty
 * @fd: the memory, borrowed; -1: none, then the peer is asked for each access of the device, or the
 *      device cannot reach the region, which is fine
 *
 * A region that is there already, the same in everything, is success.
 * -EINVAL: overlaps another region, or reaches past the end of its file, which cannot be mapped;
 * -ENOSPC: there are VU_MAX_DMA_MAPS; -ENXIO: the device would find it at another address; -ENOMEM;
 * or what ops->map says.
 */
int vu_dma_map(struct vu_dma *dma, const struct vu_dma_map *map, int fd);

/** Remove the region that is exactly this. -ENOENT: there is none. */
int vu_dma_unmap(struct vu_dma *dma, uint64_t address, uint64_t bytes);

/** Remove all. Usable again afterwards. */
void vu_dma_clear(struct vu_dma *dma);

/** The region with this address in it; NULL when there is none. Borrowed till the next change. */
const struct vu_dma_region *vu_dma_find(const struct vu_dma *dma, uint64_t address);

#endif
