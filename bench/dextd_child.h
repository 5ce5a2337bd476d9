/*
 * A dextd of our own, for as long as it is measured.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_DEXTD_CHILD_H
#define DEXTLINK_BENCH_DEXTD_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct dextd_child {
    pid_t pid;
    char directory[64]; /* where its socket is */
    double ready_us;    /* from before its start until it served */
};

/**
 * Start the dextd at path with devices, wait until it serves, and point this process to it by
 * DEXTLINK_SOCKET. false with one line on stderr.
 */
bool dextd_child_start(struct dextd_child *child, const char *path, const char *const *devices,
                       size_t count);
void dextd_child_stop(struct dextd_child *child);

#endif
