/*
 * Reads of a file that need no waiting: what is in the page cache goes straight to the client's
 * memory, under the device's lock, so that resets come before or after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "backend/sim_internal.h"

bool sim_storage_read_now_locked(struct sim *sim, unsigned storage, uint64_t offset,
                                 const struct model_segment *segments, unsigned count)
{
    const struct sim_storage *all = &sim->storage;
    const struct sim_storage_file *file = &all->files[storage];
    struct sim_pins pins;
    ssize_t wanted = 0;
    if (all->count > 0 || file->unit > 0) {
        return false; /* operations are carried out in order; without the page cache all wait */
    }
    for (unsigned i = 0; i < count; i++) {
        wanted += segments[i].bytes;
    }
    if (!sim_pins_take(sim, segments, count, true, &pins)) {
        return false;
    }
    ssize_t got = preadv2(file->fd, pins.pieces, pins.count, (off_t)offset, file->now_flags);
    sim_pins_drop(sim, &pins);
    return got == wanted;
}
