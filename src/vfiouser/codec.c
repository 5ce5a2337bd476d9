/*
 * Decoding of requests, encoding of replies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfiouser/codec.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"

_Static_assert(sizeof(struct vu_header) == VU_HEADER_BYTES, "layout");
_Static_assert(sizeof(struct vu_dma_map) == 32, "layout");
_Static_assert(sizeof(struct vu_dma_unmap) == 24, "layout");
_Static_assert(sizeof(struct vu_device_info) == 16, "layout");
_Static_assert(sizeof(struct vu_region_info) == 32, "layout");
_Static_assert(sizeof(struct vu_sparse_cap) == 16, "layout");
_Static_assert(sizeof(struct vu_irq_info) == 16, "layout");
_Static_assert(sizeof(struct vu_irq_set) == 20, "layout");
_Static_assert(sizeof(struct vu_access) == 16, "layout");
_Static_assert(sizeof(struct vu_multi_entry) == 24, "layout");
_Static_assert(sizeof(struct vu_dma_access) == 16, "layout");

#define DMA_MAX_BYTES (UINT64_C(1) << 43)

/* A payload being decoded. */
struct input {
    const uint8_t *bytes;
    size_t length;
    size_t fd_count;
};

static const char *const command_names[] = {
    [VU_VERSION] = "VERSION",
    [VU_DMA_MAP] = "DMA_MAP",
    [VU_DMA_UNMAP] = "DMA_UNMAP",
    [VU_DEVICE_GET_INFO] = "DEVICE_GET_INFO",
    [VU_DEVICE_GET_REGION_INFO] = "DEVICE_GET_REGION_INFO",
    [VU_DEVICE_GET_REGION_IO_FDS] = "DEVICE_GET_REGION_IO_FDS",
    [VU_DEVICE_GET_IRQ_INFO] = "DEVICE_GET_IRQ_INFO",
    [VU_DEVICE_SET_IRQS] = "DEVICE_SET_IRQS",
    [VU_REGION_READ] = "REGION_READ",
    [VU_REGION_WRITE] = "REGION_WRITE",
    [VU_DMA_READ] = "DMA_READ",
    [VU_DMA_WRITE] = "DMA_WRITE",
    [VU_DEVICE_RESET] = "DEVICE_RESET",
    [VU_REGION_WRITE_MULTI] = "REGION_WRITE_MULTI",
    [VU_DEVICE_FEATURE] = "DEVICE_FEATURE",
    [VU_MIG_DATA_READ] = "MIG_DATA_READ",
    [VU_MIG_DATA_WRITE] = "MIG_DATA_WRITE",
};
#define COMMAND_COUNT (sizeof(command_names) / sizeof(*command_names))

const char *vu_command_name(unsigned command)
{
    return command < COMMAND_COUNT && command_names[command] ? command_names[command] : "unknown";
}

bool vu_header_decode(const uint8_t bytes[VU_HEADER_BYTES], struct vu_header *out)
{
    memcpy(out, bytes, sizeof(*out));
    return out->size >= VU_HEADER_BYTES && out->size <= VU_MAX_MESSAGE;
}

/* Copy the fixed part of a payload. */
static bool take(const struct input *input, void *out, size_t bytes)
{
    if (input->length < bytes) {
        return false;
    }
    memcpy(out, input->bytes, bytes);
    return true;
}

static int decode_version(const struct input *input, struct vu_request *out)
{
    return input->fd_count > 0 ? -EINVAL
                               : vu_version_decode(input->bytes, input->length, &out->version);
}

static int decode_dma_map(const struct input *input, struct vu_request *out)
{
    struct vu_dma_map *map = &out->dma_map;
    if (!take(input, map, sizeof(*map)) || map->argsz < sizeof(*map) ||
        (map->flags & ~VU_DMA_FLAGS) || map->size == 0 || range_wraps(map->address, map->size) ||
        range_wraps(map->offset, map->size)) {
        return -EINVAL;
    }
    if (input->fd_count == 0 && (map->flags & (VU_DMA_WANTS_MMAP | VU_DMA_WANTS_FILE_IO))) {
        return -EINVAL;
    }
    return map->size > DMA_MAX_BYTES ? -ENOSPC : 0;
}

static int decode_dma_unmap(const struct input *input, struct vu_request *out)
{
    struct vu_dma_unmap *unmap = &out->dma_unmap;
    if (!take(input, unmap, sizeof(*unmap)) || unmap->argsz < sizeof(*unmap) ||
        unmap->argsz > VU_MAX_TRANSFER) {
        return -EINVAL;
    }
    /* The device keeps no log of dirty pages: there is no bitmap to give. */
    if (unmap->flags & ~VU_UNMAP_ALL) {
        return -EINVAL;
    }
    return unmap->flags == VU_UNMAP_ALL && (unmap->address || unmap->size) ? -EINVAL : 0;
}

static int decode_device_info(const struct input *input, struct vu_request *out)
{
    struct vu_device_info info;
    (void)out;
    return take(input, &info, sizeof(info)) && info.argsz >= sizeof(info) ? 0 : -EINVAL;
}

static int decode_region_info(const struct input *input, struct vu_request *out)
{
    struct vu_region_info *info = &out->region_info;
    return take(input, info, sizeof(*info)) && info->argsz >= sizeof(*info) &&
                   info->index < VU_REGION_COUNT
               ? 0
               : -EINVAL;
}

static int decode_irq_info(const struct input *input, struct vu_request *out)
{
    struct vu_irq_info *info = &out->irq_info;
    return take(input, info, sizeof(*info)) && info->argsz >= sizeof(*info) &&
                   info->index < VU_IRQ_COUNT
               ? 0
               : -EINVAL;
}

static bool has_one_bit(uint32_t bits)
{
    return bits != 0 && (bits & (bits - 1)) == 0;
}

static bool irq_data_is_valid(const struct input *input, const struct vu_irq_set *set)
{
    size_t data_bytes = input->length - sizeof(*set);
    switch (set->flags & VU_IRQ_DATA_TYPE) {
    case VU_IRQ_DATA_BOOL:
        return input->fd_count == 0 && data_bytes == set->count && set->count > 0;
    case VU_IRQ_DATA_EVENTFD: /* without descriptors: the vectors get none */
        return data_bytes == 0 && (input->fd_count == 0 || input->fd_count == set->count);
    default:
        return input->fd_count == 0 && data_bytes == 0;
    }
}

static int decode_irq_set(const struct input *input, struct vu_request *out)
{
    struct vu_irq_set *set = &out->irq_set;
    if (!take(input, set, sizeof(*set)) || set->argsz < sizeof(*set) ||
        set->index >= VU_IRQ_COUNT || (set->flags & ~(VU_IRQ_DATA_TYPE | VU_IRQ_ACTION)) ||
        !has_one_bit(set->flags & VU_IRQ_DATA_TYPE) || !has_one_bit(set->flags & VU_IRQ_ACTION) ||
        !irq_data_is_valid(input, set)) {
        return -EINVAL;
    }
    /* No vectors: only "disable the index". */
    if (set->count == 0 && (set->start != 0 || !(set->flags & VU_IRQ_ACTION_TRIGGER) ||
                            !(set->flags & VU_IRQ_DATA_NONE))) {
        return -EINVAL;
    }
    out->data = input->bytes + sizeof(*set);
    return 0;
}

static int decode_access(const struct input *input, struct vu_request *out)
{
    struct vu_access *access = &out->access;
    if (!take(input, access, sizeof(*access)) || access->region >= VU_REGION_COUNT ||
        access->count > VU_MAX_TRANSFER) {
        return -EINVAL;
    }
    out->data = input->bytes + sizeof(*access);
    return 0;
}

static int decode_read(const struct input *input, struct vu_request *out)
{
    return input->fd_count > 0 ? -EINVAL : decode_access(input, out);
}

static int decode_write(const struct input *input, struct vu_request *out)
{
    int error = decode_read(input, out);
    if (error == 0 && input->length - sizeof(out->access) != out->access.count) {
        error = -EINVAL;
    }
    return error;
}

static int decode_write_multi(const struct input *input, struct vu_request *out)
{
    uint64_t count;
    if (!take(input, &count, sizeof(count)) || input->fd_count > 0 ||
        count > VU_MAX_TRANSFER / sizeof(struct vu_multi_entry) ||
        input->length != sizeof(count) + count * sizeof(struct vu_multi_entry)) {
        return -EINVAL;
    }
    out->entry_count = count;
    out->data = input->bytes + sizeof(count);
    return 0;
}

/* What comes with it is of no meaning. */
static int decode_reset(const struct input *input, struct vu_request *out)
{
    (void)input;
    (void)out;
    return 0;
}

static int (*const decoders[])(const struct input *input, struct vu_request *out) = {
    [VU_VERSION] = decode_version,
    [VU_DMA_MAP] = decode_dma_map,
    [VU_DMA_UNMAP] = decode_dma_unmap,
    [VU_DEVICE_GET_INFO] = decode_device_info,
    [VU_DEVICE_GET_REGION_INFO] = decode_region_info,
    [VU_DEVICE_GET_IRQ_INFO] = decode_irq_info,
    [VU_DEVICE_SET_IRQS] = decode_irq_set,
    [VU_REGION_READ] = decode_read,
    [VU_REGION_WRITE] = decode_write,
    [VU_DEVICE_RESET] = decode_reset,
    [VU_REGION_WRITE_MULTI] = decode_write_multi,
};

int vu_request_decode(const struct vu_header *header, const uint8_t *payload, size_t fd_count,
                      struct vu_request *out)
{
    const struct input input = {payload, header->size - VU_HEADER_BYTES, fd_count};

    if (header->command >= sizeof(decoders) / sizeof(*decoders) || !decoders[header->command]) {
        return -EINVAL;
    }
    return decoders[header->command](&input, out);
}

int vu_multi_entry_decode(const struct vu_request *request, uint64_t index,
                          struct vu_multi_entry *out)
{
    memcpy(out, request->data + index * sizeof(*out), sizeof(*out));
    return out->count <= sizeof(out->data) && out->region < VU_REGION_COUNT ? 0 : -EINVAL;
}

size_t vu_region_info_bytes(size_t area_count)
{
    size_t bytes = sizeof(struct vu_region_info);
    if (area_count > 0) {
        bytes += sizeof(struct vu_sparse_cap) + area_count * sizeof(struct vu_sparse_area);
    }
    return bytes;
}

void vu_region_info_encode(const struct vu_region_info *info, const struct vu_sparse_area *areas,
                           size_t area_count, uint8_t *payload)
{
    memcpy(payload, info, sizeof(*info));
    if (area_count > 0) {
        const struct vu_sparse_cap cap = {
            .id = VU_CAP_SPARSE_MMAP, .version = 1, .area_count = (uint32_t)area_count};
        memcpy(payload + sizeof(*info), &cap, sizeof(cap));
        memcpy(payload + sizeof(*info) + sizeof(cap), areas, area_count * sizeof(*areas));
    }
}
