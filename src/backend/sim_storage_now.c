/*
 * Reads of a file that need no waiting: what is in the page cache goes straight to the client's
 * memory, under the device's lock, so that resets come before or after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

bool sim_storage_read_now_locked(struct sim *sim, unsigned storage, uint64_t offset,
                                 const struct model_segment *segments, unsigned count)
{
    const struct sim_storage *all = &sim->storage;
    const struct sim_storage_file *file = &all->files[storage];
    struct sim_pins pins;
    if (!TAILQ_EMPTY(&all->live) || file->unit > 0) {
        return false; /* those before come first; without the page cache everything waits */
    }
    if (!sim_pins_take(sim, segments, count, true, &pins)) {
        return false;
    }
    bool is_read = sim_file_read_now(file, pins.pieces, pins.count, offset);
    sim_pins_drop(sim, &pins);
    return is_read;
}
