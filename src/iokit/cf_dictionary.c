/*
 * CFDictionary: values by key, in a hash table with linear probing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "iokit/cf_internal.h"

#include <stdint.h>
#include <stdlib.h>

struct slot {
    bool is_used;
    CFHashCode hash;
    const void *key;
    const void *value;
};

struct __CFDictionary {
    struct cf_object base;
    CFDictionaryKeyCallBacks on_key;
    CFDictionaryValueCallBacks on_value;
    struct slot *slots;
    size_t slot_count; /* 0 or a power of two; at most three quarters are used */
    size_t count;
};

static const void *copy_string(CFAllocatorRef allocator, const void *value)
{
    return CFStringCreateCopy(allocator, value);
}

const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks = {
    .retain = cf_retain_value, .release = cf_release_value, .equal = CFEqual, .hash = CFHash};
const CFDictionaryKeyCallBacks kCFCopyStringDictionaryKeyCallBacks = {
    .retain = copy_string, .release = cf_release_value, .equal = CFEqual, .hash = CFHash};
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks = {
    .retain = cf_retain_value, .release = cf_release_value, .equal = CFEqual};

static CFHashCode hash_of_key(CFDictionaryRef dictionary, const void *key)
{
    if (dictionary->on_key.hash != NULL) {
        return dictionary->on_key.hash(key);
    }
    return cf_hash_bytes(&key, sizeof(key));
}

static bool is_equal_value(CFDictionaryRef dictionary, const void *a, const void *b)
{
    return a == b || (dictionary->on_value.equal != NULL && dictionary->on_value.equal(a, b));
}

/* The slot of a key, or the free slot where it belongs. There is always a free one. */
static struct slot *probe(CFDictionaryRef dictionary, CFHashCode hash, const void *key)
{
    size_t mask = dictionary->slot_count - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct slot *slot = &dictionary->slots[at];
        if (!slot->is_used) {
            return slot;
        }
        if (slot->hash == hash &&
            (slot->key == key ||
             (dictionary->on_key.equal != NULL && dictionary->on_key.equal(slot->key, key)))) {
            return slot;
        }
    }
}

static struct slot *find(CFDictionaryRef dictionary, const void *key)
{
    if (dictionary->count == 0) {
        return NULL;
    }
    struct slot *slot = probe(dictionary, hash_of_key(dictionary, key), key);
    return slot->is_used ? slot : NULL;
}

static void release_slot(CFDictionaryRef dictionary, const struct slot *slot)
{
    if (dictionary->on_key.release != NULL) {
        dictionary->on_key.release(kCFAllocatorDefault, slot->key);
    }
    if (dictionary->on_value.release != NULL) {
        dictionary->on_value.release(kCFAllocatorDefault, slot->value);
    }
}

static void dictionary_clear(CFMutableDictionaryRef dictionary)
{
    struct slot *slots = dictionary->slots;
    size_t slot_count = dictionary->slot_count;
    dictionary->slots = NULL;
    dictionary->slot_count = dictionary->count = 0;
    for (size_t i = 0; i < slot_count; i++) {
        if (slots[i].is_used) {
            release_slot(dictionary, &slots[i]);
        }
    }
    free(slots);
}

static void dictionary_finalize(CFTypeRef cf)
{
    dictionary_clear((CFMutableDictionaryRef)cf);
}

static bool dictionary_is_equal(CFTypeRef a, CFTypeRef b)
{
    CFDictionaryRef one = a, other = b;
    if (one->count != other->count || one->on_key.equal != other->on_key.equal ||
        one->on_value.equal != other->on_value.equal) {
        return false;
    }
    for (size_t i = 0; i < one->slot_count; i++) {
        if (one->slots[i].is_used) {
            const struct slot *match = find(other, one->slots[i].key);
            if (match == NULL || !is_equal_value(one, one->slots[i].value, match->value)) {
                return false;
            }
        }
    }
    return true;
}

static CFHashCode dictionary_hash(CFTypeRef cf)
{
    return ((CFDictionaryRef)cf)->count;
}

const struct cf_class cf_dictionary_class = {
    .type_id = 5,
    .name = "CFDictionary",
    .finalize = dictionary_finalize,
    .is_equal = dictionary_is_equal,
    .hash = dictionary_hash,
};

CFTypeID CFDictionaryGetTypeID(void)
{
    return cf_dictionary_class.type_id;
}

/* Make sure that one more entry fits. */
static bool grow(CFMutableDictionaryRef dictionary)
{
    if ((dictionary->count + 1) * 4 <= dictionary->slot_count * 3) {
        return true;
    }
    size_t old_count = dictionary->slot_count;
    struct slot *old = dictionary->slots;
    size_t slot_count = old_count == 0 ? 8 : old_count * 2;
    struct slot *slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    size_t mask = slot_count - 1;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].is_used) {
            size_t at = old[i].hash & mask;
            while (slots[at].is_used) {
                at = (at + 1) & mask;
            }
            slots[at] = old[i];
        }
    }
    dictionary->slots = slots;
    dictionary->slot_count = slot_count;
    free(old);
    return true;
}

static bool insert(CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
    if (!grow(dictionary)) {
        return false;
    }
    CFHashCode hash = hash_of_key(dictionary, key);
    struct slot *slot = probe(dictionary, hash, key);
    const void *own_key = key;
    if (dictionary->on_key.retain != NULL) {
        own_key = dictionary->on_key.retain(kCFAllocatorDefault, key);
        if (own_key == NULL && key != NULL) {
            return false;
        }
    }
    if (dictionary->on_value.retain != NULL) {
        value = dictionary->on_value.retain(kCFAllocatorDefault, value);
    }
    *slot = (struct slot){.is_used = true, .hash = hash, .key = own_key, .value = value};
    dictionary->count++;
    return true;
}

static void replace(CFDictionaryRef dictionary, struct slot *slot, const void *value)
{
    if (dictionary->on_value.retain != NULL) {
        value = dictionary->on_value.retain(kCFAllocatorDefault, value);
    }
    const void *old = slot->value;
    slot->value = value;
    if (dictionary->on_value.release != NULL) {
        dictionary->on_value.release(kCFAllocatorDefault, old);
    }
}

bool cf_dictionary_set(CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
    cf_check(dictionary, &cf_dictionary_class, __func__);
    if (!dictionary->base.is_mutable) {
        return false;
    }
    struct slot *slot = find(dictionary, key);
    if (slot == NULL) {
        return insert(dictionary, key, value);
    }
    replace(dictionary, slot, value);
    return true;
}

static CFMutableDictionaryRef dictionary_create(CFAllocatorRef allocator,
                                                const CFDictionaryKeyCallBacks *on_key,
                                                const CFDictionaryValueCallBacks *on_value)
{
    CFMutableDictionaryRef dictionary =
        cf_object_create(allocator, &cf_dictionary_class, sizeof(struct __CFDictionary));
    if (dictionary != NULL && on_key != NULL) {
        dictionary->on_key = *on_key;
    }
    if (dictionary != NULL && on_value != NULL) {
        dictionary->on_value = *on_value;
    }
    return dictionary;
}

CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys, const void **values,
                                   CFIndex numValues, const CFDictionaryKeyCallBacks *keyCallBacks,
                                   const CFDictionaryValueCallBacks *valueCallBacks)
{
    if (numValues < 0 || (numValues > 0 && (keys == NULL || values == NULL))) {
        return NULL;
    }
    CFMutableDictionaryRef dictionary = dictionary_create(allocator, keyCallBacks, valueCallBacks);
    for (CFIndex i = 0; dictionary != NULL && i < numValues; i++) {
        if (find(dictionary, keys[i]) == NULL && !insert(dictionary, keys[i], values[i])) {
            CFRelease(dictionary);
            dictionary = NULL;
        }
    }
    return dictionary;
}

static CFMutableDictionaryRef dictionary_copy(CFAllocatorRef allocator, CFDictionaryRef from)
{
    CFMutableDictionaryRef copy = dictionary_create(allocator, &from->on_key, &from->on_value);
    for (size_t i = 0; copy != NULL && i < from->slot_count; i++) {
        const struct slot *slot = &from->slots[i];
        if (slot->is_used && !insert(copy, slot->key, slot->value)) {
            CFRelease(copy);
            copy = NULL;
        }
    }
    return copy;
}

CFDictionaryRef CFDictionaryCreateCopy(CFAllocatorRef allocator, CFDictionaryRef theDict)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    return dictionary_copy(allocator, theDict);
}

CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator, CFIndex capacity,
                                                 const CFDictionaryKeyCallBacks *keyCallBacks,
                                                 const CFDictionaryValueCallBacks *valueCallBacks)
{
    (void)capacity; /* a hint since macOS 10.5 */
    CFMutableDictionaryRef dictionary = dictionary_create(allocator, keyCallBacks, valueCallBacks);
    if (dictionary != NULL) {
        dictionary->base.is_mutable = true;
    }
    return dictionary;
}

CFMutableDictionaryRef CFDictionaryCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity,
                                                     CFDictionaryRef theDict)
{
    (void)capacity;
    cf_check(theDict, &cf_dictionary_class, __func__);
    CFMutableDictionaryRef copy = dictionary_copy(allocator, theDict);
    if (copy != NULL) {
        copy->base.is_mutable = true;
    }
    return copy;
}

CFIndex CFDictionaryGetCount(CFDictionaryRef theDict)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    return (CFIndex)theDict->count;
}

Boolean CFDictionaryGetValueIfPresent(CFDictionaryRef theDict, const void *key, const void **value)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    const struct slot *slot = find(theDict, key);
    if (slot != NULL && value != NULL) {
        *value = slot->value;
    }
    return slot != NULL;
}

const void *CFDictionaryGetValue(CFDictionaryRef theDict, const void *key)
{
    const void *value = NULL;
    CFDictionaryGetValueIfPresent(theDict, key, &value);
    return value;
}

Boolean CFDictionaryContainsKey(CFDictionaryRef theDict, const void *key)
{
    return CFDictionaryGetValueIfPresent(theDict, key, NULL);
}

CFIndex CFDictionaryGetCountOfKey(CFDictionaryRef theDict, const void *key)
{
    return CFDictionaryContainsKey(theDict, key) ? 1 : 0;
}

Boolean CFDictionaryContainsValue(CFDictionaryRef theDict, const void *value)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    for (size_t i = 0; i < theDict->slot_count; i++) {
        const struct slot *slot = &theDict->slots[i];
        if (slot->is_used && is_equal_value(theDict, slot->value, value)) {
            return true;
        }
    }
    return false;
}

void CFDictionaryGetKeysAndValues(CFDictionaryRef theDict, const void **keys, const void **values)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    size_t written = 0;
    for (size_t i = 0; i < theDict->slot_count; i++) {
        if (!theDict->slots[i].is_used) {
            continue;
        }
        if (keys != NULL) {
            keys[written] = theDict->slots[i].key;
        }
        if (values != NULL) {
            values[written] = theDict->slots[i].value;
        }
        written++;
    }
}

void CFDictionaryApplyFunction(CFDictionaryRef theDict, CFDictionaryApplierFunction applier,
                               void *context)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    for (size_t i = 0; i < theDict->slot_count; i++) {
        if (theDict->slots[i].is_used) {
            applier(theDict->slots[i].key, theDict->slots[i].value, context);
        }
    }
}

void CFDictionaryAddValue(CFMutableDictionaryRef theDict, const void *key, const void *value)
{
    if (!CFDictionaryContainsKey(theDict, key)) {
        cf_dictionary_set(theDict, key, value);
    }
}

void CFDictionarySetValue(CFMutableDictionaryRef theDict, const void *key, const void *value)
{
    cf_dictionary_set(theDict, key, value);
}

void CFDictionaryReplaceValue(CFMutableDictionaryRef theDict, const void *key, const void *value)
{
    if (CFDictionaryContainsKey(theDict, key)) {
        cf_dictionary_set(theDict, key, value);
    }
}

void CFDictionaryRemoveValue(CFMutableDictionaryRef theDict, const void *key)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    struct slot *slot = theDict->base.is_mutable ? find(theDict, key) : NULL;
    if (slot == NULL) {
        return;
    }
    struct slot removed = *slot;
    slot->is_used = false;
    theDict->count--;
    /* Close the gap: entries behind it were pushed there by what stood in front of them. */
    size_t mask = theDict->slot_count - 1;
    size_t gap = (size_t)(slot - theDict->slots);
    for (size_t at = (gap + 1) & mask; theDict->slots[at].is_used; at = (at + 1) & mask) {
        size_t home = theDict->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            theDict->slots[gap] = theDict->slots[at];
            theDict->slots[at].is_used = false;
            gap = at;
        }
    }
    release_slot(theDict, &removed);
}

void CFDictionaryRemoveAllValues(CFMutableDictionaryRef theDict)
{
    cf_check(theDict, &cf_dictionary_class, __func__);
    if (theDict->base.is_mutable) {
        dictionary_clear(theDict);
    }
}
