/*
 * Commands that go over many blocks or namespaces piece by piece: Flush, Write Zeroes, Dataset
 * Management (6), Format NVM (5.23).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/checked.h"
#include "model/nvme/nvme_device.h"

#define DSM_RANGE_BYTES 16
#define FORMAT_LBAF(dw) ((dw)&0xf)
#define FORMAT_PI(dw)   ((dw) >> 5 & 0x7)
#define FORMAT_SES(dw)  ((dw) >> 9 & 0x7)

static uint16_t flush_step(struct nvme *dev, struct nvme_request *request, int result)
{
    uint16_t status = nvme_storage_status(dev, true, result);

    if (status != NVME_SUCCESS || request->position == request->range.end)
        return status;
    request->ns = &dev->namespaces[request->position++];
    nvme_storage_start(dev, request, MODEL_STORAGE_FLUSH, true, 0, 0);
    return NVME_LATER;
}

uint16_t nvme_flush(struct nvme *dev, struct nvme_request *request)
{
    uint32_t nsid = request->command.nsid;
    const struct nvme_namespace *ns = nvme_namespace_find(dev, nsid);

    if (ns == NULL && nsid != NVME_NSID_ALL)
        return NVME_INVALID_NAMESPACE;
    if (ns != NULL && ns->is_formatting)
        return NVME_FORMAT_IN_PROGRESS;
    /* Namespaces instead of blocks, counted from 0. */
    request->range = ns != NULL ? (struct nvme_range){nsid - 1, nsid}
                                : (struct nvme_range){0, dev->namespace_count};
    request->position = request->range.first;
    request->step = flush_step;
    return flush_step(dev, request, 0);
}

/* Zero the next piece of request->range. False when there is none left. */
static bool zero_piece(struct nvme *dev, struct nvme_request *request)
{
    uint64_t most = nvme_storage_zero_blocks(request->ns);
    uint64_t left = request->range.end - request->position;
    uint64_t first = request->position;

    if (left == 0)
        return false;
    uint64_t count = left < most ? left : most;
    request->position += count;
    nvme_storage_start(dev, request, MODEL_STORAGE_ZERO, request->is_durable, first, count);
    return true;
}

static uint16_t zeroes_step(struct nvme *dev, struct nvme_request *request, int result)
{
    uint16_t status = nvme_storage_status(dev, true, result);

    if (status != NVME_SUCCESS)
        return status;
    if (zero_piece(dev, request))
        return NVME_LATER;
    return nvme_bad_clear(&request->ns->bad, request->range.first, request->range.end)
               ? NVME_SUCCESS
               : NVME_INTERNAL_ERROR;
}

uint16_t nvme_write_zeroes(struct nvme *dev, struct nvme_request *request, bool is_durable)
{
    uint16_t status = nvme_range_take(dev, request);

    if (status != NVME_SUCCESS)
        return status;
    request->is_durable = is_durable;
    request->step = zeroes_step;
    return zeroes_step(dev, request, 0);
}

static struct nvme_range dsm_range(const struct nvme_request *request, unsigned index)
{
    const uint8_t *entry = request->buffer + (size_t)index * DSM_RANGE_BYTES;
    uint64_t first = nvme_get64(entry + 8);
    return (struct nvme_range){first, first + nvme_get32(entry + 4)};
}

static uint16_t dsm_step(struct nvme *dev, struct nvme_request *request, int result)
{
    uint16_t status = nvme_storage_status(dev, true, result);

    while (status == NVME_SUCCESS) {
        if (zero_piece(dev, request))
            return NVME_LATER;
        if (!nvme_bad_clear(&request->ns->bad, request->range.first, request->range.end))
            return NVME_INTERNAL_ERROR;
        if (request->range_index == request->range_count)
            return NVME_SUCCESS;
        request->range = dsm_range(request, request->range_index++);
        request->position = request->range.first;
    }
    return status;
}

/* All ranges are looked at before the first is touched. */
uint16_t nvme_dsm(struct nvme *dev, struct nvme_request *request)
{
    uint64_t blocks = nvme_namespace_blocks(request->ns);
    unsigned count = (request->command.dw10 & 0xff) + 1;
    uint16_t status = nvme_prp_map(dev, request, count * DSM_RANGE_BYTES);

    if (status == NVME_SUCCESS)
        status = nvme_data_read(dev, &request->data, request->buffer);
    if (status != NVME_SUCCESS)
        return status;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *entry = request->buffer + (size_t)i * DSM_RANGE_BYTES;
        request->bad_lba = nvme_get64(entry + 8);
        if (!range_is_within(request->bad_lba, nvme_get32(entry + 4), blocks))
            return NVME_LBA_OUT_OF_RANGE;
    }
    if ((request->command.dw11 & NVME_DSM_DEALLOCATE) == 0)
        return NVME_SUCCESS; /* the rest are hints */
    request->is_durable = dev->features.write_cache == 0;
    request->range = (struct nvme_range){0, 0};
    request->position = 0;
    request->range_count = count;
    request->step = dsm_step;
    return dsm_step(dev, request, 0);
}

/* Whether a Format of this nsid concerns the namespace. */
static bool format_covers(const struct nvme_request *request, const struct nvme_namespace *ns)
{
    return request->command.nsid == NVME_NSID_ALL || request->command.nsid == ns->nsid;
}

static bool namespace_is_busy(const struct nvme *dev, const struct nvme_namespace *ns)
{
    for (unsigned i = 0; i < NVME_REQUESTS; i++) {
        const struct nvme_request *request = &dev->requests[i];
        if (request->ns == ns && request->state != NVME_REQUEST_FREE &&
            request->state != NVME_REQUEST_ORPHAN)
            return true;
    }
    return false;
}

static void format_end(struct nvme *dev, const struct nvme_request *request)
{
    for (unsigned i = 0; i < dev->namespace_count; i++) {
        if (format_covers(request, &dev->namespaces[i]))
            dev->namespaces[i].is_formatting = false;
    }
}

/* A namespace's content is gone: what it is now. */
static void format_switch(struct nvme *dev, struct nvme_namespace *ns, uint32_t lbaf)
{
    unsigned shift = lbaf == 0 ? 9 : 12;

    ns->bad.count = 0;
    ns->is_formatting = false;
    if (ns->block_shift == shift)
        return;
    ns->block_shift = shift;
    dev->changed_namespaces |= 1u << (ns->nsid - 1);
    if ((dev->features.async_events & NVME_ASYNC_NAMESPACES) != 0)
        nvme_event_post(dev, NVME_EVENT_NOTICE, NVME_EVENT_NAMESPACE_CHANGED,
                        NVME_LOG_CHANGED_NAMESPACES);
}

/* range_index: the next namespace to look at. */
static uint16_t format_step(struct nvme *dev, struct nvme_request *request, int result)
{
    if (result != 0) {
        format_end(dev, request);
        return nvme_storage_status(dev, true, result);
    }
    for (;;) {
        if (request->ns != NULL) {
            if (zero_piece(dev, request))
                return NVME_LATER;
            format_switch(dev, request->ns, FORMAT_LBAF(request->command.dw10));
            request->ns = NULL;
        }
        if (request->range_index == dev->namespace_count)
            return NVME_SUCCESS;
        struct nvme_namespace *ns = &dev->namespaces[request->range_index++];
        if (!format_covers(request, ns))
            continue;
        request->ns = ns;
        request->range = (struct nvme_range){0, nvme_namespace_blocks(ns)};
        request->position = 0;
    }
}

uint16_t nvme_format(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;

    if (nvme_namespace_find(dev, command->nsid) == NULL && command->nsid != NVME_NSID_ALL)
        return NVME_INVALID_NAMESPACE;
    if (FORMAT_LBAF(command->dw10) > 1 || FORMAT_PI(command->dw10) != 0)
        return NVME_INVALID_FORMAT;
    if (FORMAT_SES(command->dw10) > 1)
        return nvme_field_refuse(request, NVME_FIELD_DW(10, 9)); /* nothing is encrypted */
    for (unsigned i = 0; i < dev->namespace_count; i++) {
        const struct nvme_namespace *ns = &dev->namespaces[i];
        if (!format_covers(request, ns))
            continue;
        if (ns->is_read_only)
            return NVME_WRITE_PROTECTED;
        if (ns->is_formatting)
            return NVME_FORMAT_IN_PROGRESS;
        if (namespace_is_busy(dev, ns))
            return NVME_COMMAND_SEQUENCE_ERROR;
    }
    for (unsigned i = 0; i < dev->namespace_count; i++) {
        if (format_covers(request, &dev->namespaces[i]))
            dev->namespaces[i].is_formatting = true;
    }
    request->is_durable = true;
    request->step = format_step;
    return format_step(dev, request, 0);
}
