/*
 * Accesses to regions: config space by its view, BARs by calls or, where they are plain memory,
 * directly; the MSI-X structures by what stands in for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/plain_memory.h"
#include "vfiouser/device.h"

/* One naturally aligned load or store of at most 8 bytes. */
struct piece {
    unsigned bar;
    uint64_t offset;
    unsigned width;
};

uint64_t vu_device_region_bytes(const struct vu_device *device, unsigned index)
{
    if (index <= VU_REGION_BAR5) {
        return device->bars[index].bytes;
    }
    return index == VU_REGION_CONFIG ? device->config.bytes : 0;
}

static bool is_within_access(const struct vu_device *device, const struct vu_access *access)
{
    return range_is_within(access->offset, access->count,
                           vu_device_region_bytes(device, access->region));
}

/* Wider than 4 bytes only where that was asked for: many registers know no 8. */
static unsigned piece_width(uint64_t offset, uint64_t left, unsigned widest)
{
    unsigned width = widest;
    while (width > left || offset % width != 0) {
        width /= 2;
    }
    return width;
}

static bool is_in_place(const struct vu_msix_place *place, const struct piece *piece)
{
    return place->bar == piece->bar && piece->offset >= place->offset &&
           range_is_within(piece->offset - place->offset, piece->width, place->bytes);
}

/* Where plain memory is mapped here; NULL: the driver has to be called. */
static uint8_t *find_memory(const struct vu_device *device, const struct piece *piece)
{
    const struct vu_bar *bar = &device->bars[piece->bar];
    for (size_t i = 0; i < bar->area_count; i++) {
        const struct vu_sparse_area *area = &bar->areas[i];
        if (piece->offset >= area->offset && piece->offset - area->offset < area->size) {
            return bar->addresses[i] + (piece->offset - area->offset);
        }
    }
    return NULL;
}

/* The table is the peer's to write and the host's to use: it never reaches the device. Pending bits
 * are kept by the peer, so the array reads zero. */
static bool is_msix(const struct vu_device *device, const struct piece *piece, uint8_t **entry)
{
    const struct vu_config *config = &device->config;
    *entry = NULL;
    if (config->msix == 0) {
        return false;
    }
    if (is_in_place(&config->table, piece)) {
        *entry = device->msix_table + (piece->offset - config->table.offset);
        return true;
    }
    return is_in_place(&config->pba, piece);
}

static int read_piece(struct vu_device *device, const struct piece *piece, uint64_t *value)
{
    uint8_t *entry;
    const uint8_t *memory = find_memory(device, piece);
    *value = 0;
    if (memory) {
        *value = plain_load(memory, piece->width);
        return 0;
    }
    if (is_msix(device, piece, &entry)) {
        if (entry) {
            memcpy(value, entry, piece->width);
        }
        return 0;
    }
    *value = UINT64_MAX;
    int error =
        vu_errno_of(apple_dext_mmio_read(device->connection, device->bars[piece->bar].memory_index,
                                         piece->offset, piece->width, value));
    if (error == -ENODEV) {
        vu_device_lost(device);
        error = 0;
    }
    return error;
}

static int write_piece(struct vu_device *device, const struct piece *piece, uint64_t value)
{
    uint8_t *entry;
    uint8_t *memory = find_memory(device, piece);
    if (memory) {
        plain_store(memory, piece->width, value);
        return 0;
    }
    if (is_msix(device, piece, &entry)) {
        if (entry) {
            memcpy(entry, &value, piece->width);
        }
        return 0;
    }
    int error =
        vu_errno_of(apple_dext_mmio_write(device->connection, device->bars[piece->bar].memory_index,
                                          piece->offset, piece->width, value));
    if (error == -ENODEV) {
        vu_device_lost(device);
        error = 0;
    }
    return error;
}

static int access_bar(struct vu_device *device, const struct vu_access *access, uint8_t *out,
                      const uint8_t *in)
{
    uint64_t offset = access->offset;
    uint64_t left = access->count;
    unsigned widest = access->count == 8 ? 8 : 4;
    while (left > 0) {
        uint64_t value = 0;
        int error;
        const struct piece piece = {access->region, offset, piece_width(offset, left, widest)};
        if (in) {
            memcpy(&value, in, piece.width);
            error = write_piece(device, &piece, value);
            in += piece.width;
        } else {
            error = read_piece(device, &piece, &value);
            memcpy(out, &value, piece.width);
            out += piece.width;
        }
        if (error != 0) {
            return error;
        }
        offset += piece.width;
        left -= piece.width;
    }
    return 0;
}

int vu_device_read(struct vu_device *device, const struct vu_access *access, uint8_t *out)
{
    if (!is_within_access(device, access)) {
        return -EINVAL;
    }
    if (access->region == VU_REGION_CONFIG) {
        return vu_config_read(&device->config, (unsigned)access->offset, access->count, out);
    }
    if (!vu_config_is_awake(&device->config)) {
        memset(out, 0xff, access->count);
        return 0;
    }
    return access_bar(device, access, out, NULL);
}

static int write_config(struct vu_device *device, const struct vu_access *access, const uint8_t *in)
{
    unsigned effects;
    int error =
        vu_config_write(&device->config, (unsigned)access->offset, access->count, in, &effects);
    if (effects & VU_CONFIG_RESET) {
        vu_say(device->report, VU_LEVEL_TRACE, "the guest resets the function");
        vu_device_reset(device); /* what fails there is said there; hardware has no answer */
    } else if (effects & VU_CONFIG_BUS_MASTER) {
        vu_device_apply_bus_master(device);
    }
    return error;
}

int vu_device_write(struct vu_device *device, const struct vu_access *access, const uint8_t *in)
{
    if (!is_within_access(device, access)) {
        return -EINVAL;
    }
    if (access->region == VU_REGION_CONFIG) {
        return write_config(device, access, in);
    }
    if (!vu_config_is_awake(&device->config)) {
        return 0;
    }
    return access_bar(device, access, NULL, in);
}
