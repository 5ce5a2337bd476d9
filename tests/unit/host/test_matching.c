/*
 * Unit tests of matching dictionaries.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host/matching.h"

#define ENTRY_ID UINT64_C(0x100000123)

static const char *const classes[] = {"IOPCIDevice", "IOService", NULL};
static struct wire_value *properties;
static struct matching_subject subject;

static int set_up(void **state)
{
    properties = wire_value_dictionary();
    wire_value_set(properties, "IOUserClass", wire_value_string("Driver"));
    wire_value_set(properties, "count", wire_value_number(7, 32));
    /* Not terminated at its end: the last name must be found all the same. */
    wire_value_set(properties, "compatible", wire_value_data("pci1234,1\0pciclass,ff", 21));
    subject = (struct matching_subject){.id = ENTRY_ID,
                                        .name = "device",
                                        .classes = classes,
                                        .location = "1,2",
                                        .properties = properties};
    return 0;
}

static int tear_down(void **state)
{
    wire_value_free(properties);
    return 0;
}

static struct wire_value *text(const char *string)
{
    return wire_value_string(string);
}

static struct wire_value *list(const char *first, const char *second)
{
    struct wire_value *array = wire_value_array();
    wire_value_append(array, text(first));
    wire_value_append(array, text(second));
    return array;
}

static struct wire_value *one(const char *key, struct wire_value *value)
{
    struct wire_value *dictionary = wire_value_dictionary();
    wire_value_set(dictionary, key, value);
    return dictionary;
}

/* Takes matching over. */
static bool holds(struct wire_value *matching)
{
    bool result = matching_holds(matching, &subject);
    wire_value_free(matching);
    return result;
}

static void by_class(void **state)
{
    assert_true(holds(one("IOProviderClass", text("IOPCIDevice"))));
    assert_true(holds(one("IOProviderClass", text("IOService"))));
    assert_false(holds(one("IOProviderClass", text("IOPCI"))));
    assert_false(holds(one("IOProviderClass", list("IOPCIDevice", "IOService"))));
    assert_false(holds(one("IOProviderClass", wire_value_data("IOService", 9))));
}

static void by_name(void **state)
{
    assert_true(holds(one("IONameMatch", text("device"))));
    assert_true(holds(one("IONameMatch", text("pci1234,1"))));
    assert_true(holds(one("IONameMatch", text("pciclass,ff"))));
    assert_true(holds(one("IONameMatch", list("other", "pciclass,ff"))));
    assert_false(holds(one("IONameMatch", list("other", "another"))));
    assert_false(holds(one("IONameMatch", text("pci1234"))));
    assert_false(holds(one("IONameMatch", text(""))));
    assert_false(holds(one("IONameMatch", wire_value_array())));
    assert_false(holds(one("IONameMatch", wire_value_number(1, 8))));
    subject.properties = NULL;
    assert_false(holds(one("IONameMatch", text("pci1234,1"))));
}

static void by_properties(void **state)
{
    struct wire_value *two = one("IOUserClass", text("Driver"));
    assert_true(holds(one("IOPropertyMatch", one("IOUserClass", text("Driver")))));
    assert_false(holds(one("IOPropertyMatch", one("IOUserClass", text("Other")))));
    assert_false(holds(one("IOPropertyMatch", one("none", text("Driver")))));
    assert_true(holds(one("IOPropertyMatch", one("count", wire_value_number(7, 64)))));
    assert_true(holds(one("IOPropertyMatch", wire_value_dictionary())));
    assert_false(holds(one("IOPropertyMatch", text("IOUserClass"))));
    wire_value_set(two, "count", wire_value_number(8, 32));
    assert_false(holds(one("IOPropertyMatch", two)));
    struct wire_value *any = wire_value_array();
    wire_value_append(any, text("no dictionary"));
    wire_value_append(any, one("count", wire_value_number(7, 8)));
    assert_true(holds(one("IOPropertyMatch", any)));
}

static void by_existence_place_and_id(void **state)
{
    assert_true(holds(one("IOPropertyExistsMatch", text("count"))));
    assert_true(holds(one("IOPropertyExistsMatch", list("none", "count"))));
    assert_false(holds(one("IOPropertyExistsMatch", text("none"))));
    assert_true(holds(one("IOLocationMatch", text("1,2"))));
    assert_false(holds(one("IOLocationMatch", text("1"))));
    assert_true(holds(one("IORegistryEntryID", wire_value_number(ENTRY_ID, 64))));
    assert_false(holds(one("IORegistryEntryID", wire_value_number((uint32_t)ENTRY_ID, 32))));
    assert_false(holds(one("IORegistryEntryID", text("4294967587"))));
    subject.location = NULL;
    assert_false(holds(one("IOLocationMatch", text(""))));
}

static void all_keys_must_hold_and_be_known(void **state)
{
    struct wire_value *both = one("IOProviderClass", text("IOService"));
    wire_value_set(both, "IONameMatch", text("device"));
    assert_true(matching_holds(both, &subject));
    wire_value_set(both, "IONameMatch", text("other"));
    assert_false(matching_holds(both, &subject));
    wire_value_free(both);
    assert_true(holds(wire_value_dictionary()));
    assert_false(holds(one("IOUserClass", text("Driver"))));
    assert_false(holds(one("", text(""))));
    assert_false(holds(wire_value_array()));
    assert_false(holds(text("IOService")));
    assert_false(holds(NULL));
}

#define MATCHING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MATCHING_TEST(by_class),
        MATCHING_TEST(by_name),
        MATCHING_TEST(by_properties),
        MATCHING_TEST(by_existence_place_and_id),
        MATCHING_TEST(all_keys_must_hold_and_be_known),
    };
    return cmocka_run_group_tests_name("matching", tests, NULL, NULL);
}
