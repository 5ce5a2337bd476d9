/*
 * Fixture of the sim tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sim_fixture.h"

#include "provider/pci_registers.h"

struct pci_provider *sim;
struct fake_model *fake;

static int setup(const struct model_ops *ops)
{
    char *error = NULL;
    const struct pci_address address = {.bus = 3, .device = 0x1f, .function = 7};
    if (backend_sim_create(ops, address, NULL, 0, NULL, &sim, &error) < 0 ||
        provider_open(sim) < 0) {
        return -1;
    }
    fake = fake_model_last;
    return provider_config_write(sim, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
}

int sim_setup(void **state)
{
    (void)state;
    return setup(&fake_model_ops);
}

int sim_setup_polling(void **state)
{
    (void)state;
    return setup(&fake_polling_ops);
}

int sim_teardown(void **state)
{
    (void)state;
    provider_destroy(sim);
    sim = NULL;
    fake = NULL;
    return fake_models_alive == 0 ? 0 : -1;
}

uint32_t config_get(unsigned offset, unsigned width)
{
    uint32_t value;
    assert_int_equal(provider_config_read(sim, offset, width, &value), 0);
    return value;
}

void config_set(unsigned offset, unsigned width, uint32_t value)
{
    assert_int_equal(provider_config_write(sim, offset, width, value), 0);
}

uint64_t bar_get(unsigned bar, uint64_t offset, unsigned width)
{
    uint64_t value;
    assert_int_equal(provider_memory_read(sim, bar, offset, width, &value), 0);
    return value;
}

void bar_set(unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
    assert_int_equal(provider_memory_write(sim, bar, offset, width, value), 0);
}

int device_do(enum fake_operation operation, uint64_t address, uint64_t data)
{
    bar_set(0, FAKE_ADDRESS, 8, address);
    bar_set(0, FAKE_DATA, 8, data);
    bar_set(0, FAKE_DO, 8, operation);
    return (int)(int64_t)bar_get(0, FAKE_RESULT, 8);
}

static int client_read(struct dma_memory *memory, uint64_t offset, void *buffer, size_t length)
{
    memcpy(buffer, ((struct client_memory *)memory)->bytes + offset, length);
    return 0;
}

static int client_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                        size_t length)
{
    memcpy(((struct client_memory *)memory)->bytes + offset, buffer, length);
    return 0;
}

void client_memory_map(struct client_memory *memory)
{
    static const struct dma_memory_ops ops = {.read = client_read, .write = client_write};
    memory->memory =
        (struct dma_memory){.ops = &ops, .bytes = sizeof(memory->bytes), .page_offset = 0x20};
    assert_int_equal(provider_dma_map(sim, &memory->memory, 0, sizeof(memory->bytes), 0x1000,
                                      DART_BOTH, 0x51, &memory->mapping),
                     0);
}

void count_interrupt(void *context, unsigned vector)
{
    struct seen_interrupts *seen = context;
    atomic_fetch_add(&seen->total, 1);
    atomic_fetch_add(&seen->vectors[vector], 1);
}
