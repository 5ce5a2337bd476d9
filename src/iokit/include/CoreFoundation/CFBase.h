/*
 * CoreFoundation objects: types, ranges, allocators, reference counts.
 *
 * Functions with Create or Copy in their name hand out a reference of the caller's, those with Get
 * lend one. NULL, or an object of another type than the function works on, is a programming error
 * that ends the process with a line on standard error, as it does on macOS. Objects that cannot
 * change may be used from any thread; mutable ones need a lock of the caller's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_COREFOUNDATION_CFBASE_H
#define DEXTLINK_COREFOUNDATION_CFBASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <MacTypes.h>

#ifdef __cplusplus
#define CF_EXTERN_C_BEGIN extern "C" {
#define CF_EXTERN_C_END   }
#else
#define CF_EXTERN_C_BEGIN
#define CF_EXTERN_C_END
#endif
#define CF_EXPORT extern
#define CF_INLINE static inline

/* For the analyser of compilers that know them. */
#if defined(__clang__)
#define CF_RETURNS_RETAINED  __attribute__((cf_returns_retained))
#define CF_RELEASES_ARGUMENT __attribute__((cf_consumed))
#else
#define CF_RETURNS_RETAINED
#define CF_RELEASES_ARGUMENT
#endif

/* An enumeration as wide as an integer type: exact in C++, a typedef of the integer in C. Options,
 * which callers combine, are integers in both. */
#ifdef __cplusplus
#define DEXTLINK_CF_ENUM(type, name) enum name : type
#define DEXTLINK_CF_OPTIONS(type, name)                                                            \
    typedef type name;                                                                             \
    enum : type
#else
#define DEXTLINK_CF_OPTIONS(type, name) DEXTLINK_CF_ENUM(type, name)
#define DEXTLINK_CF_ENUM(type, name)                                                               \
    typedef type name;                                                                             \
    enum
#endif

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

CF_EXTERN_C_BEGIN

typedef unsigned long CFTypeID;
typedef unsigned long CFOptionFlags;
typedef unsigned long CFHashCode;
typedef signed long CFIndex;

typedef const void *CFTypeRef;
typedef const struct __CFString *CFStringRef;
typedef struct __CFString *CFMutableStringRef;

DEXTLINK_CF_ENUM(CFIndex, CFComparisonResult){kCFCompareLessThan = -1L, kCFCompareEqualTo = 0,
                                              kCFCompareGreaterThan = 1};

typedef CFComparisonResult (*CFComparatorFunction)(const void *val1, const void *val2,
                                                   void *context);

static const CFIndex kCFNotFound = -1;

typedef struct {
    CFIndex location;
    CFIndex length;
} CFRange;

CF_INLINE CFRange CFRangeMake(CFIndex loc, CFIndex len)
{
    CFRange range;
    range.location = loc;
    range.length = len;
    return range;
}

/* NULL, Default, SystemDefault and Malloc are the C library's heap; Null never gives memory. */
typedef const struct __CFAllocator *CFAllocatorRef;
CF_EXPORT const CFAllocatorRef kCFAllocatorDefault;
CF_EXPORT const CFAllocatorRef kCFAllocatorSystemDefault;
CF_EXPORT const CFAllocatorRef kCFAllocatorMalloc;
CF_EXPORT const CFAllocatorRef kCFAllocatorNull;

/* A run-time value: compare it with CF…GetTypeID() only. */
CF_EXPORT CFTypeID CFGetTypeID(CFTypeRef cf);
CF_EXPORT CFStringRef CFCopyTypeIDDescription(CFTypeID type_id);

/* Any thread. No effect on constants (CFSTR, kCFBooleanTrue). */
CF_EXPORT CFTypeRef CFRetain(CFTypeRef cf);
CF_EXPORT void CFRelease(CFTypeRef cf);
CF_EXPORT CFIndex CFGetRetainCount(CFTypeRef cf);

/* By content, deep. Equal objects have equal hashes. */
CF_EXPORT Boolean CFEqual(CFTypeRef cf1, CFTypeRef cf2);
CF_EXPORT CFHashCode CFHash(CFTypeRef cf);

CF_EXTERN_C_END

#endif
