/*
 * Who may poll.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/spin.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static pthread_once_t spin_once = PTHREAD_ONCE_INIT;
static unsigned spin_processors = 1;
static _Atomic unsigned spin_pollers;
static _Atomic uint32_t spin_refusals;

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

bool wire_poll_begin(void)
{
    unsigned limit = wire_processor_count() - 1;
    unsigned pollers = atomic_load(&spin_pollers);
    while (pollers < limit) {
        if (atomic_compare_exchange_weak(&spin_pollers, &pollers, pollers + 1)) {
            return true;
        }
    }
    atomic_fetch_add(&spin_refusals, 1);
    return false;
}

void wire_poll_end(void)
{
    atomic_fetch_sub(&spin_pollers, 1);
}

uint32_t wire_poll_refusals(void)
{
    return atomic_load(&spin_refusals);
}
