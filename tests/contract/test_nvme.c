/*
 * An NVMe device driven through the client library by the example's driver: data, queues,
 * interrupts, resets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nvme_io.h"

static const char *const devices[] = {
    "nvme,addr=01:00.0,size=16M,serial=CONTRACT-1",
    "nvme,addr=02:00.0,size=16M,block=4096,queues=4",
    NULL,
};
enum { SMALL = 0x01, LARGE = 0x02 }; /* blocks */
enum { SIZE = 16 << 20, MOST = NVME_TRANSFER_MAX };

static const struct nvme_options one_queue = {
    .queues = 1, .depth = 8, .transfer_bytes = NVME_TRANSFER_MAX};

/* Outputs of SplitMix64 for seed 1234567, as published with it. */
static void pattern_is_the_published_one(void **state)
{
    static const uint64_t outputs[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                       UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                       UINT64_C(16408922859458223821)};
    uint8_t bytes[sizeof(outputs)];
    nvme_pattern_fill(1234567, 0, bytes, sizeof(bytes));
    assert_memory_equal(bytes, outputs, sizeof(bytes));
    assert_true(nvme_pattern_is(1234567, 16, bytes + 16, 24));
    assert_false(nvme_pattern_is(1234567, 8, bytes + 16, 24)); /* another place, other bytes */
    assert_false(nvme_pattern_is(1234568, 0, bytes, 8));
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static const uint8_t *identify(struct nvme *nvme, uint32_t what, uint32_t nsid)
{
    struct nvme_queue *admin = &nvme->queues[0];
    const struct nvme_command command = {
        .opcode = NVME_IDENTIFY, .nsid = nsid, .prp1 = nvme_bus(nvme, admin->data), .dw10 = what};
    memset(admin->data, 0xa5, NVME_PAGE);
    assert_int_equal(nvme_run(admin, &command, NULL), 0);
    return admin->data;
}

static void identifies(void **state)
{
    struct nvme nvme;
    nvme_begin(&nvme, SMALL, &one_queue);
    assert_true(nvme_register(&nvme, 0x08, 4) == 0x00010400); /* VS: 1.4 */
    assert_string_equal(nvme.serial, "CONTRACT-1          ");
    assert_true(nvme.blocks == SIZE / 512);
    const uint8_t *data = identify(&nvme, 1, 0);
    assert_int_equal(get32(data) & 0xffff, 0x1234); /* VID */
    assert_int_equal(get32(data + 80), 0x00010400); /* VER */
    assert_int_equal(data[512], 0x66);              /* SQES */
    assert_int_equal(data[513], 0x44);              /* CQES */
    assert_int_equal(get32(data + 516), 1);         /* NN */
    data = identify(&nvme, 2, 0);                   /* active namespaces */
    assert_int_equal(get32(data), 1);
    assert_int_equal(get32(data + 4), 0);
    nvme_end(&nvme);
    nvme_begin(&nvme, LARGE, &one_queue);
    assert_true(nvme.blocks == SIZE / 4096);
    assert_int_equal(nvme.block_bytes, 4096);
    nvme_end(&nvme);
}

/* Every form of PRPs: one page and less, two, lists. */
static void transfers_of_all_sizes(void **state)
{
    static const uint32_t sizes[] = {512, 1536, 4096, 6144, 8192, 12288, 65536, NVME_TRANSFER_MAX};
    struct nvme nvme;
    nvme_begin(&nvme, SMALL, &one_queue);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes = UINT64_C(20) * sizes[i];
        nvme_range(&nvme.queues[1], true, i, 512 * i, bytes, sizes[i]);
        nvme_range(&nvme.queues[1], false, i, 512 * i, bytes, sizes[i]);
    }
    nvme_end(&nvme);
}

static void queues_of_all_depths(void **state)
{
    static const unsigned depths[] = {1, 2, 33, 256, 1024};
    struct nvme_options options = {.queues = 1, .transfer_bytes = NVME_PAGE};
    struct nvme nvme;
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        uint64_t bytes = (uint64_t)(depths[i] * 3 + 100) * NVME_PAGE; /* around more than once */
        options.depth = depths[i];
        nvme_begin(&nvme, LARGE, &options);
        nvme_range(&nvme.queues[1], true, 50 + i, 0, bytes, NVME_PAGE);
        nvme_range(&nvme.queues[1], false, 50 + i, 0, bytes, NVME_PAGE);
        nvme_end(&nvme);
    }
}

/* What one queue wrote another one reads, all at the same time. */
static void check_many_queues(uint8_t bus, const struct nvme_options *options)
{
    enum { QUEUES = 4, PART = SIZE / QUEUES };
    struct nvme nvme;
    struct nvme_job jobs[QUEUES];
    nvme_begin(&nvme, bus, options);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            bool is_write = round != 1;
            jobs[i] = (struct nvme_job){.queue = &nvme.queues[1 + (i + round) % QUEUES],
                                        .is_write = is_write,
                                        .seed = round / 2 * 10 + 100 + i,
                                        .first = i * PART,
                                        .bytes = PART,
                                        .chunk_bytes = options->transfer_bytes};
        }
        nvme_jobs_run(jobs, QUEUES);
        for (unsigned i = 0; i < QUEUES; i++) {
            nvme_job_check(&jobs[i]);
        }
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        nvme_range(&nvme.queues[1], false, 110 + i, i * PART, PART, options->transfer_bytes);
    }
    nvme_end(&nvme);
}

static void queues_from_threads(void **state)
{
    check_many_queues(SMALL,
                      &(struct nvme_options){.queues = 4, .depth = 16, .transfer_bytes = 32768});
}

static void queues_from_threads_with_interrupts(void **state)
{
    check_many_queues(
        LARGE, &(struct nvme_options){
                   .queues = 4, .depth = 16, .transfer_bytes = 32768, .has_interrupts = true});
}

static void doorbells_by_calls(void **state)
{
    check_many_queues(
        SMALL, &(struct nvme_options){
                   .queues = 4, .depth = 16, .transfer_bytes = 65536, .has_calls_only = true});
}

static uint64_t irqs_of(struct nvme *nvme, unsigned vector)
{
    pthread_mutex_lock(&nvme->lock);
    uint64_t irqs = nvme->irqs[vector];
    pthread_mutex_unlock(&nvme->lock);
    return irqs;
}

struct irq_goal {
    struct nvme *nvme;
    unsigned vector;
    uint64_t before;
};

static bool has_fired(void *opaque)
{
    const struct irq_goal *goal = opaque;
    return irqs_of(goal->nvme, goal->vector) > goal->before;
}

/* A command on queue q raises vector q, and no other. */
static void vectors_are_those_of_their_queues(void **state)
{
    enum { QUEUES = 4 };
    const struct nvme_options options = {
        .queues = QUEUES, .depth = 4, .transfer_bytes = NVME_PAGE, .has_interrupts = true};
    struct nvme nvme;
    nvme_begin(&nvme, LARGE, &options);
    assert_int_equal(nvme.vectors, QUEUES + 1);
    struct irq_goal admin = {&nvme, 0, 0};
    assert_true(contract_eventually(has_fired, &admin)); /* by all that nvme_start did */
    for (unsigned id = QUEUES; id >= 1; id--) {
        uint64_t before[QUEUES + 1];
        for (unsigned i = 1; i <= QUEUES; i++) {
            before[i] = irqs_of(&nvme, i);
        }
        struct irq_goal goal = {&nvme, id, before[id]};
        nvme_range(&nvme.queues[id], true, id, 0, NVME_PAGE, NVME_PAGE);
        assert_true(contract_eventually(has_fired, &goal));
        for (unsigned i = 1; i <= QUEUES; i++) {
            assert_true(i == id || irqs_of(&nvme, i) == before[i]);
        }
    }
    nvme_end(&nvme);
}

static void data_outlives_driver_and_reset(void **state)
{
    struct nvme nvme;
    nvme_begin(&nvme, SMALL, &one_queue);
    nvme_range(&nvme.queues[1], true, 7, 0, 1 << 20, MOST);
    assert_null(nvme_stop(&nvme));
    assert_null(nvme_start(&nvme)); /* after a shutdown too */
    nvme_range(&nvme.queues[1], false, 7, 0, 1 << 20, MOST);
    nvme_end(&nvme);
    nvme_begin(&nvme, SMALL, &one_queue);
    assert_ok(apple_dext_reset_device(nvme.device));
    assert_null(nvme_start(&nvme));
    nvme_range(&nvme.queues[1], false, 7, 0, 1 << 20, MOST);
    nvme_end(&nvme);
}

struct hammer {
    struct nvme_job job;
    _Atomic bool has_begun;
};

/* Until the controller is reset under it. */
static void *hammer_thread(void *opaque)
{
    struct hammer *hammer = opaque;
    while (!hammer->job.is_lost && hammer->job.status == 0) {
        nvme_job_run(&hammer->job);
        atomic_store(&hammer->has_begun, true);
    }
    return NULL;
}

static void resets_while_busy(void **state)
{
    enum { QUEUES = 3, ROUNDS = 5, PART = 1 << 20 };
    const struct nvme_options options = {
        .queues = QUEUES, .depth = 32, .transfer_bytes = 16384, .has_interrupts = true};
    struct nvme nvme;
    uint64_t random = 20140101;
    io_connect_t other = contract_claimed(LARGE);
    nvme_begin(&nvme, LARGE, &options);
    nvme_range(&nvme.queues[1], true, 99, 8 << 20, PART, 16384);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct hammer hammers[QUEUES] = {0};
        for (unsigned i = 0; i < QUEUES; i++) {
            hammers[i].job = (struct nvme_job){.queue = &nvme.queues[1 + i],
                                               .is_write = i != 0,
                                               .first = i * PART,
                                               .bytes = PART,
                                               .chunk_bytes = 16384};
            assert_int_equal(
                pthread_create(&hammers[i].job.thread, NULL, hammer_thread, &hammers[i]), 0);
        }
        while (!atomic_load(&hammers[1].has_begun)) {
            usleep(1000);
        }
        usleep((useconds_t)(nvme_random(&random) % 5000));
        assert_ok(apple_dext_reset_device(round % 2 == 0 ? other : nvme.device));
        for (unsigned i = 0; i < QUEUES; i++) {
            pthread_join(hammers[i].job.thread, NULL);
            assert_true(hammers[i].job.is_lost); /* nobody was told that it went well */
        }
        assert_null(nvme_start(&nvme));
        nvme_range(&nvme.queues[1], true, round, 0, QUEUES * PART, 16384);
        nvme_range(&nvme.queues[2], false, round, 0, QUEUES * PART, 16384);
    }
    nvme_range(&nvme.queues[3], false, 99, 8 << 20, PART, 16384); /* what nobody wrote to since */
    nvme_end(&nvme);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(pattern_is_the_published_one),
        contract_test(identifies),
        contract_test(transfers_of_all_sizes),
        contract_test(queues_of_all_depths),
        contract_test(queues_from_threads),
        contract_test(queues_from_threads_with_interrupts),
        contract_test(doorbells_by_calls),
        contract_test(vectors_are_those_of_their_queues),
        contract_test(data_outlives_driver_and_reset),
        contract_test(resets_while_busy),
    };
    const struct contract_suite suite = {.name = "nvme",
                                         .devices = devices,
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0])};
    return contract_main(argc, argv, &suite);
}
