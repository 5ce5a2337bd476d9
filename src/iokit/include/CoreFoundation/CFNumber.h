/*
 * CFNumber and CFBoolean.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_COREFOUNDATION_CFNUMBER_H
#define DEXTLINK_COREFOUNDATION_CFNUMBER_H

#include <CoreFoundation/CFBase.h>

CF_EXTERN_C_BEGIN

typedef const struct __CFBoolean *CFBooleanRef;
CF_EXPORT const CFBooleanRef kCFBooleanTrue;
CF_EXPORT const CFBooleanRef kCFBooleanFalse;
CF_EXPORT CFTypeID CFBooleanGetTypeID(void);
CF_EXPORT Boolean CFBooleanGetValue(CFBooleanRef boolean);

/* There are no unsigned types: a 32-bit property with its top bit set reads as negative. */
DEXTLINK_CF_ENUM(CFIndex, CFNumberType){
    kCFNumberSInt8Type = 1,    kCFNumberSInt16Type = 2,    kCFNumberSInt32Type = 3,
    kCFNumberSInt64Type = 4,   kCFNumberFloat32Type = 5,   kCFNumberFloat64Type = 6,
    kCFNumberCharType = 7,     kCFNumberShortType = 8,     kCFNumberIntType = 9,
    kCFNumberLongType = 10,    kCFNumberLongLongType = 11, kCFNumberFloatType = 12,
    kCFNumberDoubleType = 13,  kCFNumberCFIndexType = 14,  kCFNumberNSIntegerType = 15,
    kCFNumberCGFloatType = 16, kCFNumberMaxType = 16};

typedef const struct __CFNumber *CFNumberRef;
CF_EXPORT CFTypeID CFNumberGetTypeID(void);

/* NULL: unknown type, no memory. valuePtr points to an object of exactly that type. */
CF_EXPORT CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFNumberType theType,
                                     const void *valuePtr);

/* The type by width (SInt8 … Float64), whatever alias the number was made with. */
CF_EXPORT CFNumberType CFNumberGetType(CFNumberRef number);
CF_EXPORT CFIndex CFNumberGetByteSize(CFNumberRef number);
CF_EXPORT Boolean CFNumberIsFloatType(CFNumberRef number);

/* false: the value does not fit exactly. Stored all the same: integers lose their high bits,
 * fractions are cut off, floating-point values out of range become the nearest integer. */
CF_EXPORT Boolean CFNumberGetValue(CFNumberRef number, CFNumberType theType, void *valuePtr);
CF_EXPORT CFComparisonResult CFNumberCompare(CFNumberRef number, CFNumberRef otherNumber,
                                             void *context);

CF_EXTERN_C_END

#endif
