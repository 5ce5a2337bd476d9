/*
 * Unit tests of the registry: entries, their place, watchers and the order of what they hear.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "host/registry.h"
#include "wire/protocol.h"

static const char *const service_classes[] = {"Service", "OSObject", NULL};
static struct registry *registry;

static int set_up(void **state)
{
    registry = registry_create();
    return registry ? 0 : -1;
}

static int tear_down(void **state)
{
    registry_destroy(registry);
    return 0;
}

static uint64_t add(const char *name, uint64_t parent, const char *location)
{
    return registry_add(registry,
                        &(struct registry_description){.name = name,
                                                       .classes = service_classes,
                                                       .location = location,
                                                       .parent = parent,
                                                       .properties = wire_value_dictionary()});
}

static struct wire_value *matching_name(const char *name)
{
    struct wire_value *matching = wire_value_dictionary();
    wire_value_set(matching, "IONameMatch", wire_value_string(name));
    return matching;
}

static size_t count_matching(struct wire_value *matching)
{
    uint64_t *ids;
    size_t count;
    assert_int_equal(registry_match(registry, matching, &ids, &count), 0);
    free(ids);
    wire_value_free(matching);
    return count;
}

static void check_path(uint64_t id, const char *path)
{
    int error;
    struct wire_value *entry = registry_describe(registry, id, &error);
    assert_non_null(entry);
    assert_true(wire_value_is_string(wire_value_get(entry, WIRE_ENTRY_PATH), path));
    wire_value_free(entry);
}

static void entries_have_a_place(void **state)
{
    uint64_t top = add("top", 0, NULL);
    uint64_t left = add("left", top, "0");
    uint64_t right = add("right", top, NULL);
    uint64_t below = add("below", left, "a,1");
    assert_true(top > UINT32_MAX);
    assert_true(left > top && right > left && below > right);
    check_path(top, "IOService:/top");
    check_path(left, "IOService:/top/left@0");
    check_path(below, "IOService:/top/left@0/below@a,1");
    assert_true(registry_child(registry, 0, "top") == top);
    assert_true(registry_child(registry, top, "right") == right);
    assert_true(registry_child(registry, top, "below") == 0);
    int error;
    struct wire_value *entry = registry_describe(registry, top, &error);
    const struct wire_value *children = wire_value_get(entry, WIRE_ENTRY_CHILDREN);
    assert_int_equal(children->count, 2);
    assert_true((uint64_t)children->items[0]->number == left);
    assert_true((uint64_t)children->items[1]->number == right);
    assert_null(wire_value_get(entry, WIRE_ENTRY_LOCATION));
    assert_int_equal(wire_value_get(entry, WIRE_ENTRY_CONFORMS)->count, 2);
    wire_value_free(entry);
}

static void what_cannot_be_added(void **state)
{
    uint64_t top = add("top", 0, NULL);
    assert_true(add("x", 1, NULL) == 0);
    assert_true(add("x", UINT64_MAX, NULL) == 0);
    registry_retire(registry, top);
    assert_true(add("x", top, NULL) == 0);
    const struct registry_description without = {.name = "x", .classes = service_classes};
    assert_true(registry_add(registry, &without) == 0);
    assert_int_equal(count_matching(wire_value_dictionary()), 0);
}

static void the_root_matches_nothing(void **state)
{
    struct wire_value *any = wire_value_dictionary();
    wire_value_set(any, "IOProviderClass", wire_value_string("IORegistryEntry"));
    assert_int_equal(count_matching(any), 0);
    assert_int_equal(count_matching(matching_name("Root")), 0);
    for (int i = 0; i < 20; i++) {
        add("same", 0, NULL);
    }
    assert_int_equal(count_matching(matching_name("same")), 20);
    assert_int_equal(count_matching(wire_value_string("same")), 0);
}

static void the_departed_can_be_looked_at_for_a_while(void **state)
{
    uint64_t first = add("first", 0, NULL);
    int error;
    registry_retire(registry, first);
    registry_retire(registry, first); /* again: nothing */
    registry_retire(registry, 1);
    assert_false(registry_is_active(registry, first));
    assert_int_equal(count_matching(matching_name("first")), 0);
    assert_true(registry_child(registry, 0, "first") == 0);
    check_path(first, "IOService:/first");
    for (int i = 0; i < REGISTRY_RETIRED_MAX - 1; i++) {
        registry_retire(registry, add("later", 0, NULL));
    }
    check_path(first, "IOService:/first");
    registry_retire(registry, add("last", 0, NULL));
    assert_null(registry_describe(registry, first, &error));
    assert_int_equal(error, -ENOENT);
}

/* What watchers heard, in order. */
static struct heard {
    void *owner;
    uint64_t token;
    uint64_t id;
} heard[64];
static size_t heard_count;

static void tell(void *owner, uint64_t token, uint64_t id)
{
    assert_true(heard_count < 64);
    heard[heard_count++] = (struct heard){.owner = owner, .token = token, .id = id};
}

static size_t watch(enum registry_event event, const char *name, void *owner, uint64_t token)
{
    uint64_t *ids;
    size_t count;
    assert_int_equal(
        registry_watch(registry, event, matching_name(name), owner, token, tell, &ids, &count), 0);
    free(ids);
    return count;
}

static void watchers_hear_what_comes_and_goes(void **state)
{
    int a;
    int b;
    heard_count = 0;
    uint64_t before = add("x", 0, NULL);
    assert_int_equal(watch(REGISTRY_ARRIVED, "x", &a, 1), 1);
    assert_int_equal(watch(REGISTRY_DEPARTED, "x", &b, 2), 0);
    assert_int_equal(watch(REGISTRY_ARRIVED, "y", &a, 3), 0);
    assert_int_equal(heard_count, 0);
    uint64_t after = add("x", 0, NULL);
    uint64_t other = add("y", 0, NULL);
    registry_retire(registry, before);
    registry_retire(registry, other);
    const struct heard wanted[] = {{&a, 1, after}, {&a, 3, other}, {&b, 2, before}};
    assert_int_equal(heard_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(heard[i].owner, wanted[i].owner);
        assert_true(heard[i].token == wanted[i].token && heard[i].id == wanted[i].id);
    }
}

static void watching_ends(void **state)
{
    int a;
    int b;
    heard_count = 0;
    watch(REGISTRY_ARRIVED, "x", &a, 1);
    watch(REGISTRY_ARRIVED, "x", &a, 2);
    watch(REGISTRY_ARRIVED, "x", &b, 1);
    registry_unwatch(registry, &a, 1);
    registry_unwatch(registry, &a, 9);
    add("x", 0, NULL);
    assert_int_equal(heard_count, 2);
    registry_unwatch_all(registry, &a);
    add("x", 0, NULL);
    assert_int_equal(heard_count, 3);
    assert_ptr_equal(heard[2].owner, &b);
}

static atomic_uint told;

static void count_told(void *owner, uint64_t token, uint64_t id)
{
    told++;
}

#define ARRIVALS 200

static void *add_many(void *opaque)
{
    for (int i = 0; i < ARRIVALS; i++) {
        registry_retire(registry, add("x", 0, NULL));
    }
    return NULL;
}

/* Each arrival is in the reply to a watch or told to it, never both, never neither. */
static void no_gap_and_no_overlap(void **state)
{
    pthread_t thread;
    told = 0;
    unsigned in_reply = 0;
    for (int i = 0; i < 50; i++) {
        add("y", 0, NULL);
    }
    assert_int_equal(pthread_create(&thread, NULL, add_many, NULL), 0);
    for (uint64_t token = 1; token <= 50; token++) {
        uint64_t *ids;
        size_t count;
        assert_int_equal(registry_watch(registry, REGISTRY_ARRIVED, matching_name("y"), &told,
                                        token, count_told, &ids, &count),
                         0);
        in_reply += (unsigned)count;
        free(ids);
        add("y", 0, NULL);
        registry_unwatch(registry, &told, token);
    }
    pthread_join(thread, NULL);
    assert_int_equal(told, 50);
    assert_int_equal(in_reply, 50 * 50 + 49 * 50 / 2);
}

static void properties_change(void **state)
{
    int error;
    uint64_t id = add("x", 0, NULL);
    assert_int_equal(registry_set_property(registry, id, "key", wire_value_string("a")), 0);
    assert_int_equal(registry_set_property(registry, id, "key", wire_value_string("b")), 0);
    assert_int_equal(registry_set_property(registry, id, "key", NULL), -ENOMEM);
    struct wire_value *entry = registry_describe(registry, id, &error);
    const struct wire_value *properties = wire_value_get(entry, WIRE_ENTRY_PROPERTIES);
    assert_int_equal(properties->count, 1);
    assert_true(wire_value_is_string(wire_value_get(properties, "key"), "b"));
    wire_value_free(entry);
    registry_retire(registry, id);
    assert_int_equal(registry_set_property(registry, id, "key", wire_value_string("c")), -ENOENT);
    assert_int_equal(registry_set_property(registry, 1, "key", wire_value_string("c")), -ENOENT);
}

#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(entries_have_a_place),
        REGISTRY_TEST(what_cannot_be_added),
        REGISTRY_TEST(the_root_matches_nothing),
        REGISTRY_TEST(the_departed_can_be_looked_at_for_a_while),
        REGISTRY_TEST(watchers_hear_what_comes_and_goes),
        REGISTRY_TEST(watching_ends),
        REGISTRY_TEST(no_gap_and_no_overlap),
        REGISTRY_TEST(properties_change),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
