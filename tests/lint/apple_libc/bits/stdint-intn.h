/*
 * Signed types of exact width as Apple's compiler has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _BITS_STDINT_INTN_H
#define _BITS_STDINT_INTN_H 1

typedef __INT8_TYPE__ int8_t;
typedef __INT16_TYPE__ int16_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;

#endif
