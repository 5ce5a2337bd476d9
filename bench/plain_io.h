/*
 * The yardsticks of the NVMe rows: the same reads and writes on the same file, by pread and pwrite
 * and by io_uring; and the shape of such a load.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_PLAIN_IO_H
#define DEXTLINK_BENCH_PLAIN_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "samples.h"

struct io_shape {
    const char *name;
    bool is_write;
    bool is_random;
    uint32_t bytes; /* of an operation */
    unsigned depth; /* operations under way */
};

/* Where a load has got to: offsets are multiples of the operation's size below span. */
struct io_place {
    uint64_t span;
    uint64_t next;
    uint64_t random;
};

struct io_count {
    uint64_t operations;
    double us;
    double host_us;   /* of a processor, that the host used meanwhile; 0 where there is none */
    double client_us; /* the same of this side: the thread, and what a plain loop has run for it */
};

/* A load for some time: one round. latencies is NULL unless depth is 1. false with one line. */
typedef bool io_run(void *context, const struct io_shape *shape, struct io_place *place, double us,
                    struct samples *latencies, struct io_count *count);

/** What the process has used of a processor; clock_us is the time. */
double process_used_us(void);

uint64_t io_place_next(struct io_place *place, const struct io_shape *shape);

struct plain_io {
    int fd;
    uint8_t *buffers; /* as many as the load is deep, of its size each */
};

/** pread and pwrite, one at a time whatever the depth. context: struct plain_io */
io_run plain_io_run;

/** NULL where io_uring works, else why it does not: static storage. */
const char *uring_io_refusal(void);

/** io_uring, as deep as the load says. context: struct plain_io */
io_run uring_io_run;

#endif
