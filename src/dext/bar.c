/*
 * BARs: what they are, and accesses by memory index.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"

IOReturn dext_bar_info(struct dext *dext, uint64_t bar, struct pci_bar_info *info)
{
    if (bar >= DEXT_BAR_COUNT) {
        return dext_refuse(kIOReturnBadArgument, "BAR %llu", (unsigned long long)bar);
    }
    int error = provider_bar_info(dext->provider, bar, info);
    if (error == -ENOENT) {
        /* Whoever lists the BARs of a device asks for all six: an answer, not worth a line. */
        return kIOReturnNotFound;
    }
    return dext_refuse(status_from_errno(error), "BAR %llu", (unsigned long long)bar);
}

IOReturn dext_bar_get_info(struct dext_client *client, struct dext_arguments *arguments)
{
    struct pci_bar_info info;
    IOReturn status = dext_bar_info(client->dext, arguments->scalar_in[0], &info);
    if (status != kIOReturnSuccess) {
        return status;
    }
    arguments->scalar_out[0] = info.memory_index;
    arguments->scalar_out[1] = info.bytes;
    arguments->scalar_out[2] = info.type;
    return kIOReturnSuccess;
}

_Static_assert(PCI_MAX_RANGES <= DEXT_BAR_RANGES, "an output for each range");

IOReturn dext_bar_ranges(struct dext_client *client, struct dext_arguments *arguments)
{
    struct pci_bar_info info;
    IOReturn status = dext_bar_info(client->dext, arguments->scalar_in[0], &info);
    if (status != kIOReturnSuccess) {
        return status;
    }
    struct pci_bar_memory memory = {0};
    if (!DEXT_BAR_IS_IO(info.type)) { /* ports are all trapped: nothing to ask */
        int error = provider_bar_memory(client->dext->provider, arguments->scalar_in[0], &memory);
        if (error < 0) {
            return dext_refuse(status_from_errno(error), "ranges of BAR %llu",
                               (unsigned long long)arguments->scalar_in[0]);
        }
    }
    memset(arguments->scalar_out, 0, (1 + 2 * DEXT_BAR_RANGES) * sizeof(uint64_t));
    arguments->scalar_out[0] = memory.range_count;
    for (unsigned i = 0; i < memory.range_count; i++) {
        arguments->scalar_out[1 + 2 * i] = memory.ranges[i].offset;
        arguments->scalar_out[2 + 2 * i] = memory.ranges[i].bytes;
    }
    return kIOReturnSuccess;
}

IOReturn dext_bar_check_access(const struct pci_bar_info *info, uint64_t offset, uint64_t width)
{
    if (!width_is_valid(width, 8) || !is_aligned(offset, width) ||
        !range_is_within(offset, width, info->bytes)) {
        return dext_refuse(
            kIOReturnBadArgument, "access of %llu bytes at 0x%llx of a BAR of 0x%llx bytes",
            (unsigned long long)width, (unsigned long long)offset, (unsigned long long)info->bytes);
    }
    return kIOReturnSuccess;
}

static IOReturn bar_status(int error, const char *what, unsigned bar, uint64_t offset)
{
    if (dext_error_is_silent(error)) {
        return kIOReturnSuccess;
    }
    return dext_refuse(status_from_errno(error), "%s of BAR %u at 0x%llx", what, bar,
                       (unsigned long long)offset);
}

IOReturn dext_bar_read(struct dext *dext, unsigned bar, uint64_t offset, uint64_t width,
                       uint64_t *value)
{
    int error = provider_memory_read(dext->provider, bar, offset, width, value);
    if (error < 0) {
        *value = ones_of_width(width);
    }
    return bar_status(error, "read", bar, offset);
}

IOReturn dext_bar_write(struct dext *dext, unsigned bar, uint64_t offset, uint64_t width,
                        uint64_t value)
{
    int error =
        provider_memory_write(dext->provider, bar, offset, width, value & ones_of_width(width));
    return bar_status(error, "write", bar, offset);
}

/* Memory index to BAR, and the checks of the access. */
static IOReturn bar_resolve(struct dext *dext, const uint64_t scalars[3], unsigned *bar)
{
    int found = provider_bar_of_memory_index(dext->provider, scalars[0]);
    if (found < 0) {
        return dext_refuse(status_from_errno(found), "memory index %llu",
                           (unsigned long long)scalars[0]);
    }
    struct pci_bar_info info;
    IOReturn status = dext_bar_info(dext, (uint64_t)found, &info);
    if (status != kIOReturnSuccess) {
        return status;
    }
    *bar = (unsigned)found;
    return dext_bar_check_access(&info, scalars[1], scalars[2]);
}

IOReturn dext_bar_mmio_read(struct dext_client *client, struct dext_arguments *arguments)
{
    unsigned bar = 0;
    IOReturn status = bar_resolve(client->dext, arguments->scalar_in, &bar);
    if (status != kIOReturnSuccess) {
        return status;
    }
    return dext_bar_read(client->dext, bar, arguments->scalar_in[1], arguments->scalar_in[2],
                         &arguments->scalar_out[0]);
}

IOReturn dext_bar_mmio_write(struct dext_client *client, struct dext_arguments *arguments)
{
    unsigned bar = 0;
    IOReturn status = bar_resolve(client->dext, arguments->scalar_in, &bar);
    if (status != kIOReturnSuccess) {
        return status;
    }
    return dext_bar_write(client->dext, bar, arguments->scalar_in[1], arguments->scalar_in[2],
                          arguments->scalar_in[3]);
}
