/*
 * What both ends of call slots share: whether there are any, and sleeping on a word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "wire/slots.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
               "what two processes share must not have a lock of one of them");

bool wire_slots_are_wanted(void)
{
    const char *wanted = getenv("DEXTLINK_SLOTS");
    return !wanted || strcmp(wanted, "off") != 0;
}

int wire_slot_sleep(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                                     .tv_nsec = (long)(timeout_ns % 1000000000)};
    return syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns ? &timeout : NULL, NULL, 0) < 0
               ? -errno
               : 0;
}

void wire_slot_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}
