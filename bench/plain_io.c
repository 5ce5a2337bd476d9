/*
 * A loop of pread or pwrite.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "plain_io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double process_used_us(void)
{
    struct timespec used = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

uint64_t io_place_next(struct io_place *place, const struct io_shape *shape)
{
    uint64_t count = place->span / shape->bytes;

    if (!shape->is_random) {
        return place->next++ % count * shape->bytes;
    }
    place->random ^= place->random << 13; /* xorshift64 (Marsaglia, 2003) */
    place->random ^= place->random >> 7;
    place->random ^= place->random << 17;
    return place->random % count * shape->bytes;
}

bool plain_io_run(void *context, const struct io_shape *shape, struct io_place *place, double us,
                  struct samples *latencies, struct io_count *count)
{
    const struct plain_io *io = context;
    double used = process_used_us();
    double start = clock_us();
    double now = start;

    *count = (struct io_count){0};
    while (now - start < us) {
        /* As often as a device of that depth looks at the clock. */
        for (unsigned i = 0; i < shape->depth; i++) {
            uint8_t *buffer = io->buffers + (size_t)i * shape->bytes;
            off_t offset = (off_t)io_place_next(place, shape);
            ssize_t done = shape->is_write ? pwrite(io->fd, buffer, shape->bytes, offset)
                                           : pread(io->fd, buffer, shape->bytes, offset);
            if (done != (ssize_t)shape->bytes) {
                fprintf(stderr, "dextbench: %s: %s\n", shape->is_write ? "pwrite" : "pread",
                        done < 0 ? strerror(errno) : "fewer bytes than asked for");
                return false;
            }
        }
        double end = clock_us();
        if (latencies) {
            samples_add(latencies, end - now);
        }
        now = end;
        count->operations += shape->depth;
    }
    count->us = now - start;
    count->client_us = process_used_us() - used;
    return true;
}
