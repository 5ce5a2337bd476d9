/*
 * Second words of a command.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "verb.h"

#include <string.h>

#include "output.h"

int verb_run(const char *command, const struct verb *verbs, const struct options *options, int argc,
             char **argv)
{
    const struct verb *verb = verbs;
    struct session session;

    while (verb->name && strcmp(verb->name, argv[0]) != 0) {
        verb++;
    }
    if (!verb->name) {
        return usage_error("%s: unknown word \"%s\"; dextctl %s --help explains", command, argv[0],
                           command);
    }
    const char *refused = options_refused(options, verb->accepts);
    if (refused) {
        return usage_error("%s %s takes no --%s", command, verb->name, refused);
    }
    argc--;
    argv++;
    if (argc < verb->arguments_min || argc > verb->arguments_max) {
        return usage_error("%s %s: %s, want: dextctl %s", command, verb->name,
                           argc < verb->arguments_min ? "too few arguments" : "too many arguments",
                           verb->synopsis);
    }
    int status = session_open(&session, argv[0], verb->access);
    if (status == STATUS_OK) {
        status = verb->run(&session, options, argc - 1, argv + 1);
        session_close(&session);
    }
    return status;
}
