/*
 * The doorbell page of the NVMe device through a mapped BAR: shared memory where pages are small,
 * trapped where they are not, the same device behind both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "nvme_io.h"

static const char *const devices[] = {
    "nvme,addr=01:00.0,size=16M,queues=4",
    "nvme,addr=02:00.0,size=16M",
    NULL,
};
enum { BUSY = 0x01, OTHER = 0x02 };
enum { ASYNC_EVENT = 0x0c, GET_LOG = 0x02, MS = 1000000 };
enum { EVENT_NO_QUEUE = 0x010000, EVENT_BAD_VALUE = 0x010100 }; /* error log, kind 0 or 1, type 0 */

static const struct nvme_options two_slots = {.queues = 1, .depth = 2, .transfer_bytes = NVME_PAGE};

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * MS}, NULL);
}

static _Atomic uint32_t *doorbell(const struct nvme *nvme, unsigned index)
{
    assert_true(nvme->bar_base != 0);
    return (_Atomic uint32_t *)(uintptr_t)(nvme->bar_base + NVME_DOORBELLS + 4 * (uint64_t)index);
}

static uint32_t by_call(struct nvme *nvme, unsigned index)
{
    return (uint32_t)nvme_register(nvme, NVME_DOORBELLS + 4 * (uint64_t)index, 4);
}

/* One memory, whoever looks: this mapping, another client's, and the calls. */
static void the_page_is_one_memory(void **state)
{
    struct nvme nvme;
    mach_vm_address_t other = 0;
    mach_vm_size_t size;
    uint8_t type;
    nvme_begin(&nvme, BUSY, &two_slots);
    io_connect_t second = contract_claimed(BUSY);
    assert_ok(apple_dext_map_bar(second, 0, &other, &size, &type));
    assert_true(size == 0x4000);
    const volatile uint32_t *seen = (const volatile uint32_t *)(uintptr_t)other;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(nvme_run(&nvme.queues[1],
                                  &(struct nvme_command){.opcode = NVME_FLUSH, .nsid = 1}, NULL),
                         0);
        assert_int_equal(atomic_load(doorbell(&nvme, 2)), nvme.queues[1].tail);
        assert_int_equal(seen[(NVME_DOORBELLS + 8) / 4], nvme.queues[1].tail);
        assert_int_equal(by_call(&nvme, 2), nvme.queues[1].tail);
    }
    /* The pages around it are registers all the same. */
    assert_int_equal(seen[NVME_CSTS / 4], 1);
    assert_int_equal(seen[0x200c / 4] & 1, 1); /* vector 0 is masked */
    assert_int_equal(seen[0x3000 / 4], 0);
    assert_ok(apple_dext_unmap_bar(second, 0, other));
    nvme_end(&nvme);
}

/* However long nothing came, the next store is seen. */
static void an_idle_controller_wakes(void **state)
{
    static const unsigned pauses[] = {0, 1, 2, 10, 120, 300};
    struct nvme nvme;
    nvme_begin(&nvme, BUSY, &two_slots);
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        sleep_ms(pauses[i]);
        nvme_range(&nvme.queues[1], true, i, 0, 16 * NVME_PAGE, NVME_PAGE);
        sleep_ms(pauses[i]);
        nvme_range(&nvme.queues[1], false, i, 0, 16 * NVME_PAGE, NVME_PAGE);
    }
    nvme_end(&nvme);
}

static void event_ask(struct nvme *nvme)
{
    nvme_submit(&nvme->queues[0], 1, &(struct nvme_command){.opcode = ASYNC_EVENT});
    nvme_ring(&nvme->queues[0]);
}

static void event_expect(struct nvme *nvme, uint32_t answer)
{
    struct nvme_queue *admin = &nvme->queues[0];
    struct nvme_done done;
    const struct nvme_command log = {.opcode = GET_LOG,
                                     .nsid = UINT32_MAX,
                                     .prp1 = nvme_bus(nvme, admin->data),
                                     .dw10 = 15u << 16 | 1};
    assert_int_equal(nvme_wait(admin, &done, 1), 1);
    assert_int_equal(done.slot, 1);
    assert_int_equal(done.status, 0);
    assert_int_equal(done.result, answer);
    assert_int_equal(nvme_run(admin, &log, NULL), 0); /* the type may be sent again */
}

/* A bad value says so once, however often it is looked at. */
static void bad_values_give_one_event(void **state)
{
    static const struct {
        unsigned index;
        uint32_t value, answer;
    } bad[] = {
        {4, 1, EVENT_NO_QUEUE},           {5, 7, EVENT_NO_QUEUE},    {9, 1, EVENT_NO_QUEUE},
        {10, 1, EVENT_NO_QUEUE},          {1023, 5, EVENT_NO_QUEUE}, {2, 3, EVENT_BAD_VALUE},
        {2, UINT32_MAX, EVENT_BAD_VALUE}, {3, 1, EVENT_BAD_VALUE},   {3, 0x10000, EVENT_BAD_VALUE},
    };
    struct nvme nvme;
    struct nvme_done done;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nvme_begin(&nvme, BUSY, &two_slots);
        event_ask(&nvme);
        atomic_store(doorbell(&nvme, bad[i].index), bad[i].value);
        event_expect(&nvme, bad[i].answer);
        event_ask(&nvme);
        sleep_ms(20);
        assert_int_equal(nvme_poll(&nvme.queues[0], &done, 1), 0);
        assert_int_equal(nvme_register(&nvme, NVME_CSTS, 4), 1);
        nvme_end(&nvme);
    }
}

/* A queue begins at 0 whatever was written before it was there. */
static void queues_begin_at_zero(void **state)
{
    struct nvme nvme;
    nvme_begin(&nvme, BUSY, &two_slots);
    nvme_range(&nvme.queues[1], true, 1, 0, 5 * NVME_PAGE, NVME_PAGE);
    assert_true(by_call(&nvme, 2) != 0);
    assert_ok(apple_dext_mmio_write(nvme.device, nvme.bar, NVME_CC, 4, 0));
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(atomic_load(doorbell(&nvme, i)), 0);
    atomic_store(doorbell(&nvme, 2), 2); /* the controller is off */
    atomic_store(doorbell(&nvme, 0), 1);
    assert_null(nvme_start(&nvme));
    assert_int_equal(atomic_load(doorbell(&nvme, 2)), 0);
    nvme_range(&nvme.queues[1], false, 1, 0, 5 * NVME_PAGE, NVME_PAGE);
    assert_ok(apple_dext_reset_device(nvme.device));
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(atomic_load(doorbell(&nvme, i)), 0);
    assert_null(nvme_start(&nvme));
    nvme_range(&nvme.queues[1], false, 1, 0, 5 * NVME_PAGE, NVME_PAGE);
    nvme_end(&nvme);
}

/* Bus mastering off holds work up; memory decode off loses what is rung meanwhile. */
static void command_register_gates(void **state)
{
    const struct nvme_command flush = {.opcode = NVME_FLUSH, .nsid = 1};
    struct nvme nvme;
    struct nvme_done done;
    nvme_begin(&nvme, BUSY, &two_slots);
    struct nvme_queue *queue = &nvme.queues[1];
    assert_ok(apple_dext_config_write(nvme.device, 4, 2, 2));
    nvme_submit(queue, 0, &flush);
    nvme_ring(queue);
    sleep_ms(20);
    assert_int_equal(nvme_poll(queue, &done, 1), 0);
    assert_ok(apple_dext_config_write(nvme.device, 4, 2, 6));
    assert_int_equal(nvme_wait(queue, &done, 1), 1);
    assert_int_equal(done.status, 0);

    assert_ok(apple_dext_config_write(nvme.device, 4, 2, 4));
    nvme_submit(queue, 0, &flush);
    nvme_ring(queue);
    sleep_ms(20);
    assert_ok(apple_dext_config_write(nvme.device, 4, 2, 6));
    sleep_ms(20);
    assert_int_equal(nvme_poll(queue, &done, 1), 0);
    assert_int_equal(by_call(&nvme, 2), queue->tail - 1);
    atomic_store(doorbell(&nvme, 2), queue->tail); /* again */
    assert_int_equal(nvme_wait(queue, &done, 1), 1);
    assert_int_equal(done.status, 0);
    nvme_end(&nvme);
}

/* Fill every queue and turn away while the controller is at it. */
static void flood(struct nvme *nvme)
{
    for (unsigned id = 1; id <= nvme->options.queues; id++) {
        for (unsigned slot = 0; slot < nvme->options.depth; slot++)
            nvme_transfer(&nvme->queues[id], slot, slot % 2 != 0 ? NVME_WRITE : NVME_READ, 8 * slot,
                          nvme->options.transfer_bytes, 0);
        nvme_ring(&nvme->queues[id]);
    }
}

static void a_busy_controller_may_be_left(void **state)
{
    static const struct nvme_options options = {.queues = 4, .depth = 256, .transfer_bytes = 65536};
    struct nvme nvme;
    for (unsigned i = 0; i < 3; i++) {
        nvme_begin(&nvme, BUSY, &options);
        flood(&nvme);
        if (i == 1)
            assert_ok(apple_dext_reset_device(nvme.device));
        if (i == 2)
            assert_ok(apple_dext_config_write(nvme.device, 4, 2, 0));
        contract_disconnect(nvme.device); /* with all that it holds */
        nvme.bar_base = 0;
        nvme.memory = 0;
        free(nvme.queues);
    }
    nvme_begin(&nvme, BUSY, &two_slots);
    nvme_range(&nvme.queues[1], true, 7, 0, 16 * NVME_PAGE, NVME_PAGE);
    nvme_range(&nvme.queues[1], false, 7, 0, 16 * NVME_PAGE, NVME_PAGE);
    nvme_end(&nvme);
}

/* Surprise removal in the middle of it; the host ends with the other one busy. */
static void a_busy_controller_may_go(void **state)
{
    static const struct nvme_options options = {.queues = 4, .depth = 256, .transfer_bytes = 65536};
    struct nvme nvme;
    nvme_begin(&nvme, OTHER, &options);
    flood(&nvme);
    assert_int_equal(dext_host_remove_device(contract_embedded_host(), "02:00.0", NULL), 0);
    atomic_store(doorbell(&nvme, 2), 1); /* memory that nobody watches any more */
    contract_disconnect(nvme.device);
    free(nvme.queues);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(the_page_is_one_memory),
        contract_test(an_idle_controller_wakes),
        contract_test(bad_values_give_one_event),
        contract_test(queues_begin_at_zero),
        contract_test(command_register_gates),
        contract_test(a_busy_controller_may_be_left),
        contract_test_when(a_busy_controller_may_go, WHEN_EMBEDDED),
    };
    const struct contract_suite suite = {"nvme_doorbells", devices, tests,
                                         sizeof(tests) / sizeof(tests[0]), false};
    return contract_main(argc, argv, &suite);
}
