/*
 * Unit tests of CoreFoundation: objects, text, numbers, bytes, and misuse.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <string.h>

#include <CoreFoundation/CoreFoundation.h>

#include "death.h"
#include "iokit/cf_internal.h"

static CFStringRef text(const char *utf8)
{
    CFStringRef string = CFStringCreateWithCString(NULL, utf8, kCFStringEncodingUTF8);
    assert_non_null(string);
    return string;
}

static void counts_references(void **state)
{
    CFStringRef string = text("counted");
    assert_int_equal(CFGetRetainCount(string), 1);
    assert_ptr_equal(CFRetain(string), string);
    assert_int_equal(CFGetRetainCount(string), 2);
    CFRelease(string);
    assert_int_equal(CFGetRetainCount(string), 1);
    CFRelease(string);
    /* Constants are not counted. */
    CFRelease(kCFBooleanTrue);
    CFRelease(kCFBooleanTrue);
    assert_true(CFBooleanGetValue(kCFBooleanTrue));
    CFRelease(CFSTR("constant"));
    CFRelease(CFSTR("constant"));
    assert_int_equal(CFStringGetLength(CFSTR("constant")), 8);
}

static void names_types(void **state)
{
    CFTypeID ids[] = {CFStringGetTypeID(), CFNumberGetTypeID(),  CFDataGetTypeID(),
                      CFArrayGetTypeID(),  CFBooleanGetTypeID(), CFDictionaryGetTypeID()};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(ids[i], ids[j]);
        }
    }
    assert_int_equal(CFGetTypeID(kCFBooleanFalse), CFBooleanGetTypeID());
    assert_int_equal(CFGetTypeID(CFSTR("x")), CFStringGetTypeID());
    CFStringRef name = CFCopyTypeIDDescription(CFDictionaryGetTypeID());
    assert_true(CFEqual(name, CFSTR("CFDictionary")));
    CFRelease(name);
    assert_null(CFCopyTypeIDDescription(12345));
}

static void allocator_null_gives_nothing(void **state)
{
    int32_t one = 1;
    assert_null(CFStringCreateWithCString(kCFAllocatorNull, "x", kCFStringEncodingUTF8));
    assert_null(CFNumberCreate(kCFAllocatorNull, kCFNumberSInt32Type, &one));
    assert_null(CFDictionaryCreateMutable(kCFAllocatorNull, 0, NULL, NULL));
    CFStringRef string = CFStringCreateWithCString(kCFAllocatorMalloc, "x", kCFStringEncodingUTF8);
    assert_non_null(string);
    assert_null(CFStringCreateCopy(kCFAllocatorNull, string));
    CFRelease(string);
    assert_ptr_equal(kCFAllocatorDefault, NULL);
}

static void constant_strings_are_unique(void **state)
{
    CFStringRef one = CFSTR("IOProviderClass");
    assert_ptr_equal(one, CFSTR("IOProviderClass"));
    assert_ptr_not_equal(one, CFSTR("IOProviderClas"));
    CFStringRef made = text("IOProviderClass");
    assert_true(CFEqual(one, made));
    assert_int_equal(CFHash(one), CFHash(made));
    CFRelease(made);
    /* Bytes that are no UTF-8 are MacRoman: 0x8e is e with an acute accent. */
    assert_int_equal(CFStringGetCharacterAtIndex(CFSTR("\x8e"), 0), 0xe9);
}

static void strings_check_their_bytes(void **state)
{
    static const char *const bad[] = {
        "\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xc3", "\xe2\x82", "\xf0\x9f\x98", "a\xff",        "\xe2\x28\xa1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(CFStringCreateWithCString(NULL, bad[i], kCFStringEncodingUTF8));
    }
    assert_null(CFStringCreateWithCString(NULL, "\xc3\xa9", kCFStringEncodingASCII));
    assert_null(CFStringCreateWithCString(NULL, "x", 0x0100 /* UTF-16 */));
    assert_null(CFStringCreateWithCString(NULL, NULL, kCFStringEncodingUTF8));
    assert_null(CFStringCreateWithBytes(NULL, NULL, 1, kCFStringEncodingUTF8, false));
    assert_null(
        CFStringCreateWithBytes(NULL, (const UInt8 *)"x", -1, kCFStringEncodingUTF8, false));
}

static void strings_measure_in_utf16(void **state)
{
    CFStringRef string = text("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"); /* a é € 😀 z */
    assert_int_equal(CFStringGetLength(string), 6);
    static const UniChar units[] = {'a', 0xe9, 0x20ac, 0xd83d, 0xde00, 'z'};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(CFStringGetCharacterAtIndex(string, i), units[i]);
    }
    assert_int_equal(CFStringGetCharacterAtIndex(string, 6), 0);
    assert_int_equal(CFStringGetCharacterAtIndex(string, -1), 0);
    CFRelease(string);
    assert_int_equal(CFStringGetMaximumSizeForEncoding(10, kCFStringEncodingUTF8), 30);
    assert_int_equal(CFStringGetMaximumSizeForEncoding(10, kCFStringEncodingASCII), 10);
    assert_int_equal(CFStringGetMaximumSizeForEncoding(INT64_MAX, kCFStringEncodingUTF8), -1);
    assert_int_equal(CFStringGetMaximumSizeForEncoding(1, kCFStringEncodingInvalidId), -1);
}

static void strings_translate_encodings(void **state)
{
    CFStringRef string =
        CFStringCreateWithCString(NULL, "\xe9\xdb", kCFStringEncodingMacRoman); /* È € */
    char buffer[16];
    assert_true(CFStringGetCString(string, buffer, sizeof(buffer), kCFStringEncodingUTF8));
    assert_string_equal(buffer, "\xc3\x88\xe2\x82\xac");
    assert_true(CFStringGetCString(string, buffer, sizeof(buffer), kCFStringEncodingMacRoman));
    assert_string_equal(buffer, "\xe9\xdb");
    assert_false(CFStringGetCString(string, buffer, sizeof(buffer), kCFStringEncodingISOLatin1));
    assert_string_equal(buffer, "");
    assert_false(CFStringGetCString(string, buffer, sizeof(buffer), kCFStringEncodingASCII));
    assert_null(CFStringGetCStringPtr(string, kCFStringEncodingASCII));
    CFRelease(string);
    string = CFStringCreateWithCString(NULL, "\xe9", kCFStringEncodingISOLatin1);
    assert_true(CFStringGetCString(string, buffer, sizeof(buffer), kCFStringEncodingUTF8));
    assert_string_equal(buffer, "\xc3\xa9");
    CFRelease(string);
    string = CFStringCreateWithBytes(NULL, (const UInt8 *)"\xef\xbb\xbfx", 4, kCFStringEncodingUTF8,
                                     true);
    assert_int_equal(CFStringGetLength(string), 1);
    CFRelease(string);
}

static void c_strings_fit_or_fail(void **state)
{
    CFStringRef string = CFSTR("12345");
    char buffer[8];
    memset(buffer, '#', sizeof(buffer));
    assert_false(CFStringGetCString(string, buffer, 5, kCFStringEncodingUTF8));
    assert_int_equal(buffer[0], '\0');
    assert_int_equal(buffer[5], '#');
    assert_true(CFStringGetCString(string, buffer, 6, kCFStringEncodingUTF8));
    assert_string_equal(buffer, "12345");
    assert_int_equal(buffer[6], '#');
    assert_false(CFStringGetCString(string, buffer, 0, kCFStringEncodingUTF8));
    assert_false(CFStringGetCString(string, buffer, -1, kCFStringEncodingUTF8));
    assert_false(CFStringGetCString(string, buffer, 8, kCFStringEncodingInvalidId));
    assert_string_equal(CFStringGetCStringPtr(string, kCFStringEncodingMacRoman), "12345");
    /* A NUL inside: the text is whole, but there is no C string. */
    CFStringRef split =
        CFStringCreateWithBytes(NULL, (const UInt8 *)"a\0b", 3, kCFStringEncodingASCII, false);
    assert_int_equal(CFStringGetLength(split), 3);
    assert_null(CFStringGetCStringPtr(split, kCFStringEncodingASCII));
    assert_false(CFEqual(split, CFSTR("a")));
    size_t bytes;
    assert_memory_equal(cf_string_utf8(split, &bytes), "a\0b", 4);
    assert_int_equal(bytes, 3);
    CFRelease(split);
}

static void assert_order(const char *less, const char *greater, CFStringCompareFlags flags)
{
    CFStringRef a = text(less), b = text(greater);
    assert_int_equal(CFStringCompare(a, b, flags), kCFCompareLessThan);
    assert_int_equal(CFStringCompare(b, a, flags), kCFCompareGreaterThan);
    assert_int_equal(CFStringCompare(a, a, flags), kCFCompareEqualTo);
    CFRelease(a);
    CFRelease(b);
}

static void strings_have_an_order(void **state)
{
    assert_order("a", "b", 0);
    assert_order("a", "aa", 0);
    assert_order("", "a", 0);
    assert_order("B", "a", 0);
    assert_order("a", "B", kCFCompareCaseInsensitive);
    assert_order("dev10", "dev9", 0);
    assert_order("dev9", "dev10", kCFCompareNumerically);
    assert_order("dev9b", "dev10a", kCFCompareNumerically);
    assert_order("x018446744073709551616", "x18446744073709551617", kCFCompareNumerically);
    /* UTF-16 order: U+1F600 is D83D DE00, below U+FF21. */
    assert_order("\xf0\x9f\x98\x80", "\xef\xbc\xa1", 0);
    assert_int_equal(CFStringCompare(CFSTR("AbC"), CFSTR("aBc"), kCFCompareCaseInsensitive), 0);
    assert_int_equal(CFStringCompare(CFSTR("a007"), CFSTR("a7"), kCFCompareNumerically), 0);
}

static void strings_have_parts(void **state)
{
    assert_true(CFStringHasPrefix(CFSTR("pci-bridge0"), CFSTR("pci")));
    assert_true(CFStringHasPrefix(CFSTR("pci"), CFSTR("")));
    assert_false(CFStringHasPrefix(CFSTR("pc"), CFSTR("pci")));
    assert_true(CFStringHasSuffix(CFSTR("pci-bridge0"), CFSTR("ge0")));
    assert_false(CFStringHasSuffix(CFSTR("0"), CFSTR("ge0")));
    assert_int_equal(CFStringGetIntValue(CFSTR(" \t-12:3")), -12);
    assert_int_equal(CFStringGetIntValue(CFSTR("+7")), 7);
    assert_int_equal(CFStringGetIntValue(CFSTR("x7")), 0);
    assert_int_equal(CFStringGetIntValue(CFSTR("99999999999999999999")), INT32_MAX);
    assert_int_equal(CFStringGetIntValue(CFSTR("-2147483648")), INT32_MIN);
    assert_int_equal(CFStringGetIntValue(CFSTR("-99999999999999999999")), INT32_MIN);
}

static CFNumberRef integer(int64_t value)
{
    return CFNumberCreate(NULL, kCFNumberSInt64Type, &value);
}

static CFNumberRef real(double value)
{
    return CFNumberCreate(NULL, kCFNumberFloat64Type, &value);
}

static void integers_keep_their_low_bits(void **state)
{
    CFNumberRef number = integer(0x1ffffffff);
    int64_t wide = 0;
    int32_t narrow = 0;
    int16_t shorter = 0;
    int8_t shortest = 0;
    assert_true(CFNumberGetValue(number, kCFNumberSInt64Type, &wide));
    assert_true(wide == 0x1ffffffff);
    assert_false(CFNumberGetValue(number, kCFNumberSInt32Type, &narrow));
    assert_int_equal(narrow, -1);
    assert_false(CFNumberGetValue(number, kCFNumberShortType, &shorter));
    assert_int_equal(shorter, -1);
    assert_false(CFNumberGetValue(number, kCFNumberCharType, &shortest));
    assert_int_equal(shortest, -1);
    assert_false(CFNumberGetValue(number, 0, &wide));
    assert_false(CFNumberGetValue(number, 17, &wide));
    assert_false(CFNumberGetValue(number, kCFNumberSInt64Type, NULL));
    CFRelease(number);
    /* There are no unsigned types: 32 bits with the top bit set read as negative. */
    uint32_t ones = 0xffffffff;
    number = CFNumberCreate(NULL, kCFNumberSInt32Type, &ones);
    assert_true(CFNumberGetValue(number, kCFNumberSInt64Type, &wide));
    assert_true(wide == -1);
    CFRelease(number);
}

static void integers_become_floats_exactly_or_not(void **state)
{
    double wide;
    float narrow;
    CFNumberRef number = integer((INT64_C(1) << 53) + 1);
    assert_false(CFNumberGetValue(number, kCFNumberDoubleType, &wide));
    CFRelease(number);
    number = integer(INT64_C(1) << 53);
    assert_true(CFNumberGetValue(number, kCFNumberDoubleType, &wide));
    assert_true(wide == 9007199254740992.0);
    CFRelease(number);
    number = integer(INT64_MAX); /* rounds to 2^63, which is no int64_t */
    assert_false(CFNumberGetValue(number, kCFNumberDoubleType, &wide));
    assert_false(CFNumberGetValue(number, kCFNumberFloatType, &narrow));
    CFRelease(number);
    number = integer(16777217);
    assert_false(CFNumberGetValue(number, kCFNumberFloatType, &narrow));
    CFRelease(number);
}

static void assert_real_as_int32(double value, bool is_exact, int32_t wanted)
{
    CFNumberRef number = real(value);
    int32_t got = 12345;
    assert_int_equal(CFNumberGetValue(number, kCFNumberSInt32Type, &got), is_exact);
    assert_int_equal(got, wanted);
    CFRelease(number);
}

static void floats_become_the_nearest_integer(void **state)
{
    assert_real_as_int32(42.0, true, 42);
    assert_real_as_int32(-1.75, false, -1);
    assert_real_as_int32(1e12, false, INT32_MAX);
    assert_real_as_int32(-1e300, false, INT32_MIN);
    assert_real_as_int32(INFINITY, false, INT32_MAX);
    assert_real_as_int32(NAN, false, 0);
    CFNumberRef number = real(9223372036854775808.0);
    int64_t wide;
    assert_false(CFNumberGetValue(number, kCFNumberSInt64Type, &wide));
    assert_true(wide == INT64_MAX);
    CFRelease(number);
    number = real(0.1);
    float narrow;
    double same;
    assert_false(CFNumberGetValue(number, kCFNumberFloat32Type, &narrow));
    assert_true(CFNumberGetValue(number, kCFNumberFloat64Type, &same));
    assert_true(same == 0.1);
    CFRelease(number);
}

static void numbers_know_their_type(void **state)
{
    int8_t one = 1;
    CFNumberRef number = CFNumberCreate(NULL, kCFNumberCharType, &one);
    assert_int_equal(CFNumberGetType(number), kCFNumberSInt8Type);
    assert_int_equal(CFNumberGetByteSize(number), 1);
    assert_false(CFNumberIsFloatType(number));
    CFRelease(number);
    float half = 0.5f;
    number = CFNumberCreate(NULL, kCFNumberFloatType, &half);
    assert_int_equal(CFNumberGetType(number), kCFNumberFloat32Type);
    assert_int_equal(CFNumberGetByteSize(number), 4);
    assert_true(CFNumberIsFloatType(number));
    CFRelease(number);
    int64_t index = -5;
    number = CFNumberCreate(NULL, kCFNumberCFIndexType, &index);
    assert_int_equal(CFNumberGetType(number), kCFNumberSInt64Type);
    CFRelease(number);
    assert_null(CFNumberCreate(NULL, 0, &one));
    assert_null(CFNumberCreate(NULL, 17, &one));
    assert_null(CFNumberCreate(NULL, kCFNumberCharType, NULL));
}

static void assert_numbers(CFNumberRef a, CFNumberRef b, CFComparisonResult wanted)
{
    assert_int_equal(CFNumberCompare(a, b, NULL), wanted);
    assert_int_equal(CFNumberCompare(b, a, NULL), -wanted);
    assert_int_equal(CFEqual(a, b), wanted == kCFCompareEqualTo);
    if (wanted == kCFCompareEqualTo) {
        assert_int_equal(CFHash(a), CFHash(b));
    }
    CFRelease(a);
    CFRelease(b);
}

static void numbers_compare_by_value(void **state)
{
    assert_numbers(integer(1), real(1.0), kCFCompareEqualTo);
    assert_numbers(integer(1), real(1.5), kCFCompareLessThan);
    assert_numbers(integer(-1), real(-1.5), kCFCompareGreaterThan);
    assert_numbers(integer(INT64_MAX), real(9223372036854775808.0), kCFCompareLessThan);
    assert_numbers(integer(INT64_MIN), real(-9223372036854775808.0), kCFCompareEqualTo);
    assert_numbers(integer(INT64_MIN), real(-1e300), kCFCompareGreaterThan);
    assert_numbers(integer((INT64_C(1) << 53) + 1), real(9007199254740992.0),
                   kCFCompareGreaterThan);
    assert_numbers(real(NAN), real(NAN), kCFCompareEqualTo);
    assert_numbers(real(NAN), real(-INFINITY), kCFCompareLessThan);
    assert_numbers(real(NAN), integer(INT64_MIN), kCFCompareLessThan);
    assert_numbers(integer(2), integer(3), kCFCompareLessThan);
    assert_numbers(real(0.0), real(-0.0), kCFCompareEqualTo);
    CFNumberRef one = integer(1);
    assert_false(CFEqual(one, kCFBooleanTrue));
    CFRelease(one);
}

static void data_holds_bytes(void **state)
{
    static const UInt8 bytes[] = {0x44, 0x14, 0, 0};
    CFDataRef data = CFDataCreate(NULL, bytes, sizeof(bytes));
    assert_int_equal(CFDataGetLength(data), 4);
    assert_memory_equal(CFDataGetBytePtr(data), bytes, 4);
    assert_ptr_not_equal(CFDataGetBytePtr(data), bytes);
    CFDataRef copy = CFDataCreateCopy(NULL, data);
    assert_true(CFEqual(data, copy));
    assert_int_equal(CFHash(data), CFHash(copy));
    UInt8 part[2] = {9, 9};
    CFDataGetBytes(data, CFRangeMake(1, 2), part);
    assert_int_equal(part[0], 0x14);
    assert_int_equal(part[1], 0);
    part[0] = 9;
    CFDataGetBytes(data, CFRangeMake(3, 2), part);
    CFDataGetBytes(data, CFRangeMake(-1, 2), part);
    CFDataGetBytes(data, CFRangeMake(1, INT64_MAX), part);
    assert_int_equal(part[0], 9);
    CFDataAppendBytes((CFMutableDataRef)data, bytes, 1); /* does not change */
    assert_int_equal(CFDataGetLength(data), 4);
    assert_null(CFDataGetMutableBytePtr((CFMutableDataRef)data));
    CFRelease(copy);
    CFRelease(data);
    assert_null(CFDataCreate(NULL, bytes, -1));
    assert_null(CFDataCreate(NULL, NULL, 1));
    data = CFDataCreate(NULL, NULL, 0);
    assert_int_equal(CFDataGetLength(data), 0);
    CFRelease(data);
}

static void mutable_data_grows_within_its_capacity(void **state)
{
    CFMutableDataRef data = CFDataCreateMutable(NULL, 6);
    CFDataAppendBytes(data, (const UInt8 *)"abcd", 4);
    CFDataAppendBytes(data, (const UInt8 *)"efg", 3); /* past the capacity */
    assert_int_equal(CFDataGetLength(data), 4);
    CFDataSetLength(data, 6);
    assert_memory_equal(CFDataGetBytePtr(data), "abcd\0\0", 6);
    CFDataSetLength(data, 7);
    CFDataSetLength(data, -1);
    CFDataAppendBytes(data, (const UInt8 *)"x", INT64_MAX);
    assert_int_equal(CFDataGetLength(data), 6);
    CFDataGetMutableBytePtr(data)[0] = 'A';
    CFDataSetLength(data, 1);
    CFMutableDataRef copy = CFDataCreateMutableCopy(NULL, 0, data);
    for (int i = 0; i < 100; i++) {
        CFDataAppendBytes(copy, (const UInt8 *)"0123456789", 10);
    }
    assert_int_equal(CFDataGetLength(copy), 1001);
    assert_int_equal(CFDataGetBytePtr(copy)[0], 'A');
    assert_int_equal(CFDataGetBytePtr(copy)[1000], '9');
    assert_null(CFDataCreateMutableCopy(NULL, 10, copy)); /* more than its capacity */
    CFRelease(copy);
    CFRelease(data);
    assert_null(CFDataCreateMutable(NULL, -1));
}

static void *use_shared_strings(void *context)
{
    CFStringRef shared = context;
    char name[32];
    for (int i = 0; i < 200; i++) {
        CFRetain(shared);
        snprintf(name, sizeof(name), "constant of threads %d", i % 20);
        if (!CFStringHasPrefix(__CFStringMakeConstantString(name), CFSTR("constant of"))) {
            return NULL;
        }
        CFRelease(shared);
    }
    return context;
}

static void strings_are_shared_between_threads(void **state)
{
    CFStringRef shared = text("shared");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared_strings, (void *)shared), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, shared);
    }
    assert_int_equal(CFGetRetainCount(shared), 1);
    CFRelease(shared);
}

static void retain_null(void)
{
    CFRetain(NULL);
}

static void release_null(void)
{
    CFRelease(NULL);
}

static void type_of_null(void)
{
    CFGetTypeID(NULL);
}

static void value_in_null(void)
{
    CFDictionaryGetValue(NULL, CFSTR("x"));
}

static void number_as_string(void)
{
    int one = 1;
    CFStringGetLength((CFStringRef)(CFTypeRef)CFNumberCreate(NULL, kCFNumberIntType, &one));
}

static void misuse_ends_the_process(void **state)
{
    assert_dies(retain_null, "CFRetain: called with NULL");
    assert_dies(release_null, "CFRelease: called with NULL");
    assert_dies(type_of_null, "CFGetTypeID: called with NULL");
    assert_dies(value_in_null, "called with NULL");
    assert_dies(number_as_string, "CFStringGetLength: called with an object of another type");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_references),
        cmocka_unit_test(names_types),
        cmocka_unit_test(allocator_null_gives_nothing),
        cmocka_unit_test(constant_strings_are_unique),
        cmocka_unit_test(strings_check_their_bytes),
        cmocka_unit_test(strings_measure_in_utf16),
        cmocka_unit_test(strings_translate_encodings),
        cmocka_unit_test(c_strings_fit_or_fail),
        cmocka_unit_test(strings_have_an_order),
        cmocka_unit_test(strings_have_parts),
        cmocka_unit_test(integers_keep_their_low_bits),
        cmocka_unit_test(integers_become_floats_exactly_or_not),
        cmocka_unit_test(floats_become_the_nearest_integer),
        cmocka_unit_test(numbers_know_their_type),
        cmocka_unit_test(numbers_compare_by_value),
        cmocka_unit_test(data_holds_bytes),
        cmocka_unit_test(mutable_data_grows_within_its_capacity),
        cmocka_unit_test(misuse_ends_the_process), /* forks while there is one thread */
        cmocka_unit_test(strings_are_shared_between_threads),
    };
    return cmocka_run_group_tests_name("cf", tests, NULL, NULL);
}
