/*
 * Interrupts: set-up, the state page, masks, the one-shot wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* The client's view of its page. */
static volatile uint64_t *map_page(struct dext_client *client)
{
    struct dext_memory memory;
    assert_code(dext_client_memory_for_type(client, 7, &memory), 0);
    void *page = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, memory.ranges[0].fd, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    return page;
}

static void unmap_page(volatile uint64_t *page)
{
    munmap((void *)(uintptr_t)page, 16384);
}

static struct dext_client *open_with_irqs(struct fixture *f, unsigned index)
{
    uint64_t out[16];
    struct dext_client *client = fixture_open_claimed(f, index);
    assert_code(CALL0(client, 13, out), 0);
    return client;
}

static void assert_statistics(struct dext_client *client, uint64_t raised, uint64_t delivered,
                              uint64_t dropped)
{
    uint64_t out[16];
    assert_code(CALL0(client, 67, out), 0);
    assert_u64(out[5], raised);
    assert_u64(out[6], delivered);
    assert_u64(out[7], dropped);
}

static void before_set_up_nothing_is_ready(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    assert_code(CALL0(client, 14, out), 0xe00002d8);
    assert_code(CALL(client, 16, out, 0, 0, 0, 0), 0xe00002d8);
    assert_code(fake_wait(client, 1), 0xe00002d8);
    assert_code(CALL0(client, 15, out), 0xe00002c2); /* no completion */
    assert_code(CALL0(client, 13, out), 0);
    assert_code(CALL0(client, 13, out), 0xe00002d2);
    assert_code(CALL0(client, 15, out), 0xe00002c2);
    fixture_tear_down(&f);
}

static void kinds_are_tried_in_order(void **state)
{
    (void)state;
    const struct {
        uint8_t capability, msix_control, msi_control;
        int msix_error, msi_error;
        unsigned most;
        uint32_t code, wanted, kind, vectors;
    } cases[] = {
        {0x40, 0x2b, 0x86, 0, 0, 256, 0, 256, 1, 256},       /* 300 in the table, 256 at most */
        {0x40, 0x2b, 0x86, 0, 0, 9, 0, 256, 1, 9},           /* fewer granted (E2) */
        {0x40, 0x2b, 0x86, -ENOTSUP, 0, 256, 0, 1, 0, 1},    /* falls to one MSI vector */
        {0x60, 0, 0x86, 0, 0, 256, 0, 8, 0, 8},              /* MSI, 2^3 */
        {0x60, 0, 0x8e, 0, 0, 256, 0, 32, 0, 32},            /* reserved power 7 */
        {0x00, 0, 0, 0, 0, 256, 0, 1, 0, 1},                 /* neither */
        {0x00, 0, 0, 0, -ENOTSUP, 256, 0xe00002c7, 1, 0, 0}, /* none to be had (E6) */
        {0x40, 0x2b, 0, -ENOMEM, -ENOMEM, 256, 0xe00002bd, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        uint64_t out[16];
        fixture_set_up(&f, NULL, NULL);
        struct dext_client *client = fixture_open_claimed(&f, 0);
        f.device->config[0x34] = cases[i].capability;
        f.device->config[0x42] = cases[i].msix_control;
        f.device->config[0x62] = cases[i].msi_control;
        f.device->irq_error[PCI_INTERRUPT_MSIX] = cases[i].msix_error;
        f.device->irq_error[PCI_INTERRUPT_MSI] = cases[i].msi_error;
        f.device->irq_most = cases[i].most;
        assert_code(CALL0(client, 13, out), cases[i].code);
        assert_u64(out[0], cases[i].vectors);
        assert_int_equal(f.device->irq_wanted, cases[i].wanted);
        assert_int_equal(f.device->irq_kind, cases[i].kind);
        if (cases[i].code) { /* nothing half-done: it may be tried again */
            assert_code(CALL0(client, 14, out), 0xe00002d8);
            f.device->irq_error[0] = f.device->irq_error[1] = 0;
            assert_code(CALL0(client, 13, out), 0);
        }
        fixture_tear_down(&f);
    }
}

static void a_small_msix_table_is_asked_for_exactly(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = fixture_open_claimed(&f, 0);
    f.device->config[0x42] = 4;
    f.device->config[0x43] = 0x80;
    assert_code(CALL0(client, 13, out), 0);
    assert_u64(out[0], 5);
    fixture_tear_down(&f);
}

static void every_vector_has_its_bit(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = open_with_irqs(&f, 0);
    for (unsigned vector = 0; vector < 256; vector++) {
        fake_device_fire(f.device, vector);
        assert_code(CALL0(client, 14, out), 0);
        for (unsigned word = 0; word < 4; word++) {
            assert_u64(out[word], word == vector / 64 ? UINT64_C(1) << (vector % 64) : 0);
        }
        assert_code(CALL0(client, 14, out), 0);
        assert_u64(out[0] | out[1] | out[2] | out[3], 0);
    }
    fake_device_fire(f.device, 256);
    fake_device_fire(f.device, UINT32_MAX);
    assert_statistics(client, 258, 256, 2);
    fixture_tear_down(&f);
}

static void the_page_is_the_clients(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = open_with_irqs(&f, 0);
    volatile uint64_t *page = map_page(client);
    for (unsigned i = 0; i < 4; i++) {
        assert_u64(page[i], 0);
        assert_u64(page[4 + i], UINT64_MAX);
    }
    fake_device_fire(f.device, 65);
    assert_u64(page[1], 2);
    page[1] = 0;
    assert_code(CALL0(client, 14, out), 0);
    assert_u64(out[1], 0);
    page[4] = ~UINT64_C(8); /* vector 3 off */
    fake_device_fire(f.device, 3);
    fake_device_fire(f.device, 4);
    assert_u64(page[0], 16);
    assert_code(CALL(client, 16, out, 1, 2, 3, 4), 0);
    assert_u64(page[4], 1);
    assert_u64(page[5], 2);
    assert_u64(page[6], 3);
    assert_u64(page[7], 4);
    unmap_page(page);
    fixture_tear_down(&f);
}

static void masked_vectors_are_dropped_and_counted(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = open_with_irqs(&f, 0);
    assert_code(CALL(client, 16, out, 0, UINT64_C(1) << 63, 0, 0), 0);
    assert_code(fake_wait(client, 5), 0);
    fake_device_fire(f.device, 0);
    fake_device_fire(f.device, 126);
    fake_device_fire(f.device, 255);
    assert_int_equal(f.contexts[0].completions, 0);
    fake_device_fire(f.device, 127);
    assert_int_equal(f.contexts[0].completions, 1);
    assert_code(CALL0(client, 14, out), 0);
    assert_u64(out[1], UINT64_C(1) << 63);
    assert_u64(out[0] | out[2] | out[3], 0);
    assert_statistics(client, 4, 1, 3);
    /* Enabled again, the vectors that were dropped do not come back (field note E1). */
    assert_code(CALL(client, 16, out, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX), 0);
    assert_code(CALL0(client, 14, out), 0);
    assert_u64(out[0] | out[1] | out[2] | out[3], 0);
    fixture_tear_down(&f);
}

static void a_wait_completes_once(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = open_with_irqs(&f, 0);
    const struct fake_client *seen = &f.contexts[0];
    assert_code(fake_wait(client, 11), 0);
    assert_int_equal(seen->completions, 0);
    fake_device_fire(f.device, 3);
    assert_int_equal(seen->completions, 1);
    assert_u64(seen->last_token, 11);
    assert_code(seen->last_status, 0);
    assert_int_equal(seen->last_count, 0);
    fake_device_fire(f.device, 4);
    assert_int_equal(seen->completions, 1);
    /* Still pending: the next wait completes at once. */
    assert_code(fake_wait(client, 12), 0);
    assert_int_equal(seen->completions, 2);
    assert_u64(seen->last_token, 12);
    assert_code(CALL0(client, 14, out), 0);
    assert_u64(out[0], 0x18);
    assert_code(fake_wait(client, 13), 0);
    assert_int_equal(seen->completions, 2);
    /* A newer wait replaces the older, which is never heard of again. */
    assert_code(fake_wait(client, 14), 0);
    fake_device_fire(f.device, 200);
    assert_int_equal(seen->completions, 3);
    assert_u64(seen->last_token, 14);
    fixture_tear_down(&f);
}

static void a_bit_pending_and_masked_wakes_too(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = open_with_irqs(&f, 0);
    fake_device_fire(f.device, 192);
    assert_code(CALL(client, 16, out, 0, 0, 0, 0), 0);
    assert_code(fake_wait(client, 1), 0);
    assert_int_equal(f.contexts[0].completions, 1);
    fixture_tear_down(&f);
}

static void every_client_gets_every_vector(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *a = open_with_irqs(&f, 0);
    unsigned wanted = f.device->irq_wanted;
    struct dext_client *b = open_with_irqs(&f, 1);
    assert_int_equal(wanted, f.device->irq_wanted);
    fixture_open_claimed(&f, 2); /* never sets up */
    assert_code(fake_wait(a, 1), 0);
    assert_code(fake_wait(b, 2), 0);
    assert_code(CALL(b, 16, out, ~UINT64_C(1), 0, 0, 0), 0);
    fake_device_fire(f.device, 0);
    assert_int_equal(f.contexts[0].completions, 1);
    assert_int_equal(f.contexts[1].completions, 0);
    assert_statistics(a, 1, 1, 1);
    fake_device_fire(f.device, 1);
    assert_int_equal(f.contexts[1].completions, 1);
    fixture_stop(&f, 0);
    fake_device_fire(f.device, 2);
    assert_code(CALL0(b, 14, out), 0);
    assert_u64(out[0], 6);
    /* The last that listened goes, a claim stays: vectors are dropped, a new client gets them. */
    fixture_stop(&f, 1);
    fake_device_fire(f.device, 3);
    a = open_with_irqs(&f, 0);
    fake_device_fire(f.device, 4);
    assert_code(CALL0(a, 14, out), 0);
    assert_u64(out[0], 16);
    assert_statistics(a, 5, 5, 2);
    fixture_tear_down(&f);
}

static void a_gone_device_gives_no_interrupts(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t out[16];
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *a = open_with_irqs(&f, 0);
    struct dext_client *b = fixture_open_claimed(&f, 1);
    assert_code(fake_wait(a, 1), 0);
    dext_device_removed(f.dext);
    assert_int_equal(f.contexts[0].completions, 0);
    assert_code(CALL0(b, 13, out), 0xe00002c0);
    fixture_tear_down(&f);
}

/* The word at 0x40: 1 while there may be more, 2 once there will be none. */
static void the_page_tells_of_the_end(void **state)
{
    (void)state;
    for (unsigned end = 0; end < 3; end++) {
        struct fixture f;
        uint64_t out[16];
        fixture_set_up(&f, NULL, NULL);
        struct dext_client *a = open_with_irqs(&f, 0);
        struct dext_client *b = open_with_irqs(&f, 1);
        volatile uint64_t *page_a = map_page(a);
        volatile uint64_t *page_b = map_page(b);
        fake_device_fire(f.device, 5);
        assert_u64(page_a[8], 1);
        if (end == 0) {
            fixture_stop(&f, 0);
        } else if (end == 1) {
            dext_device_removed(f.dext);
        } else {
            assert_code(CALL0(b, 2, out), 0); /* Terminate, by another client */
        }
        assert_u64(page_a[8], 2);
        assert_u64(page_b[8], end == 0 ? 1 : 2);
        assert_u64(page_a[0], 1 << 5); /* what came before stays to be taken */
        unmap_page(page_a);
        unmap_page(page_b);
        fixture_tear_down(&f);
    }
}

/* Client and device at the same bits: what was set is taken, once. */
enum { STORM_ROUNDS = 20000, STORM_VECTORS = 3 };
static atomic_bool storm_is_over;

static void *fire_storm(void *opaque)
{
    struct fake_device *device = opaque;
    for (unsigned i = 0; i < STORM_ROUNDS; i++) {
        fake_device_fire(device, i % STORM_VECTORS);
    }
    atomic_store(&storm_is_over, true);
    return NULL;
}

static void clearing_while_it_fires_takes_nothing_twice(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t thread;
    uint64_t out[16];
    unsigned long taken[STORM_VECTORS] = {0};
    fixture_set_up(&f, NULL, NULL);
    struct dext_client *client = open_with_irqs(&f, 0);
    uint64_t *page = (uint64_t *)(uintptr_t)map_page(client);
    assert_int_equal(pthread_create(&thread, NULL, fire_storm, f.device), 0);
    bool has_ended = false;
    while (!has_ended) {
        has_ended = atomic_load(&storm_is_over); /* and one look more */
        uint64_t word = __atomic_exchange_n(&page[0], 0, __ATOMIC_ACQ_REL);
        assert_u64(word & ~UINT64_C(7), 0);
        for (unsigned vector = 0; vector < STORM_VECTORS; vector++) {
            taken[vector] += word >> vector & 1;
        }
    }
    pthread_join(thread, NULL);
    for (unsigned vector = 0; vector < STORM_VECTORS; vector++) {
        assert_true(taken[vector] >= 1); /* storms coalesce, the last one is never lost */
        assert_true(taken[vector] <= STORM_ROUNDS / STORM_VECTORS + 1);
    }
    assert_code(CALL0(client, 14, out), 0);
    assert_u64(out[0], 0);
    unmap_page(page);
    fixture_tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_set_up_nothing_is_ready),
        cmocka_unit_test(kinds_are_tried_in_order),
        cmocka_unit_test(a_small_msix_table_is_asked_for_exactly),
        cmocka_unit_test(every_vector_has_its_bit),
        cmocka_unit_test(the_page_is_the_clients),
        cmocka_unit_test(masked_vectors_are_dropped_and_counted),
        cmocka_unit_test(a_wait_completes_once),
        cmocka_unit_test(a_bit_pending_and_masked_wakes_too),
        cmocka_unit_test(every_client_gets_every_vector),
        cmocka_unit_test(a_gone_device_gives_no_interrupts),
        cmocka_unit_test(the_page_tells_of_the_end),
        cmocka_unit_test(clearing_while_it_fires_takes_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
