/*
 * Commands an NVMe device must refuse, memory it cannot reach, doorbells that are not there: each
 * has its status, and all goes on afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "nvme_io.h"

static const char *const devices[] = {"nvme,addr=01:00.0,size=16M,queues=4", NULL};
enum { NVME = 0x01, BLOCKS = (16 << 20) / 512, IOVA = 0x40000000, REGION = 256 << 10 };

/* Status code types and codes of the NVM Express Base Specification 1.4, 4.6.1.2. */
enum {
    INVALID_OPCODE = 0x001,
    INVALID_FIELD = 0x002,
    DATA_TRANSFER_ERROR = 0x004,
    INVALID_NAMESPACE = 0x00b,
    PRP_OFFSET_INVALID = 0x013,
    LBA_OUT_OF_RANGE = 0x080,
    COMPLETION_QUEUE_INVALID = 0x100,
    INVALID_QUEUE_IDENTIFIER = 0x101,
    INVALID_QUEUE_SIZE = 0x102,
    INVALID_INTERRUPT_VECTOR = 0x108,
    INVALID_QUEUE_DELETION = 0x10c
};
enum { DELETE_SQ = 0, GET_LOG_PAGE = 2, DELETE_CQ = 4, ASYNCHRONOUS_EVENT_REQUEST = 0xc };

static const struct nvme_options options = {.queues = 3, .depth = 16, .transfer_bytes = 65536};

static int status_of(struct nvme_queue *queue, const struct nvme_command *command)
{
    int status = nvme_run(queue, command, NULL);
    return status < 0 ? status : status & 0x7ff;
}

/* What others do is not disturbed. */
static void check_all_is_well(struct nvme *nvme, uint64_t seed)
{
    for (unsigned i = 1; i <= 2; i++) {
        nvme_range(&nvme->queues[i], true, seed, 0, 1 << 20, 65536);
        nvme_range(&nvme->queues[3 - i], false, seed, 0, 1 << 20, 65536);
    }
}

/* Queue 3 is for the tests to make. */
static void begin_without_queue_3(struct nvme *nvme)
{
    nvme_begin(nvme, NVME, &options);
    const struct nvme_command sq = {.opcode = DELETE_SQ, .dw10 = 3};
    const struct nvme_command cq = {.opcode = DELETE_CQ, .dw10 = 3};
    assert_int_equal(status_of(&nvme->queues[0], &sq), 0);
    assert_int_equal(status_of(&nvme->queues[0], &cq), 0);
}

static void queues_that_cannot_be(void **state)
{
    struct nvme nvme;
    begin_without_queue_3(&nvme);
    uint64_t bus = nvme_bus(&nvme, nvme.queues[0].data);
    const struct {
        uint8_t opcode;
        uint32_t id, size, dw11;
        int status;
    } rows[] = {
        {NVME_CREATE_CQ, 0, 16, 1, INVALID_QUEUE_IDENTIFIER},
        {NVME_CREATE_CQ, 4, 16, 1, INVALID_QUEUE_IDENTIFIER}, /* three were asked for */
        {NVME_CREATE_CQ, 1, 16, 1, INVALID_QUEUE_IDENTIFIER}, /* it exists */
        {NVME_CREATE_CQ, 3, 1, 1, INVALID_QUEUE_SIZE},
        {NVME_CREATE_CQ, 3, 65536, 1, INVALID_QUEUE_SIZE},
        {NVME_CREATE_CQ, 3, 16, 5 << 16 | 3, INVALID_INTERRUPT_VECTOR},
        {NVME_CREATE_CQ, 3, 16, 0, INVALID_FIELD}, /* not contiguous */
        {NVME_CREATE_SQ, 3, 16, 3 << 16 | 1, COMPLETION_QUEUE_INVALID},
        {NVME_CREATE_SQ, 3, 16, 0 << 16 | 1, INVALID_QUEUE_IDENTIFIER}, /* the admin queue */
        {NVME_CREATE_SQ, 0, 16, 1 << 16 | 1, INVALID_QUEUE_IDENTIFIER},
        {NVME_CREATE_SQ, 2, 16, 1 << 16 | 1, INVALID_QUEUE_IDENTIFIER},
        {NVME_CREATE_SQ, 99, 16, 1 << 16 | 1, INVALID_QUEUE_IDENTIFIER},
        {DELETE_SQ, 0, 1, 0, INVALID_QUEUE_IDENTIFIER},
        {DELETE_SQ, 3, 1, 0, INVALID_QUEUE_IDENTIFIER},
        {DELETE_CQ, 0, 1, 0, INVALID_QUEUE_IDENTIFIER},
        {DELETE_CQ, 1, 1, 0, INVALID_QUEUE_DELETION}, /* its submission queue is there */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct nvme_command command = {.opcode = rows[i].opcode,
                                             .prp1 = bus,
                                             .dw10 = (rows[i].size - 1) << 16 | rows[i].id,
                                             .dw11 = rows[i].dw11};
        int status = status_of(&nvme.queues[0], &command);
        if (status != rows[i].status) {
            fail_msg("row %zu: status 0x%x, want 0x%x", i, (unsigned)status,
                     (unsigned)rows[i].status);
        }
    }
    check_all_is_well(&nvme, 1);
    nvme_end(&nvme);
}

static void commands_that_cannot_be(void **state)
{
    struct nvme nvme;
    nvme_begin(&nvme, NVME, &options);
    struct nvme_queue *queue = &nvme.queues[1];
    uint64_t bus = nvme_bus(&nvme, queue->data);
    const struct {
        struct nvme_command command;
        int status;
    } rows[] = {
        {{.opcode = NVME_READ, .nsid = 1, .prp1 = bus, .dw10 = BLOCKS}, LBA_OUT_OF_RANGE},
        {{.opcode = NVME_WRITE, .nsid = 1, .prp1 = bus, .dw10 = BLOCKS - 1, .dw12 = 1},
         LBA_OUT_OF_RANGE},
        {{.opcode = NVME_READ, .nsid = 1, .prp1 = bus, .dw10 = UINT32_MAX, .dw11 = UINT32_MAX},
         LBA_OUT_OF_RANGE},
        {{.opcode = NVME_READ, .nsid = 1, .prp1 = bus, .dw10 = BLOCKS - 1}, 0}, /* the last one */
        {{.opcode = NVME_READ, .nsid = 2, .prp1 = bus}, INVALID_NAMESPACE},
        {{.opcode = NVME_READ, .nsid = 0, .prp1 = bus}, INVALID_NAMESPACE},
        {{.opcode = 0x7f, .nsid = 1, .prp1 = bus}, INVALID_OPCODE},
        {{.opcode = NVME_READ, .nsid = 1, .prp1 = bus, .prp2 = bus + 4, .dw12 = 15},
         PRP_OFFSET_INVALID},
        {{.opcode = NVME_READ, .nsid = 1, .prp1 = bus, .prp2 = bus + 4, .dw12 = 31},
         PRP_OFFSET_INVALID},
        {{.opcode = NVME_READ, .nsid = 1, .prp1 = bus, .prp2 = bus, .dw12 = 256}, INVALID_FIELD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = status_of(queue, &rows[i].command);
        if (status != rows[i].status) {
            fail_msg("row %zu: status 0x%x, want 0x%x", i, (unsigned)status,
                     (unsigned)rows[i].status);
        }
    }
    check_all_is_well(&nvme, 2);
    nvme_end(&nvme);
}

static uint64_t faults_of(struct nvme *nvme)
{
    AppleDextStatistics now;
    assert_ok(apple_dext_get_statistics(nvme->device, &now));
    return now.faults;
}

/* Any memory of the process, at any offset; once it is unregistered the device is out of it. */
static void memory_of_the_program(void **state)
{
    struct nvme nvme;
    uint64_t bus;
    uint64_t length;
    AppleDextDeviceState device;
    uint8_t *memory = aligned_alloc(16384, REGION);
    nvme_begin(&nvme, NVME, &options);
    struct nvme_queue *queue = &nvme.queues[2];
    assert_ok(apple_dext_register_dma(nvme.device, IOVA, (uintptr_t)memory, REGION, &bus, &length));
    nvme_pattern_fill(3, 0, memory, REGION);
    struct nvme_command command = {.opcode = NVME_WRITE, .nsid = 1, .prp1 = bus + 512, .dw10 = 8};
    assert_int_equal(status_of(queue, &command), 0);
    command.opcode = NVME_READ;
    command.prp1 = bus + 2 * NVME_PAGE + 4; /* PRPs count in dwords */
    assert_int_equal(status_of(queue, &command), 0);
    assert_true(nvme_pattern_is(3, 512, memory + 2 * NVME_PAGE + 4, 512));
    assert_true(nvme_pattern_is(3, 0, memory, 2 * NVME_PAGE)); /* and nothing before it */
    assert_true(nvme_pattern_is(3, 2 * NVME_PAGE + 520, memory + 2 * NVME_PAGE + 520, 512));

    uint64_t faults = faults_of(&nvme);
    assert_ok(apple_dext_unregister_dma(nvme.device, IOVA));
    memset(memory, 0x5a, REGION);
    assert_int_equal(status_of(queue, &command), DATA_TRANSFER_ERROR);
    assert_int_equal(memory[2 * NVME_PAGE + 4], 0x5a);
    assert_true(faults_of(&nvme) > faults);
    assert_ok(apple_dext_get_device_state(nvme.device, &device));
    assert_true(device.last_fault == command.prp1);
    command.opcode = NVME_WRITE;
    assert_int_equal(status_of(queue, &command), DATA_TRANSFER_ERROR);
    command.prp1 = nvme_bus(&nvme, queue->data);
    command.prp2 = bus; /* a list that cannot be read */
    command.dw12 = 31;
    assert_int_equal(status_of(queue, &command), DATA_TRANSFER_ERROR);
    check_all_is_well(&nvme, 3);
    nvme_end(&nvme);
    free(memory);
}

/* Every command under way ends, well or by the fault. */
static void memory_that_goes_under_way(void **state)
{
    struct nvme nvme;
    uint64_t random = 5;
    uint8_t *memory = aligned_alloc(16384, REGION);
    memset(memory, 0, REGION);
    nvme_begin(&nvme, NVME, &options);
    struct nvme_queue *queue = &nvme.queues[1];
    for (unsigned round = 0; round < 20; round++) {
        struct nvme_done done[16];
        uint64_t bus;
        uint64_t length;
        assert_ok(
            apple_dext_register_dma(nvme.device, IOVA, (uintptr_t)memory, REGION, &bus, &length));
        for (unsigned slot = 0; slot < options.depth; slot++) {
            const struct nvme_command command = {.opcode = slot % 2 ? NVME_READ : NVME_WRITE,
                                                 .nsid = 1,
                                                 .prp1 = bus + slot * 2 * NVME_PAGE,
                                                 .prp2 = bus + (slot * 2 + 1) * NVME_PAGE,
                                                 .dw10 = slot * 16,
                                                 .dw12 = 15};
            nvme_submit(queue, slot, &command);
        }
        nvme_ring(queue);
        for (volatile uint64_t i = nvme_random(&random) % 20000; i > 0; i--) {
        }
        assert_ok(apple_dext_unregister_dma(nvme.device, IOVA));
        for (unsigned left = options.depth; left > 0;) {
            unsigned count = nvme_wait(queue, done, 16);
            assert_true(count > 0);
            for (unsigned i = 0; i < count; i++, left--) {
                unsigned status = done[i].status & 0x7ff;
                assert_true(status == 0 || status == DATA_TRANSFER_ERROR);
            }
        }
    }
    check_all_is_well(&nvme, 4);
    nvme_end(&nvme);
    free(memory);
}

/* A completion queue the controller cannot write to is the end, until it is started anew. */
static void queue_in_memory_that_is_not_there(void **state)
{
    struct nvme nvme;
    begin_without_queue_3(&nvme);
    struct nvme_queue *admin = &nvme.queues[0];
    const struct nvme_command cq = {
        .opcode = NVME_CREATE_CQ, .prp1 = 0x1000, .dw10 = 63 << 16 | 3, .dw11 = 1};
    const struct nvme_command sq = {.opcode = NVME_CREATE_SQ,
                                    .prp1 = nvme_bus(&nvme, nvme.queues[1].submissions),
                                    .dw10 = 15 << 16 | 3,
                                    .dw11 = 3 << 16 | 1};
    assert_int_equal(status_of(admin, &cq), 0);
    assert_int_equal(status_of(admin, &sq), 0);
    assert_ok(apple_dext_mmio_write(nvme.device, nvme.bar, NVME_DOORBELLS + 6 * nvme.stride, 4, 1));
    struct nvme_done done;
    assert_int_equal(nvme_wait(&nvme.queues[2], &done, 1), 0);
    assert_true(nvme_register(&nvme, NVME_CSTS, 4) & 2); /* CFS */
    assert_null(nvme_start(&nvme));
    check_all_is_well(&nvme, 5);
    nvme_end(&nvme);
}

static uint32_t event_after(struct nvme *nvme, uint64_t doorbell, uint32_t value)
{
    struct nvme_queue *admin = &nvme->queues[0];
    const struct nvme_command request = {.opcode = ASYNCHRONOUS_EVENT_REQUEST};
    const struct nvme_command log = {.opcode = GET_LOG_PAGE,
                                     .prp1 = nvme_bus(nvme, admin->data),
                                     .nsid = UINT32_MAX,
                                     .dw10 = 15 << 16 | 1};
    struct nvme_done done;
    nvme_submit(admin, 1, &request);
    nvme_ring(admin);
    assert_ok(apple_dext_mmio_write(nvme->device, nvme->bar,
                                    NVME_DOORBELLS + doorbell * nvme->stride, 4, value));
    assert_int_equal(nvme_wait(admin, &done, 1), 1);
    assert_int_equal(done.slot, 1);
    assert_int_equal(done.status, 0);
    assert_int_equal(status_of(admin, &log), 0); /* which lets the next event through */
    return done.result;
}

/* Error events (type 0) of log page 01h: 5.2.1, figure 147. */
static void doorbells_that_cannot_be(void **state)
{
    struct nvme nvme;
    begin_without_queue_3(&nvme);
    assert_int_equal(event_after(&nvme, UINT64_C(2) * 3, 1), 0x010000);     /* no such queue */
    assert_int_equal(event_after(&nvme, UINT64_C(2) * 1, 17), 0x010100);    /* past its end */
    assert_int_equal(event_after(&nvme, UINT64_C(2) * 2 + 1, 5), 0x010100); /* completes nothing */
    check_all_is_well(&nvme, 6);
    nvme_end(&nvme);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(queues_that_cannot_be),
        contract_test(commands_that_cannot_be),
        contract_test(memory_of_the_program),
        contract_test(memory_that_goes_under_way),
        contract_test(queue_in_memory_that_is_not_there),
        contract_test(doorbells_that_cannot_be),
    };
    const struct contract_suite suite = {.name = "nvme_errors",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
