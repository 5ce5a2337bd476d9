/*
 * <inttypes.h> for the types of stdint.h beside it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_APPLE_LIBC_INTTYPES_H
#define DEXTLINK_APPLE_LIBC_INTTYPES_H

#include_next <inttypes.h>
#include <stdint.h>

#undef PRId64
#undef PRIi64
#undef PRIo64
#undef PRIu64
#undef PRIx64
#undef PRIX64
#undef SCNd64
#undef SCNu64
#undef SCNx64
#define PRId64 "lld"
#define PRIi64 "lli"
#define PRIo64 "llo"
#define PRIu64 "llu"
#define PRIx64 "llx"
#define PRIX64 "llX"
#define SCNd64 "lld"
#define SCNu64 "llu"
#define SCNx64 "llx"

#endif
