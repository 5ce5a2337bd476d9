/*
 * Conversion between CF objects and what travels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/value.h"

#include <stdlib.h>

#include "iokit/cf_internal.h"

static struct wire_value *value_from_nested(CFTypeRef object, unsigned depth);

static struct wire_value *value_from_string(CFStringRef string)
{
    size_t bytes;
    const char *text = cf_string_utf8(string, &bytes);
    struct wire_value *value = wire_value_string(text);
    if (value && value->length != bytes) { /* a NUL inside: no such text travels */
        wire_value_free(value);
        value = NULL;
    }
    return value;
}

static struct wire_value *value_from_number(CFNumberRef number)
{
    int64_t content = 0;
    CFNumberGetValue(number, kCFNumberSInt64Type, &content);
    return wire_value_number(content, content == (int32_t)content ? 32 : 64);
}

static struct wire_value *value_from_array(CFArrayRef array, unsigned depth)
{
    struct wire_value *value = wire_value_array();
    CFIndex count = CFArrayGetCount(array);
    for (CFIndex i = 0; value && i < count; i++) {
        if (wire_value_append(value,
                              value_from_nested(CFArrayGetValueAtIndex(array, i), depth + 1))) {
            wire_value_free(value);
            value = NULL;
        }
    }
    return value;
}

static int value_set_pair(struct wire_value *value, CFTypeRef key, CFTypeRef item, unsigned depth)
{
    if (CFGetTypeID(key) != CFStringGetTypeID()) {
        return -1;
    }
    return wire_value_set(value, cf_string_utf8(key, NULL), value_from_nested(item, depth + 1));
}

static struct wire_value *value_from_dictionary(CFDictionaryRef dictionary, unsigned depth)
{
    struct wire_value *value = wire_value_dictionary();
    CFIndex count = CFDictionaryGetCount(dictionary);
    const void **pairs = calloc((size_t)count * 2 + 1, sizeof(*pairs));
    int error = !value || !pairs;
    if (!error) {
        CFDictionaryGetKeysAndValues(dictionary, pairs, pairs + count);
    }
    for (CFIndex i = 0; !error && i < count; i++) {
        error = value_set_pair(value, pairs[i], pairs[count + i], depth);
    }
    free(pairs);
    if (error) {
        wire_value_free(value);
        value = NULL;
    }
    return value;
}

static struct wire_value *value_from_nested(CFTypeRef object, unsigned depth)
{
    CFTypeID type = CFGetTypeID(object);
    if (depth > WIRE_VALUE_MAX_DEPTH) {
        return NULL;
    }
    if (type == CFStringGetTypeID()) {
        return value_from_string(object);
    }
    if (type == CFNumberGetTypeID()) {
        return value_from_number(object);
    }
    if (type == CFDataGetTypeID()) {
        return wire_value_data(CFDataGetBytePtr(object), (size_t)CFDataGetLength(object));
    }
    if (type == CFBooleanGetTypeID()) {
        return wire_value_boolean(CFBooleanGetValue(object));
    }
    if (type == CFArrayGetTypeID()) {
        return value_from_array(object, depth);
    }
    return type == CFDictionaryGetTypeID() ? value_from_dictionary(object, depth) : NULL;
}

struct wire_value *value_from_cf(CFTypeRef object)
{
    return object ? value_from_nested(object, 0) : NULL;
}

/* The kernel hands numbers of up to 32 bits out as signed 32-bit ones. */
static CFTypeRef value_to_number(const struct wire_value *value)
{
    int32_t small = (int32_t)value->number;
    return value->bits <= 32 ? CFNumberCreate(NULL, kCFNumberSInt32Type, &small)
                             : CFNumberCreate(NULL, kCFNumberSInt64Type, &value->number);
}

static CFTypeRef value_to_array(const struct wire_value *value)
{
    CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
    for (size_t i = 0; array && i < value->count; i++) {
        CFTypeRef item = value_to_cf(value->items[i]);
        bool is_stored = item && cf_array_append(array, item);
        if (item) {
            CFRelease(item);
        }
        if (!is_stored) {
            CFRelease(array);
            array = NULL;
        }
    }
    return array;
}

static bool value_store(CFMutableDictionaryRef dictionary, const char *key,
                        const struct wire_value *value)
{
    CFStringRef name = CFStringCreateWithCString(NULL, key, kCFStringEncodingUTF8);
    CFTypeRef item = value_to_cf(value);
    bool is_stored = name && item && cf_dictionary_set(dictionary, name, item);
    if (name) {
        CFRelease(name);
    }
    if (item) {
        CFRelease(item);
    }
    return is_stored;
}

static CFTypeRef value_to_dictionary(const struct wire_value *value)
{
    CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(
        NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    for (size_t i = 0; dictionary && i < value->count; i++) {
        if (!value_store(dictionary, value->keys[i], value->items[i])) {
            CFRelease(dictionary);
            dictionary = NULL;
        }
    }
    return dictionary;
}

CFTypeRef value_to_cf(const struct wire_value *value)
{
    switch (value->type) {
    case WIRE_VALUE_STRING:
        return CFStringCreateWithCString(NULL, value->text, kCFStringEncodingUTF8);
    case WIRE_VALUE_NUMBER:
        return value_to_number(value);
    case WIRE_VALUE_DATA:
        return CFDataCreate(NULL, (const UInt8 *)value->text, (CFIndex)value->length);
    case WIRE_VALUE_BOOLEAN:
        return CFRetain(value->number ? kCFBooleanTrue : kCFBooleanFalse);
    case WIRE_VALUE_ARRAY:
        return value_to_array(value);
    default:
        return value_to_dictionary(value);
    }
}
