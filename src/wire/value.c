/*
 * Property values: build, compare, encode, decode.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "wire/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"

static struct wire_value *wire_value_new(enum wire_value_type type)
{
    struct wire_value *value = calloc(1, sizeof(*value));
    if (value) {
        value->type = type;
    }
    return value;
}

static struct wire_value *wire_value_bytes(enum wire_value_type type, const void *bytes,
                                           size_t length)
{
    struct wire_value *value = wire_value_new(type);
    if (!value) {
        return NULL;
    }
    value->text = malloc(length + 1);
    if (!value->text) {
        free(value);
        return NULL;
    }
    if (length > 0) {
        memcpy(value->text, bytes, length);
    }
    value->text[length] = '\0';
    value->length = length;
    return value;
}

struct wire_value *wire_value_string(const char *text)
{
    return wire_value_bytes(WIRE_VALUE_STRING, text, strlen(text));
}

struct wire_value *wire_value_data(const void *bytes, size_t length)
{
    return wire_value_bytes(WIRE_VALUE_DATA, bytes, length);
}

struct wire_value *wire_value_number(int64_t number, unsigned bits)
{
    struct wire_value *value = wire_value_new(WIRE_VALUE_NUMBER);
    if (value) {
        value->number = number;
        value->bits = bits;
    }
    return value;
}

struct wire_value *wire_value_boolean(bool is_true)
{
    struct wire_value *value = wire_value_new(WIRE_VALUE_BOOLEAN);
    if (value) {
        value->number = is_true;
    }
    return value;
}

struct wire_value *wire_value_array(void)
{
    return wire_value_new(WIRE_VALUE_ARRAY);
}

struct wire_value *wire_value_dictionary(void)
{
    return wire_value_new(WIRE_VALUE_DICTIONARY);
}

void wire_value_free(struct wire_value *value)
{
    if (!value) {
        return;
    }
    for (size_t i = 0; i < value->count; i++) {
        wire_value_free(value->items[i]);
        if (value->keys) {
            free(value->keys[i]);
        }
    }
    free(value->items);
    free(value->keys);
    free(value->text);
    free(value);
}

/* Make room for one more item; keys too where wanted. Room doubles whenever the count is a power of
 * two: a container of many items does not copy them all for each. */
static int wire_value_grow(struct wire_value *container, bool has_keys)
{
    size_t count = container->count;
    if (count & (count - 1)) {
        return 0;
    }
    size_t room = count ? count * 2 : 1;
    struct wire_value **items = realloc(container->items, room * sizeof(*items));
    if (!items) {
        return -ENOMEM;
    }
    container->items = items;
    if (has_keys) {
        char **keys = realloc(container->keys, room * sizeof(*keys));
        if (!keys) {
            return -ENOMEM;
        }
        container->keys = keys;
    }
    return 0;
}

int wire_value_append(struct wire_value *array, struct wire_value *item)
{
    if (!array || !item || wire_value_grow(array, false)) {
        wire_value_free(item);
        return -ENOMEM;
    }
    array->items[array->count++] = item;
    return 0;
}

static struct wire_value **wire_value_slot(const struct wire_value *dictionary, const char *key)
{
    if (!dictionary || dictionary->type != WIRE_VALUE_DICTIONARY) {
        return NULL;
    }
    for (size_t i = 0; i < dictionary->count; i++) {
        if (strcmp(dictionary->keys[i], key) == 0) {
            return &dictionary->items[i];
        }
    }
    return NULL;
}

int wire_value_set(struct wire_value *dictionary, const char *key, struct wire_value *item)
{
    struct wire_value **slot = wire_value_slot(dictionary, key);
    if (slot && item) {
        wire_value_free(*slot);
        *slot = item;
        return 0;
    }
    char *copy = strdup(key);
    if (!dictionary || !item || !copy || wire_value_grow(dictionary, true)) {
        free(copy);
        wire_value_free(item);
        return -ENOMEM;
    }
    dictionary->keys[dictionary->count] = copy;
    dictionary->items[dictionary->count++] = item;
    return 0;
}

const struct wire_value *wire_value_get(const struct wire_value *dictionary, const char *key)
{
    struct wire_value **slot = wire_value_slot(dictionary, key);
    return slot ? *slot : NULL;
}

static bool wire_value_items_are_equal(const struct wire_value *a, const struct wire_value *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct wire_value *other =
            a->type == WIRE_VALUE_DICTIONARY ? wire_value_get(b, a->keys[i]) : b->items[i];
        if (!wire_value_is_equal(a->items[i], other)) {
            return false;
        }
    }
    return true;
}

bool wire_value_is_equal(const struct wire_value *a, const struct wire_value *b)
{
    if (!a || !b || a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case WIRE_VALUE_STRING:
    case WIRE_VALUE_DATA:
        return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
    case WIRE_VALUE_NUMBER: /* a number is its value: 32 and 64-bit ones compare equal */
    case WIRE_VALUE_BOOLEAN:
        return a->number == b->number;
    default:
        return wire_value_items_are_equal(a, b);
    }
}

bool wire_value_is_string(const struct wire_value *value, const char *text)
{
    return value && value->type == WIRE_VALUE_STRING && strcmp(value->text, text) == 0;
}

struct wire_value *wire_value_copy(const struct wire_value *value)
{
    struct wire_message message;
    wire_message_init(&message);
    wire_put_value(&message, value);
    struct wire_value *copy = wire_get_value(&message);
    wire_message_destroy(&message);
    return copy;
}

void wire_put_value(struct wire_message *message, const struct wire_value *value)
{
    wire_put_u32(message, value->type);
    switch (value->type) {
    case WIRE_VALUE_STRING:
    case WIRE_VALUE_DATA:
        wire_put_u32(message, (uint32_t)value->length);
        wire_put_bytes(message, value->text, value->length);
        break;
    case WIRE_VALUE_NUMBER:
    case WIRE_VALUE_BOOLEAN:
        wire_put_u32(message, value->bits);
        wire_put_u64(message, (uint64_t)value->number);
        break;
    default:
        wire_put_u32(message, (uint32_t)value->count);
        for (size_t i = 0; i < value->count; i++) {
            if (value->type == WIRE_VALUE_DICTIONARY) {
                wire_put_string(message, value->keys[i]);
            }
            wire_put_value(message, value->items[i]);
        }
        break;
    }
}

static struct wire_value *wire_get_nested(struct wire_message *message, unsigned depth);

static struct wire_value *wire_get_text(struct wire_message *message, enum wire_value_type type)
{
    uint32_t length = wire_get_u32(message);
    const void *bytes = wire_get_bytes(message, length);
    if (!bytes || (type == WIRE_VALUE_STRING && memchr(bytes, '\0', length))) {
        return NULL;
    }
    return wire_value_bytes(type, bytes, length);
}

static struct wire_value *wire_get_number(struct wire_message *message, enum wire_value_type type)
{
    uint32_t bits = wire_get_u32(message);
    int64_t number = (int64_t)wire_get_u64(message);
    if (message->is_bad) {
        return NULL;
    }
    if (type == WIRE_VALUE_BOOLEAN) {
        return number == 0 || number == 1 ? wire_value_boolean(number != 0) : NULL;
    }
    return bits == 8 || bits == 16 || bits == 32 || bits == 64 ? wire_value_number(number, bits)
                                                               : NULL;
}

static int wire_get_item(struct wire_message *message, struct wire_value *container, unsigned depth)
{
    char key[256];
    if (container->type == WIRE_VALUE_ARRAY) {
        return wire_value_append(container, wire_get_nested(message, depth + 1));
    }
    wire_get_string(message, key, sizeof(key));
    return message->is_bad ? -EINVAL
                           : wire_value_set(container, key, wire_get_nested(message, depth + 1));
}

static struct wire_value *wire_get_container(struct wire_message *message,
                                             enum wire_value_type type, unsigned depth)
{
    uint32_t count = wire_get_u32(message);
    uint32_t limit = type == WIRE_VALUE_ARRAY ? WIRE_VALUE_MAX_ITEMS : WIRE_VALUE_MAX_KEYS;
    if (message->is_bad || count > limit) {
        return NULL;
    }
    struct wire_value *container = wire_value_new(type);
    for (uint32_t i = 0; container && i < count; i++) {
        if (wire_get_item(message, container, depth)) {
            wire_value_free(container);
            container = NULL;
        }
    }
    return container;
}

static struct wire_value *wire_get_nested(struct wire_message *message, unsigned depth)
{
    uint32_t type = wire_get_u32(message);
    struct wire_value *value = NULL;
    if (message->is_bad || depth > WIRE_VALUE_MAX_DEPTH) {
        message->is_bad = true;
        return NULL;
    }
    if (type == WIRE_VALUE_STRING || type == WIRE_VALUE_DATA) {
        value = wire_get_text(message, type);
    } else if (type == WIRE_VALUE_NUMBER || type == WIRE_VALUE_BOOLEAN) {
        value = wire_get_number(message, type);
    } else if (type == WIRE_VALUE_ARRAY || type == WIRE_VALUE_DICTIONARY) {
        value = wire_get_container(message, type, depth);
    }
    if (!value) {
        message->is_bad = true;
    }
    return value;
}

struct wire_value *wire_get_value(struct wire_message *message)
{
    return wire_get_nested(message, 0);
}
