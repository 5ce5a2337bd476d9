/*
 * What a loop does that waits for another processor's store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BASE_PAUSE_H
#define DEXTLINK_BASE_PAUSE_H

/** Say that this is such a loop: good for the other thread of the core. */
static inline void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
