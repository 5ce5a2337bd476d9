/*
 * Memory that a device reaches without a copy: pinned in the DART, piece by piece.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backend/sim_internal.h"

static bool pin_segment(struct dart *dart, const struct model_segment *segment, bool is_write,
                        struct sim_pins *pins)
{
    size_t done = 0;
    while (done < segment->bytes && pins->count < SIM_PINS_MAX) {
        size_t bytes = 0;
        void *where = dart_pin(dart, segment->address + done, segment->bytes - done, is_write,
                               &bytes, &pins->mappings[pins->count]);
        if (!where) {
            return false;
        }
        pins->pieces[pins->count++] = (struct iovec){.iov_base = where, .iov_len = bytes};
        done += bytes;
    }
    return done == segment->bytes;
}

bool sim_pins_take(struct sim *sim, const struct model_segment *segments, unsigned count,
                   bool is_write, struct sim_pins *pins)
{
    pins->count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!pin_segment(sim->provider.dart, &segments[i], is_write, pins)) {
            sim_pins_drop(sim, pins);
            return false;
        }
    }
    return true;
}

void sim_pins_drop(struct sim *sim, struct sim_pins *pins)
{
    for (int i = 0; i < pins->count; i++) {
        dart_unpin(sim->provider.dart, pins->mappings[i]);
    }
    pins->count = 0;
}
