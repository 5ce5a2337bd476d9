/*
 * A bell: what one thread sleeps on and any other wakes it by, inside a process or, in shared
 * memory, from another one. One wake-up of the kernel, and no system call while nobody sleeps.
 *
 * The sleeper takes the count, looks whether there is work, and sleeps while the count is the same;
 * who brings work does so first and then advances the count. `sleeper` and `count` are sequentially
 * consistent: either the bringer sees that somebody sleeps, or the sleeper sees the count changed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_BELL_H
#define DEXTLINK_WIRE_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wire_bell {
    _Atomic uint32_t count;   /* by who brings work */
    _Atomic uint32_t sleeper; /* by who sleeps: 1 = asleep, or about to be */
};

/** Before looking for work: what to sleep on if there is none. */
static inline uint32_t wire_bell_listen(const struct wire_bell *bell)
{
    return atomic_load(&bell->count);
}

/** Work has been brought. Returns whether wire_bell_wake must follow. */
static inline bool wire_bell_advance(struct wire_bell *bell)
{
    atomic_fetch_add(&bell->count, 1);
    return atomic_load(&bell->sleeper) != 0;
}

/** Wake who sleeps. Touches nothing but the address: the bell may be gone by then. is_shared: it is
 * in memory that another process has as well, for both calls alike. */
void wire_bell_wake(const struct wire_bell *bell, bool is_shared);

/** Sleep until the count is not what it was; may return early. */
void wire_bell_sleep(struct wire_bell *bell, uint32_t listened, bool is_shared);

#endif
