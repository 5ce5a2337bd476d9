/*
 * A stand-in for a VMM's back end: one device behind the dext, assigned to a guest, as QEMU's Apple
 * VFIO back end does it. Built with QEMU's compiler options; the tests play the guest.
 *
 * Not for several threads: QEMU calls such code from its main loop. Functions return 0 or -errno.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_ASSIGNED_H
#define DEXTLINK_TESTS_ASSIGNED_H

#include <stdbool.h>
#include <stdint.h>

#include "apple-dext-client.h"

enum { ASSIGNED_BARS = 6, ASSIGNED_VECTORS = 256, ASSIGNED_RANGES = 2 };

struct assigned_address {
    uint8_t bus, device, function;
};

/* Part of a mapped BAR that a guest would reach without the VMM. */
struct assigned_range {
    uint64_t offset;
    uint64_t bytes;
    char *memory;
};

struct assigned_bar {
    char *memory; /* NULL: not mapped */
    uint64_t bytes;
    unsigned range_count;
    struct assigned_range ranges[ASSIGNED_RANGES];
};

struct assigned_device {
    struct assigned_address address;
    io_connect_t connection; /* owned by the table of shared connections */
    struct assigned_bar bars[ASSIGNED_BARS];
    uint32_t vectors;                 /* what the host granted */
    int vector_fds[ASSIGNED_VECTORS]; /* a guest's eventfds; -1 where a vector is not in use */
    int wake_fd;                      /* written by the notice, read by the main loop */
    AppleDextInterruptNotify *notify;
};

/* Maps a guest's memory for the device; beside a device, or alone. */
struct assigned_dma {
    struct assigned_address address;
    io_connect_t connection;
    bool is_shared; /* the connection is the device's */
};

/* ---- One connection for all who serve one device ---- */

/** Offer a connection, with one user; false when the address has one already. */
bool assigned_table_publish(struct assigned_address address, io_connect_t connection);
/** Become one more user of it; IO_OBJECT_NULL when there is none. */
io_connect_t assigned_table_get(struct assigned_address address);
/** One user less; the last one disconnects. */
void assigned_table_put(struct assigned_address address, io_connect_t connection);

/* ---- The device ---- */

/** Connect, claim, publish, set up interrupts. -ENODEV, -EACCES, -EBUSY, -EIO: whose step failed.
 */
int assigned_attach(struct assigned_device *device, struct assigned_address address);
/** Undo everything; takes a device that did not attach. */
void assigned_detach(struct assigned_device *device);
int assigned_reset(struct assigned_device *device);

/* ---- Config space: filtered, so that the guest cannot move what the host owns ---- */

int assigned_config_read(struct assigned_device *device, uint32_t offset, uint32_t bytes,
                         void *data);
/** Status and BARs are left alone, the command register is written byte by byte. */
int assigned_config_write(struct assigned_device *device, uint32_t offset, uint32_t bytes,
                          const void *data);

/* ---- BARs ---- */

/** Bytes of a BAR, 0 for one that is not there. */
uint64_t assigned_bar_bytes(struct assigned_device *device, uint8_t bar);
/** Map it whole; ranges are what lies on either side of a hole (hole_bytes may be 0). */
int assigned_bar_map(struct assigned_device *device, uint8_t bar, uint64_t hole_offset,
                     uint64_t hole_bytes);
int assigned_bar_unmap(struct assigned_device *device, uint8_t bar);
/** Through the mapping; width 1, 2, 4 or 8. */
int assigned_bar_read(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width,
                      uint64_t *value);
int assigned_bar_write(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width,
                       uint64_t value);
/** The same by calls to the driver, for a BAR that could not be mapped. */
int assigned_bar_call(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width,
                      bool is_write, uint64_t *value);

/* ---- Interrupts ---- */

int assigned_irq_start(struct assigned_device *device);
void assigned_irq_stop(struct assigned_device *device);
/** The guest uses a vector with this eventfd, or (fd -1) no longer; the host's mask follows. */
int assigned_irq_use(struct assigned_device *device, uint32_t vector, int fd);
/** One turn of the main loop: wait for wake_fd, hand on what is pending, arm again. */
int assigned_irq_turn(struct assigned_device *device, int timeout_ms);

/* ---- DMA ---- */

/** Share the connection of the device, or, when it is not attached, make one. */
int assigned_dma_open(struct assigned_dma *dma, struct assigned_address address);
void assigned_dma_close(struct assigned_dma *dma);
/** Register memory under its guest address; *bus is what the guest's driver must program. */
int assigned_dma_map(struct assigned_dma *dma, uint64_t guest, void *memory, uint64_t bytes,
                     uint64_t *bus);
int assigned_dma_unmap(struct assigned_dma *dma, uint64_t guest);
/** Whether the driver sees in the region what this process sees in memory, at its last word. */
int assigned_dma_check(struct assigned_dma *dma, uint64_t guest, const void *memory,
                       uint64_t bytes);

#endif
