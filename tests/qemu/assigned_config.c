/*
 * Config space of an assigned device: what a guest may read and write of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "assigned.h"

enum {
    CONFIG_BYTES = 4096,
    COMMAND = 0x04,
    STATUS = 0x06,
    STATUS_END = 0x08,
    FIRST_BAR = 0x10,
    BARS_END = 0x28
};

static bool overlaps(uint32_t offset, uint32_t bytes, uint32_t start, uint32_t end)
{
    return offset < end && offset + bytes > start;
}

static bool has_width(uint32_t bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4;
}

int assigned_config_read(struct assigned_device *device, uint32_t offset, uint32_t bytes,
                         void *data)
{
    uint32_t there;
    kern_return_t status;

    if (offset >= CONFIG_BYTES) {
        return -EINVAL;
    }
    /* What lies past the end reads as 0. */
    there = bytes < CONFIG_BYTES - offset ? bytes : CONFIG_BYTES - offset;
    memset(data, 0, bytes);
    if (has_width(there) && offset % there == 0) {
        uint64_t value = 0;

        status = apple_dext_config_read(device->connection, offset, there, &value);
        if (status == KERN_SUCCESS) {
            memcpy(data, &value, there); /* hosts are little-endian, as config space is */
        }
    } else {
        status = apple_dext_config_read_block(device->connection, offset, data, there);
    }
    return status == KERN_SUCCESS ? 0 : -EIO;
}

static int write_command(struct assigned_device *device, uint32_t offset, uint32_t bytes,
                         const uint8_t *data)
{
    for (uint32_t i = 0; i < bytes; i++) {
        if (overlaps(offset + i, 1, COMMAND, STATUS) &&
            apple_dext_config_write(device->connection, offset + i, 1, data[i]) != KERN_SUCCESS) {
            return -EIO;
        }
    }
    return 0;
}

int assigned_config_write(struct assigned_device *device, uint32_t offset, uint32_t bytes,
                          const void *data)
{
    uint64_t value = 0;

    if (overlaps(offset, bytes, COMMAND, STATUS)) {
        return write_command(device, offset, bytes, data);
    }
    if (overlaps(offset, bytes, STATUS, STATUS_END) ||
        overlaps(offset, bytes, FIRST_BAR, BARS_END)) {
        return 0;
    }
    if (!has_width(bytes)) {
        return -EINVAL;
    }
    memcpy(&value, data, bytes);
    return apple_dext_config_write(device->connection, offset, bytes, value) == KERN_SUCCESS ? 0
                                                                                             : -EIO;
}
