/*
 * Opening, resetting and releasing the device that is served.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/device.h"

#include <errno.h>
#include <inttypes.h>
#include <mach/mach.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfiouser/bar_areas.h"
#include "vfiouser/config_layout.h"

#define MSIX_ENTRY_BYTES 16
#define PROBE_IOVA       UINT64_C(0x10000000)
#define MOST_VECTORS     2048

int vu_errno_of(kern_return_t code)
{
    switch (code) {
    case kIOReturnSuccess:
        return 0;
    case kIOReturnNoDevice:
    case MACH_SEND_INVALID_DEST:
    case MIG_SERVER_DIED:
        return -ENODEV;
    case kIOReturnNoMemory:
        return -ENOMEM;
    case kIOReturnNoSpace:
        return -ENOSPC;
    case kIOReturnBadArgument:
        return -EINVAL;
    case kIOReturnVMError:
        return -EFAULT;
    case kIOReturnNotPrivileged:
    case kIOReturnNotPermitted:
        return -EPERM;
    default:
        return -EIO;
    }
}

static void fail(char **cause, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(char **cause, const char *format, ...)
{
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    *cause = strdup(line);
}

/* ---- What the parts need of the client library -------------------------------------------------
 */

static int config_read(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
    struct vu_device *device = opaque;
    uint64_t wide = UINT32_MAX;
    int error = vu_errno_of(apple_dext_config_read(device->connection, offset, width, &wide));
    if (error == -ENODEV) {
        vu_device_lost(device);
    }
    *value = (uint32_t)wide;
    return error;
}

static int config_write(void *opaque, unsigned offset, unsigned width, uint32_t value)
{
    struct vu_device *device = opaque;
    int error = vu_errno_of(apple_dext_config_write(device->connection, offset, width, value));
    if (error == -ENODEV) {
        vu_device_lost(device);
    }
    return error;
}

static const struct vu_config_ops config_ops = {.read = config_read, .write = config_write};

static int dma_map(void *opaque, uint64_t iova, void *address, uint64_t bytes, uint64_t *bus)
{
    struct vu_device *device = opaque;
    uint64_t length;
    kern_return_t code = apple_dext_register_dma(device->connection, iova,
                                                 (uint64_t)(uintptr_t)address, bytes, bus, &length);
    if (code != kIOReturnSuccess) {
        vu_say(device->report, VU_LEVEL_ERROR,
               "DMA region 0x%" PRIx64 ", 0x%" PRIx64 " bytes: %s%s", iova, bytes,
               apple_dext_status_text(code),
               code == kIOReturnNoSpace ? "; the host maps no more for this device" : "");
    }
    return vu_errno_of(code);
}

static void dma_unmap(void *opaque, uint64_t iova)
{
    struct vu_device *device = opaque;
    kern_return_t code = apple_dext_unregister_dma(device->connection, iova);
    if (code != kIOReturnSuccess && !atomic_load(&device->is_lost)) {
        vu_say(device->report, VU_LEVEL_WARNING, "DMA region 0x%" PRIx64 " cannot be ended: %s",
               iova, apple_dext_status_text(code));
    }
}

static int served_read(void *context, uint64_t offset, void *buffer, size_t length)
{
    const struct vu_dma_region *region = context;
    struct vu_device *device = region->server;
    return region->flags & VU_DMA_READABLE
               ? vu_link_ask(&device->link, false, region->address + offset, buffer, length)
               : -EACCES;
}

static int served_write(void *context, uint64_t offset, const void *buffer, size_t length)
{
    const struct vu_dma_region *region = context;
    struct vu_device *device = region->server;
    /* What is written is only read from. */
    return region->flags & VU_DMA_WRITABLE
               ? vu_link_ask(&device->link, true, region->address + offset,
                             (void *)(uintptr_t)buffer, length)
               : -EACCES;
}

/* Its thread and sockets are there for as long as something is served. */
static void drop_idle_service(struct vu_device *device)
{
    if (device->served_count == 0) {
        vu_served_destroy(device->served);
        device->served = NULL;
    }
}

static int dma_serve(void *opaque, struct vu_dma_region *region)
{
    static const struct vu_served_ops ops = {.read = served_read, .write = served_write};
    struct vu_device *device = opaque;
    void *address = NULL;
    int error = device->served ? 0 : vu_served_create(&ops, &device->served);
    region->server = device;
    if (error == 0) {
        error = vu_served_add(device->served, region->bytes, region, &address);
    }
    region->served = error == 0 ? address : NULL;
    device->served_count += error == 0;
    drop_idle_service(device);
    return error;
}

static void dma_unserve(void *opaque, struct vu_dma_region *region)
{
    struct vu_device *device = opaque;
    vu_served_remove(device->served, region->served);
    device->served_count--;
    drop_idle_service(device);
}

static const struct vu_dma_ops dma_ops = {
    .map = dma_map,
    .unmap = dma_unmap,
    .serve = dma_serve,
    .unserve = dma_unserve,
};

/* ---- Interrupts --------------------------------------------------------------------------------
 */

void vu_device_lost(struct vu_device *device)
{
    if (!atomic_exchange(&device->is_lost, true)) {
        bool is_told = vu_irqs_notify(&device->irqs, VU_IRQ_ERR);
        vu_say(device->report, VU_LEVEL_ERROR, "the device does not answer any more%s",
               is_told ? "; the client is told" : "");
    }
}

/* On the client library's thread. Drain, then arm: what fires in between wakes again at once. */
static void on_interrupt(void *opaque)
{
    struct vu_device *device = opaque;
    uint64_t pending[4];
    kern_return_t code = apple_dext_read_pending_irqs(device->connection, pending);
    if (code != kIOReturnSuccess) {
        return; /* the driver has gone: the next access finds out */
    }
    for (unsigned word = 0; word < 4; word++) {
        while (pending[word]) {
            unsigned bit = (unsigned)__builtin_ctzll(pending[word]);
            pending[word] &= pending[word] - 1;
            vu_irqs_fire(&device->irqs, 64 * word + bit);
        }
    }
    apple_dext_interrupt_notify_rearm(device->notify);
}

/* ---- Opening -----------------------------------------------------------------------------------
 */

/* A page of our own under an address a guest might use: does the device find it there? */
static bool is_dma_identity(struct vu_device *device, char **cause)
{
    uint64_t bus;
    uint64_t length;
    size_t bytes = vm_page_size;
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (page == MAP_FAILED) {
        fail(cause, "no memory for a page");
        return false;
    }
    kern_return_t code = apple_dext_register_dma(device->connection, PROBE_IOVA,
                                                 (uint64_t)(uintptr_t)page, bytes, &bus, &length);
    if (code == kIOReturnSuccess) {
        apple_dext_unregister_dma(device->connection, PROBE_IOVA);
    }
    munmap(page, bytes);
    if (code != kIOReturnSuccess) {
        fail(cause, "memory cannot be registered for DMA: %s", apple_dext_status_text(code));
        return false;
    }
    if (bus != PROBE_IOVA) {
        fail(cause,
             "this host chooses the addresses of DMA (0x%" PRIx64 " became 0x%" PRIx64
             "): a guest that programs its own would let the device write where it should not. "
             "Simulated devices take dart=identity",
             PROBE_IOVA, bus);
        return false;
    }
    return true;
}

static void find_bars(struct vu_device *device)
{
    for (unsigned i = 0; i < VU_BAR_COUNT; i++) {
        struct vu_bar *bar = &device->bars[i];
        bar->fd = -1;
        if (apple_dext_get_bar_info(device->connection, (uint8_t)i, &bar->memory_index, &bar->bytes,
                                    &bar->type) != kIOReturnSuccess) {
            bar->bytes = 0;
        } else if (bar->type & PCI_BAR_IO) {
            vu_say(device->report, VU_LEVEL_INFO,
                   "BAR %u is I/O ports, which the driver does not reach: not shown", i);
            bar->bytes = 0;
        } else if ((bar->bytes & (bar->bytes - 1)) != 0 || bar->bytes < 16) {
            vu_say(device->report, VU_LEVEL_WARNING,
                   "BAR %u has 0x%" PRIx64 " bytes, which no BAR has: not shown", i, bar->bytes);
            bar->bytes = 0;
        }
    }
}

static bool find_config(struct vu_device *device, unsigned vectors, char **cause)
{
    struct vu_config_shape shape = {.vectors = vectors};
    for (unsigned i = 0; i < VU_BAR_COUNT; i++) {
        shape.bars[i].bytes = device->bars[i].bytes;
        shape.bars[i].type = device->bars[i].type;
    }
    int error = vu_config_init(&device->config, &config_ops, device, &shape, device->report);
    if (error != 0) {
        fail(cause, "config space cannot be read: %s", strerror(-error));
    }
    return error == 0;
}

/* The guest decides who masters the bus; memory decoding stays on, it is the host's. */
void vu_device_apply_bus_master(struct vu_device *device)
{
    uint32_t command;
    if (config_read(device, PCI_COMMAND, 2, &command) == 0) {
        uint32_t wanted = (command & ~(uint32_t)PCI_COMMAND_MASTER) | PCI_COMMAND_MEMORY;
        wanted |= vu_config_is_master(&device->config) ? PCI_COMMAND_MASTER : 0;
        if (wanted != command) {
            config_write(device, PCI_COMMAND, 2, wanted);
        }
    }
}

static bool make_irqs(struct vu_device *device, char **cause)
{
    const unsigned counts[VU_IRQ_COUNT] = {
        [VU_IRQ_MSI] = device->config.msi_count,
        [VU_IRQ_MSIX] = device->config.msix_count,
        [VU_IRQ_ERR] = 1,
        [VU_IRQ_REQ] = 1,
    };
    size_t entries = device->config.table.bytes / MSIX_ENTRY_BYTES;
    device->msix_table = calloc(entries ? entries : 1, MSIX_ENTRY_BYTES);
    if (!device->msix_table || vu_irqs_create(&device->irqs, counts) != 0) {
        fail(cause, "out of memory");
        return false;
    }
    return true;
}

static void reset_msix_table(struct vu_device *device)
{
    memset(device->msix_table, 0, device->config.table.bytes);
    for (uint64_t at = 12; at < device->config.table.bytes; at += MSIX_ENTRY_BYTES) {
        device->msix_table[at] = 1; /* masked */
    }
}

static bool open_parts(struct vu_device *device, char **cause)
{
    uint32_t vectors = 0;
    kern_return_t code = apple_dext_claim(device->connection);
    if (code != kIOReturnSuccess) {
        fail(cause, "cannot claim: %s", apple_dext_status_text(code));
        return false;
    }
    code = apple_dext_setup_interrupts(device->connection, &vectors);
    if (code != kIOReturnSuccess) {
        vu_say(device->report, VU_LEVEL_WARNING, "no interrupts: %s", apple_dext_status_text(code));
        vectors = 0;
    }
    find_bars(device);
    if (!find_config(device, vectors, cause) || !make_irqs(device, cause) ||
        !is_dma_identity(device, cause)) {
        return false;
    }
    reset_msix_table(device);
    vu_bar_areas_find(device);
    vu_device_apply_bus_master(device);
    if (vectors > 0) {
        device->notify =
            apple_dext_interrupt_notify_create(device->connection, on_interrupt, device);
        if (!device->notify) {
            fail(cause, "the interrupt notice cannot be armed");
            return false;
        }
        /* The handler may have run already, and found no notice to arm. */
        apple_dext_interrupt_notify_rearm(device->notify);
    }
    return true;
}

struct vu_device *vu_device_open(io_connect_t connection, const struct vu_report *report,
                                 char **cause)
{
    struct vu_device *device = calloc(1, sizeof(*device));
    *cause = NULL;
    if (!device) {
        return NULL;
    }
    device->connection = connection;
    device->report = report;
    vu_dma_init(&device->dma, &dma_ops, device, report);
    vu_link_init(&device->link, report);
    for (unsigned i = 0; i < VU_BAR_COUNT; i++) {
        device->bars[i].fd = -1;
    }
    if (!open_parts(device, cause)) {
        vu_device_close(device);
        return NULL;
    }
    return device;
}

void vu_device_close(struct vu_device *device)
{
    if (!device) {
        return;
    }
    apple_dext_interrupt_notify_destroy(device->notify);
    vu_link_close(&device->link);
    vu_dma_clear(&device->dma);
    vu_link_destroy(&device->link);
    vu_bar_areas_drop(device);
    vu_irqs_destroy(&device->irqs);
    free(device->msix_table);
    free(device);
}

int vu_device_reset(struct vu_device *device)
{
    /* Off first: a reset brings back what the command register was. */
    vu_config_reset(&device->config);
    vu_device_apply_bus_master(device);
    reset_msix_table(device);
    kern_return_t code = apple_dext_reset_device(device->connection);
    if (code != kIOReturnSuccess) {
        vu_say(device->report, VU_LEVEL_WARNING, "reset: %s", apple_dext_status_text(code));
        return vu_errno_of(code);
    }
    atomic_store(&device->is_lost, false); /* a reset that worked has seen it answer */
    vu_device_apply_bus_master(device);
    return 0;
}

void vu_device_release(struct vu_device *device)
{
    uint64_t pending[4];
    vu_irqs_release(&device->irqs);
    vu_link_close(&device->link); /* a device that waits for the client waits no longer */
    vu_device_reset(device);
    vu_dma_clear(&device->dma);
    (void)apple_dext_read_pending_irqs(device->connection, pending);
}
