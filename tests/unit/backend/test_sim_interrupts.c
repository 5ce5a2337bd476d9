/*
 * Unit tests of the sim back end's interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include "provider/pci_registers.h"

static struct seen_interrupts seen;

static unsigned configure(enum pci_interrupt_kind kind, unsigned wanted, int expected)
{
    unsigned granted = 0;
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(
        provider_configure_interrupts(sim, kind, wanted, count_interrupt, &seen, &granted),
        expected);
    return granted;
}

static void msix_vectors_arrive(void **state)
{
    (void)state;
    device_do(FAKE_MSIX, 0, 5);
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 256, 0), FAKE_VECTORS);
    assert_int_equal(config_get(fake->msix + 2, 2), 0x8000 | (FAKE_VECTORS - 1));
    for (unsigned vector = 0; vector < FAKE_VECTORS; vector++) {
        assert_int_equal(fake->table[vector][2], vector);
        assert_int_equal(fake->table[vector][3], 0);
        assert_int_not_equal(fake->table[vector][0], 0);
    }
    assert_int_equal(atomic_load(&seen.total), 0);
    device_do(FAKE_MSIX, 0, 5);
    device_do(FAKE_MSIX, 0, 15);
    device_do(FAKE_MSIX, 0, 15);
    assert_int_equal(atomic_load(&seen.total), 3);
    assert_int_equal(atomic_load(&seen.vectors[5]), 1);
    assert_int_equal(atomic_load(&seen.vectors[15]), 2);
}

static void msix_is_set_up_with_decode_off_too(void **state)
{
    (void)state;
    config_set(PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 2, 0), 2);
    assert_int_equal(config_get(PCI_COMMAND, 2), PCI_COMMAND_BUS_MASTER);
    assert_int_equal(fake->table[1][3], 0);
    /* Not granted: masked. */
    assert_int_equal(fake->table[2][3], 1);
}

/* E4: rounded up to a power of two, never past what the device has. */
static void msi_counts_are_powers_of_two(void **state)
{
    (void)state;
    assert_int_equal(configure(PCI_INTERRUPT_MSI, 3, 0), 4);
    assert_int_equal(config_get(fake->msi + 2, 2), 0x0186 | (2 << 4) | 1);
    assert_int_equal(config_get(fake->msi + 16, 4), 0);
    device_do(FAKE_MSI, 0, 3);
    device_do(FAKE_MSI, 0, 6); /* folds onto 2 with four granted */
    assert_int_equal(atomic_load(&seen.vectors[3]), 1);
    assert_int_equal(atomic_load(&seen.vectors[2]), 1);
    provider_release_interrupts(sim);
    assert_int_equal(config_get(fake->msi + 2, 2) & 1, 0);
    device_do(FAKE_MSI, 0, 3);
    assert_int_equal(atomic_load(&seen.total), 2);
}

static void msi_is_limited_by_the_device(void **state)
{
    (void)state;
    assert_int_equal(configure(PCI_INTERRUPT_MSI, 256, 0), 8);
    device_do(FAKE_MSI, 0, 7);
    assert_int_equal(atomic_load(&seen.vectors[7]), 1);
}

/* E5: what the first owner got is all there will be. */
static void the_first_allocation_is_kept(void **state)
{
    (void)state;
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 4, 0), 4);
    provider_release_interrupts(sim);
    configure(PCI_INTERRUPT_MSI, 1, -ENOTSUP);
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 16, 0), 4);
    provider_close(sim);
    assert_int_equal(provider_open(sim), 0);
    config_set(PCI_COMMAND, 2, 0x6);
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 2, 0), 2);
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 16, 0), 4);
    device_do(FAKE_MSIX, 0, 3);
    device_do(FAKE_MSIX, 0, 4); /* masked */
    assert_int_equal(atomic_load(&seen.total), 1);
}

static void nothing_arrives_after_release_or_close(void **state)
{
    (void)state;
    configure(PCI_INTERRUPT_MSIX, 16, 0);
    provider_release_interrupts(sim);
    provider_release_interrupts(sim);
    assert_int_equal(config_get(fake->msix + 2, 2) & 0x8000, 0);
    device_do(FAKE_MSIX, 0, 1);
    /* A message that was programmed by hand does not reach a handler that is gone either. */
    device_do(FAKE_MESSAGE, fake->table[0][0], 0);
    assert_int_equal(atomic_load(&seen.total), 0);
    configure(PCI_INTERRUPT_MSIX, 16, 0);
    provider_close(sim);
    assert_int_equal(provider_open(sim), 0);
    config_set(PCI_COMMAND, 2, 0x6);
    device_do(FAKE_MSIX, 0, 1);
    assert_int_equal(atomic_load(&seen.total), 0);
}

static void messages_need_bus_master(void **state)
{
    (void)state;
    configure(PCI_INTERRUPT_MSIX, 16, 0);
    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    device_do(FAKE_MSIX, 0, 1);
    assert_int_equal(atomic_load(&seen.total), 0);
    config_set(PCI_COMMAND, 2, 0x6);
    device_do(FAKE_MSIX, 0, 1);
    assert_int_equal(atomic_load(&seen.total), 1);
}

static void other_messages_are_memory_writes(void **state)
{
    (void)state;
    configure(PCI_INTERRUPT_MSIX, 16, 0);
    struct client_memory client = {0};
    client_memory_map(&client);
    device_do(FAKE_MESSAGE, client.mapping->bus_address + 4, 0x44332211);
    const uint8_t expected[] = {0, 0x11, 0x22, 0x33, 0x44, 0};
    assert_memory_equal(client.bytes + 3, expected, sizeof(expected));
    struct dart_statistics statistics;
    dart_get_statistics(sim->dart, &statistics);
    assert_int_equal(statistics.faults, 0);
    device_do(FAKE_MESSAGE, 0xfee00000, 1);
    dart_get_statistics(sim->dart, &statistics);
    assert_int_equal(statistics.faults, 1);
    /* At the doorbell, but no vector of ours. */
    device_do(FAKE_MESSAGE, fake->table[0][0], 16);
    device_do(FAKE_MESSAGE, fake->table[0][0], 0xffffffff);
    assert_int_equal(atomic_load(&seen.total), 0);
    provider_dma_unmap(sim, client.mapping);
}

static void devices_without_the_kind_say_so(void **state)
{
    (void)state;
    config_space_set(&fake->config, fake->msi, 1, 0x09); /* now a vendor capability */
    configure(PCI_INTERRUPT_MSI, 1, -ENOTSUP);
    config_space_set(&fake->config, fake->msix + 4, 4, 0x3ff8); /* past the end of BAR 0 */
    configure(PCI_INTERRUPT_MSIX, 1, -ENOTSUP);
    config_space_set(&fake->config, fake->msix + 4, 4, FAKE_MSIX_TABLE | 7);
    configure(PCI_INTERRUPT_MSIX, 1, -ENOTSUP);
    config_space_set(&fake->config, fake->msix + 4, 4, FAKE_MSIX_TABLE);
    assert_int_equal(configure(PCI_INTERRUPT_MSIX, 1, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sim_test(msix_vectors_arrive),
        sim_test(msix_is_set_up_with_decode_off_too),
        sim_test(msi_counts_are_powers_of_two),
        sim_test(msi_is_limited_by_the_device),
        sim_test(the_first_allocation_is_kept),
        sim_test(nothing_arrives_after_release_or_close),
        sim_test(messages_need_bus_master),
        sim_test(other_messages_are_memory_writes),
        sim_test(devices_without_the_kind_say_so),
    };
    return cmocka_run_group_tests_name("sim interrupts", tests, NULL, NULL);
}
