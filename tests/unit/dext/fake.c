/*
 * The fake device and the fake host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

struct fake_memory {
    struct dma_memory memory; /* first */
    struct fake_host *host;
    uint64_t address;
};

void fake_device_event(struct fake_device *device, char event)
{
    if (device->event_count < sizeof(device->events) - 1) {
        device->events[device->event_count++] = event;
    }
}

void fake_device_clear_events(struct fake_device *device)
{
    memset(device->events, 0, sizeof(device->events));
    device->event_count = 0;
}

static struct fake_device *device_of(struct pci_provider *provider)
{
    return (struct fake_device *)provider;
}

static int fake_open(struct pci_provider *provider)
{
    struct fake_device *device = device_of(provider);
    if (device->open_error) {
        return device->open_error;
    }
    fake_device_event(device, EVENT_OPEN);
    return 0;
}

static void fake_close(struct pci_provider *provider)
{
    struct fake_device *device = device_of(provider);
    pthread_mutex_lock(&device->lock);
    device->handler = NULL;
    pthread_mutex_unlock(&device->lock);
    device->config[4] &= (uint8_t)~6u;
    fake_device_event(device, EVENT_CLOSE);
}

static int fake_config_read(struct pci_provider *provider, unsigned offset, unsigned width,
                            uint32_t *value)
{
    struct fake_device *device = device_of(provider);
    if (device->is_dead) {
        return -ENODEV;
    }
    if (device->config_error) {
        return device->config_error;
    }
    *value = 0;
    memcpy(value, device->config + offset, width);
    if (offset == 0 && device->polls_left != 0) {
        device->polls_left -= device->polls_left > 0;
        *value = device->reset_answer;
        if (device->on_poll) {
            device->on_poll();
        }
    }
    return 0;
}

static int fake_config_write(struct pci_provider *provider, unsigned offset, unsigned width,
                             uint32_t value)
{
    struct fake_device *device = device_of(provider);
    if (device->is_dead) {
        return -ENODEV;
    }
    if (device->config_error) {
        return device->config_error;
    }
    if (offset == 4 && ((value ^ device->config[4]) & 4)) {
        fake_device_event(device, value & 4 ? EVENT_MASTER_ON : EVENT_MASTER_OFF);
    }
    memcpy(device->config + offset, &value, width);
    return 0;
}

/* 0 mem64 prefetchable (and its upper half), 2 mem32, 3 I/O, 4 mem32 prefetchable, 5 unused. */
static const struct pci_bar_info fake_bars[6] = {
    {.memory_index = 0, .bytes = 0x10000, .type = 0x0c},
    {0},
    {.memory_index = 1, .bytes = 0x1000, .type = 0x00},
    {.memory_index = 2, .bytes = 0x100, .type = 0x01},
    {.memory_index = 3, .bytes = 0x4000, .type = 0x08},
    {0},
};

static int fake_bar_info(struct pci_provider *provider, unsigned bar, struct pci_bar_info *info)
{
    (void)provider;
    if (fake_bars[bar].bytes == 0) {
        return -ENOENT;
    }
    *info = fake_bars[bar];
    return 0;
}

static int fake_memory_read(struct pci_provider *provider, unsigned bar, uint64_t offset,
                            unsigned width, uint64_t *value)
{
    struct fake_device *device = device_of(provider);
    if (device->is_dead) {
        return -ENODEV;
    }
    if (bar == 3 && width == 8) {
        return -ENOTSUP;
    }
    *value = 0;
    memcpy(value, device->bar[bar] + offset, width);
    return 0;
}

static int fake_memory_write(struct pci_provider *provider, unsigned bar, uint64_t offset,
                             unsigned width, uint64_t value)
{
    struct fake_device *device = device_of(provider);
    if (device->is_dead) {
        return -ENODEV;
    }
    if (bar == 3 && width == 8) {
        return -ENOTSUP;
    }
    memcpy(device->bar[bar] + offset, &value, width);
    return 0;
}

static int fake_bar_memory(struct pci_provider *provider, unsigned bar,
                           struct pci_bar_memory *memory)
{
    (void)provider;
    memory->bytes = fake_bars[bar].bytes;
    memory->range_count = bar == 0;
    memory->ranges[0] = (struct pci_direct_range){
        .offset = 0x4000, .bytes = 0x8000, .fd = 77, .fd_offset = 0x20000};
    return 0;
}

static int fake_configure_interrupts(struct pci_provider *provider, enum pci_interrupt_kind kind,
                                     unsigned wanted, pci_interrupt_fn handler, void *context,
                                     unsigned *granted)
{
    struct fake_device *device = device_of(provider);
    device->irq_wanted = wanted;
    device->irq_kind = kind;
    if (device->irq_error[kind]) {
        return device->irq_error[kind];
    }
    *granted = wanted < device->irq_most ? wanted : device->irq_most;
    pthread_mutex_lock(&device->lock);
    device->handler = handler;
    device->handler_context = context;
    pthread_mutex_unlock(&device->lock);
    fake_device_event(device, EVENT_IRQ_ON);
    return 0;
}

static void fake_release_interrupts(struct pci_provider *provider)
{
    struct fake_device *device = device_of(provider);
    pthread_mutex_lock(&device->lock);
    device->handler = NULL;
    pthread_mutex_unlock(&device->lock);
    fake_device_event(device, EVENT_IRQ_OFF);
}

static int fake_reset(struct pci_provider *provider, enum pci_reset_kind kind)
{
    struct fake_device *device = device_of(provider);
    device->resets[kind]++;
    if (device->reset_error[kind]) {
        return device->reset_error[kind];
    }
    device->polls_left = device->reset_polls[kind];
    device->config[4] &= (uint8_t)~6u;
    if (device->on_reset) {
        device->on_reset();
    }
    return 0;
}

static int fake_dma_map(struct pci_provider *provider, const struct dart_mapping *mapping,
                        struct dma_memory *memory, uint64_t offset, enum dart_direction direction)
{
    struct fake_device *device = device_of(provider);
    (void)mapping;
    (void)memory;
    (void)offset;
    assert_int_equal(direction, DART_BOTH);
    if (device->map_error && device->map_fails_after-- == 0) {
        return device->map_error;
    }
    fake_device_event(device, EVENT_MAP);
    return 0;
}

static void fake_dma_unmap(struct pci_provider *provider, const struct dart_mapping *mapping)
{
    (void)mapping;
    fake_device_event(device_of(provider), EVENT_UNMAP);
}

static int fake_link_state(struct pci_provider *provider, struct pci_link_state *state)
{
    *state = (struct pci_link_state){.speed = 3, .width = 4};
    return device_of(provider)->has_no_link ? -ENOTSUP : 0;
}

static void fake_remove(struct pci_provider *provider)
{
    device_of(provider)->is_dead = true;
}

static void fake_destroy(struct pci_provider *provider)
{
    struct fake_device *device = device_of(provider);
    dart_destroy(provider->dart);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

static const struct pci_provider_ops fake_provider_ops = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .config_read = fake_config_read,
    .config_write = fake_config_write,
    .bar_info = fake_bar_info,
    .memory_read = fake_memory_read,
    .memory_write = fake_memory_write,
    .bar_memory = fake_bar_memory,
    .configure_interrupts = fake_configure_interrupts,
    .release_interrupts = fake_release_interrupts,
    .reset = fake_reset,
    .dma_map = fake_dma_map,
    .dma_unmap = fake_dma_unmap,
    .link_state = fake_link_state,
    .remove = fake_remove,
    .destroy = fake_destroy,
};

/* Vendor 1234, device 5678, class 0x088000, revision 0x42; raw BARs with addresses in them; MSI-X
 * with 300 vectors at 0x40, MSI with 2^3 at 0x60. */
static void fake_fill_config(uint8_t config[4096])
{
    static const uint8_t header[] = {0x34, 0x12, 0x78, 0x56, 0x00, 0x00,
                                     0x10, 0x00, 0x42, 0x00, 0x80, 0x08};
    static const uint8_t bars[] = {0x0c, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00,
                                   0x00, 0x10, 0x00, 0x90, 0x01, 0x20, 0x00, 0x00,
                                   0x08, 0x40, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00};
    static const uint8_t msix[] = {0x11, 0x60, 0x2b, 0x81}; /* control 0x812b: 300 - 1 */
    static const uint8_t msi[] = {0x05, 0x00, 0x86, 0x01};  /* capable of 2^3 */
    memcpy(config, header, sizeof(header));
    memcpy(config + 0x10, bars, sizeof(bars));
    config[0x34] = 0x40;
    memcpy(config + 0x40, msix, sizeof(msix));
    memcpy(config + 0x60, msi, sizeof(msi));
}

struct fake_device *fake_device_create(const struct dart_options *dart)
{
    struct fake_device *device = calloc(1, sizeof(*device));
    if (!device) {
        return NULL;
    }
    device->provider.ops = &fake_provider_ops;
    device->provider.identity = (struct pci_identity){
        .address = {.bus = 3, .device = 31, .function = 7},
        .vendor_id = 0x1234,
        .device_id = 0x5678,
        .class_code = 0x088000,
    };
    device->irq_most = 256;
    device->reset_answer = UINT32_MAX;
    fake_fill_config(device->config);
    pthread_mutex_init(&device->lock, NULL);
    if (dart_create(dart, NULL, NULL, &device->provider.dart) < 0) {
        pthread_mutex_destroy(&device->lock);
        free(device);
        return NULL;
    }
    return device;
}

void fake_device_fire(struct fake_device *device, unsigned vector)
{
    pthread_mutex_lock(&device->lock);
    if (device->handler) {
        device->handler(device->handler_context, vector);
    }
    pthread_mutex_unlock(&device->lock);
}

uint64_t fake_memory_word(uint64_t address)
{
    return address * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x5a5a);
}

static int fake_client_read(struct dma_memory *memory, uint64_t offset, void *buffer, size_t length)
{
    struct fake_memory *self = (struct fake_memory *)memory;
    assert_true(range_is_within(offset, length, memory->bytes));
    if (self->host->is_memory_gone) {
        return -EFAULT;
    }
    uint64_t word = fake_memory_word(self->address + offset);
    memset(buffer, 0, length);
    memcpy(buffer, &word, length < sizeof(word) ? length : sizeof(word));
    return 0;
}

static int fake_client_write(struct dma_memory *memory, uint64_t offset, const void *buffer,
                             size_t length)
{
    (void)buffer;
    assert_true(range_is_within(offset, length, memory->bytes));
    return 0;
}

static void fake_client_release(struct dma_memory *memory)
{
    struct fake_memory *self = (struct fake_memory *)memory;
    self->host->memories--;
    fake_device_event(self->host->device, EVENT_FREE);
    free(self);
}

#define FAKE_MEMORY_OFFSET 0x3000 /* described memory begins behind its object's, as in a file */

static const struct dma_memory_ops fake_memory_ops = {
    .read = fake_client_read,
    .write = fake_client_write,
    .release = fake_client_release,
};

static int fake_client_memory(void *client_context, uint64_t address, uint64_t bytes,
                              struct dma_memory **out, uint64_t *offset)
{
    struct fake_client *client = client_context;
    assert_false(client->is_stopped);
    if (client->host->memory_error) {
        return client->host->memory_error;
    }
    struct fake_memory *memory = malloc(sizeof(*memory));
    if (!memory) {
        return -ENOMEM;
    }
    *offset = FAKE_MEMORY_OFFSET;
    *memory = (struct fake_memory){
        .memory = {.ops = &fake_memory_ops,
                   .bytes = FAKE_MEMORY_OFFSET + bytes,
                   .page_offset = (address - FAKE_MEMORY_OFFSET) % 16384},
        .host = client->host,
        .address = address - FAKE_MEMORY_OFFSET,
    };
    client->host->memories++;
    *out = &memory->memory;
    return 0;
}

static void fake_async_complete(void *client_context, uint64_t token, IOReturn status,
                                const uint64_t *arguments, unsigned count)
{
    struct fake_client *client = client_context;
    (void)arguments;
    assert_false(client->is_stopped);
    client->last_token = token;
    client->last_status = status;
    client->last_count = count;
    client->completions++;
}

static void fake_terminate(void *dext_context)
{
    struct fake_host *host = dext_context;
    host->terminations++;
}

const struct dext_host_ops fake_host_ops = {
    .client_memory = fake_client_memory,
    .async_complete = fake_async_complete,
    .terminate = fake_terminate,
};

void fixture_set_up(struct fixture *fixture, const struct dext_options *options,
                    const struct dart_options *dart)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->device = fake_device_create(dart);
    assert_non_null(fixture->device);
    fixture->host.device = fixture->device;
    assert_int_equal(dext_create(&fixture->device->provider, &fake_host_ops, &fixture->host,
                                 options, &fixture->dext),
                     0);
}

struct dext_client *fixture_open(struct fixture *fixture, unsigned index)
{
    struct fake_client *context = &fixture->contexts[index];
    memset(context, 0, sizeof(*context));
    context->host = &fixture->host;
    assert_code(dext_client_open(fixture->dext, 0, context, &fixture->clients[index]),
                kIOReturnSuccess);
    return fixture->clients[index];
}

struct dext_client *fixture_open_claimed(struct fixture *fixture, unsigned index)
{
    uint64_t out[FAKE_OUT];
    struct dext_client *client = fixture_open(fixture, index);
    assert_code(CALL0(client, DEXT_SEL_CLAIM, out), kIOReturnSuccess);
    return client;
}

void fixture_stop(struct fixture *fixture, unsigned index)
{
    dext_client_stop(fixture->clients[index]);
    fixture->clients[index] = NULL;
    fixture->contexts[index].is_stopped = true;
}

void fixture_tear_down(struct fixture *fixture)
{
    for (unsigned i = 0; i < 4; i++) {
        fixture_stop(fixture, i);
    }
    struct dart_statistics statistics;
    dart_get_statistics(fixture->device->provider.dart, &statistics);
    assert_u64(statistics.live_mappings, 0);
    assert_u64(statistics.live_bytes, 0);
    assert_int_equal(fixture->host.memories, 0);
    assert_false(fixture->device->provider.is_open);
    dext_destroy(fixture->dext);
    fake_destroy(&fixture->device->provider);
}

IOReturn fake_call(struct dext_client *client, uint64_t selector, const uint64_t *in,
                   uint32_t in_count, uint64_t out[FAKE_OUT])
{
    memset(out, 0, FAKE_OUT * sizeof(out[0]));
    struct dext_arguments arguments = {
        .scalar_in = in,
        .scalar_in_count = in_count,
        .scalar_out = out,
        .scalar_out_count = FAKE_OUT,
    };
    return dext_client_external_method(client, selector, &arguments);
}

IOReturn fake_wait(struct dext_client *client, uint64_t token)
{
    struct dext_arguments arguments = {.has_completion = true, .completion_token = token};
    return dext_client_external_method(client, 15, &arguments);
}
