/*
 * CFString: immutable text, kept as UTF-8.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_internal.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "iokit/cf_string.h"
#include "iokit/cf_string_encoding.h"

static bool string_is_equal(CFTypeRef a, CFTypeRef b)
{
    CFStringRef one = a, other = b;
    return one->bytes == other->bytes && memcmp(one->text, other->text, one->bytes) == 0;
}

static CFHashCode string_hash(CFTypeRef cf)
{
    CFStringRef string = cf;
    return cf_hash_bytes(string->text, string->bytes);
}

const struct cf_class cf_string_class = {
    .type_id = 7,
    .name = "CFString",
    .is_equal = string_is_equal,
    .hash = string_hash,
};

CFTypeID CFStringGetTypeID(void)
{
    return cf_string_class.type_id;
}

/* Count what the text takes in UTF-16. */
static void string_measure(struct __CFString *string)
{
    const char *at = string->text;
    const char *end = at + string->bytes;
    string->length = 0;
    while (at < end) {
        string->length += cf_utf8_next(&at) >= 0x10000 ? 2 : 1;
    }
    string->is_ascii = (size_t)string->length == string->bytes;
}

bool cf_string_fill(struct __CFString *string, const void *bytes, size_t count,
                    CFStringEncoding encoding)
{
    ptrdiff_t written = cf_encoding_decode(encoding, bytes, count, string->text);
    if (written < 0) {
        return false;
    }
    string->bytes = (size_t)written;
    string->text[written] = '\0';
    string_measure(string);
    return true;
}

size_t cf_string_room(size_t count, CFStringEncoding encoding)
{
    bool is_one_to_one = encoding == kCFStringEncodingUTF8 || encoding == kCFStringEncodingASCII;
    return sizeof(struct __CFString) + (is_one_to_one ? count : count * CF_UTF8_BYTES_PER_BYTE) + 1;
}

static CFStringRef string_create(CFAllocatorRef allocator, const void *bytes, size_t count,
                                 CFStringEncoding encoding)
{
    if (!cf_encoding_is_known(encoding) || count > PTRDIFF_MAX / 4) {
        return NULL;
    }
    struct __CFString *string =
        cf_object_create(allocator, &cf_string_class, cf_string_room(count, encoding));
    if (string != NULL && !cf_string_fill(string, bytes, count, encoding)) {
        free(string);
        string = NULL;
    }
    return string;
}

CFStringRef CFStringCreateWithCString(CFAllocatorRef alloc, const char *cStr,
                                      CFStringEncoding encoding)
{
    return cStr != NULL ? string_create(alloc, cStr, strlen(cStr), encoding) : NULL;
}

CFStringRef CFStringCreateWithBytes(CFAllocatorRef alloc, const UInt8 *bytes, CFIndex numBytes,
                                    CFStringEncoding encoding, Boolean isExternalRepresentation)
{
    if (numBytes < 0 || (bytes == NULL && numBytes > 0)) {
        return NULL;
    }
    /* Only text from outside carries a byte order mark. */
    if (isExternalRepresentation && encoding == kCFStringEncodingUTF8 && numBytes >= 3 &&
        memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        numBytes -= 3;
    }
    return string_create(alloc, bytes, (size_t)numBytes, encoding);
}

CFStringRef CFStringCreateCopy(CFAllocatorRef alloc, CFStringRef theString)
{
    cf_check(theString, &cf_string_class, __func__);
    return alloc != kCFAllocatorNull ? CFRetain(theString) : NULL;
}

CFIndex CFStringGetLength(CFStringRef theString)
{
    cf_check(theString, &cf_string_class, __func__);
    return theString->length;
}

UniChar CFStringGetCharacterAtIndex(CFStringRef theString, CFIndex idx)
{
    cf_check(theString, &cf_string_class, __func__);
    if (idx < 0 || idx >= theString->length) {
        return 0;
    }
    if (theString->is_ascii) {
        return (UniChar)theString->text[idx];
    }
    const char *at = theString->text;
    for (;;) {
        uint32_t character = cf_utf8_next(&at);
        CFIndex units = character >= 0x10000 ? 2 : 1;
        if (idx < units) {
            if (units == 1) {
                return (UniChar)character;
            }
            character -= 0x10000;
            return (UniChar)(idx == 0 ? 0xd800 + (character >> 10) : 0xdc00 + (character & 0x3ff));
        }
        idx -= units;
    }
}

Boolean CFStringGetCString(CFStringRef theString, char *buffer, CFIndex bufferSize,
                           CFStringEncoding encoding)
{
    cf_check(theString, &cf_string_class, __func__);
    if (buffer == NULL || bufferSize < 1) {
        return false;
    }
    ptrdiff_t written = -1;
    if (cf_encoding_is_known(encoding)) {
        written = cf_encoding_encode(encoding, theString->text, theString->bytes, (uint8_t *)buffer,
                                     (size_t)bufferSize - 1);
    }
    buffer[written < 0 ? 0 : written] = '\0';
    return written >= 0;
}

const char *CFStringGetCStringPtr(CFStringRef theString, CFStringEncoding encoding)
{
    cf_check(theString, &cf_string_class, __func__);
    bool is_same_text = encoding == kCFStringEncodingUTF8 ||
                        (theString->is_ascii && cf_encoding_is_known(encoding));
    bool is_c_string = strlen(theString->text) == theString->bytes;
    return is_same_text && is_c_string ? theString->text : NULL;
}

const char *cf_string_utf8(CFStringRef string, size_t *bytes)
{
    cf_check(string, &cf_string_class, __func__);
    if (bytes != NULL) {
        *bytes = string->bytes;
    }
    return string->text;
}

CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding)
{
    if (length < 0 || !cf_encoding_is_known(encoding)) {
        return kCFNotFound;
    }
    /* Three bytes a unit: those of four take two units. */
    CFIndex factor = encoding == kCFStringEncodingUTF8 ? 3 : 1;
    return length <= LONG_MAX / factor ? length * factor : kCFNotFound;
}

Boolean CFStringHasPrefix(CFStringRef theString, CFStringRef prefix)
{
    cf_check(theString, &cf_string_class, __func__);
    cf_check(prefix, &cf_string_class, __func__);
    return prefix->bytes <= theString->bytes &&
           memcmp(theString->text, prefix->text, prefix->bytes) == 0;
}

Boolean CFStringHasSuffix(CFStringRef theString, CFStringRef suffix)
{
    cf_check(theString, &cf_string_class, __func__);
    cf_check(suffix, &cf_string_class, __func__);
    return suffix->bytes <= theString->bytes &&
           memcmp(theString->text + theString->bytes - suffix->bytes, suffix->text,
                  suffix->bytes) == 0;
}

SInt32 CFStringGetIntValue(CFStringRef str)
{
    cf_check(str, &cf_string_class, __func__);
    const char *at = str->text;
    at += strspn(at, " \t\n\v\f\r");
    bool is_negative = *at == '-';
    at += *at == '-' || *at == '+';
    int64_t value = 0;
    for (; *at >= '0' && *at <= '9' && value <= INT32_MAX; at++) {
        value = value * 10 + (*at - '0');
    }
    value = is_negative ? -value : value;
    return (SInt32)(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value);
}
