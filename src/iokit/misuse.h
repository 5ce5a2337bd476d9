/*
 * The deliberate end of a process that misuses CoreFoundation or dispatch, where macOS ends it too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_MISUSE_H
#define DEXTLINK_IOKIT_MISUSE_H

/** Write "FUNCTION: WHAT" to standard error and abort. Any thread. */
_Noreturn void misuse(const char *function, const char *what);

#endif
