/*
 * CFNumber and CFBoolean.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_internal.h"

#include <stdint.h>
#include <string.h>

struct __CFBoolean {
    struct cf_object base;
    bool value;
};

struct __CFNumber {
    struct cf_object base;
    CFNumberType type; /* one of SInt8 … Float64 */
    union {
        int64_t integer;
        double real;
    } value;
};

const struct cf_class cf_boolean_class = {.type_id = 3, .name = "CFBoolean"};

static const struct __CFBoolean boolean_true = {
    .base = {.class = &cf_boolean_class, .is_immortal = true}, .value = true};
static const struct __CFBoolean boolean_false = {
    .base = {.class = &cf_boolean_class, .is_immortal = true}, .value = false};
const CFBooleanRef kCFBooleanTrue = &boolean_true;
const CFBooleanRef kCFBooleanFalse = &boolean_false;

CFTypeID CFBooleanGetTypeID(void)
{
    return cf_boolean_class.type_id;
}

Boolean CFBooleanGetValue(CFBooleanRef boolean)
{
    cf_check(boolean, &cf_boolean_class, __func__);
    return boolean->value;
}

static bool number_is_real(CFNumberRef number)
{
    return number->type == kCFNumberFloat32Type || number->type == kCFNumberFloat64Type;
}

/* 2^63, the first value past the integers; exact as a double. */
static const double integer_end = 9223372036854775808.0;

static bool is_whole(double real)
{
    return real >= -integer_end && real < integer_end && (double)(int64_t)real == real;
}

static CFHashCode number_hash(CFTypeRef cf)
{
    CFNumberRef number = cf;
    int64_t bits;
    if (!number_is_real(number)) {
        bits = number->value.integer;
    } else if (is_whole(number->value.real)) {
        bits = (int64_t)number->value.real; /* equal numbers hash alike, 1 and 1.0 too */
    } else if (number->value.real != number->value.real) {
        bits = INT64_MIN; /* any NaN */
    } else {
        memcpy(&bits, &number->value.real, sizeof(bits));
    }
    return cf_hash_bytes(&bits, sizeof(bits));
}

static bool number_is_equal(CFTypeRef a, CFTypeRef b)
{
    return CFNumberCompare(a, b, NULL) == kCFCompareEqualTo;
}

const struct cf_class cf_number_class = {
    .type_id = 6,
    .name = "CFNumber",
    .is_equal = number_is_equal,
    .hash = number_hash,
};

CFTypeID CFNumberGetTypeID(void)
{
    return cf_number_class.type_id;
}

/* The type of the same width, 0 for what is none. */
static CFNumberType canonical_type(CFNumberType type)
{
    static const CFNumberType by_type[kCFNumberMaxType + 1] = {
        [kCFNumberSInt8Type] = kCFNumberSInt8Type,
        [kCFNumberSInt16Type] = kCFNumberSInt16Type,
        [kCFNumberSInt32Type] = kCFNumberSInt32Type,
        [kCFNumberSInt64Type] = kCFNumberSInt64Type,
        [kCFNumberFloat32Type] = kCFNumberFloat32Type,
        [kCFNumberFloat64Type] = kCFNumberFloat64Type,
        [kCFNumberCharType] = kCFNumberSInt8Type,
        [kCFNumberShortType] = kCFNumberSInt16Type,
        [kCFNumberIntType] = kCFNumberSInt32Type,
        [kCFNumberLongType] = kCFNumberSInt64Type,
        [kCFNumberLongLongType] = kCFNumberSInt64Type,
        [kCFNumberFloatType] = kCFNumberFloat32Type,
        [kCFNumberDoubleType] = kCFNumberFloat64Type,
        [kCFNumberCFIndexType] = kCFNumberSInt64Type,
        [kCFNumberNSIntegerType] = kCFNumberSInt64Type,
        [kCFNumberCGFloatType] = kCFNumberFloat64Type,
    };
    return type > 0 && type <= kCFNumberMaxType ? by_type[type] : 0;
}

CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFNumberType theType, const void *valuePtr)
{
    CFNumberType type = canonical_type(theType);
    if (type == 0 || valuePtr == NULL) {
        return NULL;
    }
    struct __CFNumber *number =
        cf_object_create(allocator, &cf_number_class, sizeof(struct __CFNumber));
    if (number == NULL) {
        return NULL;
    }
    number->type = type;
    switch (type) {
    case kCFNumberSInt8Type:
        number->value.integer = *(const int8_t *)valuePtr;
        break;
    case kCFNumberSInt16Type:
        number->value.integer = *(const int16_t *)valuePtr;
        break;
    case kCFNumberSInt32Type:
        number->value.integer = *(const int32_t *)valuePtr;
        break;
    case kCFNumberSInt64Type:
        number->value.integer = *(const int64_t *)valuePtr;
        break;
    case kCFNumberFloat32Type:
        number->value.real = (double)*(const float *)valuePtr;
        break;
    default:
        number->value.real = *(const double *)valuePtr;
        break;
    }
    return number;
}

CFNumberType CFNumberGetType(CFNumberRef number)
{
    cf_check(number, &cf_number_class, __func__);
    return number->type;
}

CFIndex CFNumberGetByteSize(CFNumberRef number)
{
    static const CFIndex bytes[] = {
        [kCFNumberSInt8Type] = 1,  [kCFNumberSInt16Type] = 2,  [kCFNumberSInt32Type] = 4,
        [kCFNumberSInt64Type] = 8, [kCFNumberFloat32Type] = 4, [kCFNumberFloat64Type] = 8,
    };
    cf_check(number, &cf_number_class, __func__);
    return bytes[number->type];
}

Boolean CFNumberIsFloatType(CFNumberRef number)
{
    cf_check(number, &cf_number_class, __func__);
    return number_is_real(number);
}

/* Store the low bytes of an integer; whether it fits. */
static bool store_integer(int64_t value, size_t bytes, void *to)
{
    int64_t kept;
    if (bytes == 1) {
        kept = *(int8_t *)to = (int8_t)value;
    } else if (bytes == 2) {
        kept = *(int16_t *)to = (int16_t)value;
    } else if (bytes == 4) {
        kept = *(int32_t *)to = (int32_t)value;
    } else {
        kept = *(int64_t *)to = value;
    }
    return kept == value;
}

/* The integer of that width nearest to real, fraction cut off; NaN becomes 0. */
static int64_t saturate(double real, size_t bytes)
{
    int64_t highest = bytes == 8 ? INT64_MAX : ((int64_t)1 << (bytes * 8 - 1)) - 1;
    if (real != real) {
        return 0;
    }
    if (real >= integer_end || (real > 0 && (int64_t)real > highest)) {
        return highest;
    }
    if (real < -integer_end || (int64_t)real < -highest - 1) {
        return -highest - 1;
    }
    return (int64_t)real;
}

static bool get_integer(CFNumberRef number, size_t bytes, void *to)
{
    if (!number_is_real(number)) {
        return store_integer(number->value.integer, bytes, to);
    }
    int64_t value = saturate(number->value.real, bytes);
    store_integer(value, bytes, to);
    return is_whole(number->value.real) && (int64_t)number->value.real == value;
}

static bool get_real(CFNumberRef number, bool is_single, void *to)
{
    bool is_real = number_is_real(number);
    double wanted = is_real ? number->value.real : (double)number->value.integer;
    double kept = wanted;
    if (is_single) {
        float single = is_real ? (float)number->value.real : (float)number->value.integer;
        *(float *)to = single;
        kept = (double)single;
    } else {
        *(double *)to = kept;
    }
    if (is_real) {
        return kept == wanted || wanted != wanted;
    }
    return is_whole(kept) && (int64_t)kept == number->value.integer;
}

Boolean CFNumberGetValue(CFNumberRef number, CFNumberType theType, void *valuePtr)
{
    cf_check(number, &cf_number_class, __func__);
    switch (valuePtr != NULL ? canonical_type(theType) : 0) {
    case kCFNumberSInt8Type:
        return get_integer(number, 1, valuePtr);
    case kCFNumberSInt16Type:
        return get_integer(number, 2, valuePtr);
    case kCFNumberSInt32Type:
        return get_integer(number, 4, valuePtr);
    case kCFNumberSInt64Type:
        return get_integer(number, 8, valuePtr);
    case kCFNumberFloat32Type:
        return get_real(number, true, valuePtr);
    case kCFNumberFloat64Type:
        return get_real(number, false, valuePtr);
    default:
        return false;
    }
}

static CFComparisonResult order(bool is_less, bool is_greater)
{
    return is_less ? kCFCompareLessThan : is_greater ? kCFCompareGreaterThan : kCFCompareEqualTo;
}

/* Exact where (double)integer would round. NaN counts as less than everything but NaN. */
static CFComparisonResult compare_mixed(int64_t integer, double real)
{
    if (real != real || real < -integer_end) {
        return kCFCompareGreaterThan;
    }
    if (real >= integer_end) {
        return kCFCompareLessThan;
    }
    int64_t whole = (int64_t)real;
    if (integer != whole) {
        return order(integer<whole, integer> whole);
    }
    return order((double)whole<real, (double)whole> real);
}

CFComparisonResult CFNumberCompare(CFNumberRef number, CFNumberRef otherNumber, void *context)
{
    (void)context;
    cf_check(number, &cf_number_class, __func__);
    cf_check(otherNumber, &cf_number_class, __func__);
    if (number_is_real(number) && number_is_real(otherNumber)) {
        double a = number->value.real, b = otherNumber->value.real;
        if (a != a || b != b) {
            return order(b == b, a == a);
        }
        return order(a<b, a> b);
    }
    if (number_is_real(number)) {
        return -compare_mixed(otherNumber->value.integer, number->value.real);
    }
    if (number_is_real(otherNumber)) {
        return compare_mixed(number->value.integer, otherNumber->value.real);
    }
    int64_t a = number->value.integer, b = otherNumber->value.integer;
    return order(a<b, a> b);
}
