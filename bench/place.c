/*
 * Where threads run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "place.h"

#include <sched.h>
#include <stdbool.h>

static cpu_set_t allowed; /* when the process began */
static bool is_known;

void place_on(unsigned index)
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
            sched_setaffinity(0, sizeof(one), &one);
        }
    }
}
