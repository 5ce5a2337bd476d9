/*
 * glibc's question for the width of long, which it answers by processors that run Linux.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define __WORDSIZE                 64
#define __WORDSIZE_TIME64_COMPAT32 0
#define __SYSCALL_WORDSIZE         64
