/*
 * access=open, the real dext's rule: unclaimed accesses are served, and give ones while nobody has
 * a claim. The client turns those into codes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <string.h>

#include "testdev.h"

static const char *const devices[] = {"edu,addr=01:00.0", "testdev,addr=02:00.0",
                                      "testdev,addr=03:00.0", NULL};

static void ones_without_any_claim(void **state)
{
    uint8_t bytes[8];
    uint64_t value = 0;
    io_connect_t c = contract_connect(TESTDEV);
    assert_status(apple_dext_config_read(c, 0, 4, &value), kIOReturnNotOpen);
    assert_true(value == UINT32_MAX);
    assert_status(apple_dext_config_read(c, 8, 2, &value), kIOReturnNotOpen);
    assert_true(value == UINT16_MAX);
    assert_status(apple_dext_mmio_read(c, 0, 0, 4, &value), kIOReturnNotOpen);
    assert_true(value == UINT32_MAX);
    assert_status(apple_dext_config_write(c, 0x3c, 1, 1), kIOReturnNotOpen);
    assert_status(apple_dext_mmio_write(c, 0, TESTDEV_SCRATCH_4, 4, 1), kIOReturnNotOpen);
    assert_status(apple_dext_config_read_block(c, 0, bytes, sizeof(bytes)), kIOReturnNotOpen);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(bytes[i], 0xff);
    }
}

static void driver_itself_says_success(void **state)
{
    const uint64_t in[] = {0, 4};
    uint64_t out[6] = {0};
    uint32_t count = 1;
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(IOConnectCallScalarMethod(c, 8, in, 2, out, &count));
    assert_true(out[0] == UINT32_MAX);
    count = 6;
    assert_ok(IOConnectCallScalarMethod(c, 0, NULL, 0, out, &count));
    assert_true(out[0] == TESTDEV && out[1] == 0 && out[2] == 0);
    assert_true(out[3] == 0xffff && out[4] == 0xffff); /* ids are ones until somebody claims */
}

static void ids_are_never_ones(void **state)
{
    AppleDextInstance who;
    assert_ok(apple_dext_get_identity(contract_connect(TESTDEV), &who));
    assert_true(who.has_ids);
    assert_int_equal(who.vendor_id, 0x1234);
    assert_int_equal(who.device_id, 0x7e57);
}

static void access_through_somebody_elses_claim(void **state)
{
    uint64_t value = 0;
    io_connect_t owner = contract_claimed(TESTDEV);
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(apple_dext_config_read(c, 0, 4, &value));
    assert_true(value == 0x7e571234);
    assert_ok(apple_dext_mmio_write(c, 0, TESTDEV_SCRATCH_4, 4, 0x31415926));
    assert_true(reg_read(owner, TESTDEV_SCRATCH_4, 4) == 0x31415926);
    contract_disconnect(owner);
    for (int i = 0; i < 1000; i++) {
        if (apple_dext_config_read(c, 0, 4, &value) != kIOReturnSuccess) {
            break;
        }
    }
    assert_status(apple_dext_config_read(c, 0, 4, &value), kIOReturnNotOpen);
    assert_status(apple_dext_mmio_read(c, 0, TESTDEV_SCRATCH_4, 4, &value), kIOReturnNotOpen);
}

static void what_needs_a_claim_in_any_case(void **state)
{
    static uint8_t memory[4096];
    uint64_t a;
    uint64_t b;
    mach_vm_address_t address;
    mach_vm_size_t size;
    uint32_t vectors;
    io_connect_t owner = contract_claimed(TESTDEV);
    io_connect_t c = contract_connect(TESTDEV);
    assert_status(apple_dext_register_dma(c, 0, (uintptr_t)memory, 4096, &a, &b), kIOReturnNotOpen);
    assert_status(apple_dext_allocate_dma_buffer(c, 4096, 0, &a, &b, &address, &size),
                  kIOReturnNotOpen);
    assert_status(apple_dext_setup_interrupts(c, &vectors), kIOReturnNotOpen);
    assert_status(apple_dext_reset_device(c), kIOReturnNotOpen);
    contract_disconnect(owner);
}

static void what_needs_none_in_any_case(void **state)
{
    uint64_t word;
    uint8_t index;
    uint8_t type;
    io_connect_t c = contract_connect(TESTDEV);
    assert_ok(apple_dext_get_bar_info(c, 2, &index, &word, &type));
    assert_true(word == 0x400000);
    assert_status(apple_dext_unregister_dma(c, 0), kIOReturnNotFound);
    assert_status(apple_dext_probe_dma(c, 0, 0, &word), kIOReturnNotFound);
    assert_ok(IOConnectCallScalarMethod(c, 4, NULL, 0, NULL, NULL));
}

static void a_claim_makes_it_right(void **state)
{
    uint64_t value;
    io_connect_t c = contract_connect(TESTDEV);
    assert_status(apple_dext_config_read(c, 0, 4, &value), kIOReturnNotOpen);
    assert_ok(apple_dext_claim(c));
    assert_ok(apple_dext_config_read(c, 0, 4, &value));
    assert_true(value == 0x7e571234);
}

static bool is_dead(void *opaque)
{
    uint64_t value;
    return apple_dext_config_read(*(io_connect_t *)opaque, 0, 4, &value) == MACH_SEND_INVALID_DEST;
}

static void terminate_needs_no_claim_here(void **state)
{
    io_connect_t user = contract_claimed(0x03);
    io_connect_t c = contract_connect(0x03);
    assert_ok(apple_dext_terminate(c));
    assert_true(contract_eventually(is_dead, &user));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(ones_without_any_claim),
        contract_test(driver_itself_says_success),
        contract_test(ids_are_never_ones),
        contract_test(access_through_somebody_elses_claim),
        contract_test(what_needs_a_claim_in_any_case),
        contract_test(what_needs_none_in_any_case),
        contract_test(a_claim_makes_it_right),
        contract_test(terminate_needs_no_claim_here),
    };
    const struct contract_suite suite = {.name = "open",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
