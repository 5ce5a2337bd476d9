/*
 * A loop over io_uring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plain_io.h"

#include <liburing.h>
#include <stdio.h>
#include <string.h>

const char *uring_io_refusal(void)
{
    struct io_uring ring;
    int error = io_uring_queue_init(8, &ring, 0);
    if (error < 0) {
        return strerror(-error);
    }
    io_uring_queue_exit(&ring);
    return NULL;
}

static void start_one(struct io_uring *ring, const struct plain_io *io,
                      const struct io_shape *shape, struct io_place *place, uintptr_t slot)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring); /* there is one for each slot */
    uint8_t *buffer = io->buffers + slot * shape->bytes;
    uint64_t offset = io_place_next(place, shape);

    if (shape->is_write) {
        io_uring_prep_write(entry, io->fd, buffer, shape->bytes, offset);
    } else {
        io_uring_prep_read(entry, io->fd, buffer, shape->bytes, offset);
    }
    io_uring_sqe_set_data(entry, (void *)slot);
}

static bool complain(int result)
{
    fprintf(stderr, "dextbench: io_uring: %s\n",
            result < 0 ? strerror(-result) : "fewer bytes than asked for");
    return false;
}

/* What is complete gives its slot to the next, until the time is over and nothing is under way. */
static bool run_ring(struct io_uring *ring, const struct plain_io *io, const struct io_shape *shape,
                     struct io_place *place, double us, struct samples *latencies,
                     struct io_count *count)
{
    double start = clock_us();
    double now = start;
    unsigned under_way = 0;

    for (; under_way < shape->depth; under_way++) {
        start_one(ring, io, shape, place, under_way);
    }
    while (under_way > 0) {
        struct io_uring_cqe *entry;
        int result = io_uring_submit_and_wait(ring, 1);
        if (result < 0) {
            return complain(result);
        }
        double end = clock_us();
        if (latencies) {
            samples_add(latencies, end - now);
        }
        now = end;
        while (io_uring_peek_cqe(ring, &entry) == 0) {
            uintptr_t slot = (uintptr_t)io_uring_cqe_get_data(entry);
            result = entry->res;
            io_uring_cqe_seen(ring, entry);
            if (result != (int)shape->bytes) {
                return complain(result);
            }
            count->operations++;
            under_way--;
            if (now - start < us) {
                start_one(ring, io, shape, place, slot);
                under_way++;
            }
        }
    }
    count->us = now - start;
    return true;
}

bool uring_io_run(void *context, const struct io_shape *shape, struct io_place *place, double us,
                  struct samples *latencies, struct io_count *count)
{
    struct io_uring ring;
    int error = io_uring_queue_init(shape->depth, &ring, 0);
    if (error < 0) {
        return complain(error);
    }
    *count = (struct io_count){0};
    double used = process_used_us();
    bool ok = run_ring(&ring, context, shape, place, us, latencies, count);
    count->client_us = process_used_us() - used;
    io_uring_queue_exit(&ring);
    return ok;
}
