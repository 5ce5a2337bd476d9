/*
 * Served memory: address ranges of this process that hold nothing themselves. A device that reads
 * or writes them has callbacks called instead.
 *
 * Apple's IOKit has no such thing: this is between the installed libraries and the programs that
 * come with them, and there is none on a Mac.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_SERVED_MEMORY_H
#define DEXTLINK_IOKIT_SERVED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Called on the service thread, one at a time, while a device waits inside an access and holds its
 * own lock: calls of the library that touch that device or its DMA regions wait for it in turn.
 * offset + length lies in the range, length is 1 to 65,536; one access of a device may be several
 * calls. A callback has less than 3 s: after that the host takes everything its service serves for
 * dead. All signals but SIGSEGV and SIGBUS are blocked.
 */
struct iokit_served_ops {
    /* Fill buffer, all of it. 0; -errno: the access is a fault of the device, which reads ones. */
    int (*read)(void *context, uint64_t offset, void *buffer, size_t length);
    /* Take buffer, valid during the call. 0; -errno: a fault, as for read. */
    int (*write)(void *context, uint64_t offset, const void *buffer, size_t length);
};

struct iokit_served;

/**
 * Start a service: a thread and a socket to the host of the moment. Ranges of one service are
 * answered one access after the other; what must not wait for one another needs a service each, of
 * which a process may have 16.
 * 0 and *out (the caller's until iokit_served_destroy); -ENOTCONN there is no host; -ENOSPC too
 * many services; -ENOMEM; other -errno: no descriptor or no thread to be had.
 */
int iokit_served_create(struct iokit_served **out);

/**
 * Serve a new range. Reserves [*address, *address + bytes) without access for anybody: register it
 * for DMA whole or in parts like any other memory of this process. ops and context are borrowed
 * until iokit_served_remove. Any thread but a callback's.
 * 0; -EINVAL no bytes, or too many to round up to pages; -ENOMEM no room for such a range; -ENOSPC
 * the process serves 65,536 ranges; -ENOTCONN the host has gone or holds the service for dead.
 */
int iokit_served_add(struct iokit_served *served, uint64_t bytes,
                     const struct iokit_served_ops *ops, void *context, uint64_t *address);

/**
 * Serve a range no longer and free its addresses. Waits for a callback of it that is running; none
 * runs afterwards. Regions still registered there fault from then on. Any thread but a callback's.
 * 0, -ENOENT.
 */
int iokit_served_remove(struct iokit_served *served, uint64_t address);

/** End the service: removes its ranges, ends its thread. Not from a callback. NULL is fine. */
void iokit_served_destroy(struct iokit_served *served);

#endif
