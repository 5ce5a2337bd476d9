/*
 * Finding a device, connecting, identity, claiming, what needs no claim.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <stdlib.h>
#include <string.h>

#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0",
                                      "edu,addr=07:00.0,root=left",
                                      "testdev,addr=07:00.0,root=right", NULL};

static const AppleDextInstance *find(const AppleDextInstance *list, size_t count, uint8_t bus,
                                     const char *root)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].bus == bus && (!root || strcmp(list[i].root, root) == 0)) {
            return &list[i];
        }
    }
    fail_msg("no instance on bus %u", bus);
    return NULL;
}

static void list_shows_every_instance(void **state)
{
    AppleDextInstance *list = NULL;
    size_t count = 0;
    assert_ok(apple_dext_list(&list, &count));
    assert_int_equal(count, 4);
    const AppleDextInstance *edu = find(list, count, EDU, NULL);
    assert_true(edu->has_address && edu->has_ids);
    assert_int_equal(edu->device, 0);
    assert_int_equal(edu->function, 0);
    assert_int_equal(edu->vendor_id, 0x1234);
    assert_int_equal(edu->device_id, 0x11e8);
    assert_int_equal(edu->revision_id, 0x10);
    assert_int_equal(edu->class_code, 0x00ff00);
    assert_int_equal(edu->subsystem_vendor_id, 0x1af4);
    assert_int_equal(edu->subsystem_id, 0x1100);
    const AppleDextInstance *testdev = find(list, count, TESTDEV, NULL);
    assert_int_equal(testdev->device_id, 0x7e57);
    assert_int_equal(testdev->class_code, 0xff0000);
    assert_int_equal(testdev->revision_id, 0x01);
    const AppleDextInstance *left = find(list, count, 7, "left");
    const AppleDextInstance *right = find(list, count, 7, "right");
    assert_true(left->entry_id != 0 && left->entry_id != right->entry_id);
    assert_int_equal(left->device_id, 0x11e8);
    assert_int_equal(right->device_id, 0x7e57);
    apple_dext_free_list(list);
    apple_dext_free_list(NULL);
    assert_status(apple_dext_list(NULL, &count), kIOReturnBadArgument);
}

static void listing_opens_nothing(void **state)
{
    AppleDextStatistics before;
    AppleDextStatistics after;
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(apple_dext_get_statistics(c, &before));
    AppleDextInstance *list = NULL;
    size_t count = 0;
    assert_ok(apple_dext_list(&list, &count));
    apple_dext_free_list(list);
    /* Connecting to another device asks this one nothing either. */
    contract_connect(EDU);
    assert_ok(apple_dext_get_statistics(c, &after));
    assert_true(after.calls == before.calls + 1);
}

static void connect_chooses_by_address(void **state)
{
    AppleDextInstance who;
    assert_ok(apple_dext_get_identity(contract_connect(EDU), &who));
    assert_int_equal(who.device_id, 0x11e8);
    assert_int_equal(who.bus, EDU);
    assert_ok(apple_dext_get_identity(contract_connect(TESTDEV), &who));
    assert_int_equal(who.device_id, 0x7e57);
    assert_int_equal(apple_dext_connect(3, 0, 0), IO_OBJECT_NULL);
    assert_int_equal(apple_dext_connect(EDU, 1, 0), IO_OBJECT_NULL);
    assert_int_equal(apple_dext_connect(EDU, 0, 1), IO_OBJECT_NULL);
    assert_int_equal(apple_dext_connect(255, 255, 255), IO_OBJECT_NULL);
}

static void ambiguous_address_names_the_roots(void **state)
{
    char *cause = NULL;
    assert_int_equal(apple_dext_connect(7, 0, 0), IO_OBJECT_NULL);
    assert_int_equal(apple_dext_connect_with_root(7, 0, 0, NULL, &cause), IO_OBJECT_NULL);
    assert_non_null(cause);
    assert_non_null(strstr(cause, "left"));
    assert_non_null(strstr(cause, "right"));
    assert_null(strchr(cause, '\n'));
    free(cause);
}

static void root_tells_instances_apart(void **state)
{
    AppleDextInstance who;
    char *cause = NULL;
    io_connect_t left = apple_dext_connect_with_root(7, 0, 0, "left", &cause);
    assert_null(cause);
    assert_ok(apple_dext_get_identity(left, &who));
    assert_int_equal(who.device_id, 0x11e8);
    assert_string_equal(who.root, "left");
    apple_dext_disconnect(left);
    io_connect_t right = apple_dext_connect_with_root(7, 0, 0, "right", NULL);
    assert_ok(apple_dext_get_identity(right, &who));
    assert_int_equal(who.device_id, 0x7e57);
    apple_dext_disconnect(right);
    assert_int_equal(apple_dext_connect_with_root(7, 0, 0, "middle", &cause), IO_OBJECT_NULL);
    assert_non_null(strstr(cause, "middle"));
    free(cause);
}

static void identity_is_right_without_a_claim(void **state)
{
    AppleDextInstance who;
    io_connect_t c = contract_connect(TESTDEV);
    memset(&who, 0xa5, sizeof(who));
    assert_ok(apple_dext_get_identity(c, &who));
    assert_true(who.has_ids);
    assert_int_equal(who.vendor_id, 0x1234);
    assert_int_equal(who.subsystem_id, 0x7e57);
    assert_status(apple_dext_get_identity(c, NULL), kIOReturnBadArgument);
}

static void claims_are_counted(void **state)
{
    AppleDextStatistics now;
    io_connect_t a = contract_connect(TESTDEV);
    io_connect_t b = contract_connect(TESTDEV);
    assert_ok(apple_dext_claim(a));
    assert_ok(apple_dext_claim(a));
    assert_ok(apple_dext_get_statistics(b, &now));
    assert_true(now.claims == 1);
    assert_ok(apple_dext_claim(b));
    assert_ok(apple_dext_get_statistics(b, &now));
    assert_true(now.claims == 2);
}

static void claim_enables_memory_and_bus_mastering(void **state)
{
    uint64_t command = 0;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_ok(apple_dext_config_read(c, 4, 2, &command));
    assert_int_equal(command & 0x6, 0x6);
}

static void unclaimed_clients_look(void **state)
{
    AppleDextCapabilities capabilities;
    AppleDextStatistics statistics;
    AppleDextDeviceState device;
    uint8_t index = 0xa5;
    uint8_t type = 0xa5;
    uint64_t bytes = 0;
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(apple_dext_get_bar_info(c, 0, &index, &bytes, &type));
    assert_true(bytes == 0x10000);
    assert_ok(apple_dext_get_capabilities(c, &capabilities));
    assert_true(capabilities.interface_version >= 1);
    assert_true(capabilities.max_regions == 65536);
    assert_true(capabilities.aperture_bytes == UINT64_C(0x60000000));
    assert_true(capabilities.granule_bytes == (contract.is_identity ? 1 : 16384));
    assert_ok(apple_dext_get_statistics(c, &statistics));
    assert_ok(apple_dext_get_device_state(c, &device));
    assert_int_equal(device.presence, APPLE_DEXT_PRESENT);
    assert_true(device.link_speed == 4 && device.link_width == 4);
    assert_status(apple_dext_get_capabilities(c, NULL), kIOReturnBadArgument);
    assert_status(apple_dext_get_statistics(c, NULL), kIOReturnBadArgument);
    assert_status(apple_dext_get_device_state(c, NULL), kIOReturnBadArgument);
}

static void unclaimed_clients_do_not_touch(void **state)
{
    const uint64_t all[4] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)};
    static uint8_t memory[4096];
    uint64_t a = 0xa5;
    uint64_t b = 0xa5;
    uint64_t pending[4];
    uint32_t vectors = 0xa5;
    mach_vm_address_t address = 0xa5;
    mach_vm_size_t size = 0xa5;
    uint8_t type = 0xa5;
    io_connect_t other = contract_claimed(TESTDEV); /* its claim is not c's */
    io_connect_t c = contract_connect(TESTDEV);
    assert_status(apple_dext_config_read(c, 0, 4, &a), kIOReturnNotOpen);
    assert_status(apple_dext_config_write(c, 0x3c, 1, 0), kIOReturnNotOpen);
    assert_status(apple_dext_mmio_read(c, 0, 0, 4, &a), kIOReturnNotOpen);
    assert_status(apple_dext_mmio_write(c, 0, 0x44, 4, 0), kIOReturnNotOpen);
    assert_status(apple_dext_map_bar(c, 0, &address, &size, &type), kIOReturnNotOpen);
    assert_status(apple_dext_register_dma(c, 0x1000, (uintptr_t)memory, 4096, &a, &b),
                  kIOReturnNotOpen);
    assert_status(apple_dext_allocate_dma_buffer(c, 4096, 0, &a, &b, &address, &size),
                  kIOReturnNotOpen);
    assert_status(apple_dext_setup_interrupts(c, &vectors), kIOReturnNotOpen);
    assert_status(apple_dext_reset_device(c), kIOReturnNotOpen);
    assert_int_equal(vectors, 0xa5);
    assert_true(a == 0xa5 && b == 0xa5 && address == 0xa5 && size == 0xa5 && type == 0xa5);
    /* Nothing can be set up without a claim, so these find nothing to work on. */
    assert_int_not_equal(apple_dext_set_irq_mask(c, all), kIOReturnSuccess);
    assert_int_not_equal(apple_dext_read_pending_irqs(c, pending), kIOReturnSuccess);
    assert_int_not_equal(apple_dext_unregister_dma(c, 0x1000), kIOReturnSuccess);
    contract_disconnect(other);
}

static void null_connection_is_refused(void **state)
{
    const uint64_t all[4] = {0};
    const kern_return_t bad = kIOReturnBadArgument;
    uint64_t a;
    uint64_t b;
    uint64_t pending[4];
    uint32_t vectors;
    uint8_t small;
    mach_vm_address_t address;
    mach_vm_size_t size;
    AppleDextInstance instance;
    AppleDextStatistics statistics;
    apple_dext_disconnect(IO_OBJECT_NULL);
    apple_dext_interrupt_notify_destroy(NULL);
    assert_null(apple_dext_interrupt_notify_create(IO_OBJECT_NULL, NULL, NULL));
    assert_status(apple_dext_interrupt_notify_rearm(NULL), bad);
    assert_status(apple_dext_claim(IO_OBJECT_NULL), bad);
    assert_status(apple_dext_register_dma(IO_OBJECT_NULL, 0, 4096, 1, &a, &b), bad);
    assert_status(apple_dext_unregister_dma(IO_OBJECT_NULL, 0), bad);
    assert_status(apple_dext_probe_dma(IO_OBJECT_NULL, 0, 0, &a), bad);
    assert_status(apple_dext_config_read(IO_OBJECT_NULL, 0, 4, &a), bad);
    assert_status(apple_dext_config_write(IO_OBJECT_NULL, 0, 4, 0), bad);
    assert_status(apple_dext_config_read_block(IO_OBJECT_NULL, 0, &a, 4), bad);
    assert_status(apple_dext_get_bar_info(IO_OBJECT_NULL, 0, &small, &a, &small), bad);
    assert_status(apple_dext_map_bar(IO_OBJECT_NULL, 0, &address, &size, &small), bad);
    assert_status(apple_dext_unmap_bar(IO_OBJECT_NULL, 0, 4096), bad);
    assert_status(apple_dext_mmio_read(IO_OBJECT_NULL, 0, 0, 4, &a), bad);
    assert_status(apple_dext_mmio_write(IO_OBJECT_NULL, 0, 0, 4, 0), bad);
    assert_status(apple_dext_setup_interrupts(IO_OBJECT_NULL, &vectors), bad);
    assert_status(apple_dext_set_irq_mask(IO_OBJECT_NULL, all), bad);
    assert_status(apple_dext_read_pending_irqs(IO_OBJECT_NULL, pending), bad);
    assert_status(apple_dext_reset_device(IO_OBJECT_NULL), bad);
    assert_status(apple_dext_allocate_dma_buffer(IO_OBJECT_NULL, 1, 0, &a, &b, &address, &size),
                  bad);
    assert_status(apple_dext_free_dma_buffer(IO_OBJECT_NULL, 4096), bad);
    assert_status(apple_dext_get_identity(IO_OBJECT_NULL, &instance), bad);
    assert_status(apple_dext_get_statistics(IO_OBJECT_NULL, &statistics), bad);
    assert_status(apple_dext_terminate(IO_OBJECT_NULL), bad);
}

static void closed_connection_is_dead(void **state)
{
    uint64_t value = 0xa5;
    io_connect_t c = contract_claimed(TESTDEV);
    contract_disconnect(c);
    assert_status(apple_dext_config_read(c, 0, 4, &value), MACH_SEND_INVALID_DEST);
    assert_status(apple_dext_claim(c), MACH_SEND_INVALID_DEST);
    assert_true(value == 0xa5);
    apple_dext_disconnect(c); /* a second time does no harm */
    assert_status(apple_dext_claim(0x7fff1203), MACH_SEND_INVALID_DEST);
}

static void page_size_is_the_hosts(void **state)
{
    contract_connect(EDU);
    assert_int_equal(vm_page_size, contract.page_size);
    assert_int_equal(vm_page_mask, contract.page_size - 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(list_shows_every_instance),
        contract_test(listing_opens_nothing),
        contract_test(connect_chooses_by_address),
        contract_test(ambiguous_address_names_the_roots),
        contract_test(root_tells_instances_apart),
        contract_test(identity_is_right_without_a_claim),
        contract_test(claims_are_counted),
        contract_test(claim_enables_memory_and_bus_mastering),
        contract_test(unclaimed_clients_look),
        contract_test(unclaimed_clients_do_not_touch),
        contract_test(null_connection_is_refused),
        contract_test(closed_connection_is_dead),
        contract_test(page_size_is_the_hosts),
    };
    const struct contract_suite suite = {.name = "identity",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
