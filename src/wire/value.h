/*
 * Property values as they travel: strings, numbers, data, booleans, arrays and dictionaries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_WIRE_VALUE_H
#define DEXTLINK_WIRE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_message;

enum wire_value_type {
    WIRE_VALUE_STRING = 1,
    WIRE_VALUE_NUMBER = 2,
    WIRE_VALUE_DATA = 3,
    WIRE_VALUE_BOOLEAN = 4,
    WIRE_VALUE_ARRAY = 5,
    WIRE_VALUE_DICTIONARY = 6,
};

#define WIRE_VALUE_MAX_DEPTH 8     /* nesting a decoder accepts */
#define WIRE_VALUE_MAX_ITEMS 65536 /* items of one array a decoder accepts */
#define WIRE_VALUE_MAX_KEYS  1024  /* keys of one dictionary: each is compared with all others */

/* One value and everything below it. Read it directly; change it by the functions only. */
struct wire_value {
    enum wire_value_type type;
    char *text;                /* STRING: UTF-8, NUL-terminated; DATA: bytes */
    size_t length;             /* STRING: without the NUL; DATA: bytes */
    int64_t number;            /* NUMBER; BOOLEAN: 0 or 1 */
    unsigned bits;             /* NUMBER: 8, 16, 32 or 64 */
    struct wire_value **items; /* ARRAY and DICTIONARY */
    char **keys;               /* DICTIONARY: key of each item */
    size_t count;
};

/* All return NULL when out of memory; the caller owns the result. Arguments are copied. */
struct wire_value *wire_value_string(const char *text);
struct wire_value *wire_value_number(int64_t number, unsigned bits);
struct wire_value *wire_value_data(const void *bytes, size_t length);
struct wire_value *wire_value_boolean(bool is_true);
struct wire_value *wire_value_array(void);
struct wire_value *wire_value_dictionary(void);

/** Free it and all below. NULL is fine. */
void wire_value_free(struct wire_value *value);

/** Append to (set a key of) a container. item is taken over, also on failure; NULL item or out of
 * memory: -ENOMEM. Setting a key again replaces its item. */
int wire_value_append(struct wire_value *array, struct wire_value *item);
int wire_value_set(struct wire_value *dictionary, const char *key, struct wire_value *item);

/** The item of a key, NULL when dictionary is NULL, no dictionary, or has none. Borrowed. */
const struct wire_value *wire_value_get(const struct wire_value *dictionary, const char *key);

/** Same type and content; dictionaries in any order. NULL equals nothing. */
bool wire_value_is_equal(const struct wire_value *a, const struct wire_value *b);

/** Whether value is a string equal to text. */
bool wire_value_is_string(const struct wire_value *value, const char *text);

/** A copy of its own; NULL when out of memory. */
struct wire_value *wire_value_copy(const struct wire_value *value);

/** Append value to a frame / read one from it. get returns NULL (and the message is_bad) for a
 * malformed value, one nested too deep, or no memory; the caller owns the result. */
void wire_put_value(struct wire_message *message, const struct wire_value *value);
struct wire_value *wire_get_value(struct wire_message *message);

#endif
