/*
 * Where threads run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "place.h"

#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static cpu_set_t allowed; /* when the process began */
static bool is_known;

static void place(pid_t thread, unsigned index)
{
    cpu_set_t one;
    unsigned seen = 0;

    if (!is_known) {
        is_known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
    }
    if (!is_known || CPU_COUNT(&allowed) < 2) {
        return;
    }
    index %= (unsigned)CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && seen++ == index) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(thread, sizeof(one), &one);
        }
    }
}

void place_on(unsigned index)
{
    place(0, index);
}

void place_process(pid_t process, unsigned index)
{
    char path[32];
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    while (threads && (entry = readdir(threads)) != NULL) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        if (thread > 0) {
            place(thread, index);
        }
    }
    if (threads) {
        closedir(threads);
    }
}
