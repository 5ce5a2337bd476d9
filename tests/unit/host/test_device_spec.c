/*
 * Unit tests of --device specifications: what they take, and what each mistake is called.
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
#include <stdlib.h>
#include <string.h>

#include "host/device_spec.h"

static void takes_everything_there_is(void **state)
{
    struct device_spec spec;
    char *error = NULL;
    assert_int_equal(device_spec_parse("testdev,addr=fe:1f.7,root=pci-bridge_9,dart=identity,"
                                       "aperture=64m,slots=0x10,vectors=8,irq=msi",
                                       &spec, &error),
                     0);
    assert_null(error);
    assert_string_equal(spec.model->name, "testdev");
    assert_int_equal(spec.address.bus, 0xfe);
    assert_int_equal(spec.address.device, 0x1f);
    assert_int_equal(spec.address.function, 7);
    assert_string_equal(spec.root, "pci-bridge_9");
    assert_true(spec.dart.identity);
    assert_int_equal(spec.dart.aperture_bytes, 64 << 20);
    assert_int_equal(spec.dart.slots, 16);
    assert_int_equal(spec.option_count, 2);
    assert_string_equal(spec.options[0].key, "vectors");
    assert_string_equal(spec.options[0].value, "8");
    assert_string_equal(spec.options[1].value, "msi");
    device_spec_clear(&spec);
    assert_null(spec.text);
}

static void has_defaults(void **state)
{
    struct device_spec spec;
    assert_int_equal(device_spec_parse("edu,addr=1:0.0,dart=apple", &spec, NULL), 0);
    assert_string_equal(spec.root, "pci-bridge0");
    assert_false(spec.dart.identity);
    assert_int_equal(spec.option_count, 0);
    device_spec_clear(&spec);
}

/* Each mistake, and what its text must name. */
static const struct {
    const char *spec;
    const char *names[3];
} mistakes[] = {
    {"", {"name comes first", "edu", "testdev"}},
    {",addr=01:00.0", {"name comes first", "edu", "testdev"}},
    {"nvidia,addr=01:00.0", {"unknown device", "\"nvidia\"", "edu, testdev"}},
    {"edu", {"edu", "addr", "missing"}},
    {"edu,root=a", {"addr", "missing"}},
    {"edu,addr", {"addr: has no value"}},
    {"edu,addr=01:00.0,root", {"root: has no value"}},
    {"edu,addr=01:00.0,dart", {"dart: has no value"}},
    {"edu,addr=", {"not an address"}},
    {"edu,addr=01", {"addr=01", "not an address"}},
    {"edu,addr=100:00.0", {"not an address", "00-ff"}},
    {"edu,addr=0000:01:00.0", {"not an address"}},
    {"edu,addr=01:20.0", {"addr=01:20.0", "00-1f"}},
    {"edu,addr=01:00.8", {"addr=01:00.8", "0-7"}},
    {"edu,addr=01:00.0 ", {"not an address"}},
    {"edu,addr=-1:00.0", {"not an address"}},
    {"edu,addr=a/01:00.0", {"addr=a/01:00.0", "not an address", "root=a"}},
    {"edu,addr=01:00.0,addr=02:00.0", {"addr", "twice"}},
    {"edu,addr=01:00.0,", {"empty option"}},
    {"edu,,addr=01:00.0", {"empty option"}},
    {"edu,addr=01:00.0,=1", {"empty option"}},
    {"edu,addr=01:00.0,root=", {"root=", "letters"}},
    {"edu,addr=01:00.0,root=a b", {"root=a b", "letters"}},
    {"edu,addr=01:00.0,root=../x", {"root=../x", "letters"}},
    {"edu,addr=01:00.0,dart=none", {"dart=none", "apple", "identity"}},
    {"edu,addr=01:00.0,aperture=0", {"aperture=0", "16k"}},
    {"edu,addr=01:00.0,aperture=1", {"aperture=1", "16k"}},
    {"edu,addr=01:00.0,aperture=16383", {"aperture=16383"}},
    {"edu,addr=01:00.0,aperture=-16k", {"aperture=-16k"}},
    {"edu,addr=01:00.0,aperture=16kk", {"aperture=16kk"}},
    {"edu,addr=01:00.0,aperture=2048g", {"aperture=2048g", "1024g"}},
    {"edu,addr=01:00.0,aperture=17179869184g", {"aperture"}},
    {"edu,addr=01:00.0,aperture=99999999999999999999", {"aperture"}},
    {"edu,addr=01:00.0,slots=0", {"slots=0"}},
    {"edu,addr=01:00.0,segment=0", {"segment=0"}},
    {"edu,addr=01:00.0,segment=20k", {"segment=20k", "16k"}},
    {"edu,addr=01:00.0,segment=1025g", {"segment=1025g", "1024g"}},
    {"edu,addr=01:00.0,slots=16777217", {"slots=16777217", "16777216"}},
    {"edu,addr=01:00.0,slots=many", {"slots=many"}},
    {"edu,addr=01:00.0,slots=0x", {"slots=0x"}},
};

static void names_each_mistake(void **state)
{
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct device_spec spec;
        char *error = NULL;
        if (device_spec_parse(mistakes[i].spec, &spec, &error) != -EINVAL || !error) {
            fail_msg("\"%s\" is taken", mistakes[i].spec);
        }
        for (size_t name = 0; name < 3 && mistakes[i].names[name]; name++) {
            if (!strstr(error, mistakes[i].names[name])) {
                fail_msg("\"%s\": %s, without %s", mistakes[i].spec, error,
                         mistakes[i].names[name]);
            }
        }
        assert_null(strchr(error, '\n'));
        assert_null(spec.text);
        free(error);
        assert_int_equal(device_spec_parse(mistakes[i].spec, &spec, NULL), -EINVAL);
    }
}

static void numbers_are_decimal_or_hex(void **state)
{
    struct device_spec spec;
    assert_int_equal(device_spec_parse("edu,addr=01:00.0,slots=010,aperture=0X8000", &spec, NULL),
                     0);
    assert_int_equal(spec.dart.slots, 10);
    assert_int_equal(spec.dart.aperture_bytes, 32768);
    device_spec_clear(&spec);
}

/* A mistyped key of the host must not look like one that only the model could have taken. */
static void hints_at_its_own_keys(void **state)
{
    static const char *const own[] = {"addr", "root", "dart", "aperture", "slots"};
    struct device_spec spec;
    assert_int_equal(device_spec_parse("edu,addr=01:00.0,drat=identity", &spec, NULL), 0);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        assert_non_null(strstr(device_spec_hint(&spec), own[i]));
    }
    device_spec_clear(&spec);
    assert_int_equal(device_spec_parse("edu,addr=01:00.0,dma_mas=1", &spec, NULL), 0);
    assert_string_not_equal(device_spec_hint(&spec), "");
    device_spec_clear(&spec);
    assert_int_equal(device_spec_parse("edu,addr=01:00.0,dma_mask=x,latency_ns=", &spec, NULL), 0);
    assert_string_equal(device_spec_hint(&spec), "");
    device_spec_clear(&spec);
    assert_int_equal(device_spec_parse("testdev,addr=01:00.0,serial=x", &spec, NULL), 0);
    assert_string_equal(device_spec_hint(&spec), "");
    device_spec_clear(&spec);
}

static void lengths_have_limits(void **state)
{
    struct device_spec spec;
    char text[1024];
    char *error = NULL;
    snprintf(text, sizeof(text), "edu,addr=01:00.0,root=%063d", 0);
    assert_int_equal(device_spec_parse(text, &spec, NULL), 0);
    device_spec_clear(&spec);
    snprintf(text, sizeof(text), "edu,addr=01:00.0,root=%064d", 0);
    assert_int_equal(device_spec_parse(text, &spec, NULL), -EINVAL);
    int used = snprintf(text, sizeof(text), "edu,addr=01:00.0");
    for (int i = 0; i < DEVICE_SPEC_MAX_OPTIONS; i++) {
        used += snprintf(text + used, sizeof(text) - (size_t)used, ",k%d=", i);
    }
    assert_int_equal(device_spec_parse(text, &spec, NULL), 0);
    assert_int_equal(spec.option_count, DEVICE_SPEC_MAX_OPTIONS);
    device_spec_clear(&spec);
    snprintf(text + used, sizeof(text) - (size_t)used, ",more");
    assert_int_equal(device_spec_parse(text, &spec, &error), -EINVAL);
    assert_non_null(strstr(error, "more than 32 options"));
    free(error);
}

static void addresses_may_have_a_root(void **state)
{
    struct pci_address address = {.bus = 9};
    char root[DEVICE_ROOT_MAX];
    assert_int_equal(device_address_parse("pci-bridge1/AB:0c.3", &address, root), 0);
    assert_string_equal(root, "pci-bridge1");
    assert_int_equal(address.bus, 0xab);
    assert_int_equal(address.device, 0xc);
    assert_int_equal(device_address_parse("0:0.0", &address, root), 0);
    assert_string_equal(root, "");
    assert_int_equal(device_address_parse("/0:0.0", &address, root), -EINVAL);
    assert_int_equal(device_address_parse("a/b/0:0.0", &address, root), -EINVAL);
    assert_int_equal(device_address_parse("a/", &address, root), -EINVAL);
    assert_int_equal(device_address_parse("", &address, root), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_everything_there_is), cmocka_unit_test(has_defaults),
        cmocka_unit_test(names_each_mistake),        cmocka_unit_test(numbers_are_decimal_or_hex),
        cmocka_unit_test(hints_at_its_own_keys),     cmocka_unit_test(lengths_have_limits),
        cmocka_unit_test(addresses_may_have_a_root),
    };
    return cmocka_run_group_tests_name("device_spec", tests, NULL, NULL);
}
