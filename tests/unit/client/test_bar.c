/*
 * Unit tests: BAR information and mapping.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <mach/mach.h>

#include "client_test.h"

static void set_bar(unsigned index, uint64_t memory_index, uint64_t bytes, uint64_t type)
{
    fake.bars[index] = (struct fake_bar){.values = {memory_index, bytes, type}};
}

static void info_is_what_the_driver_says(void **state)
{
    io_connect_t port = fake_connect(false);
    uint8_t index, type;
    uint64_t bytes;

    (void)state;
    set_bar(2, 1, UINT64_C(1) << 35, 0xc);
    assert_int_equal(apple_dext_get_bar_info(port, 2, &index, &bytes, &type), kIOReturnSuccess);
    assert_int_equal(index, 1);
    assert_true(bytes == UINT64_C(1) << 35);
    assert_int_equal(type, 0xc);
    apple_dext_disconnect(port);
}

static void missing_bars_are_not_found_however_refused(void **state)
{
    static const kern_return_t refusals[] = {kIOReturnNotFound,    kIOReturnError,
                                             kIOReturnBadArgument, kIOReturnUnsupported,
                                             kIOReturnNoResources, kIOReturnSuccess};
    io_connect_t port = fake_connect(true);
    uint8_t index = 9, type = 9;
    uint64_t bytes = 9;
    mach_vm_address_t address = 9;
    mach_vm_size_t size = 9;

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        fake.bars[3] = (struct fake_bar){.status = refusals[i]}; /* the last one: 0 bytes */
        assert_int_equal(apple_dext_get_bar_info(port, 3, &index, &bytes, &type),
                         kIOReturnNotFound);
        assert_int_equal(apple_dext_map_bar(port, 3, &address, &size, &type), kIOReturnNotFound);
    }
    assert_true(index == 9 && bytes == 9 && type == 9 && address == 9 && size == 9);
    assert_int_equal(fake.memory[4].maps, 0);
    apple_dext_disconnect(port);
}

static void a_dead_connection_is_not_a_missing_bar(void **state)
{
    io_connect_t port = fake_connect(true);
    uint8_t index, type;
    uint64_t bytes;

    (void)state;
    fake.bars[0].status = kIOReturnBadArgument; /* what IOKit says once there were mappings */
    fake_script_status(DEXT_SEL_GET_IDENTITY, kIOReturnBadArgument);
    assert_int_equal(apple_dext_get_bar_info(port, 0, &index, &bytes, &type), kIOReturnBadArgument);
    fake.bars[0].status = MACH_SEND_INVALID_DEST;
    assert_int_equal(apple_dext_get_bar_info(port, 0, &index, &bytes, &type),
                     MACH_SEND_INVALID_DEST);
    apple_dext_disconnect(port);
}

static void bar_numbers_end_at_five(void **state)
{
    static const uint8_t bad[] = {6, 7, 127, 255};
    io_connect_t port = fake_connect(true);
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t index, type;
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < sizeof(bad); i++) {
        assert_int_equal(apple_dext_get_bar_info(port, bad[i], &index, &bytes, &type),
                         kIOReturnBadArgument);
        assert_int_equal(apple_dext_map_bar(port, bad[i], &address, &size, &type),
                         kIOReturnBadArgument);
        assert_int_equal(apple_dext_unmap_bar(port, bad[i], 0), kIOReturnBadArgument);
    }
    assert_int_equal(fake_calls_of(DEXT_SEL_GET_BAR_INFO), 0);
    apple_dext_disconnect(port);
}

static void only_prefetchable_memory_is_write_combining(void **state)
{
    static const uint64_t types[] = {0x0, 0x4, 0x8, 0xc};
    io_connect_t port = fake_connect(true);
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;

    (void)state;
    for (unsigned bar = 0; bar < 4; bar++) {
        set_bar(bar, bar, 0x1000, types[bar]);
        assert_int_equal(apple_dext_map_bar(port, (uint8_t)bar, &address, &size, &type),
                         kIOReturnSuccess);
        assert_int_equal(type, types[bar]);
        assert_true(size == 0x1000);
        assert_true(address == fake.memory[1 + bar].address);
        assert_int_equal((fake.memory[1 + bar].options & kIOMapCacheMask) != 0, bar >= 2);
        if (bar >= 2) {
            assert_int_equal(fake.memory[1 + bar].options & kIOMapCacheMask,
                             kIOMapWriteCombineCache);
        }
    }
    apple_dext_disconnect(port);
}

static void io_bars_are_unsupported_whatever_bit_3_says(void **state)
{
    io_connect_t port = fake_connect(true);
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;

    (void)state;
    set_bar(0, 0, 0x100, 0x1);
    set_bar(1, 0, 0x100, 0x9);
    set_bar(2, 0, 0x100, 0xd);
    for (uint8_t bar = 0; bar < 3; bar++) {
        assert_int_equal(apple_dext_map_bar(port, bar, &address, &size, &type),
                         kIOReturnUnsupported);
        assert_int_equal(fake.memory[1 + bar].maps, 0);
    }
    apple_dext_disconnect(port);
}

static void a_mapping_shorter_than_the_bar_is_refused(void **state)
{
    io_connect_t port = fake_connect(true);
    mach_vm_address_t address = 9;
    mach_vm_size_t size = 9;
    uint8_t type = 9;

    (void)state;
    set_bar(0, 0, 0x100001, 0x0);
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnUnderrun);
    assert_true(address == 9 && size == 9 && type == 9);
    assert_false(fake.memory[1].is_mapped);
    set_bar(0, 0, 0x0ffff0, 0x0); /* longer is fine: pages */
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnSuccess);
    assert_true(size == 0x0ffff0);
    apple_dext_disconnect(port);
}

static void mapping_twice_takes_two_unmaps(void **state)
{
    io_connect_t port = fake_connect(true);
    mach_vm_address_t first, second;
    mach_vm_size_t size;
    uint8_t type;

    (void)state;
    set_bar(0, 0, 0x1000, 0x0);
    assert_int_equal(apple_dext_map_bar(port, 0, &first, &size, &type), kIOReturnSuccess);
    assert_int_equal(apple_dext_map_bar(port, 0, &second, &size, &type), kIOReturnSuccess);
    assert_true(first == second);
    assert_int_equal(apple_dext_unmap_bar(port, 0, first), kIOReturnSuccess);
    assert_true(fake.memory[1].is_mapped);
    assert_int_equal(apple_dext_unmap_bar(port, 0, second), kIOReturnSuccess);
    assert_false(fake.memory[1].is_mapped);
    assert_int_equal(fake.memory[1].maps, 1);
    assert_int_equal(fake.memory[1].unmaps, 1);
    assert_int_equal(apple_dext_unmap_bar(port, 0, first), kIOReturnBadArgument);
    apple_dext_disconnect(port);
}

static void unmap_takes_live_addresses_only(void **state)
{
    io_connect_t port = fake_connect(true);
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;

    (void)state;
    set_bar(0, 0, 0x1000, 0x0);
    set_bar(1, 1, 0x1000, 0x0);
    assert_int_equal(apple_dext_unmap_bar(port, 0, 0), kIOReturnBadArgument);
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnSuccess);
    assert_int_equal(apple_dext_unmap_bar(port, 0, address + 0x1000), kIOReturnBadArgument);
    assert_int_equal(apple_dext_unmap_bar(port, 1, address), kIOReturnBadArgument);
    assert_int_equal(fake.memory[1].unmaps + fake.memory[2].unmaps, 0);

    fake.memory[1].unmap_status = kIOReturnNotReady; /* refused: still mapped, can be tried again */
    assert_int_equal(apple_dext_unmap_bar(port, 0, address), kIOReturnNotReady);
    fake.memory[1].unmap_status = kIOReturnSuccess;
    assert_int_equal(apple_dext_unmap_bar(port, 0, address), kIOReturnSuccess);
    apple_dext_disconnect(port);
}

static void a_refusal_of_a_device_that_is_gone_is_no_device(void **state)
{
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;
    io_connect_t port = fake_connect(true);

    (void)state;
    fake.bars[0] = (struct fake_bar){.values = {0, 0x1000, 0}};
    fake.memory[1].map_status = kIOReturnBadArgument;
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnBadArgument);
    memset(fake.config, 0xff, 4);
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnNoDevice);
    apple_dext_disconnect(port);
}

static void a_refusal_without_a_claim_is_not_open(void **state)
{
    io_connect_t port = fake_connect(false);
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;

    (void)state;
    set_bar(0, 0, 0x1000, 0x0);
    fake.memory[1].map_status = kIOReturnBadArgument;
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnNotOpen);
    assert_int_equal(apple_dext_claim(port), kIOReturnSuccess);
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnBadArgument);
    assert_true(fake_log_contains("BAR 0"));
    fake.memory[1].map_status = kIOReturnUnsupported;
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnUnsupported);
    apple_dext_disconnect(port);
}

static void mappings_of_foreign_handles_are_counted_too(void **state)
{
    io_connect_t port = IO_OBJECT_NULL;
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint8_t type;

    (void)state;
    set_bar(0, 0, 0x1000, 0x0);
    assert_int_equal(IOServiceOpen(FAKE_FIRST_ENTRY + 2, mach_task_self(), 0, &port), 0);
    assert_int_equal(apple_dext_map_bar(port, 0, &address, &size, &type), kIOReturnSuccess);
    assert_int_equal(apple_dext_unmap_bar(port, 0, address), kIOReturnSuccess);
    assert_int_equal(apple_dext_unmap_bar(port, 0, address), kIOReturnBadArgument);
    apple_dext_disconnect(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(info_is_what_the_driver_says),
        CLIENT_TEST(missing_bars_are_not_found_however_refused),
        CLIENT_TEST(a_dead_connection_is_not_a_missing_bar),
        CLIENT_TEST(bar_numbers_end_at_five),
        CLIENT_TEST(only_prefetchable_memory_is_write_combining),
        CLIENT_TEST(io_bars_are_unsupported_whatever_bit_3_says),
        CLIENT_TEST(a_mapping_shorter_than_the_bar_is_refused),
        CLIENT_TEST(mapping_twice_takes_two_unmaps),
        CLIENT_TEST(unmap_takes_live_addresses_only),
        CLIENT_TEST(a_refusal_of_a_device_that_is_gone_is_no_device),
        CLIENT_TEST(a_refusal_without_a_claim_is_not_open),
        CLIENT_TEST(mappings_of_foreign_handles_are_counted_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
