/*
 * The inside of a CFString.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_CF_STRING_H
#define DEXTLINK_IOKIT_CF_STRING_H

#include "iokit/cf_internal.h"

struct __CFString {
    struct cf_object base;
    size_t bytes;   /* of text, without its NUL; text may hold NULs */
    CFIndex length; /* in UTF-16 units */
    bool is_ascii;
    char text[]; /* valid UTF-8 */
};

/* Bytes that a string made of count bytes takes at most, struct included. */
size_t cf_string_room(size_t count, CFStringEncoding encoding);

/* Fill a zeroed string that has that room. false: not valid in the encoding. */
bool cf_string_fill(struct __CFString *string, const void *bytes, size_t count,
                    CFStringEncoding encoding);

#endif
