/*
 * Unit tests of the provider's checks, over a fake back end that counts its calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "abi/dext_abi.h"
#include "provider/pci_provider.h"

struct fake {
    struct pci_provider provider; /* first */
    int opens, closes, removes, destroys;
    int reads, writes, configures, releases, resets, dma_maps, dma_unmaps;
    int open_result, dma_result;
    uint64_t last_value;
    uint8_t config[4096];
};

static struct fake *fake_of(struct pci_provider *provider)
{
    return (struct fake *)provider;
}

static int fake_open(struct pci_provider *provider)
{
    fake_of(provider)->opens++;
    return fake_of(provider)->open_result;
}

static void fake_close(struct pci_provider *provider)
{
    fake_of(provider)->closes++;
}

static int fake_config_read(struct pci_provider *provider, unsigned offset, unsigned width,
                            uint32_t *value)
{
    fake_of(provider)->reads++;
    *value = 0;
    memcpy(value, fake_of(provider)->config + offset, width);
    return 0;
}

static int fake_config_write(struct pci_provider *provider, unsigned offset, unsigned width,
                             uint32_t value)
{
    fake_of(provider)->writes++;
    fake_of(provider)->last_value = value;
    memcpy(fake_of(provider)->config + offset, &value, width);
    return 0;
}

/* BAR 0: 32-bit, 4 KiB. BAR 1: I/O, 32 bytes. BAR 2+3: 64-bit, 1 MiB. BAR 4 unused. BAR 5: 16 B. */
static int fake_bar_info(struct pci_provider *provider, unsigned bar, struct pci_bar_info *info)
{
    static const struct pci_bar_info bars[] = {
        {.bytes = 4096, .type = DEXT_BAR_TYPE_M32},
        {.bytes = 32, .type = DEXT_BAR_TYPE_IO},
        {.bytes = 1 << 20, .type = DEXT_BAR_TYPE_M64PF},
        {0},
        {0},
        {.bytes = 16, .type = DEXT_BAR_TYPE_M32},
    };
    assert_true(bar < 6);
    *info = bars[bar];
    return bars[bar].bytes ? 0 : -ENOENT;
}

static int fake_memory_read(struct pci_provider *provider, unsigned bar, uint64_t offset,
                            unsigned width, uint64_t *value)
{
    fake_of(provider)->reads++;
    *value = bar * 0x1000u + offset;
    return 0;
}

static int fake_memory_write(struct pci_provider *provider, unsigned bar, uint64_t offset,
                             unsigned width, uint64_t value)
{
    fake_of(provider)->writes++;
    fake_of(provider)->last_value = value;
    return 0;
}

static int fake_bar_memory(struct pci_provider *provider, unsigned bar,
                           struct pci_bar_memory *memory)
{
    *memory = (struct pci_bar_memory){.bytes = 77};
    return 0;
}

static int fake_configure(struct pci_provider *provider, enum pci_interrupt_kind kind,
                          unsigned wanted, pci_interrupt_fn handler, void *context,
                          unsigned *granted)
{
    fake_of(provider)->configures++;
    *granted = wanted;
    return 0;
}

static void fake_release(struct pci_provider *provider)
{
    fake_of(provider)->releases++;
}

static int fake_reset(struct pci_provider *provider, enum pci_reset_kind kind)
{
    fake_of(provider)->resets++;
    return 0;
}

static int fake_dma_map(struct pci_provider *provider, const struct dart_mapping *mapping,
                        struct dma_memory *memory, uint64_t offset, enum dart_direction direction)
{
    fake_of(provider)->dma_maps++;
    return fake_of(provider)->dma_result;
}

static void fake_dma_unmap(struct pci_provider *provider, const struct dart_mapping *mapping)
{
    struct dart_statistics statistics;
    dart_get_statistics(provider->dart, &statistics);
    assert_int_equal(statistics.live_mappings, 1); /* told before the mapping goes */
    fake_of(provider)->dma_unmaps++;
}

static void fake_remove(struct pci_provider *provider)
{
    fake_of(provider)->removes++;
}

static void fake_destroy(struct pci_provider *provider)
{
    fake_of(provider)->destroys++;
    dart_destroy(provider->dart);
}

static const struct pci_provider_ops fake_ops = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .config_read = fake_config_read,
    .config_write = fake_config_write,
    .bar_info = fake_bar_info,
    .memory_read = fake_memory_read,
    .memory_write = fake_memory_write,
    .bar_memory = fake_bar_memory,
    .configure_interrupts = fake_configure,
    .release_interrupts = fake_release,
    .reset = fake_reset,
    .dma_map = fake_dma_map,
    .dma_unmap = fake_dma_unmap,
    .remove = fake_remove,
    .destroy = fake_destroy,
};

static void no_handler(void *context, unsigned vector)
{
}

static struct fake fake;
static struct pci_provider *const provider = &fake.provider;

static int make_fake(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.provider.ops = &fake_ops;
    return dart_create(NULL, NULL, NULL, &fake.provider.dart);
}

static int make_open_fake(void **state)
{
    return make_fake(state) == 0 ? provider_open(provider) : -1;
}

static int end_fake(void **state)
{
    (void)state;
    provider_destroy(provider);
    return fake.destroys == 1 && fake.opens == fake.closes ? 0 : -1;
}

static void open_state_is_kept(void **state)
{
    (void)state;
    fake.open_result = -EBUSY;
    assert_int_equal(provider_open(provider), -EBUSY);
    assert_false(provider->is_open);
    fake.open_result = 0;
    fake.opens = 0;
    assert_int_equal(provider_open(provider), 0);
    assert_true(provider->is_open);
    assert_int_equal(provider_open(provider), -EBUSY);
    assert_int_equal(fake.opens, 1);
    provider_close(provider);
    provider_close(provider);
    assert_int_equal(fake.closes, 1);
    assert_int_equal(provider_open(provider), 0);
    provider_destroy(NULL);
}

static void a_closed_provider_reads_ones(void **state)
{
    (void)state;
    uint32_t word = 0;
    uint64_t value = 0;
    unsigned granted;
    struct pci_bar_memory memory;
    assert_int_equal(provider_config_read(provider, 0, 2, &word), -ENOTCONN);
    assert_int_equal(word, 0xffff);
    assert_int_equal(provider_config_write(provider, 4, 2, 6), -ENOTCONN);
    assert_int_equal(provider_memory_read(provider, 0, 0, 8, &value), -ENOTCONN);
    assert_true(value == UINT64_MAX);
    assert_int_equal(provider_memory_write(provider, 0, 0, 4, 1), -ENOTCONN);
    assert_int_equal(provider_bar_memory(provider, 0, &memory), -ENOTCONN);
    assert_int_equal(provider_reset(provider, PCI_RESET_HOT), -ENOTCONN);
    assert_int_equal(
        provider_configure_interrupts(provider, PCI_INTERRUPT_MSI, 1, no_handler, NULL, &granted),
        -ENOTCONN);
    assert_int_equal(provider_find_capability(provider, 0x10), 0);
    assert_int_equal(fake.reads + fake.writes + fake.resets + fake.configures, 0);
    struct pci_bar_info info;
    assert_int_equal(provider_bar_info(provider, 0, &info), 0);
}

static void config_arguments_are_checked(void **state)
{
    (void)state;
    const struct {
        uint64_t offset, width;
    } bad[] = {{0, 0},
               {0, 3},
               {0, 8},
               {0, 5},
               {1, 2},
               {2, 4},
               {3, 4},
               {4096, 1},
               {4094, 4},
               {UINT64_MAX, 1},
               {UINT64_MAX - 3, 4},
               {0, UINT64_MAX},
               {UINT64_C(1) << 32, 4},
               {0, (UINT64_C(1) << 32) + 4}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t value = 0;
        assert_int_equal(provider_config_read(provider, bad[i].offset, bad[i].width, &value),
                         -EINVAL);
        assert_int_not_equal(value, 0);
        assert_int_equal(provider_config_write(provider, bad[i].offset, bad[i].width, 0), -EINVAL);
    }
    assert_int_equal(fake.reads + fake.writes, 0);
    uint32_t value;
    assert_int_equal(provider_config_write(provider, 4095, 1, 0x1234), 0);
    assert_int_equal(fake.last_value, 0x34);
    assert_int_equal(provider_config_read(provider, 4092, 4, &value), 0);
    assert_int_equal(value, 0x34000000);
}

static void memory_arguments_are_checked(void **state)
{
    (void)state;
    const struct {
        uint64_t bar, offset, width;
        int result;
    } bad[] = {
        {0, 0, 0, -EINVAL},
        {0, 0, 3, -EINVAL},
        {0, 0, 16, -EINVAL},
        {0, 1, 2, -EINVAL},
        {0, 4, 8, -EINVAL},
        {0, 4096, 1, -EINVAL},
        {0, 4092, 8, -EINVAL},
        {0, UINT64_MAX, 1, -EINVAL},
        {0, UINT64_MAX - 7, 8, -EINVAL},
        {0, 0, UINT64_MAX, -EINVAL},
        {3, 0, 4, -ENOENT},
        {4, 0, 4, -ENOENT},
        {6, 0, 4, -ENOENT},
        {255, 0, 4, -ENOENT},
        {UINT64_MAX, 0, 4, -ENOENT},
        {UINT64_C(1) << 32, 0, 4, -ENOENT},
        {5, 16, 4, -EINVAL},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t value = 0;
        assert_int_equal(
            provider_memory_read(provider, bad[i].bar, bad[i].offset, bad[i].width, &value),
            bad[i].result);
        assert_true(value != 0);
        assert_int_equal(
            provider_memory_write(provider, bad[i].bar, bad[i].offset, bad[i].width, 0),
            bad[i].result);
    }
    assert_int_equal(fake.reads + fake.writes, 0);
    uint64_t value;
    assert_int_equal(provider_memory_read(provider, 0, 4088, 8, &value), 0);
    assert_int_equal(value, 4088);
    assert_int_equal(provider_memory_write(provider, 2, 0, 1, 0xabcd), 0);
    assert_int_equal(fake.last_value, 0xcd);
}

static void bars_have_memory_indices(void **state)
{
    (void)state;
    const int index_of[] = {0, 1, 2, -1, -1, 3};
    struct pci_bar_info info;
    for (unsigned bar = 0; bar < 6; bar++) {
        assert_int_equal(provider_bar_info(provider, bar, &info), index_of[bar] < 0 ? -ENOENT : 0);
        if (index_of[bar] >= 0) {
            assert_int_equal(info.memory_index, index_of[bar]);
            assert_int_equal(provider_bar_of_memory_index(provider, info.memory_index), bar);
        }
    }
    assert_int_equal(provider_bar_info(provider, 6, &info), -ENOENT);
    assert_int_equal(provider_bar_info(provider, 255, &info), -ENOENT);
    assert_int_equal(provider_bar_info(provider, UINT64_C(1) << 32, &info), -ENOENT);
    assert_int_equal(provider_bar_of_memory_index(provider, 4), -ENOENT);
    assert_int_equal(provider_bar_of_memory_index(provider, UINT64_MAX), -ENOENT);
    struct pci_bar_memory memory;
    assert_int_equal(provider_bar_memory(provider, 1, &memory), -ENOTSUP);
    assert_int_equal(provider_bar_memory(provider, 3, &memory), -ENOENT);
    assert_int_equal(provider_bar_memory(provider, 6, &memory), -ENOENT);
    assert_int_equal(provider_bar_memory(provider, 2, &memory), 0);
    assert_int_equal(memory.bytes, 77);
}

static void put32(unsigned offset, uint32_t value)
{
    memcpy(fake.config + offset, &value, sizeof(value));
}

static void capabilities_are_found(void **state)
{
    (void)state;
    assert_int_equal(provider_find_capability(provider, 0x10), 0); /* status bit 4 clear */
    put32(0x04, 0x00100000);
    assert_int_equal(provider_find_capability(provider, 0x10), 0); /* pointer 0 */
    fake.config[0x34] = 0x43;                                      /* low two bits are reserved */
    put32(0x40, 0x00006001);
    put32(0x60, 0x00008005);
    put32(0x80, 0x00000010);
    assert_int_equal(provider_find_capability(provider, 0x01), 0x40);
    assert_int_equal(provider_find_capability(provider, 0x05), 0x60);
    assert_int_equal(provider_find_capability(provider, 0x10), 0x80);
    assert_int_equal(provider_find_capability(provider, 0x11), 0);
}

/* B8: malformed lists. */
static void broken_lists_end(void **state)
{
    (void)state;
    put32(0x04, 0x00100000);
    fake.config[0x34] = 0x40;
    put32(0x40, 0x00004001); /* to itself */
    assert_int_equal(provider_find_capability(provider, 0x10), 0);
    put32(0x40, 0x00005001);
    put32(0x50, 0x00004005); /* a ring of two */
    fake.reads = 0;
    assert_int_equal(provider_find_capability(provider, 0x10), 0);
    assert_true(fake.reads <= 2 + 48);
    put32(0x40, 0x00000401); /* into the header */
    assert_int_equal(provider_find_capability(provider, 0x10), 0);
    memset(fake.config, 0xff, sizeof(fake.config));
    assert_int_equal(provider_find_capability(provider, 0xff), 0);
}

static void interrupt_arguments_are_checked(void **state)
{
    (void)state;
    unsigned granted = 0;
    pci_interrupt_fn handler = no_handler;
    enum pci_interrupt_kind kind = PCI_INTERRUPT_MSIX;
    assert_int_equal(provider_configure_interrupts(provider, kind, 0, handler, NULL, &granted),
                     -EINVAL);
    assert_int_equal(provider_configure_interrupts(provider, kind, 257, handler, NULL, &granted),
                     -EINVAL);
    assert_int_equal(provider_configure_interrupts(provider, kind, 1, NULL, NULL, &granted),
                     -EINVAL);
    assert_int_equal(fake.configures, 0);
    assert_int_equal(provider_configure_interrupts(provider, kind, 256, handler, NULL, &granted),
                     0);
    assert_int_equal(granted, 256);
    provider_release_interrupts(provider);
    assert_int_equal(fake.releases, 1);
    struct pci_link_state link;
    assert_int_equal(provider_link_state(provider, &link), -ENOTSUP);
}

static int no_read(struct dma_memory *memory, uint64_t offset, void *buffer, size_t length)
{
    memset(buffer, 0x77, length);
    return 0;
}

static void dma_is_mapped_in_both_places_or_none(void **state)
{
    (void)state;
    static const struct dma_memory_ops ops = {.read = no_read};
    struct dma_memory memory = {.ops = &ops, .bytes = 64};
    struct dart_mapping *mapping = NULL;
    struct dart_statistics statistics;
    fake.dma_result = -ENOBUFS;
    assert_int_equal(provider_dma_map(provider, &memory, 0, 64, 0, DART_BOTH, 1, &mapping),
                     -ENOBUFS);
    assert_null(mapping);
    dart_get_statistics(provider->dart, &statistics);
    assert_int_equal(statistics.live_mappings, 0);
    fake.dma_result = 0;
    assert_int_equal(provider_dma_map(provider, &memory, 0, 65, 0, DART_BOTH, 1, &mapping),
                     -EINVAL);
    assert_int_equal(fake.dma_maps, 1);
    assert_int_equal(provider_dma_map(provider, &memory, 0, 64, 0, DART_BOTH, 1, &mapping), 0);
    uint8_t byte = 0;
    assert_int_equal(dart_device_read(provider->dart, mapping->bus_address, &byte, 1), 0);
    assert_int_equal(byte, 0x77);
    provider_dma_unmap(provider, mapping);
    provider_dma_unmap(provider, NULL);
    assert_int_equal(fake.dma_unmaps, 1);
    dart_get_statistics(provider->dart, &statistics);
    assert_int_equal(statistics.live_mappings, 0);
}

static void a_removed_device_is_ones_and_no_device(void **state)
{
    (void)state;
    provider_remove(provider);
    provider_remove(provider);
    assert_int_equal(fake.removes, 1);
    uint32_t word = 0;
    uint64_t value = 0;
    unsigned granted;
    struct pci_bar_memory memory;
    struct dma_memory dma = {.bytes = 1};
    struct dart_mapping *mapping;
    assert_int_equal(provider_config_read(provider, 0, 4, &word), 0);
    assert_int_equal(word, 0xffffffff);
    assert_int_equal(provider_memory_read(provider, 0, 0, 2, &value), 0);
    assert_int_equal(value, 0xffff);
    assert_int_equal(provider_config_write(provider, 4, 2, 0), 0);
    assert_int_equal(provider_memory_write(provider, 0, 0, 4, 0), 0);
    assert_int_equal(provider_bar_memory(provider, 0, &memory), -ENODEV);
    assert_int_equal(provider_reset(provider, PCI_RESET_HOT), -ENODEV);
    assert_int_equal(
        provider_configure_interrupts(provider, PCI_INTERRUPT_MSI, 1, no_handler, NULL, &granted),
        -ENODEV);
    assert_int_equal(provider_dma_map(provider, &dma, 0, 1, 0, DART_BOTH, 1, &mapping), -ENODEV);
    assert_int_equal(provider_find_capability(provider, 0x10), 0);
    assert_int_equal(fake.reads + fake.writes + fake.resets + fake.configures, 0);
    provider_close(provider);
    assert_int_equal(provider_open(provider), -ENODEV);
}

#define over_open_fake(test) cmocka_unit_test_setup_teardown(test, make_open_fake, end_fake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_state_is_kept, make_fake, end_fake),
        cmocka_unit_test_setup_teardown(a_closed_provider_reads_ones, make_fake, end_fake),
        over_open_fake(config_arguments_are_checked),
        over_open_fake(memory_arguments_are_checked),
        over_open_fake(bars_have_memory_indices),
        over_open_fake(capabilities_are_found),
        over_open_fake(broken_lists_end),
        over_open_fake(interrupt_arguments_are_checked),
        over_open_fake(dma_is_mapped_in_both_places_or_none),
        over_open_fake(a_removed_device_is_ones_and_no_device),
    };
    return cmocka_run_group_tests_name("provider", tests, NULL, NULL);
}
