/*
 * Unit tests of CFArray, CFDictionary and the matching dictionaries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>

#include "iokit/cf_internal.h"

static CFNumberRef number(int value)
{
    CFNumberRef made = CFNumberCreate(NULL, kCFNumberIntType, &value);
    assert_non_null(made);
    return made;
}

static int number_value(CFTypeRef cf)
{
    int value = -1;
    assert_int_equal(CFGetTypeID(cf), CFNumberGetTypeID());
    assert_true(CFNumberGetValue(cf, kCFNumberIntType, &value));
    return value;
}

static void append_number(CFMutableArrayRef array, int value)
{
    CFNumberRef made = number(value);
    CFArrayAppendValue(array, made);
    assert_int_equal(CFGetRetainCount(made), 2);
    CFRelease(made);
}

static void assert_array(CFArrayRef array, const int *values, CFIndex count)
{
    assert_int_equal(CFArrayGetCount(array), count);
    for (CFIndex i = 0; i < count; i++) {
        assert_int_equal(number_value(CFArrayGetValueAtIndex(array, i)), values[i]);
    }
}

static void arrays_keep_order(void **state)
{
    CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
    for (int i = 0; i < 6; i++) {
        append_number(array, i);
    }
    CFNumberRef ten = number(10);
    CFArrayInsertValueAtIndex(array, 0, ten);
    CFArraySetValueAtIndex(array, 2, ten);
    CFArraySetValueAtIndex(array, 7, ten); /* at the end: appends */
    assert_array(array, (const int[]){10, 0, 10, 2, 3, 4, 5, 10}, 8);
    CFArrayInsertValueAtIndex(array, 9, ten);
    CFArrayInsertValueAtIndex(array, -1, ten);
    CFArraySetValueAtIndex(array, 9, ten);
    CFArrayRemoveValueAtIndex(array, 8);
    CFArrayRemoveValueAtIndex(array, -1);
    assert_int_equal(CFArrayGetCount(array), 8);
    assert_int_equal(CFGetRetainCount(ten), 4);
    CFArrayRemoveValueAtIndex(array, 0);
    assert_array(array, (const int[]){0, 10, 2, 3, 4, 5, 10}, 7);
    assert_null(CFArrayGetValueAtIndex(array, 7));
    assert_null(CFArrayGetValueAtIndex(array, -1));
    CFArrayRemoveAllValues(array);
    assert_int_equal(CFArrayGetCount(array), 0);
    assert_int_equal(CFGetRetainCount(ten), 1);
    CFRelease(ten);
    CFRelease(array);
}

static void add_up(const void *value, void *context)
{
    *(int *)context += number_value(value);
}

static void arrays_are_searched_by_content(void **state)
{
    CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
    for (int i = 0; i < 4; i++) {
        append_number(array, i % 2);
    }
    CFNumberRef one = number(1);
    CFRange all = CFRangeMake(0, 4);
    assert_int_equal(CFArrayGetFirstIndexOfValue(array, all, one), 1);
    assert_int_equal(CFArrayGetFirstIndexOfValue(array, CFRangeMake(2, 2), one), 3);
    assert_true(CFArrayContainsValue(array, all, one));
    assert_false(CFArrayContainsValue(array, CFRangeMake(0, 1), one));
    assert_false(CFArrayContainsValue(array, CFRangeMake(0, 5), one));
    int sum = 0;
    CFArrayApplyFunction(array, all, add_up, &sum);
    assert_int_equal(sum, 2);
    CFArrayApplyFunction(array, CFRangeMake(1, 4), add_up, &sum);
    assert_int_equal(sum, 2);
    const void *values[4] = {NULL};
    CFArrayGetValues(array, CFRangeMake(3, 1), values);
    assert_int_equal(number_value(values[0]), 1);
    CFArrayRef copy = CFArrayCreateCopy(NULL, array);
    CFMutableArrayRef other = CFArrayCreateMutableCopy(NULL, 0, array);
    assert_true(CFEqual(copy, array));
    assert_int_equal(CFHash(copy), CFHash(array));
    CFArrayAppendValue((CFMutableArrayRef)copy, one); /* does not change */
    assert_int_equal(CFArrayGetCount(copy), 4);
    CFArraySetValueAtIndex(other, 0, one);
    assert_false(CFEqual(other, array));
    CFRelease(other);
    CFRelease(copy);
    CFRelease(one);
    CFRelease(array);
    assert_null(CFArrayCreate(NULL, NULL, 1, NULL));
    assert_null(CFArrayCreate(NULL, values, -1, NULL));
}

static void plain_arrays_hold_pointers(void **state)
{
    int a = 1, b = 1;
    const void *values[] = {&a, &b};
    CFArrayRef array = CFArrayCreate(NULL, values, 2, NULL);
    assert_int_equal(CFArrayGetFirstIndexOfValue(array, CFRangeMake(0, 2), &b), 1);
    CFRelease(array);
}

static CFMutableDictionaryRef dictionary(void)
{
    CFMutableDictionaryRef made = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
                                                            &kCFTypeDictionaryValueCallBacks);
    assert_non_null(made);
    return made;
}

static CFStringRef key_text(int index)
{
    char name[16];
    snprintf(name, sizeof(name), "key-%d", index);
    return CFStringCreateWithCString(NULL, name, kCFStringEncodingASCII);
}

static void put(CFMutableDictionaryRef into, int index, int value)
{
    CFStringRef key = key_text(index);
    CFNumberRef made = number(value);
    CFDictionarySetValue(into, key, made);
    CFRelease(made);
    CFRelease(key);
}

/* The value of a key, -1 if absent. */
static int get(CFDictionaryRef from, int index)
{
    CFStringRef key = key_text(index);
    const void *value = NULL;
    Boolean is_there = CFDictionaryGetValueIfPresent(from, key, &value);
    assert_int_equal(is_there, CFDictionaryContainsKey(from, key));
    assert_int_equal(is_there, CFDictionaryGetCountOfKey(from, key));
    assert_ptr_equal(value, CFDictionaryGetValue(from, key));
    CFRelease(key);
    return is_there ? number_value(value) : -1;
}

static void dictionaries_agree_with_a_model(void **state)
{
    enum { KEYS = 300 };
    int model[KEYS];
    CFIndex count = 0;
    CFMutableDictionaryRef tested = dictionary();
    for (int i = 0; i < KEYS; i++) {
        model[i] = -1;
    }
    unsigned seed = 12345;
    for (int step = 0; step < 4000; step++) {
        seed = seed * 1103515245u + 12345u;
        int index = (int)(seed >> 16) % KEYS;
        if (seed & 0x8000) {
            count += model[index] < 0;
            model[index] = step;
            put(tested, index, step);
        } else {
            CFStringRef key = key_text(index);
            CFDictionaryRemoveValue(tested, key);
            CFRelease(key);
            count -= model[index] >= 0;
            model[index] = -1;
        }
        assert_int_equal(CFDictionaryGetCount(tested), count);
    }
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(get(tested, i), model[i]);
    }
    CFRelease(tested);
}

static void sum_values(const void *key, const void *value, void *context)
{
    assert_int_equal(CFGetTypeID(key), CFStringGetTypeID());
    *(int *)context += number_value(value);
}

static void dictionaries_list_their_entries(void **state)
{
    CFMutableDictionaryRef tested = dictionary();
    for (int i = 0; i < 20; i++) {
        put(tested, i, 1 << (i % 10));
    }
    const void *keys[20], *values[20];
    CFDictionaryGetKeysAndValues(tested, keys, values);
    for (int i = 0; i < 20; i++) {
        assert_ptr_equal(CFDictionaryGetValue(tested, keys[i]), values[i]);
        for (int j = 0; j < i; j++) {
            assert_false(CFEqual(keys[i], keys[j]));
        }
    }
    CFDictionaryGetKeysAndValues(tested, NULL, NULL);
    int sum = 0;
    CFDictionaryApplyFunction(tested, sum_values, &sum);
    assert_int_equal(sum, 2 * 1023);
    CFNumberRef there = number(512), absent = number(513);
    assert_true(CFDictionaryContainsValue(tested, there));
    assert_false(CFDictionaryContainsValue(tested, absent));
    CFRelease(there);
    CFRelease(absent);
    CFDictionaryRemoveAllValues(tested);
    assert_int_equal(CFDictionaryGetCount(tested), 0);
    assert_int_equal(get(tested, 0), -1);
    put(tested, 0, 7);
    assert_int_equal(get(tested, 0), 7);
    CFRelease(tested);
}

static void dictionaries_add_set_and_replace(void **state)
{
    CFMutableDictionaryRef tested = dictionary();
    CFNumberRef one = number(1), two = number(2), three = number(3);
    CFDictionaryReplaceValue(tested, CFSTR("k"), one);
    assert_int_equal(CFDictionaryGetCount(tested), 0);
    CFDictionaryAddValue(tested, CFSTR("k"), one);
    CFDictionaryAddValue(tested, CFSTR("k"), two);
    assert_int_equal(number_value(CFDictionaryGetValue(tested, CFSTR("k"))), 1);
    CFDictionaryReplaceValue(tested, CFSTR("k"), two);
    assert_int_equal(number_value(CFDictionaryGetValue(tested, CFSTR("k"))), 2);
    CFDictionarySetValue(tested, CFSTR("k"), three);
    assert_int_equal(number_value(CFDictionaryGetValue(tested, CFSTR("k"))), 3);
    assert_int_equal(CFGetRetainCount(one), 1);
    assert_int_equal(CFGetRetainCount(two), 1);
    assert_int_equal(CFGetRetainCount(three), 2);
    CFDictionarySetValue(tested, CFSTR("k"), three); /* the same object again */
    assert_int_equal(CFGetRetainCount(three), 2);
    CFRelease(tested);
    assert_int_equal(CFGetRetainCount(three), 1);
    CFRelease(one);
    CFRelease(two);
    CFRelease(three);
}

static void dictionaries_compare_deeply(void **state)
{
    CFMutableDictionaryRef inner = dictionary(), outer = dictionary();
    put(inner, 1, 1);
    CFDictionarySetValue(outer, CFSTR("inner"), inner);
    CFMutableDictionaryRef inner_copy = CFDictionaryCreateMutableCopy(NULL, 0, inner);
    CFMutableDictionaryRef outer_copy = CFDictionaryCreateMutableCopy(NULL, 0, outer);
    CFDictionarySetValue(outer_copy, CFSTR("inner"), inner_copy);
    assert_true(CFEqual(outer, outer_copy));
    assert_int_equal(CFHash(outer), CFHash(outer_copy));
    put(inner_copy, 1, 2);
    assert_false(CFEqual(outer, outer_copy));
    CFDictionaryRef frozen = CFDictionaryCreateCopy(NULL, inner);
    assert_true(CFEqual(frozen, inner));
    CFDictionarySetValue((CFMutableDictionaryRef)frozen, CFSTR("x"), inner); /* does not change */
    CFDictionaryRemoveAllValues((CFMutableDictionaryRef)frozen);
    assert_int_equal(CFDictionaryGetCount(frozen), 1);
    CFRelease(frozen);
    CFRelease(outer_copy);
    CFRelease(inner_copy);
    CFRelease(outer);
    CFRelease(inner);
}

static void dictionaries_from_arrays_keep_the_first(void **state)
{
    const void *keys[] = {CFSTR("a"), CFSTR("b"), CFSTR("a")};
    const void *values[] = {kCFBooleanTrue, kCFBooleanFalse, kCFBooleanFalse};
    CFDictionaryRef made =
        CFDictionaryCreate(NULL, keys, values, 3, &kCFCopyStringDictionaryKeyCallBacks,
                           &kCFTypeDictionaryValueCallBacks);
    assert_int_equal(CFDictionaryGetCount(made), 2);
    assert_ptr_equal(CFDictionaryGetValue(made, CFSTR("a")), kCFBooleanTrue);
    CFRelease(made);
    assert_null(CFDictionaryCreate(NULL, NULL, NULL, 1, NULL, NULL));
    assert_null(CFDictionaryCreate(NULL, keys, values, -1, NULL, NULL));
}

static void plain_dictionaries_hold_pointers(void **state)
{
    CFMutableDictionaryRef tested = CFDictionaryCreateMutable(NULL, 0, NULL, NULL);
    int a = 1, b = 1;
    CFDictionarySetValue(tested, &a, "a");
    CFDictionarySetValue(tested, &b, NULL);
    CFDictionarySetValue(tested, NULL, "null");
    assert_int_equal(CFDictionaryGetCount(tested), 3);
    assert_string_equal(CFDictionaryGetValue(tested, &a), "a");
    assert_true(CFDictionaryContainsKey(tested, &b));
    assert_string_equal(CFDictionaryGetValue(tested, NULL), "null");
    CFRelease(tested);
}

static void matching_dictionaries_say_what_matches(void **state)
{
    CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
    assert_int_equal(CFDictionaryGetCount(matching), 1);
    assert_true(
        CFEqual(CFDictionaryGetValue(matching, CFSTR("IOProviderClass")), CFSTR("IOUserService")));
    CFDictionarySetValue(matching, CFSTR("more"), kCFBooleanTrue); /* may be added to */
    assert_int_equal(CFDictionaryGetCount(matching), 2);
    CFRelease(matching);
    matching = IOServiceNameMatching("VFIOUserPCIDriver");
    assert_true(
        CFEqual(CFDictionaryGetValue(matching, CFSTR("IONameMatch")), CFSTR("VFIOUserPCIDriver")));
    CFRelease(matching);
    matching = IORegistryEntryIDMatching(0x1000002aau);
    CFNumberRef id = CFDictionaryGetValue(matching, CFSTR("IORegistryEntryID"));
    int64_t value = 0;
    assert_int_equal(CFNumberGetType(id), kCFNumberSInt64Type);
    assert_true(CFNumberGetValue(id, kCFNumberSInt64Type, &value));
    assert_true(value == 0x1000002aa);
    CFRelease(matching);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_keep_order),
        cmocka_unit_test(arrays_are_searched_by_content),
        cmocka_unit_test(plain_arrays_hold_pointers),
        cmocka_unit_test(dictionaries_agree_with_a_model),
        cmocka_unit_test(dictionaries_list_their_entries),
        cmocka_unit_test(dictionaries_add_set_and_replace),
        cmocka_unit_test(dictionaries_compare_deeply),
        cmocka_unit_test(dictionaries_from_arrays_keep_the_first),
        cmocka_unit_test(plain_dictionaries_hold_pointers),
        cmocka_unit_test(matching_dictionaries_say_what_matches),
    };
    return cmocka_run_group_tests_name("cf_containers", tests, NULL, NULL);
}
