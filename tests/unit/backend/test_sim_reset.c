/*
 * Unit tests of the sim back end's resets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include "provider/pci_registers.h"

static struct seen_interrupts seen;

/* Everything the kernel owns is set to something that a reset would lose. */
static void set_up(void)
{
    unsigned granted;
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(provider_configure_interrupts(sim, PCI_INTERRUPT_MSIX, 16, count_interrupt,
                                                   &seen, &granted),
                     0);
    config_set(PCI_CACHE_LINE_SIZE, 1, 0x10);
    config_set(PCI_INTERRUPT_LINE, 1, 0x0b);
    config_set(fake->express + 8, 2, 0x5057);
    config_set(fake->express + 0x28, 2, 0x0009);
    bar_set(0, FAKE_SCRATCH, 4, 0x77);
    config_set(PCI_COMMAND, 2, 0x7);
}

static void assert_restored(void)
{
    assert_int_equal(config_get(0, 4), FAKE_VENDOR | (uint32_t)FAKE_DEVICE << 16);
    assert_int_equal(config_get(PCI_COMMAND, 2), 0x7);
    assert_int_equal(config_get(0x10, 4), 0x80000000);
    assert_int_equal(config_get(0x14, 4), 0x1001);
    assert_int_not_equal(config_get(0x1c, 4), 0);
    assert_int_equal(config_get(PCI_CACHE_LINE_SIZE, 1), 0x10);
    assert_int_equal(config_get(PCI_INTERRUPT_LINE, 1), 0x0b);
    assert_int_equal(config_get(fake->express + 8, 2), 0x5057);
    assert_int_equal(config_get(fake->express + 0x28, 2), 0x0009);
    assert_int_equal(config_get(fake->power + 4, 2) & 3, 0);
    /* The device's own state is gone, its vectors work. */
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0);
    device_do(FAKE_MSIX, 0, 9);
    assert_int_equal(atomic_load(&seen.vectors[9]), 1);
}

static void each_reset_restores_what_the_kernel_owns(void **state)
{
    (void)state;
    for (int kind = PCI_RESET_FUNCTION; kind <= PCI_RESET_HOT; kind++) {
        set_up();
        assert_int_equal(provider_reset(sim, (enum pci_reset_kind)kind), 0);
        assert_int_equal(fake->resets[kind], 1);
        assert_restored();
    }
    assert_int_equal(fake->resets[0] + fake->resets[1] + fake->resets[2], 3);
}

static void msi_is_programmed_again(void **state)
{
    (void)state;
    unsigned granted;
    assert_int_equal(
        provider_configure_interrupts(sim, PCI_INTERRUPT_MSI, 8, count_interrupt, &seen, &granted),
        0);
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(provider_reset(sim, PCI_RESET_FUNCTION), 0);
    assert_int_equal(config_get(fake->msi + 2, 2), 0x0186 | 3 << 4 | 1);
    device_do(FAKE_MSI, 0, 7);
    assert_int_equal(atomic_load(&seen.vectors[7]), 1);
}

static void resets_the_device_does_not_have_say_so(void **state)
{
    (void)state;
    config_space_set(&fake->config, fake->express + 4, 4, 0);
    assert_int_equal(provider_reset(sim, PCI_RESET_FUNCTION), -ENOTSUP);
    config_space_set(&fake->config, fake->power + 4, 2, PCI_POWER_NO_SOFT_RESET);
    assert_int_equal(provider_reset(sim, PCI_RESET_POWER), -ENOTSUP);
    assert_int_equal(provider_reset(sim, (enum pci_reset_kind)3), -EINVAL);
    assert_int_equal(fake->resets[0] + fake->resets[1] + fake->resets[2], 0);
    assert_int_equal(config_get(PCI_COMMAND, 2), 0x6);
    provider_remove(sim);
    assert_int_equal(provider_reset(sim, PCI_RESET_HOT), -ENODEV);
}

/* By hand nobody saves and restores: addresses and decode are gone, as on hardware, until the
 * kernel's own reset puts them back. */
static void a_client_can_reset_by_config_writes(void **state)
{
    (void)state;
    unsigned control = fake->express + 8;
    config_set(control, 2, config_get(control, 2) | 0x8000);
    assert_int_equal(fake->resets[PCI_RESET_FUNCTION], 1);
    assert_int_equal(config_get(control, 2) & 0x8000, 0);
    assert_int_equal(config_get(0x10, 4), 0);
    assert_int_equal(config_get(PCI_COMMAND, 2), 0);
    config_set(PCI_COMMAND, 2, 0x6);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xffffffff);
    assert_int_equal(provider_reset(sim, PCI_RESET_HOT), 0);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0);

    config_set(control + 1, 1, 0x80); /* the byte alone */
    assert_int_equal(fake->resets[PCI_RESET_FUNCTION], 2);
    config_set(control, 4, 0x8000); /* together with its neighbour */
    assert_int_equal(fake->resets[PCI_RESET_FUNCTION], 3);
    config_set(control, 1, 0x80); /* the other byte */
    config_set(control + 2, 2, 0x8080);
    assert_int_equal(fake->resets[PCI_RESET_FUNCTION], 3);

    config_set(fake->power + 4, 2, 3);
    assert_int_equal(fake->resets[PCI_RESET_POWER], 0);
    config_set(fake->power + 4, 1, 0);
    assert_int_equal(fake->resets[PCI_RESET_POWER], 1);
}

static void no_soft_reset_keeps_the_state(void **state)
{
    (void)state;
    config_space_set(&fake->config, fake->power + 4, 2, PCI_POWER_NO_SOFT_RESET);
    bar_set(0, FAKE_SCRATCH, 4, 0x77);
    config_set(fake->power + 4, 2, 3);
    config_set(fake->power + 4, 2, 0);
    assert_int_equal(fake->resets[PCI_RESET_POWER], 0);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0x77);
}

/* F5: a device that needs longer than the reset gets its registers back when it answers; a second
 * reset in between does not save the ruins. */
static void a_late_device_is_restored_when_it_answers(void **state)
{
    (void)state;
    set_up();
    fake->answer_after_reset = CONFIG_ANSWER_RETRY;
    assert_int_equal(provider_reset(sim, PCI_RESET_FUNCTION), 0);
    assert_int_equal(config_get(0, 2), 0x0001);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xffffffff);
    assert_int_equal(provider_reset(sim, PCI_RESET_FUNCTION), 0);
    assert_int_equal(fake->resets[PCI_RESET_FUNCTION], 1); /* it did not hear of that one */
    fake->answer_after_reset = CONFIG_ANSWER_NONE;
    assert_int_equal(provider_reset(sim, PCI_RESET_HOT), 0);
    assert_int_equal(config_get(0, 4), 0xffffffff);
    fake->config.answer = CONFIG_ANSWER_NORMAL;
    assert_restored();
}

static void close_is_not_undone_by_a_late_restore(void **state)
{
    (void)state;
    set_up();
    fake->answer_after_reset = CONFIG_ANSWER_RETRY;
    assert_int_equal(provider_reset(sim, PCI_RESET_HOT), 0);
    provider_close(sim);
    assert_int_equal(provider_open(sim), 0);
    fake->config.answer = CONFIG_ANSWER_NORMAL;
    assert_int_equal(config_get(PCI_COMMAND, 2), 0x1);
    assert_int_equal(config_get(fake->msix + 2, 2) & 0x8000, 0);
}

static void reset_cancels_timers(void **state)
{
    (void)state;
    int fired;
    do {
        fired = atomic_load(&fake->fired[0]);
        device_do(FAKE_ARM, 20000000, 0);
        assert_int_equal(provider_reset(sim, PCI_RESET_HOT), 0);
    } while (atomic_load(&fake->fired[0]) != fired); /* it was due before the reset */
    device_do(FAKE_ARM, 60000000, 1);
    while (atomic_load(&fake->fired[1]) == 0) {
    }
    assert_int_equal(atomic_load(&fake->fired[0]), fired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sim_test(each_reset_restores_what_the_kernel_owns),
        sim_test(msi_is_programmed_again),
        sim_test(resets_the_device_does_not_have_say_so),
        sim_test(a_client_can_reset_by_config_writes),
        sim_test(no_soft_reset_keeps_the_state),
        sim_test(a_late_device_is_restored_when_it_answers),
        sim_test(close_is_not_undone_by_a_late_restore),
        sim_test(reset_cancels_timers),
    };
    return cmocka_run_group_tests_name("sim reset", tests, NULL, NULL);
}
