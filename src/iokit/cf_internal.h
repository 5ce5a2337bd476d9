/*
 * CoreFoundation objects inside: what each kind shares, and calls that report a lack of memory,
 * which the public ones cannot.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_IOKIT_CF_INTERNAL_H
#define DEXTLINK_IOKIT_CF_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <CoreFoundation/CoreFoundation.h>

/* What a kind of object does; one constant a kind. */
struct cf_class {
    CFTypeID type_id;
    const char *name;
    /* The last reference is gone: release what the object holds; its own memory is freed after. */
    void (*finalize)(CFTypeRef cf);
    /* Both of this class, not the same object. NULL: only identity is equality. */
    bool (*is_equal)(CFTypeRef a, CFTypeRef b);
    /* NULL: by address. */
    CFHashCode (*hash)(CFTypeRef cf);
};

/* Head of each object. Constants have is_immortal and are never written to. */
struct cf_object {
    const struct cf_class *class;
    atomic_long references;
    bool is_immortal;
    bool is_mutable;
};

extern const struct cf_class cf_allocator_class;
extern const struct cf_class cf_array_class;
extern const struct cf_class cf_boolean_class;
extern const struct cf_class cf_data_class;
extern const struct cf_class cf_dictionary_class;
extern const struct cf_class cf_number_class;
extern const struct cf_class cf_string_class;

/* A zeroed object of bytes size with one reference, or NULL. */
void *cf_object_create(CFAllocatorRef allocator, const struct cf_class *class, size_t bytes);

/* End the process, naming function, unless cf is an object of that class (any class if NULL). */
void cf_check(CFTypeRef cf, const struct cf_class *class, const char *function);

/* CFRetain and CFRelease in the form that the callbacks of containers have. */
const void *cf_retain_value(CFAllocatorRef allocator, const void *value);
void cf_release_value(CFAllocatorRef allocator, const void *value);

/* FNV-1a over bytes. */
CFHashCode cf_hash_bytes(const void *bytes, size_t count);

/* The whole text as UTF-8 with a NUL behind it; *bytes (may be NULL) is its length without that.
 * Borrowed, as long as the string lives. */
const char *cf_string_utf8(CFStringRef string, size_t *bytes);

/* CFDictionarySetValue and CFArrayAppendValue with an answer: false when memory is short. */
bool cf_dictionary_set(CFMutableDictionaryRef dictionary, const void *key, const void *value);
bool cf_array_append(CFMutableArrayRef array, const void *value);

#endif
