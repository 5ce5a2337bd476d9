/*
 * The sim back end under threads: accesses, DMA, mappings, interrupts and resets side by side, and
 * a removal in the middle. Run under ThreadSanitizer too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "provider/pci_registers.h"

#define ROUNDS 1500

static _Atomic bool is_done;
static _Atomic int wrong;
static _Atomic iova_t published; /* where the device should reach; may be freed by then */
static struct seen_interrupts seen;

static void *register_thread(void *context)
{
    (void)context;
    while (!atomic_load(&is_done)) {
        uint64_t value;
        uint32_t word;
        wrong += provider_memory_read(sim, 2, 64, 4, &value) != 0;
        wrong += provider_memory_write(sim, 2, 64, 8, value) != 0;
        wrong += provider_config_read(sim, 0, 4, &word) != 0;
    }
    return NULL;
}

/* One thread drives the mailbox, so that an operation is not torn. */
static void *device_thread(void *context)
{
    (void)context;
    const unsigned operations[] = {FAKE_DMA_WRITE, FAKE_MSIX, FAKE_DMA_READ, FAKE_ARM};
    for (unsigned i = 0; !atomic_load(&is_done); i++) {
        unsigned operation = operations[i % 4];
        uint64_t address = operation == FAKE_ARM ? 1000 : atomic_load(&published);
        wrong += provider_memory_write(sim, 0, FAKE_ADDRESS, 8, address) != 0;
        wrong += provider_memory_write(sim, 0, FAKE_DATA, 8, i % FAKE_TIMERS) != 0;
        wrong += provider_memory_write(sim, 0, FAKE_DO, 8, operation) != 0;
    }
    return NULL;
}

static void *interrupt_thread(void *context)
{
    (void)context;
    while (!atomic_load(&is_done)) {
        /* On the stack of this round: after release nobody may count there. */
        struct seen_interrupts *mine = calloc(1, sizeof(*mine));
        unsigned granted;
        int result = provider_configure_interrupts(sim, PCI_INTERRUPT_MSIX, 16, count_interrupt,
                                                   mine, &granted);
        wrong += result != 0 && result != -ENODEV;
        provider_release_interrupts(sim);
        seen.total += mine->total;
        free(mine);
    }
    return NULL;
}

/* Unmap, then free: if unmapping did not wait, the device would reach freed memory. */
static void map_and_unmap(int rounds, bool may_be_gone)
{
    for (int round = 0; round < rounds; round++) {
        struct client_memory *client = calloc(1, sizeof(*client));
        assert_non_null(client);
        if (may_be_gone && atomic_load(&sim->is_removed)) {
            free(client);
            return;
        }
        client_memory_map(client);
        atomic_store(&published, client->mapping->bus_address);
        if (round % 32 == 0) {
            const struct timespec pause = {.tv_nsec = 200000};
            nanosleep(&pause, NULL);
        }
        provider_dma_unmap(sim, client->mapping);
        free(client);
    }
}

typedef void *(*thread_fn)(void *);

static void run_beside(void (*work)(void))
{
    const thread_fn functions[] = {register_thread, device_thread, interrupt_thread};
    pthread_t threads[3];
    atomic_store(&is_done, false);
    atomic_store(&wrong, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, functions[i], NULL), 0);
    }
    work();
    atomic_store(&is_done, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&wrong), 0);
}

static void map_work(void)
{
    map_and_unmap(ROUNDS, false);
}

static void dma_races_with_unmapping(void **state)
{
    (void)state;
    run_beside(map_work);
    struct dart_statistics statistics;
    dart_get_statistics(sim->dart, &statistics);
    assert_int_equal(statistics.live_mappings, 0);
}

static void reset_work(void)
{
    for (int round = 0; round < 200; round++) {
        assert_int_equal(provider_reset(sim, (enum pci_reset_kind)(round % 3)), 0);
        map_and_unmap(2, false);
    }
}

static void resets_race_with_everything(void **state)
{
    (void)state;
    run_beside(reset_work);
    assert_int_equal(config_get(0, 2), FAKE_VENDOR);
    assert_int_equal(config_get(PCI_COMMAND, 2), 0x6);
}

static void remove_work(void)
{
    map_and_unmap(20, false);
    provider_remove(sim);
    map_and_unmap(20, true);
    int fired = 0;
    for (int i = 0; i < FAKE_TIMERS; i++) {
        fired += atomic_load(&fake->fired[i]);
    }
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    int later = 0;
    for (int i = 0; i < FAKE_TIMERS; i++) {
        later += atomic_load(&fake->fired[i]);
    }
    assert_true(later <= fired + 1); /* one may have been under way */
}

static void a_device_may_go_at_any_time(void **state)
{
    (void)state;
    run_beside(remove_work);
    assert_int_equal(config_get(0, 4), 0xffffffff);
}

struct slow_handler {
    _Atomic bool is_running, may_end, has_ended, is_released;
};

static void run_slowly(void *context, unsigned vector)
{
    (void)vector;
    struct slow_handler *slow = context;
    atomic_store(&slow->is_running, true);
    while (!atomic_load(&slow->may_end)) {
    }
    atomic_store(&slow->has_ended, true);
}

static void *release_thread(void *context)
{
    struct slow_handler *slow = context;
    provider_release_interrupts(sim);
    wrong += !atomic_load(&slow->has_ended);
    atomic_store(&slow->is_released, true);
    return NULL;
}

static void release_waits_for_a_running_handler(void **state)
{
    (void)state;
    struct slow_handler slow = {0};
    unsigned granted;
    pthread_t thread;
    atomic_store(&wrong, 0);
    assert_int_equal(
        provider_configure_interrupts(sim, PCI_INTERRUPT_MSIX, 16, run_slowly, &slow, &granted), 0);
    bar_set(0, FAKE_ADDRESS, 8, 0);
    bar_set(0, FAKE_DATA, 8, 0);
    bar_set(0, FAKE_DO, 8, FAKE_ARM);
    while (!atomic_load(&slow.is_running)) {
    }
    assert_int_equal(pthread_create(&thread, NULL, release_thread, &slow), 0);
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    assert_false(atomic_load(&slow.is_released));
    atomic_store(&slow.may_end, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&wrong), 0);
}

/* Removal, on the other hand, waits for nothing the device does. */
static void removal_does_not_wait(void **state)
{
    (void)state;
    struct slow_handler slow = {0};
    unsigned granted;
    assert_int_equal(
        provider_configure_interrupts(sim, PCI_INTERRUPT_MSIX, 16, run_slowly, &slow, &granted), 0);
    bar_set(0, FAKE_ADDRESS, 8, 0);
    bar_set(0, FAKE_DATA, 8, 0);
    bar_set(0, FAKE_DO, 8, FAKE_ARM);
    while (!atomic_load(&slow.is_running)) {
    }
    provider_remove(sim);
    uint32_t word;
    assert_int_equal(provider_config_read(sim, 0, 4, &word), 0);
    assert_int_equal(word, 0xffffffff);
    assert_false(atomic_load(&slow.has_ended));
    atomic_store(&slow.may_end, true);
    provider_release_interrupts(sim); /* this one waits: the handler is on our stack */
    assert_true(atomic_load(&slow.has_ended));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sim_test(dma_races_with_unmapping),    sim_test(resets_race_with_everything),
        sim_test(a_device_may_go_at_any_time), sim_test(release_waits_for_a_running_handler),
        sim_test(removal_does_not_wait),
    };
    return cmocka_run_group_tests_name("sim threads", tests, NULL, NULL);
}
