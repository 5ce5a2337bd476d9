/*
 * CFArray: a sequence of values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct __CFArray {
    struct cf_object base;
    CFArrayCallBacks callbacks;
    const void **values;
    CFIndex count;
    CFIndex room;
};

const CFArrayCallBacks kCFTypeArrayCallBacks = {
    .retain = cf_retain_value, .release = cf_release_value, .equal = CFEqual};

static bool is_equal_value(CFArrayRef array, const void *a, const void *b)
{
    return a == b || (array->callbacks.equal != NULL && array->callbacks.equal(a, b));
}

static void array_release_from(CFMutableArrayRef array, CFIndex first)
{
    CFIndex end = array->count;
    array->count = first;
    for (CFIndex i = first; i < end && array->callbacks.release != NULL; i++) {
        array->callbacks.release(kCFAllocatorDefault, array->values[i]);
    }
}

static void array_finalize(CFTypeRef cf)
{
    CFMutableArrayRef array = (CFMutableArrayRef)cf;
    array_release_from(array, 0);
    free(array->values);
}

static bool array_is_equal(CFTypeRef a, CFTypeRef b)
{
    CFArrayRef one = a, other = b;
    if (one->count != other->count || one->callbacks.equal != other->callbacks.equal) {
        return false;
    }
    for (CFIndex i = 0; i < one->count; i++) {
        if (!is_equal_value(one, one->values[i], other->values[i])) {
            return false;
        }
    }
    return true;
}

static CFHashCode array_hash(CFTypeRef cf)
{
    return (CFHashCode)((CFArrayRef)cf)->count;
}

const struct cf_class cf_array_class = {
    .type_id = 2,
    .name = "CFArray",
    .finalize = array_finalize,
    .is_equal = array_is_equal,
    .hash = array_hash,
};

CFTypeID CFArrayGetTypeID(void)
{
    return cf_array_class.type_id;
}

static CFMutableArrayRef array_create(CFAllocatorRef allocator, const CFArrayCallBacks *callbacks)
{
    CFMutableArrayRef array =
        cf_object_create(allocator, &cf_array_class, sizeof(struct __CFArray));
    if (array != NULL && callbacks != NULL) {
        array->callbacks = *callbacks;
    }
    return array;
}

static bool array_insert(CFMutableArrayRef array, CFIndex index, const void *value)
{
    if (index < 0 || index > array->count) {
        return false;
    }
    if (array->count == array->room) {
        CFIndex room = array->room == 0 ? 4 : array->room * 2;
        const void **values = realloc(array->values, (size_t)room * sizeof(*values));
        if (values == NULL) {
            return false;
        }
        array->values = values;
        array->room = room;
    }
    if (array->callbacks.retain != NULL) {
        value = array->callbacks.retain(kCFAllocatorDefault, value);
    }
    memmove(&array->values[index + 1], &array->values[index],
            (size_t)(array->count - index) * sizeof(*array->values));
    array->values[index] = value;
    array->count++;
    return true;
}

bool cf_array_append(CFMutableArrayRef array, const void *value)
{
    cf_check(array, &cf_array_class, __func__);
    return array->base.is_mutable && array_insert(array, array->count, value);
}

/* Append values of a plain array; on failure the new array is gone. */
static CFMutableArrayRef array_fill(CFMutableArrayRef array, const void *const *values,
                                    CFIndex count)
{
    for (CFIndex i = 0; array != NULL && i < count; i++) {
        if (!array_insert(array, array->count, values[i])) {
            CFRelease(array);
            array = NULL;
        }
    }
    return array;
}

CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex numValues,
                         const CFArrayCallBacks *callBacks)
{
    if (numValues < 0 || (values == NULL && numValues > 0)) {
        return NULL;
    }
    return array_fill(array_create(allocator, callBacks), values, numValues);
}

CFArrayRef CFArrayCreateCopy(CFAllocatorRef allocator, CFArrayRef theArray)
{
    cf_check(theArray, &cf_array_class, __func__);
    return array_fill(array_create(allocator, &theArray->callbacks), theArray->values,
                      theArray->count);
}

CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
                                       const CFArrayCallBacks *callBacks)
{
    (void)capacity; /* a hint since macOS 10.5 */
    CFMutableArrayRef array = array_create(allocator, callBacks);
    if (array != NULL) {
        array->base.is_mutable = true;
    }
    return array;
}

CFMutableArrayRef CFArrayCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity,
                                           CFArrayRef theArray)
{
    cf_check(theArray, &cf_array_class, __func__);
    return array_fill(CFArrayCreateMutable(allocator, capacity, &theArray->callbacks),
                      theArray->values, theArray->count);
}

CFIndex CFArrayGetCount(CFArrayRef theArray)
{
    cf_check(theArray, &cf_array_class, __func__);
    return theArray->count;
}

const void *CFArrayGetValueAtIndex(CFArrayRef theArray, CFIndex idx)
{
    cf_check(theArray, &cf_array_class, __func__);
    return idx >= 0 && idx < theArray->count ? theArray->values[idx] : NULL;
}

static bool is_inside(CFArrayRef array, CFRange range)
{
    return range.location >= 0 && range.length >= 0 && range.location <= array->count &&
           range.length <= array->count - range.location;
}

void CFArrayGetValues(CFArrayRef theArray, CFRange range, const void **values)
{
    cf_check(theArray, &cf_array_class, __func__);
    if (range.length > 0 && is_inside(theArray, range)) {
        memcpy(values, &theArray->values[range.location], (size_t)range.length * sizeof(*values));
    }
}

CFIndex CFArrayGetFirstIndexOfValue(CFArrayRef theArray, CFRange range, const void *value)
{
    cf_check(theArray, &cf_array_class, __func__);
    if (is_inside(theArray, range)) {
        for (CFIndex i = range.location; i < range.location + range.length; i++) {
            if (is_equal_value(theArray, value, theArray->values[i])) {
                return i;
            }
        }
    }
    return kCFNotFound;
}

Boolean CFArrayContainsValue(CFArrayRef theArray, CFRange range, const void *value)
{
    return CFArrayGetFirstIndexOfValue(theArray, range, value) != kCFNotFound;
}

void CFArrayApplyFunction(CFArrayRef theArray, CFRange range, CFArrayApplierFunction applier,
                          void *context)
{
    cf_check(theArray, &cf_array_class, __func__);
    for (CFIndex i = 0; is_inside(theArray, range) && i < range.length; i++) {
        applier(theArray->values[range.location + i], context);
    }
}

void CFArrayAppendValue(CFMutableArrayRef theArray, const void *value)
{
    cf_array_append(theArray, value);
}

void CFArrayInsertValueAtIndex(CFMutableArrayRef theArray, CFIndex idx, const void *value)
{
    cf_check(theArray, &cf_array_class, __func__);
    if (theArray->base.is_mutable) {
        array_insert(theArray, idx, value);
    }
}

void CFArraySetValueAtIndex(CFMutableArrayRef theArray, CFIndex idx, const void *value)
{
    cf_check(theArray, &cf_array_class, __func__);
    if (!theArray->base.is_mutable || idx < 0 || idx > theArray->count) {
        return;
    }
    if (idx == theArray->count) {
        array_insert(theArray, idx, value);
        return;
    }
    if (theArray->callbacks.retain != NULL) {
        value = theArray->callbacks.retain(kCFAllocatorDefault, value);
    }
    const void *old = theArray->values[idx];
    theArray->values[idx] = value;
    if (theArray->callbacks.release != NULL) {
        theArray->callbacks.release(kCFAllocatorDefault, old);
    }
}

void CFArrayRemoveValueAtIndex(CFMutableArrayRef theArray, CFIndex idx)
{
    cf_check(theArray, &cf_array_class, __func__);
    if (!theArray->base.is_mutable || idx < 0 || idx >= theArray->count) {
        return;
    }
    const void *old = theArray->values[idx];
    theArray->count--;
    memmove(&theArray->values[idx], &theArray->values[idx + 1],
            (size_t)(theArray->count - idx) * sizeof(*theArray->values));
    if (theArray->callbacks.release != NULL) {
        theArray->callbacks.release(kCFAllocatorDefault, old);
    }
}

void CFArrayRemoveAllValues(CFMutableArrayRef theArray)
{
    cf_check(theArray, &cf_array_class, __func__);
    if (theArray->base.is_mutable) {
        array_release_from(theArray, 0);
    }
}
