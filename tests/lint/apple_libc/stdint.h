/*
 * <stdint.h> with Apple's types over the C library of this machine: 64 bits are `long long`.
 *
 * For tests/lint/apple_build.py, where Apple's headers are not at hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_APPLE_LIBC_STDINT_H
#define DEXTLINK_APPLE_LIBC_STDINT_H

#include_next <stdint.h>

#undef INT64_C
#undef UINT64_C
#undef INT64_MIN
#undef INT64_MAX
#undef UINT64_MAX
#define INT64_C(c)  c##LL
#define UINT64_C(c) c##ULL
#define INT64_MIN   (-INT64_MAX - 1)
#define INT64_MAX   INT64_C(9223372036854775807)
#define UINT64_MAX  UINT64_C(18446744073709551615)

#endif
