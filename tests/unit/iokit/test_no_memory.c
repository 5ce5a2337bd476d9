/*
 * Unit tests of CoreFoundation and dispatch when the n-th allocation fails, for every n: CF answers
 * with nothing or leaves things as they were, dispatch waits, and nothing leaks.
 *
 * Linked with --wrap for the allocation functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <dispatch/dispatch.h>

#include "iokit/cf_internal.h"

/* Allocations that still succeed before one fails; negative: all succeed. */
static atomic_int left = -1;
static atomic_int failures;

static bool must_fail(void)
{
    if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) != 0) {
        return false;
    }
    atomic_fetch_add(&failures, 1);
    return true;
}

void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

void *__wrap_calloc(size_t count, size_t bytes)
{
    return must_fail() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return must_fail() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}

/* Run body with the first, second, … allocation failing, until it needs fewer. body says whether
 * it got what it asked for; that must be so exactly when nothing failed, unless it waits. */
static int for_each_failure(bool (*body)(int round), bool waits)
{
    for (int n = 0;; n++) {
        atomic_store(&failures, 0);
        atomic_store(&left, n);
        bool is_whole = body(n);
        atomic_store(&left, -1);
        if (atomic_load(&failures) == 0) {
            assert_true(is_whole);
            return n;
        }
        assert_int_equal(is_whole, waits);
    }
}

static bool release_if_any(CFTypeRef cf)
{
    if (cf != NULL) {
        CFRelease(cf);
    }
    return cf != NULL;
}

static bool make_matching(int round)
{
    (void)round;
    return release_if_any(IOServiceMatching("IOUserService"));
}

static bool make_id_matching(int round)
{
    (void)round;
    return release_if_any(IORegistryEntryIDMatching(7));
}

static bool make_constant(int round)
{
    char name[32];
    snprintf(name, sizeof(name), "no memory %d", round); /* one that there is not yet */
    return __CFStringMakeConstantString(name) != NULL;
}

static void makers_answer_null(void **state)
{
    /* Name, value, dictionary, its slots. */
    assert_int_equal(for_each_failure(make_matching, false), 4);
    assert_int_equal(for_each_failure(make_id_matching, false), 4);
    /* Node, copy of the literal, string. */
    assert_int_equal(for_each_failure(make_constant, false), 3);
}

static CFDictionaryRef whole_dictionary;
static CFArrayRef whole_array;

static bool copy_dictionary(int round)
{
    (void)round;
    return release_if_any(CFDictionaryCreateMutableCopy(NULL, 0, whole_dictionary));
}

static bool copy_array(int round)
{
    (void)round;
    return release_if_any(CFArrayCreateCopy(NULL, whole_array));
}

static bool copy_data(int round)
{
    (void)round;
    return release_if_any(CFDataCreate(NULL, (const UInt8 *)"bytes", 5));
}

static void copies_are_whole_or_none(void **state)
{
    CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(
        NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
    for (int i = 0; i < 20; i++) {
        CFNumberRef number = CFNumberCreate(NULL, kCFNumberIntType, &i);
        CFDictionarySetValue(dictionary, number, number);
        CFArrayAppendValue(array, number);
        CFRelease(number);
    }
    whole_dictionary = dictionary;
    whole_array = array;
    assert_int_equal(for_each_failure(copy_dictionary, false), 4); /* object; 8, 16, 32 slots */
    assert_int_equal(for_each_failure(copy_array, false), 5);      /* object; 4, 8, 16, 32 */
    assert_int_equal(for_each_failure(copy_data, false), 2);
    for (CFIndex i = 0; i < 20; i++) {
        assert_int_equal(CFGetRetainCount(CFArrayGetValueAtIndex(array, i)), 3);
    }
    CFRelease(array);
    CFRelease(dictionary);
}

static void changes_are_whole_or_none(void **state)
{
    CFMutableDictionaryRef dictionary = CFDictionaryCreateMutable(NULL, 0, NULL, NULL);
    CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, NULL);
    CFMutableDataRef data = CFDataCreateMutable(NULL, 0);
    atomic_store(&left, 0);
    assert_false(cf_dictionary_set(dictionary, "k", "v"));
    atomic_store(&left, 0);
    assert_false(cf_array_append(array, "v"));
    atomic_store(&left, 0);
    CFDataAppendBytes(data, (const UInt8 *)"x", 1);
    assert_int_equal(CFDictionaryGetCount(dictionary), 0);
    assert_int_equal(CFArrayGetCount(array), 0);
    assert_int_equal(CFDataGetLength(data), 0);
    assert_true(cf_dictionary_set(dictionary, "k", "v"));
    assert_true(cf_array_append(array, "v"));
    CFDataAppendBytes(data, (const UInt8 *)"x", 1);
    assert_int_equal(CFDataGetLength(data), 1);
    CFRelease(dictionary);
    CFRelease(array);
    CFRelease(data);
}

static bool make_queue(int round)
{
    (void)round;
    dispatch_queue_t queue = dispatch_queue_create("queue", DISPATCH_QUEUE_SERIAL);
    if (queue != NULL) {
        dispatch_release(queue);
    }
    return queue != NULL;
}

static bool make_semaphore(int round)
{
    (void)round;
    dispatch_semaphore_t semaphore = dispatch_semaphore_create(0);
    if (semaphore != NULL) {
        dispatch_release(semaphore);
    }
    return semaphore != NULL;
}

static dispatch_queue_t queue;
static dispatch_semaphore_t done;
static const char key;

static void signal_done(void *context)
{
    dispatch_semaphore_signal(context);
}

static bool hand_in_work(int round)
{
    (void)round;
    dispatch_queue_set_specific(queue, &key, done, NULL);
    dispatch_async_f(queue, done, signal_done);
    dispatch_after_f(dispatch_time(DISPATCH_TIME_NOW, 1), queue, done, signal_done);
    dispatch_async_f(dispatch_get_global_queue(0, 0), done, signal_done);
    for (int i = 0; i < 3; i++) {
        dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    }
    return dispatch_queue_get_specific(queue, &key) == done;
}

static void dispatch_waits_for_memory(void **state)
{
    assert_int_equal(for_each_failure(make_queue, false), 1);
    assert_int_equal(for_each_failure(make_semaphore, false), 1);
    queue = dispatch_queue_create("patient", DISPATCH_QUEUE_SERIAL);
    done = dispatch_semaphore_create(0);
    /* A value, an item, a timer and its item, an item. */
    assert_int_equal(for_each_failure(hand_in_work, true), 5);
    dispatch_release(queue);
    dispatch_release(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makers_answer_null),
        cmocka_unit_test(copies_are_whole_or_none),
        cmocka_unit_test(changes_are_whole_or_none),
        cmocka_unit_test(dispatch_waits_for_memory),
    };
    return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
