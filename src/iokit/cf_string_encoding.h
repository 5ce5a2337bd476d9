/*
 * Text encodings to and from UTF-8.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_CF_STRING_ENCODING_H
#define DEXTLINK_IOKIT_CF_STRING_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CoreFoundation/CFString.h>

/* The most UTF-8 bytes that one byte of any encoding becomes. */
enum { CF_UTF8_BYTES_PER_BYTE = 3 };

bool cf_encoding_is_known(CFStringEncoding encoding);

/* Bytes to UTF-8. out has room for CF_UTF8_BYTES_PER_BYTE a byte (1 for UTF-8 and ASCII).
 * Returns the bytes written, or -1 when they are not valid in the encoding. */
ptrdiff_t cf_encoding_decode(CFStringEncoding encoding, const uint8_t *bytes, size_t count,
                             char *out);

/* Valid UTF-8 to bytes; at most room are written. Returns their number, or -1: no room, or a
 * character that the encoding does not have. */
ptrdiff_t cf_encoding_encode(CFStringEncoding encoding, const char *text, size_t count,
                             uint8_t *out, size_t room);

/* The character at *text, which is valid UTF-8, and *text behind it. */
uint32_t cf_utf8_next(const char **text);

#endif
