/*
 * Second words of a command ("config read"), and the arguments they share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_VERB_H
#define DEXTLINK_DEXTCTL_VERB_H

#include "dextctl.h"
#include "session.h"

struct verb {
    const char *name;
    const char *synopsis; /* the whole line after "dextctl" */
    unsigned int accepts; /* of what the command accepts */
    int arguments_min;    /* after the verb: the address is the first */
    int arguments_max;
    enum session_access access;
    /* argv[0] is the first argument after the address. */
    int (*run)(const struct session *session, const struct options *options, int argc, char **argv);
};

/**
 * Find the verb argv[0] names in a table that ends with a NULL name, open the device argv[1] names
 * and run it. Returns an exit status.
 */
int verb_run(const char *command, const struct verb *verbs, const struct options *options, int argc,
             char **argv);

#endif
