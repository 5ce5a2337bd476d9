/*
 * Text for Mach and IOKit codes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MACH_MACH_ERROR_H
#define DEXTLINK_MACH_MACH_ERROR_H

#include <mach/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One phrase for a code, prefixed by the part of the system it belongs to, e.g. "(iokit/common) ".
 * Never NULL; static storage, not to be modified or freed. Any thread.
 */
char *mach_error_string(mach_error_t error_value);

/* The prefix alone, without parentheses, e.g. "iokit/common". Storage as above. */
char *mach_error_type(mach_error_t error_value);

#ifdef __cplusplus
}
#endif

#endif
