/*
 * The thread of a device that watches its direct memory, and the stores that the host sees. Run
 * under ThreadSanitizer too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include <sys/mman.h>
#include <time.h>

#include "provider/pci_registers.h"

#define MS UINT64_C(1000000)

static uint64_t now_ns(void)
{
    return fake->model.host.ops->now_ns(fake->model.host.context);
}

static void sleep_ns(uint64_t ns)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* Limits, in milliseconds, are those of tests that fail. */
enum { PATIENCE = 100000 };

/* Whether it was called so many times more. */
static bool polls_times(int count)
{
    int before = atomic_load(&fake->polls);
    for (unsigned i = 0; i < PATIENCE && atomic_load(&fake->polls) - before < count; i++) {
        sleep_ns(MS);
    }
    return atomic_load(&fake->polls) - before >= count;
}

static bool polls_beyond(int count)
{
    for (unsigned i = 0; i < PATIENCE && atomic_load(&fake->polls) <= count; i++) {
        sleep_ns(MS);
    }
    return atomic_load(&fake->polls) > count;
}

static bool polls_on(void)
{
    return polls_times(1);
}

/* Once what is under way has ended. */
static bool rests(void)
{
    for (unsigned i = 0; i < PATIENCE / 50; i++) {
        int before = atomic_load(&fake->polls);
        sleep_ns(50 * MS);
        if (atomic_load(&fake->polls) == before) {
            return true;
        }
    }
    return false;
}

/* A poll that was under way when they were counted may have come on top. */
static void assert_polls_once(int before)
{
    assert_true(polls_beyond(before));
    assert_true(rests());
    assert_true(atomic_load(&fake->polls) <= before + 2);
}

static void wake(uint64_t answer)
{
    atomic_store(&fake->poll_answer, answer);
    bar_set(2, 0x1000, 4, 1);
}

static void ranges_of_a_bar_are_one_file(void **state)
{
    struct pci_bar_memory memory;
    (void)state;
    assert_int_equal(provider_bar_memory(sim, 2, &memory), 0);
    assert_int_equal(memory.range_count, 2);
    assert_int_equal(memory.ranges[0].fd, memory.ranges[1].fd);
    for (unsigned i = 0; i < 2; i++) {
        const struct pci_direct_range *range = &memory.ranges[i];
        assert_int_equal(range->offset, i == 0 ? 0x1000 : 0x8000);
        assert_int_equal(range->bytes, i == 0 ? 0x1000 : 0x3000);
        assert_int_equal(range->fd_offset, range->offset);
        volatile uint32_t *mapped = mmap(NULL, range->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                                         range->fd, (off_t)range->fd_offset);
        assert_ptr_not_equal(mapped, MAP_FAILED);
        bar_set(2, range->offset, 4, 0x1000 + i);
        bar_set(2, range->offset + range->bytes - 4, 4, 0x2000 + i);
        assert_int_equal(mapped[0], 0x1000 + i);
        assert_int_equal(mapped[range->bytes / 4 - 1], 0x2000 + i);
        mapped[1] = 0x3000 + i;
        assert_int_equal(bar_get(2, range->offset + 4, 4), 0x3000 + i);
        munmap((void *)(uintptr_t)mapped, range->bytes);
    }
    assert_int_equal(fake->trapped_accesses, 0);
    bar_set(2, 0xffc, 4, 1);
    bar_set(2, 0x2000, 4, 1);
    bar_set(2, 0xb000, 4, 1);
    assert_int_equal(fake->trapped_accesses, 3);
}

static void the_model_is_told_of_stores(void **state)
{
    (void)state;
    for (unsigned width = 1; width <= 8; width *= 2) {
        uint64_t value = UINT64_C(0x8877665544332211) >> (64 - 8 * width);
        bar_set(2, 0x1008, width, value);
        assert_int_equal(fake->direct_offset, 0x1008);
        assert_int_equal(fake->direct_width, width);
        assert_true(fake->direct_value == value); /* carried out before */
    }
    assert_int_equal(fake->direct_writes, 4);
    bar_get(2, 0x1008, 8);
    config_set(PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
    bar_set(2, 0x1008, 8, 0); /* not decoded: not carried out either */
    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
    assert_int_equal(fake->direct_writes, 4);
    assert_true(bar_get(2, 0x1008, 8) == 0x8877665544332211);
}

static void rests_until_woken(void **state)
{
    (void)state;
    assert_true(rests());
    wake(MODEL_POLL_NEVER);
    assert_true(rests());
    int before = atomic_load(&fake->polls);
    assert_int_equal(atomic_load(&fake->peeks), 0);
    wake(MODEL_POLL_NEVER);
    assert_polls_once(before);
}

/* Never earlier than told, and about then; a wake ends any sleep. */
static void sleeps_as_told(void **state)
{
    (void)state;
    wake(5 * MS);
    assert_true(polls_on());
    uint64_t begin = now_ns(); /* before what is counted, as the end is behind it */
    int before = atomic_load(&fake->polls);
    assert_true(polls_times(10));
    int polls = atomic_load(&fake->polls) - before;
    uint64_t most = (now_ns() - begin) / (5 * MS) + 1;
    assert_in_range(polls, 10, most);
    assert_int_equal(atomic_load(&fake->peeks), 0);
    atomic_store(&fake->poll_answer, 3600 * 1000 * MS);
    assert_true(polls_on());
    assert_true(rests());
    int slept = atomic_load(&fake->polls);
    wake(MODEL_POLL_NEVER);
    assert_polls_once(slept);
}

/* What is too short to sleep for is looked at without the lock; what is seen there is polled for.
 */
static void peeks_when_told_to_stay_close(void **state)
{
    (void)state;
    wake(MODEL_POLL_SPIN_NS);
    assert_true(polls_times(20)); /* counts, not times: a busy machine runs it when it likes */
    int polls = atomic_load(&fake->polls); /* first: they go on */
    int peeks = atomic_load(&fake->peeks);
    assert_true(peeks > 2 * polls);
    atomic_store(&fake->peek_answer, true);
    assert_true(polls_times(2)); /* the looks under way end */
    polls = atomic_load(&fake->polls);
    peeks = atomic_load(&fake->peeks);
    assert_true(polls_times(20));
    peeks = atomic_load(&fake->peeks) - peeks;
    polls = atomic_load(&fake->polls) - polls;
    assert_true(peeks <= polls + 1);
}

/* How many of 20 accesses waited for few polls only. */
static unsigned quick_accesses(void)
{
    unsigned quick = 0;
    for (unsigned i = 0; i < 20; i++) {
        sleep_ns(MS); /* till it is in full swing again */
        int before = atomic_load(&fake->polls);
        bar_get(0, FAKE_SCRATCH, 8);
        quick += atomic_load(&fake->polls) - before <= 3;
    }
    return quick;
}

/* One that always has more to do leaves the device to others after each call. Whoever is stopped
 * between a look and its access sees many: on a busy machine it is tried again. */
static void lets_others_in(void **state)
{
    unsigned attempts = 0;
    (void)state;
    atomic_store(&fake->poll_takes_ns, MS / 5);
    wake(0);
    assert_true(polls_on());
    while (quick_accesses() < 10) {
        assert_true(++attempts < 200);
    }
}

static void removal_ends_it(void **state)
{
    (void)state;
    wake(0);
    assert_true(polls_on());
    provider_remove(sim);
    assert_true(rests());
    int polls = atomic_load(&fake->polls);
    provider_close(sim);
    sleep_ns(10 * MS);
    assert_true(atomic_load(&fake->polls) <= polls + 1); /* one that was under way */
}

/* The teardown destroys it in the middle. */
static void busy_to_the_end(void **state)
{
    (void)state;
    wake(0);
    assert_true(polls_on());
}

#define polling_test(test) cmocka_unit_test_setup_teardown(test, sim_setup_polling, sim_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        polling_test(ranges_of_a_bar_are_one_file),
        polling_test(the_model_is_told_of_stores),
        polling_test(rests_until_woken),
        polling_test(sleeps_as_told),
        polling_test(peeks_when_told_to_stay_close),
        polling_test(lets_others_in),
        polling_test(removal_ends_it),
        polling_test(busy_to_the_end),
    };
    return cmocka_run_group_tests_name("sim poll", tests, NULL, NULL);
}
