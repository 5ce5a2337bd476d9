/*
 * CFData: bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct __CFData {
    struct cf_object base;
    UInt8 *bytes; /* NULL while nothing was ever stored */
    CFIndex length;
    CFIndex room;  /* bytes allocated */
    CFIndex limit; /* most bytes it may hold */
};

static void data_finalize(CFTypeRef cf)
{
    free(((CFDataRef)cf)->bytes);
}

static bool data_is_equal(CFTypeRef a, CFTypeRef b)
{
    CFDataRef one = a, other = b;
    return one->length == other->length &&
           (one->length == 0 || memcmp(one->bytes, other->bytes, (size_t)one->length) == 0);
}

static CFHashCode data_hash(CFTypeRef cf)
{
    CFDataRef data = cf;
    return cf_hash_bytes(data->bytes, (size_t)data->length);
}

const struct cf_class cf_data_class = {
    .type_id = 4,
    .name = "CFData",
    .finalize = data_finalize,
    .is_equal = data_is_equal,
    .hash = data_hash,
};

CFTypeID CFDataGetTypeID(void)
{
    return cf_data_class.type_id;
}

/* Make room for length bytes; false: past the limit, or no memory. */
static bool data_reserve(CFMutableDataRef data, CFIndex length)
{
    if (length > data->limit) {
        return false;
    }
    if (length <= data->room) {
        return true;
    }
    CFIndex room = data->room > LONG_MAX / 2 ? length : data->room * 2;
    room = room < length ? length : room;
    UInt8 *bytes = realloc(data->bytes, (size_t)room);
    if (bytes == NULL) {
        return false;
    }
    data->bytes = bytes;
    data->room = room;
    return true;
}

static CFMutableDataRef data_create(CFAllocatorRef allocator, CFIndex limit, const UInt8 *bytes,
                                    CFIndex length)
{
    if (length < 0 || limit < 0 || (bytes == NULL && length > 0)) {
        return NULL;
    }
    CFMutableDataRef data = cf_object_create(allocator, &cf_data_class, sizeof(struct __CFData));
    if (data == NULL) {
        return NULL;
    }
    data->limit = limit;
    if (!data_reserve(data, length)) {
        CFRelease(data);
        return NULL;
    }
    if (length > 0) {
        memcpy(data->bytes, bytes, (size_t)length);
    }
    data->length = length;
    return data;
}

CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length)
{
    return data_create(allocator, LONG_MAX, bytes, length);
}

CFDataRef CFDataCreateCopy(CFAllocatorRef allocator, CFDataRef theData)
{
    cf_check(theData, &cf_data_class, __func__);
    return CFDataCreate(allocator, theData->bytes, theData->length);
}

CFMutableDataRef CFDataCreateMutable(CFAllocatorRef allocator, CFIndex capacity)
{
    CFMutableDataRef data = data_create(allocator, capacity == 0 ? LONG_MAX : capacity, NULL, 0);
    if (data != NULL) {
        data->base.is_mutable = true;
    }
    return data;
}

CFMutableDataRef CFDataCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity,
                                         CFDataRef theData)
{
    cf_check(theData, &cf_data_class, __func__);
    CFMutableDataRef data = data_create(allocator, capacity == 0 ? LONG_MAX : capacity,
                                        theData->bytes, theData->length);
    if (data != NULL) {
        data->base.is_mutable = true;
    }
    return data;
}

CFIndex CFDataGetLength(CFDataRef theData)
{
    cf_check(theData, &cf_data_class, __func__);
    return theData->length;
}

const UInt8 *CFDataGetBytePtr(CFDataRef theData)
{
    cf_check(theData, &cf_data_class, __func__);
    return theData->bytes;
}

UInt8 *CFDataGetMutableBytePtr(CFMutableDataRef theData)
{
    cf_check(theData, &cf_data_class, __func__);
    return theData->base.is_mutable ? theData->bytes : NULL;
}

void CFDataGetBytes(CFDataRef theData, CFRange range, UInt8 *buffer)
{
    cf_check(theData, &cf_data_class, __func__);
    if (range.location >= 0 && range.length > 0 && range.location <= theData->length &&
        range.length <= theData->length - range.location) {
        memcpy(buffer, theData->bytes + range.location, (size_t)range.length);
    }
}

void CFDataSetLength(CFMutableDataRef theData, CFIndex length)
{
    cf_check(theData, &cf_data_class, __func__);
    if (!theData->base.is_mutable || length < 0 || !data_reserve(theData, length)) {
        return;
    }
    if (length > theData->length) {
        memset(theData->bytes + theData->length, 0, (size_t)(length - theData->length));
    }
    theData->length = length;
}

void CFDataAppendBytes(CFMutableDataRef theData, const UInt8 *bytes, CFIndex length)
{
    cf_check(theData, &cf_data_class, __func__);
    if (!theData->base.is_mutable || length <= 0 || length > LONG_MAX - theData->length) {
        return;
    }
    if (data_reserve(theData, theData->length + length)) {
        memcpy(theData->bytes + theData->length, bytes, (size_t)length);
        theData->length += length;
    }
}
