/*
 * CFString: text that does not change.
 *
 * Encodings: UTF-8, ASCII, ISO Latin 1, MacRoman. Others are answered with NULL or false. Lengths
 * and indices count UTF-16 units.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_COREFOUNDATION_CFSTRING_H
#define DEXTLINK_COREFOUNDATION_CFSTRING_H

#include <CoreFoundation/CFBase.h>
#include <CoreFoundation/CFArray.h>
#include <CoreFoundation/CFData.h>
#include <CoreFoundation/CFDictionary.h>

CF_EXTERN_C_BEGIN

typedef UInt32 CFStringEncoding;

#define kCFStringEncodingInvalidId (0xffffffffU)

DEXTLINK_CF_ENUM(CFStringEncoding, CFStringBuiltInEncodings){
    kCFStringEncodingMacRoman = 0, kCFStringEncodingISOLatin1 = 0x0201,
    kCFStringEncodingASCII = 0x0600, kCFStringEncodingUTF8 = 0x08000100};

DEXTLINK_CF_OPTIONS(CFOptionFlags, CFStringCompareFlags){kCFCompareCaseInsensitive = 1,
                                                         kCFCompareNumerically = 64};

CF_EXPORT CFTypeID CFStringGetTypeID(void);

/* An immortal string from a literal, one object a text. Not a constant expression. */
#define CFSTR(cStr) __CFStringMakeConstantString("" cStr "")
CF_EXPORT CFStringRef __CFStringMakeConstantString(const char *cStr);

/* NULL: not valid in the encoding, unknown encoding, no memory. */
CF_EXPORT CFStringRef CFStringCreateWithCString(CFAllocatorRef alloc, const char *cStr,
                                                CFStringEncoding encoding);
CF_EXPORT CFStringRef CFStringCreateWithBytes(CFAllocatorRef alloc, const UInt8 *bytes,
                                              CFIndex numBytes, CFStringEncoding encoding,
                                              Boolean isExternalRepresentation);
CF_EXPORT CFStringRef CFStringCreateCopy(CFAllocatorRef alloc, CFStringRef theString);

CF_EXPORT CFIndex CFStringGetLength(CFStringRef theString);
CF_EXPORT UniChar CFStringGetCharacterAtIndex(CFStringRef theString, CFIndex idx);

/* false: does not fit with its NUL, or cannot be said in the encoding; the buffer is then empty. */
CF_EXPORT Boolean CFStringGetCString(CFStringRef theString, char *buffer, CFIndex bufferSize,
                                     CFStringEncoding encoding);

/* Borrowed, as long as the string lives; NULL when there is no such pointer. */
CF_EXPORT const char *CFStringGetCStringPtr(CFStringRef theString, CFStringEncoding encoding);

/* Bytes, without NUL, that a string of that length takes at most; kCFNotFound if unknown. */
CF_EXPORT CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);

/* Flags other than those above are ignored; case is folded for ASCII letters. */
CF_EXPORT CFComparisonResult CFStringCompare(CFStringRef theString1, CFStringRef theString2,
                                             CFStringCompareFlags compareOptions);
CF_EXPORT Boolean CFStringHasPrefix(CFStringRef theString, CFStringRef prefix);
CF_EXPORT Boolean CFStringHasSuffix(CFStringRef theString, CFStringRef suffix);

/* Decimal number at the start, after white space; 0 if there is none; saturates. */
CF_EXPORT SInt32 CFStringGetIntValue(CFStringRef str);

CF_EXTERN_C_END

#endif
