/*
 * Addresses of this process that hold nothing: a device's reads and writes of them are calls, where
 * the host below knows such a thing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_VFIOUSER_SERVED_H
#define DEXTLINK_VFIOUSER_SERVED_H

#include <stddef.h>
#include <stdint.h>

/* Called on a thread of their own, one at a time, at most 65,536 bytes each, while the device waits
 * inside its access. 0; -errno: the access is a fault of the device. */
struct vu_served_ops {
    int (*read)(void *context, uint64_t offset, void *buffer, size_t length);
    int (*write)(void *context, uint64_t offset, const void *buffer, size_t length);
};

struct vu_served; /* the thread, and what it answers for */

/** ops: copied. 0 and *out; -ENOTSUP this host reaches real memory only; -errno. */
int vu_served_create(const struct vu_served_ops *ops, struct vu_served **out);

/** Ends what was added. NULL is fine. Not from a callback, as the next two. */
void vu_served_destroy(struct vu_served *served);

/** Reserve addresses; context is borrowed until vu_served_remove. 0 and *address; -errno. */
int vu_served_add(struct vu_served *served, uint64_t bytes, void *context, void **address);

/** When it returns no callback runs for it any more. */
void vu_served_remove(struct vu_served *served, void *address);

#endif
