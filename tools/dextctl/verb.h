/*
 * Second words of a command ("config read"), and the arguments they share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_VERB_H
#define DEXTLINK_DEXTCTL_VERB_H

#include "dextctl.h"
#include "session.h"

/* What follows the address, read and checked before any device is opened. */
struct arguments {
    bool has_bar;
    uint8_t bar;
    uint64_t offset; /* a multiple of the width */
    uint64_t value;  /* fits the width */
};

struct verb {
    const char *name;
    const char *synopsis;  /* the whole line after "dextctl" */
    const char *arguments; /* after the address, a letter each: b BAR, o offset, v value */
    int optional;          /* how many of them, from the end, may be left out */
    uint64_t width_max;
    uint64_t offset_end; /* accesses end here at the latest; 0: it depends on the device */
    unsigned int accepts;
    enum session_access access;
    int (*run)(const struct session *session, const struct options *options,
               const struct arguments *arguments);
};

/**
 * Find the verb argv[0] names in a table that ends with a NULL name, read its arguments, open the
 * device argv[1] names and run it. Returns an exit status.
 */
int verb_run(const char *command, const struct verb *verbs, const struct options *options, int argc,
             char **argv);

#endif
