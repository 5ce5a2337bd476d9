/*
 * Sleeping on a word and being woken by it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/bell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "what two processes share must not have a lock of one");

void wire_bell_wake(const struct wire_bell *bell, bool is_shared)
{
    int before = errno;
    syscall(SYS_futex, &bell->count, is_shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, INT_MAX, NULL,
            NULL, 0);
    errno = before;
}

void wire_bell_sleep(struct wire_bell *bell, uint32_t listened, bool is_shared)
{
    int before = errno;
    atomic_store(&bell->sleeper, 1);
    if (atomic_load(&bell->count) == listened) {
        syscall(SYS_futex, &bell->count, is_shared ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE, listened,
                NULL, NULL, 0);
    }
    atomic_store(&bell->sleeper, 0);
    errno = before;
}
