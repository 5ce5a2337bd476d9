/*
 * DMA regions by the batch: with a host that takes batches and with one that knows none, the same
 * answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <mach/mach.h>
#include <stdlib.h>
#include <string.h>

#include "testdev.h"

/* 03: as on the real driver. 04 and 05: few slots, with and without batches. */
static const char *const devices[] = {
    "edu,addr=01:00.0",
    "testdev,addr=02:00.0",
    "testdev,addr=03:00.0,extensions=off",
    "testdev,addr=04:00.0,slots=8",
    "testdev,addr=05:00.0,slots=8,extensions=off",
    NULL,
};

enum { PLAIN = 0x03, FEW_SLOTS = 0x04, PLAIN_FEW_SLOTS = 0x05 };

#define IOVA  UINT64_C(0x10000)
#define STEP  UINT64_C(0x8000)
#define COUNT 600

static uint8_t memory[COUNT * 64] __attribute__((aligned(16384)));
static AppleDextDmaRequest requests[COUNT];
static AppleDextDmaResult results[COUNT];
static uint64_t iovas[COUNT];
static kern_return_t statuses[COUNT];

static void prepare(void)
{
    pattern_fill(memory, sizeof(memory), 3);
    memset(results, 0xa5, sizeof(results));
    for (size_t i = 0; i < COUNT; i++) {
        iovas[i] = IOVA + i * STEP;
        requests[i] = (AppleDextDmaRequest){
            .iova = iovas[i], .client_va = (uintptr_t)memory + i * 64, .size = 64};
    }
}

static void assert_result(size_t i, kern_return_t status)
{
    assert_status(results[i].status, status);
    assert_true(results[i].bus_len >= (status ? 0 : requests[i].size));
    assert_true(status == 0 || (results[i].bus_addr == 0 && results[i].bus_len == 0));
}

/* What the device finds in region i. */
static void assert_reaches(io_connect_t c, size_t i)
{
    uint64_t value = 0;
    uint64_t want;
    memcpy(&want, memory + i * 64 + 8, sizeof(want));
    assert_int_equal(device_read(c, results[i].bus_addr + 8, 8, &value), ERROR_NONE);
    assert_true(value == want);
}

static void in_and_out(void **state)
{
    static const uint8_t buses[] = {TESTDEV, PLAIN};
    for (size_t bus = 0; bus < 2; bus++) {
        io_connect_t c = contract_claimed(buses[bus]);
        prepare();
        assert_ok(apple_dext_register_dma_batch(c, requests, COUNT, 0, results));
        for (size_t i = 0; i < COUNT; i++) {
            assert_result(i, kIOReturnSuccess);
            assert_true((results[i].bus_addr == iovas[i]) == contract.is_identity);
        }
        assert_reaches(c, 0);
        assert_reaches(c, COUNT - 1);
        assert_ok(apple_dext_unregister_dma_batch(c, iovas, COUNT, statuses));
        assert_int_equal(device_write(c, results[7].bus_addr, 4, 1), ERROR_WRITE);
        assert_status(apple_dext_unregister_dma(c, iovas[0]), kIOReturnNotFound);
    }
}

static void one_bad_entry(void **state)
{
    static const uint8_t buses[] = {TESTDEV, PLAIN};
    static const struct {
        uint64_t iova, size; /* iova 0: that of the entry before */
        kern_return_t status;
    } bad[] = {
        {IOVA - 8, 0, kIOReturnBadArgument},
        {UINT64_MAX - 4, 64, kIOReturnBadArgument},
        {0, 64, kIOReturnStillOpen},
    };
    for (size_t which = 0; which < 2 * sizeof(bad) / sizeof(bad[0]); which++) {
        const size_t row = which / 2;
        io_connect_t c = contract_claimed(buses[which % 2]);
        prepare();
        requests[20].iova = bad[row].iova ? bad[row].iova : iovas[19];
        requests[20].size = bad[row].size;
        kern_return_t status = apple_dext_register_dma_batch(c, requests, 40, 0, results);
        kern_return_t want = bad[row].status;
        assert_status(status, want);
        for (size_t i = 0; i < 40; i++) {
            assert_result(i, i == 20 ? want : kIOReturnAborted);
        }
        assert_status(apple_dext_unregister_dma(c, iovas[0]), kIOReturnNotFound);

        status = apple_dext_register_dma_batch(c, requests, 40, APPLE_DEXT_DMA_EACH, results);
        assert_status(status, want);
        for (size_t i = 0; i < 40; i++) {
            assert_result(i, i == 20 ? want : kIOReturnSuccess);
        }
        assert_reaches(c, 39);
        iovas[20] = 1;
        assert_status(apple_dext_unregister_dma_batch(c, iovas, 40, statuses), kIOReturnNotFound);
        for (size_t i = 0; i < 40; i++) {
            assert_status(statuses[i], i == 20 ? kIOReturnNotFound : kIOReturnSuccess);
        }
        contract_disconnect(c);
    }
}

static void slots_run_out(void **state)
{
    static const uint8_t buses[] = {FEW_SLOTS, PLAIN_FEW_SLOTS};
    for (size_t bus = 0; bus < 2; bus++) {
        io_connect_t c = contract_claimed(buses[bus]);
        prepare();
        assert_status(apple_dext_register_dma_batch(c, requests, 12, 0, results), kIOReturnNoSpace);
        assert_result(8, kIOReturnNoSpace);
        assert_result(7, kIOReturnAborted);
        assert_result(9, kIOReturnAborted);
        assert_status(apple_dext_register_dma_batch(c, requests, 12, APPLE_DEXT_DMA_EACH, results),
                      kIOReturnNoSpace);
        assert_result(7, kIOReturnSuccess);
        assert_result(8, kIOReturnNoSpace);
        assert_result(11, kIOReturnNoSpace);
        assert_status(apple_dext_unregister_dma_batch(c, iovas, 12, NULL), kIOReturnNotFound);
        assert_ok(apple_dext_register_dma_batch(c, requests, 8, 0, results));
    }
}

static void without_a_claim(void **state)
{
    static const uint8_t buses[] = {TESTDEV, PLAIN};
    for (size_t bus = 0; bus < 2; bus++) {
        io_connect_t c = contract_connect(buses[bus]);
        prepare();
        assert_status(apple_dext_register_dma_batch(c, requests, 3, 0, results), kIOReturnNotOpen);
        assert_status(apple_dext_unregister_dma_batch(c, iovas, 3, statuses), kIOReturnNotOpen);
        assert_status(statuses[2], kIOReturnNotOpen);
    }
}

static void limits_are_told(void **state)
{
    AppleDextCapabilities limits;
    assert_ok(apple_dext_get_capabilities(contract_connect(TESTDEV), &limits));
    assert_true(limits.max_batch == 4096);
    assert_ok(apple_dext_get_capabilities(contract_connect(PLAIN), &limits));
    assert_true(limits.max_batch == 1);
}

/* More than a call carries. */
static void more_than_one_call(void **state)
{
    const size_t count = 5000;
    AppleDextDmaRequest *many = calloc(count, sizeof(*many));
    AppleDextDmaResult *answers = calloc(count, sizeof(*answers));
    AppleDextStatistics now;
    io_connect_t c = contract_claimed(TESTDEV);
    assert_true(many && answers);
    for (size_t i = 0; i < count; i++) {
        many[i] = (AppleDextDmaRequest){
            .iova = IOVA + i * STEP, .client_va = (uintptr_t)memory + i, .size = 1};
    }
    many[count - 1].iova = IOVA; /* there already, by then */
    assert_status(apple_dext_register_dma_batch(c, many, count, 0, answers), kIOReturnStillOpen);
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == 0 && answers[0].status == kIOReturnAborted);
    assert_status(apple_dext_register_dma_batch(c, many, count, APPLE_DEXT_DMA_EACH, answers),
                  kIOReturnStillOpen);
    assert_ok(apple_dext_get_statistics(c, &now));
    assert_true(now.live_regions == count - 1);
    free(many);
    free(answers);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(in_and_out),      contract_test(one_bad_entry),
        contract_test(slots_run_out),   contract_test(without_a_claim),
        contract_test(limits_are_told), contract_test(more_than_one_call),
    };
    const struct contract_suite suite = {.name = "dma_batch",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
