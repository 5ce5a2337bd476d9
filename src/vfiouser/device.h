/*
 * The device that is served: one claimed connection of the client library, and what a peer sees of
 * it. Everything but the interrupt notice is for the server's thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_DEVICE_H
#define DEXTLINK_VFIOUSER_DEVICE_H

#include <IOKit/IOKitLib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "apple-dext-client.h"
#include "vfiouser/areas.h"
#include "vfiouser/config_view.h"
#include "vfiouser/dma.h"
#include "vfiouser/irq.h"
#include "vfiouser/link.h"
#include "vfiouser/report.h"
#include "vfiouser/served.h"

struct vu_bar {
    uint64_t bytes; /* 0: not shown */
    uint8_t type;
    uint8_t memory_index;
    /* What may be mapped by a peer: of one file, at file_start + offset. */
    size_t area_count;
    struct vu_sparse_area areas[VU_MAX_AREAS];
    uint8_t *addresses[VU_MAX_AREAS]; /* where they are mapped here */
    int fd;                           /* -1 without areas */
    uint64_t file_start;
};

struct vu_device {
    io_connect_t connection; /* borrowed */
    const struct vu_report *report;
    struct vu_bar bars[VU_BAR_COUNT];
    struct vu_config config;
    struct vu_irqs irqs;
    struct vu_dma dma;
    struct vu_link link;      /* to the client of the moment */
    struct vu_served *served; /* for memory that only the client reaches; NULL: there is none */
    size_t served_count;      /* regions of it */
    uint8_t *msix_table;      /* stands in for the device's, which is the host's */
    AppleDextInterruptNotify *_Atomic notify; /* NULL: not made yet, or no interrupts */
    _Atomic bool is_lost;                     /* it, or its driver, has gone */
};

/**
 * Claim and look at a device.
 *
 * @connection: borrowed until vu_device_close; report: likewise
 * @cause: on failure one malloc'ed line, or NULL when there is no memory for it
 *
 * NULL with *cause when the device cannot be claimed or does not answer, or when the addresses its
 * host chooses for DMA differ from those asked for, so that no guest could use it.
 */
struct vu_device *vu_device_open(io_connect_t connection, const struct vu_report *report,
                                 char **cause);

/** NULL is fine. What a peer had must have been released. */
void vu_device_close(struct vu_device *device);

/** A peer has gone: stop the device, give back everything of the peer, reset. */
void vu_device_release(struct vu_device *device);

/** Reset the device, and the guest's view of it. 0; -errno. */
int vu_device_reset(struct vu_device *device);

/** Let the device use the bus, or not, as the guest's view says. */
void vu_device_apply_bus_master(struct vu_device *device);

/** Bytes of a region; 0 = not there. index < VU_REGION_COUNT. */
uint64_t vu_device_region_bytes(const struct vu_device *device, unsigned index);

/**
 * Read or write a region. A device that is gone reads ones.
 * -EINVAL: outside the region. -errno of the client library.
 */
int vu_device_read(struct vu_device *device, const struct vu_access *access, uint8_t *out);
int vu_device_write(struct vu_device *device, const struct vu_access *access, const uint8_t *in);

/** Note that the device does not answer any more; the peer is told once. Any thread. */
void vu_device_lost(struct vu_device *device);

/** 0 or -errno for a code of the client library; numbers that mean the same on every system. */
int vu_errno_of(kern_return_t code);

#endif
