/*
 * Reads of a file that need no waiting: what is in the page cache goes straight to the client's
 * memory, under the device's lock, so that resets and the end of a mapping come before or after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "backend/sim_internal.h"

#include <sys/uio.h>

#define PIECES 64 /* of one read */

/* The memory of all segments, in order; false when some of it is not plain memory. DART held. */
static bool gather(struct dart *dart, const struct model_segment *segments, unsigned count,
                   struct iovec *pieces, int *piece_count)
{
    int next = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t done = 0;
        while (done < segments[i].bytes) {
            size_t bytes = 0;
            void *where = dart_point(dart, segments[i].address + done, segments[i].bytes - done,
                                     true, &bytes);
            if (!where || next == PIECES) {
                return false;
            }
            pieces[next++] = (struct iovec){.iov_base = where, .iov_len = bytes};
            done += bytes;
        }
    }
    *piece_count = next;
    return true;
}

bool sim_storage_read_now_locked(struct sim *sim, unsigned storage, uint64_t offset,
                                 const struct model_segment *segments, unsigned count)
{
    const struct sim_storage *all = &sim->storage;
    struct dart *dart = sim->provider.dart;
    struct iovec pieces[PIECES];
    int piece_count = 0;
    ssize_t wanted = 0;
    ssize_t got = -1;
    if (all->count > 0 || all->is_busy) {
        return false; /* operations are carried out in order */
    }
    for (unsigned i = 0; i < count; i++) {
        wanted += segments[i].bytes;
    }
    dart_hold(dart);
    if (gather(dart, segments, count, pieces, &piece_count)) {
        got = preadv2(all->files[storage].fd, pieces, piece_count, (off_t)offset, RWF_NOWAIT);
    }
    dart_release(dart);
    return got == wanted;
}
