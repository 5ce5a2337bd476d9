/*
 * BARs of an assigned device: mapped whole, handed to the guest in the parts beside a hole.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stddef.h>

#include "assigned.h"

uint64_t assigned_bar_bytes(struct assigned_device *device, uint8_t bar)
{
    uint64_t bytes = 0;

    /* The memory index and the type are of no interest here. */
    if (apple_dext_get_bar_info(device->connection, bar, NULL, &bytes, NULL) != KERN_SUCCESS) {
        return 0;
    }
    return bytes;
}

static void add_range(struct assigned_bar *bar, uint64_t offset, uint64_t end)
{
    if (offset < end) {
        bar->ranges[bar->range_count++] = (struct assigned_range){
            .offset = offset, .bytes = end - offset, .memory = bar->memory + offset};
    }
}

int assigned_bar_map(struct assigned_device *device, uint8_t bar, uint64_t hole_offset,
                     uint64_t hole_bytes)
{
    struct assigned_bar *mapped = &device->bars[bar];
    mach_vm_address_t address = 0;
    mach_vm_size_t bytes = 0;
    uint8_t type = 0;

    if (mapped->memory != NULL) {
        return 0;
    }
    if (apple_dext_map_bar(device->connection, bar, &address, &bytes, &type) != KERN_SUCCESS) {
        return -EIO;
    }
    *mapped = (struct assigned_bar){.memory = (char *)(uintptr_t)address, .bytes = bytes};
    if (hole_bytes == 0) {
        add_range(mapped, 0, bytes);
    } else {
        add_range(mapped, 0, hole_offset);
        add_range(mapped, hole_offset + hole_bytes, bytes);
    }
    return 0;
}

int assigned_bar_unmap(struct assigned_device *device, uint8_t bar)
{
    struct assigned_bar mapped = device->bars[bar];
    mach_vm_address_t address = (mach_vm_address_t)(uintptr_t)mapped.memory;

    if (mapped.memory == NULL) {
        return 0;
    }
    device->bars[bar] = (struct assigned_bar){0};
    return apple_dext_unmap_bar(device->connection, bar, address) == KERN_SUCCESS ? 0 : -EIO;
}

static char *place(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width)
{
    struct assigned_bar *mapped = &device->bars[bar];

    if (mapped->memory == NULL || width > mapped->bytes || offset > mapped->bytes - width) {
        return NULL;
    }
    return mapped->memory + offset;
}

int assigned_bar_read(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width,
                      uint64_t *value)
{
    const volatile void *memory = place(device, bar, offset, width);

    if (memory == NULL) {
        return -EINVAL;
    }
    switch (width) {
    case 1:
        *value = *(const volatile uint8_t *)memory;
        return 0;
    case 2:
        *value = *(const volatile uint16_t *)memory;
        return 0;
    case 4:
        *value = *(const volatile uint32_t *)memory;
        return 0;
    case 8:
        *value = *(const volatile uint64_t *)memory;
        return 0;
    default:
        return -EINVAL;
    }
}

int assigned_bar_write(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width,
                       uint64_t value)
{
    volatile void *memory = place(device, bar, offset, width);

    if (memory == NULL) {
        return -EINVAL;
    }
    switch (width) {
    case 1:
        *(volatile uint8_t *)memory = (uint8_t)value;
        return 0;
    case 2:
        *(volatile uint16_t *)memory = (uint16_t)value;
        return 0;
    case 4:
        *(volatile uint32_t *)memory = (uint32_t)value;
        return 0;
    case 8:
        *(volatile uint64_t *)memory = value;
        return 0;
    default:
        return -EINVAL;
    }
}

int assigned_bar_call(struct assigned_device *device, uint8_t bar, uint64_t offset, uint32_t width,
                      bool is_write, uint64_t *value)
{
    uint8_t index = 0;
    kern_return_t status = apple_dext_get_bar_info(device->connection, bar, &index, NULL, NULL);

    if (status != KERN_SUCCESS) {
        return -ENOENT;
    }
    status = is_write ? apple_dext_mmio_write(device->connection, index, offset, width, *value)
                      : apple_dext_mmio_read(device->connection, index, offset, width, value);
    return status == KERN_SUCCESS ? 0 : -EIO;
}
