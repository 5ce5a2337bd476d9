/*
 * A line of memory that will be written soon.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_PREFETCH_H
#define DEXTLINK_BASE_PREFETCH_H

/** Have it fetched, to be this processor's alone, while other work is done. Any address: it is
 * never an access. */
static inline void prefetch_to_write(const void *address)
{
#if defined(__x86_64__)
    /* What compilers make of the builtin for every x86-64 fetches it to be read: then the write
     * waits once more, for the processor that has it too. Where there is no such instruction, it
     * does nothing. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

#endif
