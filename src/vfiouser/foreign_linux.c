/*
 * Keeping others' memory out of core files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "vfiouser/foreign.h"

#include <sys/mman.h>

void vu_foreign_memory(void *address, size_t bytes)
{
    (void)madvise(address, bytes, MADV_DONTDUMP);
}
