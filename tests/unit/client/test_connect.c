/*
 * Unit tests: finding an instance and connecting to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <mach/mach.h>

#include "client_test.h"

static unsigned opens(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fake.entry_count; i++) {
        count += fake.entries[i].opens;
    }
    return count;
}

static void only_the_chosen_instance_is_opened(void **state)
{
    int other = fake_add_device("pci-bridge1", "2:0:0", 0x1234, 0x11e8);
    int third = fake_add_device("pci-bridge2", "1:0:1", 0x1234, 0x11e8);
    io_connect_t port = apple_dext_connect(1, 0, 0);

    (void)state;
    assert_int_not_equal(port, IO_OBJECT_NULL);
    assert_int_equal(fake.entries[2].opens, 1);
    assert_int_equal(fake.entries[other].opens, 0);
    assert_int_equal(fake.entries[third].opens, 0);
    assert_int_equal(fake.call_count, 0); /* and nobody was asked for its identity */
    apple_dext_disconnect(port);
}

static void services_of_other_classes_are_not_ours(void **state)
{
    (void)state;
    fake.entries[2].user_class = "SomebodyElse";
    assert_int_equal(apple_dext_connect(1, 0, 0), IO_OBJECT_NULL);
    fake.entries[2].user_class = NULL;
    assert_int_equal(apple_dext_connect(1, 0, 0), IO_OBJECT_NULL);
    assert_int_equal(opens(), 0);
}

static void nothing_there_is_a_clear_failure(void **state)
{
    char *reason = NULL;

    (void)state;
    assert_int_equal(apple_dext_connect_with_root(9, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    assert_non_null(strstr(reason, "09:00.0"));
    assert_non_null(strstr(reason, "no such instance"));
    free(reason);
    fake.entry_count = 0; /* success without an iterator */
    assert_int_equal(apple_dext_connect(1, 0, 0), IO_OBJECT_NULL);
    fake.search_status = kIOReturnNotPrivileged;
    assert_int_equal(apple_dext_connect_with_root(1, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    assert_non_null(strstr(reason, "0xe00002c1"));
    free(reason);
}

static void an_address_under_two_roots_is_ambiguous(void **state)
{
    char *reason = NULL;
    int second = fake_add_device("pci-bridge1", "1:0:0", 0x1234, 0x11e8);

    (void)state;
    assert_int_equal(apple_dext_connect(1, 0, 0), IO_OBJECT_NULL);
    assert_true(fake_log_contains("ambiguous"));
    assert_int_equal(apple_dext_connect_with_root(1, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    assert_non_null(strstr(reason, "pci-bridge0"));
    assert_non_null(strstr(reason, "pci-bridge1"));
    free(reason);
    assert_int_equal(opens(), 0);

    io_connect_t port = apple_dext_connect_with_root(1, 0, 0, "pci-bridge1", NULL);
    assert_int_not_equal(port, IO_OBJECT_NULL);
    assert_int_equal(fake.entries[second].opens, 1);
    apple_dext_disconnect(port);
    assert_int_equal(apple_dext_connect_with_root(1, 0, 0, "pci-bridge9", NULL), IO_OBJECT_NULL);
}

static void the_registry_text_is_decimal_with_a_tail(void **state)
{
    static const char *const malformed[] = {"",       "1",      "1:0",           "1:0:",   "x:0:0",
                                            "1:32:0", "1:0:8",  "256:0:0",       "-1:0:0", ":0:0",
                                            "1 :0:0", "1:+0:0", "4294967297:0:0"};

    (void)state;
    fake.entries[1].pcidebug = "17:10:2(18:20)";
    io_connect_t port = apple_dext_connect(17, 10, 2);
    assert_int_not_equal(port, IO_OBJECT_NULL);
    apple_dext_disconnect(port);
    assert_int_equal(apple_dext_connect(0x17, 0x10, 2), IO_OBJECT_NULL);

    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        AppleDextInstance *list;
        size_t count;
        fake.entries[1].pcidebug = malformed[i];
        assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
        assert_int_equal(count, 1);
        assert_int_equal(list[0].has_address, 0);
        apple_dext_free_list(list);
    }
}

static void a_silent_registry_makes_it_ask(void **state)
{
    int other = fake_add_device("pci-bridge1", NULL, 0, 0);
    AppleDextInstance instance;

    (void)state;
    fake.entries[1].pcidebug = NULL;
    fake.entries[1].vendor = 0;
    memcpy(fake.entries[2].identity, (uint64_t[]){4, 5, 6, UINT64_MAX, UINT64_MAX, UINT64_MAX}, 48);
    memcpy(fake.entries[other].identity, (uint64_t[]){4, 5, 7, 0x1af4, 0x1000, 0x20000}, 48);

    io_connect_t port = apple_dext_connect(4, 5, 7);
    assert_int_not_equal(port, IO_OBJECT_NULL);
    assert_int_equal(apple_dext_get_identity(port, &instance), kIOReturnSuccess);
    assert_int_equal(instance.vendor_id, 0x1af4);
    assert_int_equal(instance.class_code, 0x20000);
    apple_dext_disconnect(port);
    /* Only those that had to be asked were opened, and each once. */
    assert_int_equal(fake.entries[2].opens, 1);
    assert_int_equal(fake.entries[other].opens, 1);
    assert_int_equal(fake_call_at(DEXT_SEL_GET_IDENTITY, 0).out_capacity, 6);
}

static void ones_are_never_an_id(void **state)
{
    AppleDextInstance instance;
    AppleDextInstance *list;
    size_t count;

    (void)state;
    fake.entries[1].vendor = 0xffffffff;
    memcpy(fake.entries[2].identity, (uint64_t[]){1, 0, 0, UINT64_MAX, UINT64_MAX, UINT64_MAX}, 48);
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_int_equal(list[0].has_ids, 0);
    assert_int_equal(list[0].vendor_id, 0);
    apple_dext_free_list(list);
    io_connect_t port = fake_connect(false);
    assert_int_equal(apple_dext_get_identity(port, &instance), kIOReturnSuccess);
    assert_int_equal(instance.has_ids, 0);
    assert_int_equal(instance.vendor_id, 0);
    assert_int_equal(instance.bus, 1);
    apple_dext_disconnect(port);
}

static void ids_come_from_the_registry(void **state)
{
    AppleDextInstance instance;
    io_connect_t port = fake_connect(false);

    (void)state;
    assert_int_equal(apple_dext_get_identity(port, &instance), kIOReturnSuccess);
    assert_int_equal(instance.has_ids, 1);
    assert_int_equal(instance.vendor_id, 0x1234);
    assert_int_equal(instance.device_id, 0x11e8);
    assert_int_equal(instance.class_code, 0x00ff00);
    assert_int_equal(instance.revision_id, 0x10);
    assert_true(instance.entry_id == UINT64_C(0x100000102));
    assert_int_equal(fake.call_count, 0);
    apple_dext_disconnect(port);
}

static void id_properties_of_other_shapes_are_unknown(void **state)
{
    AppleDextInstance *list;
    size_t count;

    (void)state;
    for (int shape = 0; shape < 2; shape++) {
        fake.entries[1].ids_are_strings = shape == 0;
        fake.entries[1].id_bytes = shape == 0 ? 0 : 2;
        assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
        assert_int_equal(list[0].has_ids, 0);
        apple_dext_free_list(list);
    }
}

static void a_short_identity_is_no_identity(void **state)
{
    (void)state;
    fake.entries[1].pcidebug = NULL;
    fake_script(DEXT_SEL_GET_IDENTITY, (struct fake_reply){.is_short = true, .count = 0});
    assert_int_equal(apple_dext_connect(0, 0, 0), IO_OBJECT_NULL);
}

static void a_driver_that_hangs_does_not_hang_the_search(void **state)
{
    int hung = fake_add_device("pci-bridge1", NULL, 0, 0);
    char *reason = NULL;

    (void)state;
    fake.entries[hung].open_hangs = true;
    io_connect_t port = apple_dext_connect(1, 0, 0); /* the registry knows: it is not touched */
    assert_int_not_equal(port, IO_OBJECT_NULL);
    assert_int_equal(fake.entries[hung].opens, 0);
    apple_dext_disconnect(port);

    fake_stop_time();
    assert_int_equal(apple_dext_connect_with_root(7, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    assert_int_equal(fake.entries[hung].opens, 1);
    assert_int_equal(fake.entries[2].opens, 1); /* it need not be asked, then or now */
    assert_true(fake_log_contains("does not tell its address"));
    free(reason);
    /* Teardown lets the late open succeed, and checks that it is closed again. */
}

static void a_driver_that_hangs_in_identity_is_passed_over(void **state)
{
    int hung = fake_add_device("pci-bridge1", NULL, 0, 0);
    int alive = fake_add_device("pci-bridge2", NULL, 0, 0);

    (void)state;
    fake.entries[hung].call_hangs = true;
    fake.entries[alive].identity[0] = 8;
    fake_stop_time();
    io_connect_t port = apple_dext_connect(8, 0, 0);
    assert_int_not_equal(port, IO_OBJECT_NULL);
    assert_int_equal(fake.entries[alive].opens, 1);
    apple_dext_disconnect(port);
}

static void opening_has_a_deadline(void **state)
{
    char *reason = NULL;

    (void)state;
    fake.entries[2].open_hangs = true;
    fake_stop_time();
    assert_int_equal(apple_dext_connect_with_root(1, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    assert_non_null(strstr(reason, "does not answer within 5000 ms"));
    free(reason);
}

static void the_deadline_is_the_users_choice(void **state)
{
    char *reason = NULL;

    (void)state;
    fake.entries[2].open_hangs = true;
    setenv("DEXTLINK_PATIENCE", "7", 1);
    fake_stop_time();
    assert_int_equal(apple_dext_connect_with_root(1, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    unsetenv("DEXTLINK_PATIENCE");
    assert_non_null(strstr(reason, "does not answer within 7000 ms"));
    free(reason);
}

static void a_refused_open_says_why(void **state)
{
    char *reason = NULL;

    (void)state;
    fake.entries[2].open_status = kIOReturnNotPermitted;
    assert_int_equal(apple_dext_connect_with_root(1, 0, 0, NULL, &reason), IO_OBJECT_NULL);
    assert_non_null(strstr(reason, "0xe00002e2"));
    assert_non_null(strstr(reason, "entitlement"));
    free(reason);
}

static void listing_opens_nothing(void **state)
{
    AppleDextInstance *list = NULL;
    size_t count = 0;

    (void)state;
    fake_add_device("pci-bridge0", "1:2:0", 0x1af4, 0x1000);
    fake_add_device("a-bridge", "9:0:0", 0x144d, 0xa808);
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].root, "a-bridge");
    assert_int_equal(list[0].bus, 9);
    assert_string_equal(list[1].root, "pci-bridge0");
    assert_int_equal(list[1].device, 0);
    assert_int_equal(list[2].device, 2);
    assert_int_equal(list[2].vendor_id, 0x1af4);
    assert_int_equal(opens(), 0);
    assert_int_equal(fake.call_count, 0);
    apple_dext_free_list(list);

    fake.entry_count = 0;
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_null(list);
    assert_int_equal(count, 0);
}

/* Root port, bridge below it, device below that: as on a Mac with a Thunderbolt enclosure. */
static void names_survive_other_bus_numbers(void **state)
{
    AppleDextInstance *list;
    char first[256];
    size_t count;

    (void)state;
    fake.entries[0].pcidebug = "0:0:0(1:5)";
    int bridge = fake_add((struct fake_entry){
        .parent = 0, .class_name = "IOPCIDevice", .name = "bridge", .pcidebug = "1:4:0(3:4)"});
    int between = fake_add(
        (struct fake_entry){.parent = bridge, .class_name = "IOPCI2PCIBridge", .name = "IOPP"});
    fake.entries[1].parent = between;
    fake.entries[1].pcidebug = "3:0:1";
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_string_equal(list[0].root, "pci-bridge0");
    assert_string_equal(list[0].name, "pci-bridge0/04.0/00.1");
    strcpy(first, list[0].name);
    apple_dext_free_list(list);

    fake.entries[bridge].pcidebug = "1:4:0(7:9)";
    fake.entries[1].pcidebug = "7:0:1";
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_string_equal(list[0].name, first);
    assert_int_equal(list[0].bus, 7);
    apple_dext_free_list(list);
}

static void without_a_root_port_the_parent_is_the_root(void **state)
{
    AppleDextInstance *list;
    size_t count;

    (void)state;
    fake.entries[0].class_name = "IOPCIBridge";
    assert_int_equal(apple_dext_list(&list, &count), kIOReturnSuccess);
    assert_string_equal(list[0].root, "pci-bridge0");
    assert_string_equal(list[0].name, "pci-bridge0/01:00.0");
    apple_dext_free_list(list);
}

static void a_connection_opened_elsewhere_is_asked_who_it_is(void **state)
{
    AppleDextInstance instance;
    io_connect_t port = IO_OBJECT_NULL;

    (void)state;
    memcpy(fake.entries[2].identity, (uint64_t[]){1, 0, 0, 0xffff, 0xffff, 0xffffff}, 48);
    assert_int_equal(IOServiceOpen(FAKE_FIRST_ENTRY + 2, mach_task_self(), 0, &port), 0);
    assert_int_equal(apple_dext_get_identity(port, &instance), kIOReturnSuccess);
    assert_int_equal(instance.vendor_id, 0x1234);
    assert_string_equal(instance.root, "pci-bridge0");
    apple_dext_disconnect(port);
}

static void a_closed_handle_is_a_dead_name(void **state)
{
    io_connect_t port = fake_connect(true);
    uint64_t value = 7;

    (void)state;
    apple_dext_disconnect(port);
    assert_int_equal(apple_dext_config_read(port, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_true(value == 7);
    apple_dext_disconnect(port);
    apple_dext_disconnect(IO_OBJECT_NULL);
}

static void terminate_and_claim_are_calls(void **state)
{
    io_connect_t port = fake_connect(true);

    (void)state;
    assert_int_equal(fake_calls_of(DEXT_SEL_CLAIM), 1);
    assert_int_equal(apple_dext_terminate(port), kIOReturnSuccess);
    assert_int_equal(fake_calls_of(DEXT_SEL_TERMINATE), 1);
    fake_script_status(DEXT_SEL_CLAIM, kIOReturnExclusiveAccess);
    assert_int_equal(apple_dext_claim(port), kIOReturnExclusiveAccess);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(only_the_chosen_instance_is_opened),
        CLIENT_TEST(services_of_other_classes_are_not_ours),
        CLIENT_TEST(nothing_there_is_a_clear_failure),
        CLIENT_TEST(an_address_under_two_roots_is_ambiguous),
        CLIENT_TEST(the_registry_text_is_decimal_with_a_tail),
        CLIENT_TEST(a_silent_registry_makes_it_ask),
        CLIENT_TEST(ones_are_never_an_id),
        CLIENT_TEST(ids_come_from_the_registry),
        CLIENT_TEST(id_properties_of_other_shapes_are_unknown),
        CLIENT_TEST(a_short_identity_is_no_identity),
        CLIENT_TEST(a_driver_that_hangs_does_not_hang_the_search),
        CLIENT_TEST(a_driver_that_hangs_in_identity_is_passed_over),
        CLIENT_TEST(opening_has_a_deadline),
        CLIENT_TEST(the_deadline_is_the_users_choice),
        CLIENT_TEST(a_refused_open_says_why),
        CLIENT_TEST(listing_opens_nothing),
        CLIENT_TEST(names_survive_other_bus_numbers),
        CLIENT_TEST(without_a_root_port_the_parent_is_the_root),
        CLIENT_TEST(a_connection_opened_elsewhere_is_asked_who_it_is),
        CLIENT_TEST(a_closed_handle_is_a_dead_name),
        CLIENT_TEST(terminate_and_claim_are_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
