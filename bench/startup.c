/*
 * Starting programs, timed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "startup.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dextd_child.h"
#include "figures.h"
#include "samples.h"

enum { DEVICES = 256, DEVICE_BYTES = 24 };

struct startup {
    const struct startup_plan *plan;
    posix_spawn_file_actions_t silent;
    char names[DEVICES][DEVICE_BYTES];
    const char *devices[DEVICES];
};

/* Microseconds until path has ended well; negative with one line. */
static double run(struct startup *startup, const char *path, const char *argument)
{
    char *argv[] = {(char *)path, (char *)argument, NULL};
    int status = 0;
    pid_t child;
    double start = clock_us();
    int error = posix_spawn(&child, path, &startup->silent, NULL, argv, environ);
    if (error != 0) {
        fprintf(stderr, "dextbench: cannot run %s: %s\n", path, strerror(error));
        return -1;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    double us = clock_us() - start;
    if (status != 0) {
        fprintf(stderr, "dextbench: %s failed\n", path);
        return -1;
    }
    return us;
}

static double run_true(struct startup *startup)
{
    return run(startup, "/bin/true", NULL);
}

static double run_empty(struct startup *startup)
{
    return run(startup, startup->plan->empty, NULL);
}

static double run_linked(struct startup *startup)
{
    return run(startup, startup->plan->linked, NULL);
}

/* At the dextd that the environment names. */
static double run_list(struct startup *startup)
{
    return run(startup, startup->plan->dextctl, "list");
}

/* Beside the one whose devices are listed, which stays the one of the environment. */
static double start_dextd(struct startup *startup, size_t count)
{
    struct dextd_child child;
    char *served = strdup(getenv("DEXTLINK_SOCKET"));
    double us = -1;
    if (dextd_child_start(&child, startup->plan->dextd, startup->devices, count)) {
        us = child.ready_us;
        dextd_child_stop(&child);
    }
    if (served) {
        setenv("DEXTLINK_SOCKET", served, 1);
    }
    free(served);
    return us;
}

static double start_dextd_1(struct startup *startup)
{
    return start_dextd(startup, 1);
}

static double start_dextd_256(struct startup *startup)
{
    return start_dextd(startup, DEVICES);
}

static const struct kind {
    const char *key;
    double (*once)(struct startup *startup);
} kinds[] = {
    {"true", run_true}, {"empty", run_empty},       {"linked", run_linked},
    {"list", run_list}, {"dextd_1", start_dextd_1}, {"dextd_256", start_dextd_256},
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static bool measure_kinds(struct startup *startup, json_object *figures)
{
    struct samples samples[KINDS] = {0};
    uint64_t rounds = startup->plan->rounds;
    bool ok = true;

    for (size_t i = 0; ok && i < KINDS; i++) {
        ok = samples_create(&samples[i], (size_t)rounds);
    }
    for (uint64_t round = 0; ok && round < rounds; round++) {
        for (size_t i = 0; ok && i < KINDS; i++) {
            double us = kinds[i].once(startup);
            samples_add(&samples[i], us);
            ok = us >= 0;
        }
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (ok) {
            json_object_object_add(figures, kinds[i].key, samples_json(&samples[i]));
        }
        samples_destroy(&samples[i]);
    }
    return ok;
}

static void name_devices(struct startup *startup)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        snprintf(startup->names[i], DEVICE_BYTES, "edu,addr=%02x:%02x.0", 1 + i / 32, i % 32);
        startup->devices[i] = startup->names[i];
    }
}

json_object *startup_measure(const struct startup_plan *plan)
{
    struct startup startup = {.plan = plan};
    struct dextd_child listed;
    json_object *figures = json_object_new_object();
    bool ok = posix_spawn_file_actions_init(&startup.silent) == 0 &&
              posix_spawn_file_actions_addopen(&startup.silent, STDOUT_FILENO, "/dev/null",
                                               O_WRONLY, 0) == 0;

    name_devices(&startup);
    if (ok && dextd_child_start(&listed, plan->dextd, startup.devices, 1)) {
        ok = measure_kinds(&startup, figures);
        dextd_child_stop(&listed);
    } else {
        ok = false;
    }
    posix_spawn_file_actions_destroy(&startup.silent);
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    json_object_object_add(figures, "library_us",
                           figure_json(number_of(member(figures, "linked"), "p50_us") -
                                       number_of(member(figures, "empty"), "p50_us")));
    return figures;
}
