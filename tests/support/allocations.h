/*
 * How much of everything in a program that links with allocations_dep asks for memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_SUPPORT_ALLOCATIONS_H
#define DEXTLINK_TESTS_SUPPORT_ALLOCATIONS_H

/* Calls of malloc, calloc, realloc and aligned_alloc, by any thread; whoever counts sets it to 0.
 */
extern _Atomic unsigned allocations;

#endif
