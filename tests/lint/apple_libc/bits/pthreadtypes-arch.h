/*
 * glibc's sizes of locks, without the way of calling that only processors it runs on have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include_next <bits/pthreadtypes-arch.h>

#undef __cleanup_fct_attribute
