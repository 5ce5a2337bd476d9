/*
 * Unit tests of property values: building, equality, and the way over the wire and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/message.h"
#include "wire/value.h"

/* One of everything. */
static struct wire_value *make_all(void)
{
    struct wire_value *all = wire_value_dictionary();
    struct wire_value *array = wire_value_array();
    assert_int_equal(wire_value_append(array, wire_value_string("")), 0);
    assert_int_equal(wire_value_append(array, wire_value_array()), 0);
    assert_int_equal(wire_value_append(array, wire_value_dictionary()), 0);
    assert_int_equal(wire_value_set(all, "array", array), 0);
    assert_int_equal(wire_value_set(all, "string", wire_value_string("text")), 0);
    assert_int_equal(wire_value_set(all, "data", wire_value_data("\0\1\0", 3)), 0);
    assert_int_equal(wire_value_set(all, "empty", wire_value_data(NULL, 0)), 0);
    assert_int_equal(wire_value_set(all, "number", wire_value_number(INT64_MIN, 64)), 0);
    assert_int_equal(wire_value_set(all, "byte", wire_value_number(-1, 8)), 0);
    assert_int_equal(wire_value_set(all, "true", wire_value_boolean(true)), 0);
    assert_int_equal(wire_value_set(all, "false", wire_value_boolean(false)), 0);
    return all;
}

static void goes_over_the_wire_and_back(void **state)
{
    struct wire_value *all = make_all();
    struct wire_value *copy = wire_value_copy(all);
    assert_true(wire_value_is_equal(all, copy));
    assert_int_equal(copy->count, 8);
    assert_int_equal(wire_value_get(copy, "byte")->bits, 8);
    assert_true(wire_value_get(copy, "number")->number == INT64_MIN);
    assert_int_equal(wire_value_get(copy, "empty")->length, 0);
    assert_memory_equal(wire_value_get(copy, "data")->text, "\0\1\0", 4);
    assert_true(wire_value_is_string(wire_value_get(copy, "string"), "text"));
    wire_value_free(copy);
    wire_value_free(all);
    wire_value_free(NULL);
}

static void every_prefix_is_malformed(void **state)
{
    struct wire_message whole;
    wire_message_init(&whole);
    struct wire_value *all = make_all();
    wire_put_value(&whole, all);
    wire_value_free(all);
    for (size_t length = 0; length < whole.length; length++) {
        struct wire_message part;
        wire_message_init(&part);
        wire_put_bytes(&part, whole.payload, length);
        assert_null(wire_get_value(&part));
        assert_true(part.is_bad);
        wire_message_destroy(&part);
    }
    wire_message_destroy(&whole);
}

static void setting_a_key_again_replaces(void **state)
{
    struct wire_value *dictionary = wire_value_dictionary();
    assert_int_equal(wire_value_set(dictionary, "k", wire_value_number(1, 32)), 0);
    assert_int_equal(wire_value_set(dictionary, "k", wire_value_string("2")), 0);
    assert_int_equal(dictionary->count, 1);
    assert_true(wire_value_is_string(wire_value_get(dictionary, "k"), "2"));
    assert_null(wire_value_get(dictionary, "K"));
    assert_null(wire_value_get(NULL, "k"));
    struct wire_value *array = wire_value_array();
    assert_null(wire_value_get(array, "k"));
    wire_value_free(array);
    wire_value_free(dictionary);
}

static void nothing_is_out_of_memory(void **state)
{
    struct wire_value *array = wire_value_array();
    struct wire_value *dictionary = wire_value_dictionary();
    assert_int_equal(wire_value_append(array, NULL), -ENOMEM);
    assert_int_equal(wire_value_append(NULL, wire_value_string("freed")), -ENOMEM);
    assert_int_equal(wire_value_set(dictionary, "k", NULL), -ENOMEM);
    assert_int_equal(wire_value_set(NULL, "k", wire_value_string("freed")), -ENOMEM);
    assert_int_equal(array->count, 0);
    assert_int_equal(dictionary->count, 0);
    assert_int_equal(wire_value_set(dictionary, "k", wire_value_number(1, 8)), 0);
    assert_int_equal(wire_value_set(dictionary, "k", NULL), -ENOMEM); /* and the old one stays */
    assert_int_equal(wire_value_get(dictionary, "k")->number, 1);
    wire_value_free(array);
    wire_value_free(dictionary);
}

static bool are_equal(struct wire_value *a, struct wire_value *b)
{
    bool equal = wire_value_is_equal(a, b);
    assert_int_equal(wire_value_is_equal(b, a), equal);
    wire_value_free(a);
    wire_value_free(b);
    return equal;
}

static struct wire_value *make_pair(const char *first, const char *second)
{
    struct wire_value *pair = wire_value_dictionary();
    wire_value_set(pair, first, wire_value_string(first));
    wire_value_set(pair, second, wire_value_string(second));
    return pair;
}

static struct wire_value *make_list(const char *first, const char *second)
{
    struct wire_value *list = wire_value_array();
    wire_value_append(list, wire_value_string(first));
    wire_value_append(list, wire_value_string(second));
    return list;
}

static void equality(void **state)
{
    assert_true(are_equal(wire_value_number(7, 32), wire_value_number(7, 64)));
    assert_false(are_equal(wire_value_number(7, 32), wire_value_number(8, 32)));
    assert_false(are_equal(wire_value_number(1, 8), wire_value_boolean(true)));
    assert_false(are_equal(wire_value_string("a"), wire_value_data("a", 1)));
    assert_false(are_equal(wire_value_data("a\0b", 3), wire_value_data("a\0c", 3)));
    assert_false(are_equal(wire_value_string("ab"), wire_value_string("a")));
    assert_true(are_equal(make_pair("a", "b"), make_pair("b", "a")));
    assert_false(are_equal(make_pair("a", "b"), make_pair("a", "c")));
    assert_false(are_equal(make_pair("a", "b"), wire_value_dictionary()));
    assert_true(are_equal(make_list("a", "b"), make_list("a", "b")));
    assert_false(are_equal(make_list("a", "b"), make_list("b", "a")));
    assert_false(wire_value_is_equal(NULL, NULL));
}

static struct wire_value *nest(unsigned depth)
{
    struct wire_value *value = wire_value_array();
    while (depth-- > 0) {
        struct wire_value *outer = wire_value_array();
        assert_int_equal(wire_value_append(outer, value), 0);
        value = outer;
    }
    return value;
}

/* Whether a decoder takes what an encoder made of it. */
static bool is_taken(struct wire_value *value)
{
    struct wire_value *copy = wire_value_copy(value);
    bool taken = copy != NULL;
    assert_true(!taken || wire_value_is_equal(value, copy));
    wire_value_free(copy);
    wire_value_free(value);
    return taken;
}

static struct wire_value *make_array_of(unsigned count)
{
    struct wire_value *array = wire_value_array();
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(wire_value_append(array, wire_value_boolean(true)), 0);
    }
    return array;
}

static struct wire_value *make_dictionary_of(unsigned count)
{
    struct wire_value *dictionary = wire_value_dictionary();
    char key[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(wire_value_set(dictionary, key, wire_value_boolean(true)), 0);
    }
    return dictionary;
}

static void a_decoder_has_limits(void **state)
{
    assert_true(is_taken(nest(WIRE_VALUE_MAX_DEPTH)));
    assert_false(is_taken(nest(WIRE_VALUE_MAX_DEPTH + 1)));
    assert_true(is_taken(make_array_of(WIRE_VALUE_MAX_ITEMS)));
    assert_false(is_taken(make_array_of(WIRE_VALUE_MAX_ITEMS + 1)));
    assert_true(is_taken(make_dictionary_of(WIRE_VALUE_MAX_KEYS)));
    assert_false(is_taken(make_dictionary_of(WIRE_VALUE_MAX_KEYS + 1)));
}

static void check_malformed(const uint32_t *words, size_t count)
{
    struct wire_message message;
    wire_message_init(&message);
    wire_put_bytes(&message, words, count * sizeof(*words));
    assert_null(wire_get_value(&message));
    assert_true(message.is_bad);
    wire_message_destroy(&message);
}

#define CHECK_MALFORMED(...)                                                                       \
    check_malformed((const uint32_t[]){__VA_ARGS__},                                               \
                    sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void odd_encodings_are_malformed(void **state)
{
    CHECK_MALFORMED(0, 0);
    CHECK_MALFORMED(7, 0);
    CHECK_MALFORMED(UINT32_MAX, 0);
    CHECK_MALFORMED(WIRE_VALUE_NUMBER, 0, 0, 0);
    CHECK_MALFORMED(WIRE_VALUE_NUMBER, 24, 0, 0);
    CHECK_MALFORMED(WIRE_VALUE_BOOLEAN, 0, 2, 0);
    CHECK_MALFORMED(WIRE_VALUE_BOOLEAN, 0, 1, 1);
    CHECK_MALFORMED(WIRE_VALUE_STRING, 4, 0x61006161); /* "aa\0a" */
    CHECK_MALFORMED(WIRE_VALUE_STRING, UINT32_MAX, 0);
    CHECK_MALFORMED(WIRE_VALUE_DICTIONARY, 1, 4, 0x00616161, WIRE_VALUE_STRING, 0);
    CHECK_MALFORMED(WIRE_VALUE_ARRAY, UINT32_MAX);
}

/* The later of two equal keys counts, as for wire_value_set. */
static void a_key_twice_is_one(void **state)
{
    const uint32_t words[] = {
        WIRE_VALUE_DICTIONARY, 2,  4, 0x61616161, WIRE_VALUE_NUMBER, 32, 1, 0, 4, 0x61616161,
        WIRE_VALUE_NUMBER,     32, 2, 0};
    struct wire_message message;
    wire_message_init(&message);
    wire_put_bytes(&message, words, sizeof(words));
    struct wire_value *value = wire_get_value(&message);
    assert_non_null(value);
    assert_true(wire_is_consumed(&message));
    assert_int_equal(value->count, 1);
    assert_int_equal(wire_value_get(value, "aaaa")->number, 2);
    wire_value_free(value);
    wire_message_destroy(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_over_the_wire_and_back),
        cmocka_unit_test(every_prefix_is_malformed),
        cmocka_unit_test(setting_a_key_again_replaces),
        cmocka_unit_test(nothing_is_out_of_memory),
        cmocka_unit_test(equality),
        cmocka_unit_test(a_decoder_has_limits),
        cmocka_unit_test(odd_encodings_are_malformed),
        cmocka_unit_test(a_key_twice_is_one),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
