/*
 * The doorbell page as a driver has it mapped, and how often it is looked at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "driver.h"
#include "model/nvme/nvme_poll.h"

static struct driver driver;

static uint32_t word(unsigned index)
{
    return *fake_direct(&driver.fake, 0, 0x1000 + 4 * index);
}

static bool is_peeked(void)
{
    return driver.fake.model->ops->peek(driver.fake.model);
}

static void look(void)
{
    fake_advance(&driver.fake, DRIVER_LOOK_NS);
}

static void start_mapped(void)
{
    driver_start(&driver, NULL);
    driver.is_mapped = true;
}

static void spins_then_sleeps_ever_longer(void **state)
{
    struct nvme_poll poll = {0};
    uint64_t now = 5000000;
    (void)state;
    assert_true(nvme_poll_next(&poll, now, NVME_POLL_MORE) == 0);
    uint64_t wait_ns = nvme_poll_next(&poll, now, NVME_POLL_SOME);
    assert_true(wait_ns > 0 && wait_ns <= MODEL_POLL_SPIN_NS);
    /* A while of looks without sleep: as long as a driver takes to go on. */
    unsigned spins = 0;
    while ((wait_ns = nvme_poll_next(&poll, now, NVME_POLL_NOTHING)) <= MODEL_POLL_SPIN_NS) {
        assert_true(wait_ns > 0);
        now += wait_ns;
        assert_true(++spins < 1000);
    }
    assert_true(now - 5000000 >= 50000 && now - 5000000 <= 200000);
    /* Then less and less often: a driver that pauses waits a millisecond at most … */
    while (now + wait_ns - 5000000 < 100000000) {
        uint64_t next = nvme_poll_next(&poll, now += wait_ns, NVME_POLL_NOTHING);
        assert_true(next >= wait_ns && next <= 2 * wait_ns);
        wait_ns = next;
    }
    assert_int_equal(wait_ns, 1000000);
    /* … and one that is gone costs little. */
    for (unsigned i = 0; i < 5; i++) {
        wait_ns = nvme_poll_next(&poll, now += wait_ns, NVME_POLL_NOTHING);
        assert_int_equal(wait_ns, 5000000);
    }
    /* Who is called back by storage leaves the processor to it. */
    nvme_poll_next(&poll, now, NVME_POLL_SOME);
    assert_true(nvme_poll_next(&poll, now + 1000, NVME_POLL_WAITING) > MODEL_POLL_SPIN_NS);
    assert_true(nvme_poll_next(&poll, now + 2000, NVME_POLL_WAITING) <= 1000000);
    /* Work: all over again. */
    assert_true(nvme_poll_next(&poll, now, NVME_POLL_SOME) <= MODEL_POLL_SPIN_NS);
    assert_true(nvme_poll_next(&poll, now + 10000, NVME_POLL_NOTHING) <= MODEL_POLL_SPIN_NS);
    assert_true(nvme_poll_next(&poll, now + 1000000, NVME_POLL_NOTHING) <= 50000);
}

/* Work, and then none until the driver goes on pause_ns later; how long was slept of it. */
static uint64_t pause_for(struct nvme_poll *poll, uint64_t *now, uint64_t pause_ns)
{
    uint64_t slept = 0, end = *now + pause_ns;

    nvme_poll_next(poll, *now, NVME_POLL_SOME);
    while (*now < end) {
        uint64_t wait_ns = nvme_poll_next(poll, *now, NVME_POLL_NOTHING);
        assert_true(wait_ns > 0);
        slept += wait_ns > MODEL_POLL_SPIN_NS ? wait_ns : 0;
        *now += wait_ns;
    }
    return slept;
}

static void waits_for_a_slow_driver_that_is_steady(void **state)
{
    struct nvme_poll poll = {0};
    uint64_t now = 5000000, begin;
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        pause_for(&poll, &now, 300000);
    for (unsigned i = 0; i < 20; i++) { /* half slept, then looked for: found at once */
        begin = now;
        assert_in_range(pause_for(&poll, &now, 300000), 120000, 200000);
        assert_in_range(now - begin, 300000, 301000);
    }
    begin = now;
    pause_for(&poll, &now, 330000); /* about the same */
    assert_in_range(now - begin, 330000, 331000);
    /* It stops: twice as long is waited for, not more. */
    assert_in_range(pause_for(&poll, &now, 10000000), 9000000, 10500000);
    /* A pause that long is not waited for, nor is one that is merely longer than it pays. */
    for (unsigned i = 0; i < 10; i++) {
        assert_true(pause_for(&poll, &now, 1100000) >= (i < 2 ? 0 : 1000000));
    }
    for (unsigned i = 0; i < 10; i++) /* nor does a quick one pay for it */
        pause_for(&poll, &now, 5000);
    assert_in_range(pause_for(&poll, &now, 150000), 50000, 100000);
}

/* What takes the storage long is no pause of the driver's. */
static void a_pause_begins_with_the_answer(void **state)
{
    struct nvme_poll poll = {0};
    uint64_t now = 5000000;
    (void)state;
    nvme_poll_next(&poll, now, NVME_POLL_SOME);
    nvme_poll_answered(&poll, now += 20000000);
    assert_true(nvme_poll_next(&poll, now + 90000, NVME_POLL_NOTHING) <= MODEL_POLL_SPIN_NS);
    for (unsigned i = 0; i < 20; i++) {
        nvme_poll_next(&poll, now += 200000, NVME_POLL_SOME);
        nvme_poll_answered(&poll, now += 20000000);
    }
    assert_in_range(poll.pause_ns, 190000, 210000);
}

static void rests_unless_ready(void **state)
{
    (void)state;
    fake_start(&driver.fake, "nvme", NULL);
    fake_enable(&driver.fake);
    assert_true(driver.fake.model->ops->poll(driver.fake.model) == MODEL_POLL_NEVER);
    fake_advance(&driver.fake, 1000000000);
    assert_int_equal(driver.fake.polls, 0);
    fake_stop(&driver.fake);

    driver_start(&driver, NULL);
    look();
    unsigned polls = driver.fake.polls;
    fake_advance(&driver.fake, 1000000000); /* a second of nothing */
    assert_in_range(driver.fake.polls - polls, 200, 320);
    unsigned power = config_space_find(driver.fake.model->config, 0x01);
    fake_config_write(&driver.fake, power + 4, 2, 3);
    look();
    polls = driver.fake.polls;
    fake_advance(&driver.fake, 1000000000); /* D3hot */
    assert_int_equal(driver.fake.polls, polls);
    fake_config_write(&driver.fake, power + 4, 2, 0);
    driver_register_set(&driver, 0x14, 0);
    look();
    polls = driver.fake.polls;
    fake_advance(&driver.fake, 1000000000); /* disabled */
    assert_int_equal(driver.fake.polls, polls);
    driver_stop(&driver);
}

static void sees_stores_to_the_page(void **state)
{
    (void)state;
    start_mapped();
    driver_create_queues(&driver, 1, 8);
    driver_pattern(&driver, DATA, 4096, 1);
    for (unsigned i = 0; i < 20; i++) /* round the ring */
        assert_int_equal(driver_io(&driver, 1, i, 1), 0);
    assert_int_equal(driver_io(&driver, 2, 19, 1), 0);
    assert_true(driver_matches(&driver, DATA, 512, 1));
    assert_int_equal(word(2), driver.queues[1].tail); /* and can be read back */
    assert_int_equal(word(3), driver.queues[1].head);
    driver_stop(&driver);
}

/* The host looks without the device's lock: it must see what is new, and nothing else. */
static void peeks(void **state)
{
    (void)state;
    start_mapped();
    look();
    assert_false(is_peeked());
    driver_submit(&driver, 0, &(struct command){.opcode = 0x0c});
    assert_true(is_peeked());
    look();
    assert_false(is_peeked());
    driver_ring(&driver, 2 * 16 + 1, 1); /* the last doorbell there may be */
    assert_true(is_peeked());
    look();
    assert_false(is_peeked());
    driver_stop(&driver);
}

static void the_latest_value_counts(void **state)
{
    struct completion completion;
    (void)state;
    start_mapped();
    driver_create_queues(&driver, 1, 8);
    for (unsigned i = 0; i < 5; i++)
        driver_submit(&driver, 1, &(struct command){.opcode = 2, .nsid = 1, .prp1 = DATA});
    driver_ring(&driver, 2, 200); /* never looked at */
    driver_ring(&driver, 2, 3);
    look();
    for (unsigned i = 0; i < 3; i++)
        assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(completion.sqhd, 3);
    assert_false(driver_poll(&driver, 1, &completion));
    driver_ring(&driver, 2, 5);
    look();
    assert_true(driver_poll(&driver, 1, &completion));
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(fake_read(&driver.fake, 0, 0x1c, 4), 1);
    driver_stop(&driver);
}

static void event_expect(uint16_t cid, uint32_t answer)
{
    struct completion completion;
    assert_true(driver_poll(&driver, 0, &completion));
    assert_int_equal(completion.cid, cid);
    assert_int_equal(completion.status, 0);
    assert_int_equal(completion.answer, answer);
    const struct command log = {.opcode = 2, .nsid = NSID_ALL, .prp1 = DATA, .dw10 = 15u << 16 | 1};
    assert_int_equal(driver_run(&driver, 0, &log, NULL), 0);
}

/* Figure 147, for stores that nobody sees: one event a change. */
static void complains_once_a_change(void **state)
{
    static const struct {
        unsigned index;
        uint32_t value, answer;
    } bad[] = {
        {4, 1, 0x010000},    {5, 1, 0x010000},          {130, 7, 0x010000},
        {1023, 1, 0x010000}, {2, 8, 0x010100},          {3, 1, 0x010100},
        {3, 8, 0x010100},    {3, 0x10000, 0x010100},    {2, 0x10001, 0x010100},
        {1, 32, 0x010100},   {0, UINT32_MAX, 0x010100},
    };
    const struct command event = {.opcode = 0x0c};
    struct completion completion;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        start_mapped();
        driver_create_queues(&driver, 1, 8);
        uint16_t cid = driver_submit(&driver, 0, &event);
        look();
        assert_false(driver_poll(&driver, 0, &completion));
        driver_ring(&driver, bad[i].index, bad[i].value);
        look();
        driver_ring(&driver, 0, driver.queues[0].tail); /* where it was, if it was this one */
        event_expect(cid, bad[i].answer);
        assert_int_equal(driver_memory(&driver, DATA)[8], bad[i].index / 2 & 0xff); /* SQID */
        /* The value still stands there, and is not complained of again. */
        driver_submit(&driver, 0, &event);
        fake_advance(&driver.fake, 10 * DRIVER_LOOK_NS);
        assert_false(driver_poll(&driver, 0, &completion));
        assert_int_equal(driver_register(&driver, 0x1c), 1);
        driver_stop(&driver);
    }
}

/* 3.1.24: a queue begins at 0, whatever stood there. */
static void queues_and_resets_begin_at_zero(void **state)
{
    const struct command delete_sq = {.opcode = 0x00, .dw10 = 1},
                         delete_cq = {.opcode = 0x04, .dw10 = 1};
    (void)state;
    start_mapped();
    driver_create_queues(&driver, 1, 8);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    assert_int_equal(word(2), 2);
    assert_int_equal(word(3), 2);
    assert_int_equal(driver_run(&driver, 0, &delete_sq, NULL), 0);
    assert_int_equal(driver_run(&driver, 0, &delete_cq, NULL), 0);
    driver_create_queues(&driver, 1, 8);
    assert_int_equal(word(2), 0);
    assert_int_equal(word(3), 0);
    assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    for (int kind = -1; kind < 3; kind++) {
        driver_ring(&driver, 4, 3); /* not looked at */
        driver_ring(&driver, 1000, 3);
        if (kind < 0)
            driver_register_set(&driver, 0x14, 0);
        else
            fake_reset(&driver.fake, (enum model_reset)kind);
        assert_int_equal(driver_register(&driver, 0x1c), 0);
        for (unsigned i = 0; i < 1024; i++)
            assert_int_equal(word(i), 0);
        driver_ring(&driver, 4, 5); /* undefined until ready */
        driver_ring(&driver, 0, 9);
        driver_enable(&driver);
        assert_int_equal(word(0), 0);
        assert_int_equal(word(4), 0);
        driver_create_queues(&driver, 1, 8);
        assert_int_equal(driver_io(&driver, 2, 0, 1), 0);
    }
    driver_stop(&driver);
}

/* Without decode a store does not reach the device, and one from before is not lost. */
static void decode_gates_the_page(void **state)
{
    struct completion completion;
    unsigned power;
    (void)state;
    start_mapped();
    power = config_space_find(driver.fake.model->config, 0x01);
    driver_create_queues(&driver, 1, 8);
    for (unsigned how = 0; how < 2; how++) {
        driver_submit(&driver, 1, &(struct command){.opcode = 2, .nsid = 1, .prp1 = DATA});
        uint32_t tail = driver.queues[1].tail;
        if (how == 0)
            fake_config_write(&driver.fake, 4, 2, 4); /* a master that cannot be reached */
        else
            fake_config_write(&driver.fake, power + 4, 2, 3);
        driver_ring(&driver, 2, tail + 1);
        driver_ring(&driver, 900, 1);
        look();
        assert_int_equal(word(2), tail + 1); /* it is memory */
        if (how == 0)
            fake_config_write(&driver.fake, 4, 2, 6);
        else
            fake_config_write(&driver.fake, power + 4, 2, 0);
        assert_int_equal(word(2), tail);
        assert_int_equal(word(900), 0);
        look();
        assert_true(driver_poll(&driver, 1, &completion));
        assert_int_equal(completion.status, 0);
        assert_false(driver_poll(&driver, 1, &completion));
        look();
    }
    driver_stop(&driver);
}

/* Rung without bus mastering: remembered, and done when it is back. */
static void mastering_only_delays(void **state)
{
    struct completion completion;
    (void)state;
    start_mapped();
    driver_create_queues(&driver, 1, 8);
    fake_config_write(&driver.fake, 4, 2, 2);
    for (unsigned i = 0; i < 3; i++) {
        driver_submit(&driver, 1, &(struct command){.opcode = 2, .nsid = 1, .prp1 = DATA});
        look();
    }
    assert_false(driver_poll(&driver, 1, &completion));
    fake_config_write(&driver.fake, 4, 2, 6);
    fake_run(&driver.fake, 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(driver_poll(&driver, 1, &completion));
        assert_int_equal(completion.status, 0);
    }
    driver_stop(&driver);
}

/* With several operations under way, the end of one has the doorbells looked at. */
static void storage_looks_too(void **state)
{
    static const char *const drive[] = {"drive=a", NULL};
    struct completion completion;
    (void)state;
    driver_start(&driver, drive);
    driver.is_mapped = true;
    driver_create_queues(&driver, 1, 8);
    const struct command read = {.opcode = 2, .nsid = 1, .prp1 = DATA};
    for (unsigned i = 0; i < 3; i++)
        driver_submit(&driver, 1, &read);
    look();
    assert_int_equal(driver.fake.operation_count, 3);
    driver_submit(&driver, 1, &read);
    unsigned polls = driver.fake.polls;
    assert_true(fake_storage_step(&driver.fake, 0));
    assert_true(driver_poll(&driver, 1, &completion));
    assert_int_equal(driver.fake.operation_count, 3); /* the new one is among them */
    assert_int_equal(driver.fake.polls, polls);
    while (fake_storage_step(&driver.fake, 0)) {
    }
    assert_true(driver.fake.is_woken); /* nothing else would look now */
    for (unsigned i = 0; i < 3; i++)
        assert_true(driver_poll(&driver, 1, &completion));
    driver_stop(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spins_then_sleeps_ever_longer),
        cmocka_unit_test(waits_for_a_slow_driver_that_is_steady),
        cmocka_unit_test(a_pause_begins_with_the_answer),
        cmocka_unit_test(rests_unless_ready),
        cmocka_unit_test(sees_stores_to_the_page),
        cmocka_unit_test(peeks),
        cmocka_unit_test(the_latest_value_counts),
        cmocka_unit_test(complains_once_a_change),
        cmocka_unit_test(queues_and_resets_begin_at_zero),
        cmocka_unit_test(decode_gates_the_page),
        cmocka_unit_test(mastering_only_delays),
        cmocka_unit_test(storage_looks_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
