/*
 * Dictionaries that say which services match.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <IOKit/IOKitLib.h>
#include <CoreFoundation/CoreFoundation.h>

#include "iokit/cf_internal.h"

/* { key: value }; value NULL (memory was short) gives NULL. Takes the reference of value. */
static CFMutableDictionaryRef matching_create(const char *key, CFTypeRef value)
{
    CFStringRef name = CFStringCreateWithCString(NULL, key, kCFStringEncodingASCII);
    CFMutableDictionaryRef matching = CFDictionaryCreateMutable(
        NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    bool is_whole = name != NULL && value != NULL && matching != NULL &&
                    cf_dictionary_set(matching, name, value);
    if (name != NULL) {
        CFRelease(name);
    }
    if (value != NULL) {
        CFRelease(value);
    }
    if (!is_whole && matching != NULL) {
        CFRelease(matching);
        matching = NULL;
    }
    return matching;
}

CFMutableDictionaryRef IOServiceMatching(const char *name)
{
    return matching_create(kIOProviderClassKey,
                           CFStringCreateWithCString(NULL, name, kCFStringEncodingMacRoman));
}

CFMutableDictionaryRef IOServiceNameMatching(const char *name)
{
    return matching_create(kIONameMatchKey,
                           CFStringCreateWithCString(NULL, name, kCFStringEncodingMacRoman));
}

CFMutableDictionaryRef IORegistryEntryIDMatching(uint64_t entryID)
{
    return matching_create(kIORegistryEntryIDKey,
                           CFNumberCreate(NULL, kCFNumberSInt64Type, &entryID));
}
