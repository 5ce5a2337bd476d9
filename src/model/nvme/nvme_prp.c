/*
 * Physical region pages: where a command's data lies, and copies from and to there (4.3).
 *
 * Each list entry is read once. A list page whose entries do not suffice is full, so every page of
 * a chain but the first brings 512 entries or more: the walk ends, loops or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/checked.h"
#include "model/nvme/nvme_device.h"

#define ENTRY_BYTES 8

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Pages that follow each other become one segment. */
static void segment_add(struct nvme_data *data, uint64_t address, uint32_t bytes)
{
    struct model_segment *last = data->count > 0 ? &data->segments[data->count - 1] : NULL;

    if (last != NULL && last->address + last->bytes == address && address != 0)
        last->bytes += bytes;
    else
        data->segments[data->count++] = (struct model_segment){address, bytes};
}

static uint16_t list_walk(struct nvme *dev, struct nvme_data *data, uint64_t list, uint32_t left)
{
    const struct model_host *host = &dev->model.host;
    uint32_t page = dev->page_bytes;

    while (left > 0) {
        uint8_t entries[NVME_SEGMENTS * ENTRY_BYTES];
        uint32_t room = (page - (uint32_t)(list & (page - 1))) / ENTRY_BYTES;
        uint32_t needed = (left + page - 1) / page;
        bool chains = needed > room;
        uint32_t count = chains ? room : needed;

        if (host->ops->dma_read(host->context, list, entries, (size_t)count * ENTRY_BYTES) != 0)
            return NVME_DATA_TRANSFER_ERROR;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t entry = nvme_get64(entries + (size_t)i * ENTRY_BYTES);
            if (!is_aligned(entry, page))
                return NVME_PRP_OFFSET_INVALID;
            if (chains && i == count - 1) {
                list = entry;
                break;
            }
            uint32_t bytes = smaller(left, page);
            segment_add(data, entry, bytes);
            left -= bytes;
        }
    }
    return NVME_SUCCESS;
}

uint16_t nvme_prp_map(struct nvme *dev, struct nvme_request *request, uint32_t bytes)
{
    const struct nvme_command *command = &request->command;
    struct nvme_data *data = &request->data;
    uint32_t page = dev->page_bytes;

    data->bytes = bytes;
    data->count = 0;
    if (bytes > NVME_TRANSFER_BYTES)
        return NVME_INVALID_FIELD;
    if (bytes == 0)
        return NVME_SUCCESS;
    if (!is_aligned(command->prp1, 4)) {
        request->bad_field = NVME_FIELD_PRP1;
        return NVME_PRP_OFFSET_INVALID;
    }
    uint32_t first = smaller(bytes, page - (uint32_t)(command->prp1 & (page - 1)));
    segment_add(data, command->prp1, first);
    uint32_t left = bytes - first;
    if (left == 0)
        return NVME_SUCCESS;
    if (!is_aligned(command->prp2, left > page ? ENTRY_BYTES : page)) {
        request->bad_field = NVME_FIELD_PRP2;
        return NVME_PRP_OFFSET_INVALID;
    }
    if (left > page)
        return list_walk(dev, data, command->prp2, left);
    segment_add(data, command->prp2, left);
    return NVME_SUCCESS;
}

uint16_t nvme_data_read(struct nvme *dev, const struct nvme_data *data, void *buffer)
{
    const struct model_host *host = &dev->model.host;
    uint8_t *bytes = buffer;

    for (unsigned i = 0; i < data->count; i++) {
        const struct model_segment *segment = &data->segments[i];
        if (host->ops->dma_read(host->context, segment->address, bytes, segment->bytes) != 0)
            return NVME_DATA_TRANSFER_ERROR;
        bytes += segment->bytes;
    }
    dev->work_bytes += data->bytes;
    return NVME_SUCCESS;
}

uint16_t nvme_data_write(struct nvme *dev, const struct nvme_data *data, const void *buffer)
{
    const struct model_host *host = &dev->model.host;
    const uint8_t *bytes = buffer;

    for (unsigned i = 0; i < data->count; i++) {
        const struct model_segment *segment = &data->segments[i];
        if (host->ops->dma_write(host->context, segment->address, bytes, segment->bytes) != 0)
            return NVME_DATA_TRANSFER_ERROR;
        bytes += segment->bytes;
    }
    dev->work_bytes += data->bytes;
    return NVME_SUCCESS;
}

uint16_t nvme_answer_write(struct nvme *dev, struct nvme_request *request, const void *buffer,
                           uint32_t bytes)
{
    uint16_t status = nvme_prp_map(dev, request, bytes);
    return status != NVME_SUCCESS ? status : nvme_data_write(dev, &request->data, buffer);
}
