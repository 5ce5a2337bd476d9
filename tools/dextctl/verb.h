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
    uint64_t length; /* bytes, above 0; 0: not given */
    char **words;    /* what "+" stands for */
    int word_count;
};

struct verb {
    const char *name;
    const char *synopsis;  /* the whole line after "dextctl" */
    const char *arguments; /* after the address, a letter each: b BAR, o offset, v value, l length;
                              a + at the end stands for any number of words, ++ for two at least */
    int optional;          /* how many of them, from the end, may be left out */
    uint64_t width_max;
    unsigned int accepts;
    enum session_access access;
    /* May be NULL: checks more of the command line before any device is opened. */
    int (*check)(const struct options *options, const struct arguments *arguments);
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
