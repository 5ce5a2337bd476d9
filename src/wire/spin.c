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

#include "wire/message.h"
#include "wire/slots.h"

static pthread_once_t spin_once = PTHREAD_ONCE_INIT;
static unsigned spin_processors = 1;

/* How long a turn lasts when others want to poll, and after which time one is taken over whose
 * thread carries out a long call, or has no processor. */
#define TURN_NS           UINT64_C(2000000)
#define TURN_FORGOTTEN_NS UINT64_C(5000000)
#define TURNS_MAX         64

static _Atomic uint64_t turn_stamps[TURNS_MAX];
static _Atomic uint32_t turn_refusals; /* requests that were refused since the process began */

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

bool wire_processor_leave(uint64_t busy)
{
    cpu_set_t before;
    cpu_set_t rest;
    if (sched_getaffinity(0, sizeof(before), &before) < 0) {
        return false;
    }
    rest = before;
    for (unsigned i = 0; i < 64; i++) {
        if (busy & UINT64_C(1) << i) {
            CPU_CLR(i, &rest);
        }
    }
    /* Who must run on some of them is moved there at once, and stays when he need not. */
    if (CPU_COUNT(&rest) == 0 || sched_setaffinity(0, sizeof(rest), &rest) < 0) {
        return false;
    }
    sched_setaffinity(0, sizeof(before), &before);
    return true;
}

/* Marks the turn of an index with the time; 0 while nobody has it. */
static bool turn_mark(struct wire_turn *turn, uint64_t before, uint64_t now)
{
    if (!atomic_compare_exchange_strong(&turn_stamps[turn->index], &before, now)) {
        return false;
    }
    turn->stamp_ns = now;
    return true;
}

bool wire_turn_begin(struct wire_turn *turn)
{
    const unsigned limit = wire_processor_count() - 1;
    const uint64_t now = wire_now_ns();
    for (unsigned i = 0; i < limit && i < TURNS_MAX; i++) {
        uint64_t stamp = atomic_load(&turn_stamps[i]);
        turn->index = i;
        if ((stamp == 0 || now - stamp > TURN_FORGOTTEN_NS) && now > stamp &&
            turn_mark(turn, stamp, now)) {
            turn->begin_ns = now;
            turn->refusals = atomic_load(&turn_refusals);
            return true;
        }
    }
    atomic_fetch_add(&turn_refusals, 1);
    return false;
}

bool wire_turn_keep(struct wire_turn *turn)
{
    const uint64_t now = wire_now_ns();
    if (now - turn->begin_ns > TURN_NS && turn->refusals != atomic_load(&turn_refusals)) {
        return false;
    }
    return now == turn->stamp_ns || turn_mark(turn, turn->stamp_ns, now);
}

void wire_turn_end(struct wire_turn *turn)
{
    turn_mark(turn, turn->stamp_ns, 0); /* unless another has it */
}
