/*
 * The yardstick: a message to another process and back over a socket pair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_PINGPONG_H
#define DEXTLINK_BENCH_PINGPONG_H

#include <stdbool.h>
#include <sys/types.h>

struct pingpong {
    int fd;
    pid_t child;
};

/** Start the other process. Call it before any thread exists. false with errno set. */
bool pingpong_open(struct pingpong *pingpong);
void pingpong_close(struct pingpong *pingpong);

/** One round trip; false when the other process has gone. */
bool pingpong_once(struct pingpong *pingpong);

#endif
