/*
 * The command line of dext-vfio-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXT_VFIO_USER_ARGUMENTS_H
#define DEXTLINK_DEXT_VFIO_USER_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts are borrowed from argv; devices is owned, arguments_clear frees it. */
struct arguments {
    const char *host;    /* address; NULL: the only device there is */
    const char *socket;  /* where to listen */
    const char *connect; /* dextd's socket; NULL: as for every client */
    const char **devices;
    size_t device_count;
    uint32_t page_size; /* 0: not given */
    bool is_once;
    bool is_json;
    int ready_fd; /* -1: nobody waits */
    int verbosity;
};

enum arguments_result {
    ARGUMENTS_RUN,   /* go on */
    ARGUMENTS_DONE,  /* help or version was printed */
    ARGUMENTS_WRONG, /* one line about the mistake was printed to stderr */
};

/** Read the command line. Zeroed arguments in; clear them whatever the result. */
enum arguments_result arguments_parse(struct arguments *arguments, int argc, char **argv);

void arguments_clear(struct arguments *arguments);

#endif
