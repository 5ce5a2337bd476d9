/*
 * Runs hot paths with fixed inputs under callgrind, two profiles each: before, and counted
 * (scripts/instructions).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

/* The first runs fill caches of objects, grow buffers and bind symbols. */
enum { WARM_UP = 100, RUNS = 100 };

void must(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "instructions: %s failed\n", what);
        exit(EXIT_FAILURE);
    }
}

static void run_many(const struct path *path, int times)
{
    for (int i = 0; i < times; i++) {
        if (path->prepare) {
            path->prepare();
        }
        path->run();
    }
}

static void count(const struct path *path)
{
    path->begin();
    run_many(path, WARM_UP);
    CALLGRIND_DUMP_STATS_AT("before"); /* and start afresh */
    run_many(path, RUNS);
    CALLGRIND_DUMP_STATS_AT(path->name);
    path->end();
    printf("%s %d\n", path->name, RUNS);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct path *const lists[] = {dext_paths, dart_paths, nvme_paths, wire_paths,
                                               vfio_user_paths};
    int done = 0;

    /* Of this thread alone: what those of a device do beside it depends on the machine. */
    CALLGRIND_TOGGLE_COLLECT;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        for (const struct path *path = lists[i]; path->name; path++) {
            if (argc < 2 || strcmp(argv[1], path->name) == 0) {
                count(path);
                done++;
            }
        }
    }
    must(done > 0, "finding that path");
    return EXIT_SUCCESS;
}
