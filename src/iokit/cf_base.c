/*
 * What all CoreFoundation objects do: reference counts, identity, equality; the allocators.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_internal.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "iokit/misuse.h"

struct __CFAllocator {
    struct cf_object base;
};

const struct cf_class cf_allocator_class = {.type_id = 1, .name = "CFAllocator"};

static const struct cf_class *const classes[] = {
    &cf_allocator_class,  &cf_array_class,  &cf_boolean_class, &cf_data_class,
    &cf_dictionary_class, &cf_number_class, &cf_string_class,
};

#define CONSTANT_ALLOCATOR                                                                         \
    {                                                                                              \
        {                                                                                          \
            .class = &cf_allocator_class, .is_immortal = true                                      \
        }                                                                                          \
    }
static const struct __CFAllocator allocator_system = CONSTANT_ALLOCATOR;
static const struct __CFAllocator allocator_malloc = CONSTANT_ALLOCATOR;
static const struct __CFAllocator allocator_null = CONSTANT_ALLOCATOR;

const CFAllocatorRef kCFAllocatorDefault = NULL;
const CFAllocatorRef kCFAllocatorSystemDefault = &allocator_system;
const CFAllocatorRef kCFAllocatorMalloc = &allocator_malloc;
const CFAllocatorRef kCFAllocatorNull = &allocator_null;

void *cf_object_create(CFAllocatorRef allocator, const struct cf_class *class, size_t bytes)
{
    if (allocator == kCFAllocatorNull) {
        return NULL;
    }
    struct cf_object *object = calloc(1, bytes);
    if (object == NULL) {
        return NULL;
    }
    object->class = class;
    atomic_init(&object->references, 1);
    return object;
}

void cf_check(CFTypeRef cf, const struct cf_class *class, const char *function)
{
    if (cf == NULL) {
        misuse(function, "called with NULL");
    }
    const struct cf_object *object = cf;
    if (class != NULL && object->class != class) {
        misuse(function, "called with an object of another type");
    }
}

CFHashCode cf_hash_bytes(const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3u;
    }
    return (CFHashCode)hash;
}

CFTypeID CFGetTypeID(CFTypeRef cf)
{
    cf_check(cf, NULL, __func__);
    return ((const struct cf_object *)cf)->class->type_id;
}

CFStringRef CFCopyTypeIDDescription(CFTypeID type_id)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (classes[i]->type_id == type_id) {
            return CFStringCreateWithCString(NULL, classes[i]->name, kCFStringEncodingASCII);
        }
    }
    return NULL;
}

CFTypeRef CFRetain(CFTypeRef cf)
{
    cf_check(cf, NULL, __func__);
    struct cf_object *object = (struct cf_object *)cf;
    if (!object->is_immortal) {
        atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
    }
    return cf;
}

void CFRelease(CFTypeRef cf)
{
    cf_check(cf, NULL, __func__);
    struct cf_object *object = (struct cf_object *)cf;
    if (object->is_immortal ||
        atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (object->class->finalize != NULL) {
        object->class->finalize(cf);
    }
    free(object);
}

CFIndex CFGetRetainCount(CFTypeRef cf)
{
    cf_check(cf, NULL, __func__);
    const struct cf_object *object = cf;
    return object->is_immortal ? LONG_MAX : atomic_load(&object->references);
}

Boolean CFEqual(CFTypeRef cf1, CFTypeRef cf2)
{
    cf_check(cf1, NULL, __func__);
    cf_check(cf2, NULL, __func__);
    if (cf1 == cf2) {
        return true;
    }
    const struct cf_class *class = ((const struct cf_object *)cf1)->class;
    return class == ((const struct cf_object *)cf2)->class && class->is_equal != NULL &&
           class->is_equal(cf1, cf2);
}

CFHashCode CFHash(CFTypeRef cf)
{
    cf_check(cf, NULL, __func__);
    const struct cf_class *class = ((const struct cf_object *)cf)->class;
    return class->hash != NULL ? class->hash(cf) : cf_hash_bytes(&cf, sizeof(cf));
}

const void *cf_retain_value(CFAllocatorRef allocator, const void *value)
{
    (void)allocator;
    return CFRetain(value);
}

void cf_release_value(CFAllocatorRef allocator, const void *value)
{
    (void)allocator;
    CFRelease(value);
}
