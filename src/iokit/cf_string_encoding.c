/*
 * Text encodings to and from UTF-8.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_string_encoding.h"

#include <string.h>

/* Unicode characters of the bytes 0x80 to 0xff in MacRoman. */
static const uint16_t mac_roman[128] = {
    0x00c4, 0x00c5, 0x00c7, 0x00c9, 0x00d1, 0x00d6, 0x00dc, 0x00e1, 0x00e0, 0x00e2, 0x00e4, 0x00e3,
    0x00e5, 0x00e7, 0x00e9, 0x00e8, 0x00ea, 0x00eb, 0x00ed, 0x00ec, 0x00ee, 0x00ef, 0x00f1, 0x00f3,
    0x00f2, 0x00f4, 0x00f6, 0x00f5, 0x00fa, 0x00f9, 0x00fb, 0x00fc, 0x2020, 0x00b0, 0x00a2, 0x00a3,
    0x00a7, 0x2022, 0x00b6, 0x00df, 0x00ae, 0x00a9, 0x2122, 0x00b4, 0x00a8, 0x2260, 0x00c6, 0x00d8,
    0x221e, 0x00b1, 0x2264, 0x2265, 0x00a5, 0x00b5, 0x2202, 0x2211, 0x220f, 0x03c0, 0x222b, 0x00aa,
    0x00ba, 0x03a9, 0x00e6, 0x00f8, 0x00bf, 0x00a1, 0x00ac, 0x221a, 0x0192, 0x2248, 0x2206, 0x00ab,
    0x00bb, 0x2026, 0x00a0, 0x00c0, 0x00c3, 0x00d5, 0x0152, 0x0153, 0x2013, 0x2014, 0x201c, 0x201d,
    0x2018, 0x2019, 0x00f7, 0x25ca, 0x00ff, 0x0178, 0x2044, 0x20ac, 0x2039, 0x203a, 0xfb01, 0xfb02,
    0x2021, 0x00b7, 0x201a, 0x201e, 0x2030, 0x00c2, 0x00ca, 0x00c1, 0x00cb, 0x00c8, 0x00cd, 0x00ce,
    0x00cf, 0x00cc, 0x00d3, 0x00d4, 0xf8ff, 0x00d2, 0x00da, 0x00db, 0x00d9, 0x0131, 0x02c6, 0x02dc,
    0x00af, 0x02d8, 0x02d9, 0x02da, 0x00b8, 0x02dd, 0x02db, 0x02c7,
};

bool cf_encoding_is_known(CFStringEncoding encoding)
{
    return encoding == kCFStringEncodingUTF8 || encoding == kCFStringEncodingASCII ||
           encoding == kCFStringEncodingISOLatin1 || encoding == kCFStringEncodingMacRoman;
}

static size_t utf8_put(uint32_t character, char *out)
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xc0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | character >> 12);
    out[1] = (char)(0x80 | (character >> 6 & 0x3f));
    out[2] = (char)(0x80 | (character & 0x3f));
    return 3;
}

/* Length of the well-formed sequence at bytes, 0 if there is none: no overlong forms, surrogates
 * or characters past U+10FFFF (Unicode, table of well-formed byte sequences). */
static size_t utf8_sequence(const uint8_t *bytes, size_t count)
{
    uint8_t lead = bytes[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > count) {
        return 0;
    }
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

static ptrdiff_t decode_utf8(const uint8_t *bytes, size_t count, char *out)
{
    for (size_t at = 0; at < count;) {
        size_t length = utf8_sequence(bytes + at, count - at);
        if (length == 0) {
            return -1;
        }
        at += length;
    }
    if (count > 0) {
        memcpy(out, bytes, count);
    }
    return (ptrdiff_t)count;
}

ptrdiff_t cf_encoding_decode(CFStringEncoding encoding, const uint8_t *bytes, size_t count,
                             char *out)
{
    if (encoding == kCFStringEncodingUTF8) {
        return decode_utf8(bytes, count, out);
    }
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t character = bytes[i];
        if (character >= 0x80) {
            if (encoding == kCFStringEncodingMacRoman) {
                character = mac_roman[character - 0x80];
            } else if (encoding != kCFStringEncodingISOLatin1) {
                return -1;
            }
        }
        written += utf8_put(character, out + written);
    }
    return (ptrdiff_t)written;
}

uint32_t cf_utf8_next(const char **text)
{
    const uint8_t *at = (const uint8_t *)*text;
    if (at[0] < 0x80) {
        *text += 1;
        return at[0];
    }
    if (at[0] < 0xe0) {
        *text += 2;
        return (uint32_t)(at[0] & 0x1f) << 6 | (at[1] & 0x3f);
    }
    if (at[0] < 0xf0) {
        *text += 3;
        return (uint32_t)(at[0] & 0x0f) << 12 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
    }
    *text += 4;
    return (uint32_t)(at[0] & 0x07) << 18 | (uint32_t)(at[1] & 0x3f) << 12 |
           (uint32_t)(at[2] & 0x3f) << 6 | (at[3] & 0x3f);
}

/* The byte of a character, or -1. */
static int encode_character(CFStringEncoding encoding, uint32_t character)
{
    if (character < 0x80) {
        return (int)character;
    }
    if (encoding == kCFStringEncodingISOLatin1) {
        return character <= 0xff ? (int)character : -1;
    }
    if (encoding == kCFStringEncodingMacRoman) {
        for (int i = 0; i < 128; i++) {
            if (mac_roman[i] == character) {
                return i + 0x80;
            }
        }
    }
    return -1;
}

ptrdiff_t cf_encoding_encode(CFStringEncoding encoding, const char *text, size_t count,
                             uint8_t *out, size_t room)
{
    if (encoding == kCFStringEncodingUTF8) {
        if (count > room) {
            return -1;
        }
        memcpy(out, text, count);
        return (ptrdiff_t)count;
    }
    const char *end = text + count;
    size_t written = 0;
    while (text < end) {
        int byte = encode_character(encoding, cf_utf8_next(&text));
        if (byte < 0 || written == room) {
            return -1;
        }
        out[written++] = (uint8_t)byte;
    }
    return (ptrdiff_t)written;
}
