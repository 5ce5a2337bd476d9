/*
 * Unit tests of the sim back end: identity, BARs, decode and DMA gates, direct memory, removal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/dext_abi.h"
#include "base/log.h"
#include "provider/pci_registers.h"

static void identity_is_that_of_the_config_header(void **state)
{
    (void)state;
    const struct pci_identity *identity = &sim->identity;
    assert_int_equal(identity->address.bus, 3);
    assert_int_equal(identity->address.device, 0x1f);
    assert_int_equal(identity->address.function, 7);
    assert_int_equal(identity->vendor_id, FAKE_VENDOR);
    assert_int_equal(identity->device_id, FAKE_DEVICE);
    assert_int_equal(identity->revision, 7);
    assert_int_equal(identity->class_code, 0x058012);
    assert_int_equal(identity->subsystem_vendor_id, 0x1af4);
    assert_int_equal(identity->subsystem_id, 0x1100);
    struct pci_link_state link;
    assert_int_equal(provider_link_state(sim, &link), 0);
    assert_int_equal(link.speed, 3);
    assert_int_equal(link.width, 4);
}

static void bars_are_described(void **state)
{
    (void)state;
    const struct {
        unsigned bar;
        uint64_t bytes;
        uint8_t type;
    } bars[] = {
        {0, 16384, DEXT_BAR_TYPE_M32}, {1, 32, DEXT_BAR_TYPE_IO}, {2, 65536, DEXT_BAR_TYPE_M64PF}};
    struct pci_bar_info info;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(provider_bar_info(sim, bars[i].bar, &info), 0);
        assert_int_equal(info.bytes, bars[i].bytes);
        assert_int_equal(info.type, bars[i].type);
        assert_int_equal(info.memory_index, i);
    }
    for (unsigned bar = 3; bar < 6; bar++) {
        assert_int_equal(provider_bar_info(sim, bar, &info), -ENOENT);
    }
}

static void bars_have_addresses(void **state)
{
    (void)state;
    assert_int_equal(config_get(0x10, 4), 0x80000000);
    assert_int_equal(config_get(0x14, 4), 0x1000 | 1);
    uint64_t high = (uint64_t)config_get(0x1c, 4) << 32 | config_get(0x18, 4);
    assert_int_equal(high & 0xf, 0xc);
    assert_true(high >= UINT64_C(0x100000000));
    assert_int_equal((high & ~UINT64_C(0xf)) % 65536, 0);
    assert_int_equal(config_get(0x20, 4), 0);
}

/* Sizing as software does it on hardware, whole registers and in pieces; while a BAR is elsewhere
 * the device does not answer at the old place. */
static void bars_can_be_sized(void **state)
{
    (void)state;
    bar_set(0, FAKE_SCRATCH, 4, 0xabcd);
    uint32_t kept = config_get(0x10, 4);
    config_set(0x10, 4, 0xffffffff);
    assert_int_equal(config_get(0x10, 4), 0xffffc000);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xffffffff);
    config_set(0x10, 4, kept);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xabcd);

    for (unsigned byte = 0; byte < 4; byte++) {
        config_set(0x10 + byte, 1, 0xff);
    }
    assert_int_equal(config_get(0x10, 1), 0x00);
    assert_int_equal(config_get(0x11, 1), 0xc0);
    assert_int_equal(config_get(0x12, 2), 0xffff);
    config_set(0x10, 2, kept & 0xffff);
    config_set(0x12, 2, kept >> 16);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xabcd);

    config_set(0x14, 4, 0xffffffff);
    assert_int_equal(config_get(0x14, 4), 0xffffffe1);
    config_set(0x18, 4, 0xffffffff);
    config_set(0x1c, 4, 0xffffffff);
    assert_int_equal(config_get(0x18, 4), 0xffff000c);
    assert_int_equal(config_get(0x1c, 4), 0xffffffff);
}

static void decode_gates_memory_and_ports(void **state)
{
    (void)state;
    bar_set(0, FAKE_SCRATCH, 8, 0x1122334455667788);
    assert_true(bar_get(0, FAKE_SCRATCH, 8) == 0x1122334455667788);
    assert_int_equal(bar_get(0, FAKE_SCRATCH + 4, 2), 0x3344);

    /* A claim sets 0x6: ports stay off until the client sets bit 0. */
    bar_set(1, 0, 4, 0x1234);
    assert_int_equal(bar_get(1, 0, 4), 0xffffffff);
    assert_int_equal(fake->io_word, 0);
    config_set(PCI_COMMAND, 2, 0x7);
    bar_set(1, 0, 4, 0x1234);
    assert_int_equal(bar_get(1, 0, 2), 0x1234);
    uint64_t value;
    assert_int_equal(provider_memory_read(sim, 1, 0, 8, &value), -ENOTSUP);
    assert_true(value == UINT64_MAX);
    assert_int_equal(provider_memory_write(sim, 1, 0, 8, 0), -ENOTSUP);

    config_set(PCI_COMMAND, 2, 0x5);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 1), 0xff);
    bar_set(0, FAKE_SCRATCH, 8, 0);
    config_set(PCI_COMMAND, 2, 0x6);
    assert_true(bar_get(0, FAKE_SCRATCH, 8) == 0x1122334455667788);
}

static void d3hot_gates_memory_but_not_config(void **state)
{
    (void)state;
    struct client_memory client = {0};
    client_memory_map(&client);
    bar_set(0, FAKE_SCRATCH, 8, 5);
    config_set(fake->config.value[0x34] + 4, 2, 3);
    assert_true(bar_get(0, FAKE_SCRATCH, 8) == UINT64_MAX);
    assert_int_equal(config_get(0, 2), FAKE_VENDOR);
    const struct model_host *host = &fake->model.host;
    uint8_t byte = 0;
    assert_int_equal(host->ops->dma_write(host->context, client.mapping->bus_address, &byte, 1),
                     -EPERM);
    provider_dma_unmap(sim, client.mapping);
}

static void dma_needs_bus_master_and_a_mapping(void **state)
{
    (void)state;
    struct client_memory client = {0};
    client_memory_map(&client);
    iova_t at = client.mapping->bus_address;
    assert_int_equal(device_do(FAKE_DMA_WRITE, at + 8, 0x0807060504030201), 0);
    assert_int_equal(client.bytes[8], 1);
    assert_int_equal(client.bytes[15], 8);
    assert_int_equal(device_do(FAKE_DMA_READ, at + 8, 0), 0);
    assert_true(bar_get(0, FAKE_DATA, 8) == 0x0807060504030201);

    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(device_do(FAKE_DMA_WRITE, at, 0), -EPERM);
    assert_int_equal(device_do(FAKE_DMA_READ, at, 0), -EPERM);
    assert_true(bar_get(0, FAKE_DATA, 8) == UINT64_MAX);
    struct dart_statistics statistics;
    dart_get_statistics(sim->dart, &statistics);
    assert_int_equal(statistics.faults, 0);

    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
    provider_dma_unmap(sim, client.mapping);
    assert_int_equal(device_do(FAKE_DMA_WRITE, at, 0), -EFAULT);
    assert_int_equal(client.bytes[8], 1);
}

struct log_lines {
    int count;
    char last[512];
};

static void remember_line(void *opaque, enum log_level level, const char *hop, const char *line)
{
    struct log_lines *lines = opaque;
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_string_equal(hop, "dart");
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void a_fault_is_logged_once_with_its_history(void **state)
{
    (void)state;
    struct log_lines lines = {0};
    struct client_memory client = {0};
    client_memory_map(&client);
    iova_t at = client.mapping->bus_address;
    provider_dma_unmap(sim, client.mapping);
    log_set_sink(remember_line, &lines, LOG_LEVEL_WARNING);
    assert_int_equal(device_do(FAKE_DMA_READ, at, 0), -EFAULT);
    log_set_sink(NULL, NULL, LOG_LEVEL_ERROR);
    assert_int_equal(lines.count, 1);
    const char *start =
        "03:1f.7: read of 8 bytes at 0x80000020: not mapped; no live mapping; freed ";
    assert_memory_equal(lines.last, start, strlen(start));
    assert_non_null(strstr(lines.last, "ms ago by owner 0x51"));
    struct dart_statistics statistics;
    dart_get_statistics(sim->dart, &statistics);
    assert_int_equal(statistics.faults, 1);
    assert_int_equal(statistics.last_fault, at);
}

static void direct_memory_is_shared_and_trapped_is_not(void **state)
{
    (void)state;
    struct pci_bar_memory memory;
    assert_int_equal(provider_bar_memory(sim, 0, &memory), 0);
    assert_int_equal(memory.bytes, 16384);
    assert_int_equal(memory.range_count, 0);
    assert_int_equal(provider_bar_memory(sim, 2, &memory), 0);
    assert_int_equal(memory.bytes, 65536);
    assert_int_equal(memory.range_count, 1);
    assert_int_equal(memory.ranges[0].offset, 0);
    assert_int_equal(memory.ranges[0].bytes, 32768);

    volatile uint8_t *mapped = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_SHARED,
                                    memory.ranges[0].fd, (off_t)memory.ranges[0].fd_offset);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    bar_set(2, 0x10, 8, 0x8877665544332211);
    assert_int_equal(mapped[0x10], 0x11);
    assert_int_equal(fake->direct[0x17], 0x88);
    bar_set(2, 0x12, 1, 0xee);
    bar_set(2, 0x14, 2, 0xdddd);
    bar_set(2, 0x7ffc, 4, 0xcafe);
    assert_true(bar_get(2, 0x10, 8) == 0x8877dddd44ee2211);
    fake->direct[0x7fff] = 0x5a;
    assert_int_equal(bar_get(2, 0x7fff, 1), 0x5a);
    assert_int_equal(bar_get(2, 0x7ffc, 2), 0xcafe);
    assert_int_equal(fake->trapped_accesses, 0);
    assert_int_equal(bar_get(2, 0x8000, 2), 0x7788);
    assert_int_equal(fake->trapped_accesses, 1);

    /* Who mapped it keeps it past removal and the end of the device. */
    provider_remove(sim);
    assert_int_equal(provider_bar_memory(sim, 2, &memory), -ENODEV);
    mapped[0x10] = 0x77;
    assert_int_equal(mapped[0x10], 0x77);
    munmap((void *)mapped, 32768);
}

/* F16: the end of a session clears decode and bus mastering. */
static void close_turns_the_device_off(void **state)
{
    (void)state;
    config_set(PCI_COMMAND, 2, 0x7);
    bar_set(0, FAKE_SCRATCH, 4, 0x77);
    provider_close(sim);
    assert_int_equal(provider_open(sim), 0);
    assert_int_equal(config_get(PCI_COMMAND, 2), 0x1);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xffffffff);
    config_set(PCI_COMMAND, 2, 0x2);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0x77);
}

static void a_removed_device_is_silent(void **state)
{
    (void)state;
    struct seen_interrupts seen = {0};
    struct client_memory client = {0};
    unsigned granted;
    client_memory_map(&client);
    assert_int_equal(
        provider_configure_interrupts(sim, PCI_INTERRUPT_MSIX, 4, count_interrupt, &seen, &granted),
        0);
    bar_set(0, FAKE_SCRATCH, 4, 0x77);
    provider_remove(sim);
    assert_int_equal(config_get(0, 4), 0xffffffff);
    assert_int_equal(bar_get(0, FAKE_SCRATCH, 4), 0xffffffff);
    assert_int_equal(bar_get(2, 0, 4), 0xffffffff);
    bar_set(0, FAKE_SCRATCH, 4, 0);
    config_set(PCI_COMMAND, 2, 0);
    assert_int_equal(fake->registers[FAKE_SCRATCH / 8], 0x77);
    const struct model_host *host = &fake->model.host;
    uint8_t bytes[4] = {0};
    assert_int_equal(host->ops->dma_write(host->context, client.mapping->bus_address, bytes, 4),
                     -EPERM);
    assert_int_equal(host->ops->dma_read(host->context, client.mapping->bus_address, bytes, 4),
                     -EPERM);
    assert_int_equal(bytes[3], 0xff);
    host->ops->message(host->context, fake->table[1][0], 1);
    assert_int_equal(atomic_load(&seen.total), 0);
    provider_release_interrupts(sim);
    provider_dma_unmap(sim, client.mapping);
}

static void options_the_model_refuses_are_named(void **state)
{
    (void)state;
    struct pci_provider *out = NULL;
    char *error = NULL;
    const struct model_option option = {.key = "colour", .value = "red"};
    assert_int_equal(backend_sim_create(&fake_model_ops, (struct pci_address){0}, &option, 1, NULL,
                                        &out, &error),
                     -EINVAL);
    assert_string_equal(error, "fake takes no options");
    free(error);
    const struct dart_options bad = {.base = 1};
    assert_int_equal(
        backend_sim_create(&fake_model_ops, (struct pci_address){0}, NULL, 0, &bad, &out, &error),
        -EINVAL);
    assert_non_null(error);
    assert_non_null(strstr(error, "dart"));
    free(error);
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sim_test(identity_is_that_of_the_config_header),
        sim_test(bars_are_described),
        sim_test(bars_have_addresses),
        sim_test(bars_can_be_sized),
        sim_test(decode_gates_memory_and_ports),
        sim_test(d3hot_gates_memory_but_not_config),
        sim_test(dma_needs_bus_master_and_a_mapping),
        sim_test(a_fault_is_logged_once_with_its_history),
        sim_test(direct_memory_is_shared_and_trapped_is_not),
        sim_test(close_turns_the_device_off),
        sim_test(a_removed_device_is_silent),
        cmocka_unit_test(options_the_model_refuses_are_named),
    };
    return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
