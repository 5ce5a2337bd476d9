/*
 * Processors, and being on one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/spin.h"

#include <pthread.h>
#include <sched.h>

#include "wire/slots.h"

static pthread_once_t spin_once = PTHREAD_ONCE_INIT;
static unsigned spin_processors = 1;

/* A machine with more processors than the set has bits is one with enough of them. */
static void spin_count_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        spin_processors = CPU_SETSIZE;
    } else if (CPU_COUNT(&set) > 1) {
        spin_processors = (unsigned)CPU_COUNT(&set);
    }
}

unsigned wire_processor_count(void)
{
    pthread_once(&spin_once, spin_count_processors);
    return spin_processors;
}

uint32_t wire_processor_here(void)
{
    int processor = sched_getcpu();
    return processor < 0 || processor > UINT16_MAX - 1 ? WIRE_HOST_SOMEWHERE
                                                       : (uint32_t)processor + 1;
}

uint64_t wire_processors(void)
{
    cpu_set_t set;
    uint64_t bits = 0;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        for (unsigned i = 0; i < 64; i++) {
            bits |= CPU_ISSET(i, &set) ? UINT64_C(1) << i : 0;
        }
    }
    return bits;
}

bool wire_processor_go(uint32_t there)
{
    cpu_set_t before;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(there - 1, &one);
    if (sched_getaffinity(0, sizeof(before), &before) < 0 || !CPU_ISSET(there - 1, &before)) {
        return false;
    }
    /* Who must run there is moved at once, and stays when he need not. */
    bool is_there = sched_setaffinity(0, sizeof(one), &one) == 0;
    return is_there && sched_setaffinity(0, sizeof(before), &before) == 0;
}
