/*
 * The command line of dextd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTD_OPTIONS_H
#define DEXTLINK_DEXTD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts are borrowed from argv; devices is owned, options_clear frees it. */
struct options {
    const char **devices;
    size_t device_count;
    const char *socket;
    const char *group;
    uint32_t page_size;
    uint32_t per_client; /* 0: not given */
    bool access_open;
    int ready_fd; /* -1: nobody waits */
    int verbosity;
};

enum options_result {
    OPTIONS_RUN,   /* go on */
    OPTIONS_DONE,  /* help or version was printed */
    OPTIONS_WRONG, /* one line about the mistake was printed to stderr */
};

/** Read the command line. Zeroed options in; clear them whatever the result. */
enum options_result options_parse(struct options *options, int argc, char **argv);

void options_clear(struct options *options);

#endif
