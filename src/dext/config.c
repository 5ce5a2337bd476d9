/*
 * Identity and config space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <errno.h>

#include "base/checked.h"
#include "base/status.h"

#define CONFIG_BAR_FIRST 0x10
#define CONFIG_BAR_LAST  0x24

uint32_t dext_config_raw(struct dext *dext, unsigned offset, unsigned width)
{
    uint32_t value = 0;
    if (provider_config_read(dext->provider, offset, width, &value) < 0) {
        return (uint32_t)ones_of_width(width);
    }
    return value;
}

bool dext_error_is_silent(int error)
{
    return error == -ENOTCONN || error == -ENODEV;
}

IOReturn dext_config_identity(struct dext_client *client, struct dext_arguments *arguments)
{
    struct dext *dext = client->dext;
    const struct pci_address *address = &dext->provider->identity.address;
    uint32_t ids = dext_config_raw(dext, 0x00, 4);
    uint32_t class_and_revision = dext_config_raw(dext, 0x08, 4);
    arguments->scalar_out[0] = address->bus;
    arguments->scalar_out[1] = address->device;
    arguments->scalar_out[2] = address->function;
    arguments->scalar_out[3] = ids & 0xffff;
    arguments->scalar_out[4] = ids >> 16;
    arguments->scalar_out[5] = class_and_revision >> 8;
    return kIOReturnSuccess;
}

static IOReturn config_check(uint64_t offset, uint64_t width)
{
    if (!width_is_valid(width, 4) || !is_aligned(offset, width) ||
        !range_is_within(offset, width, DEXT_CONFIG_BYTES)) {
        return dext_refuse(kIOReturnBadArgument, "config access of %llu bytes at 0x%llx",
                           (unsigned long long)width, (unsigned long long)offset);
    }
    return kIOReturnSuccess;
}

/* The host owns the addresses: a BAR register shows its type bits alone. */
static uint32_t config_bar_register(struct dext *dext, uint64_t offset)
{
    struct pci_bar_info info;
    int error = dext_is_removed(dext)
                    ? -ENODEV
                    : provider_bar_info(dext->provider, (offset - CONFIG_BAR_FIRST) / 4, &info);
    if (error == -ENOENT) {
        return 0;
    }
    return error < 0 ? UINT32_MAX : info.type & 0xfu;
}

IOReturn dext_config_read(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t offset = arguments->scalar_in[0];
    uint64_t width = arguments->scalar_in[1];
    IOReturn status = config_check(offset, width);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (width == 4 && offset >= CONFIG_BAR_FIRST && offset <= CONFIG_BAR_LAST) {
        arguments->scalar_out[0] = config_bar_register(client->dext, offset);
        return kIOReturnSuccess;
    }
    uint32_t value = 0;
    int error = provider_config_read(client->dext->provider, offset, width, &value);
    if (error < 0 && !dext_error_is_silent(error)) {
        return dext_refuse(status_from_errno(error), "config read at 0x%llx",
                           (unsigned long long)offset);
    }
    arguments->scalar_out[0] = error < 0 ? ones_of_width(width) : value;
    return kIOReturnSuccess;
}

IOReturn dext_config_write(struct dext_client *client, struct dext_arguments *arguments)
{
    uint64_t offset = arguments->scalar_in[0];
    uint64_t width = arguments->scalar_in[1];
    IOReturn status = config_check(offset, width);
    if (status != kIOReturnSuccess) {
        return status;
    }
    uint32_t value = (uint32_t)(arguments->scalar_in[2] & ones_of_width(width));
    int error = provider_config_write(client->dext->provider, offset, width, value);
    if (dext_error_is_silent(error)) {
        return kIOReturnSuccess;
    }
    return dext_refuse(status_from_errno(error), "config write at 0x%llx",
                       (unsigned long long)offset);
}
