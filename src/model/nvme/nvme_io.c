/*
 * NVM commands that read, write and compare blocks (6).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "model/nvme/nvme_device.h"

#define COMPARE_BYTES 4096
#define UNIT_SHIFT    9

bool nvme_io_is_known(uint8_t opcode)
{
    switch (opcode) {
    case NVME_IO_FLUSH:
    case NVME_IO_WRITE:
    case NVME_IO_READ:
    case NVME_IO_WRITE_UNCORRECTABLE:
    case NVME_IO_COMPARE:
    case NVME_IO_WRITE_ZEROES:
    case NVME_IO_DSM:
    case NVME_IO_VERIFY:
        return true;
    default:
        return false;
    }
}

struct nvme_namespace *nvme_namespace_find(struct nvme *dev, uint32_t nsid)
{
    return nsid != 0 && nsid <= dev->namespace_count ? &dev->namespaces[nsid - 1] : NULL;
}

uint64_t nvme_namespace_blocks(const struct nvme_namespace *ns)
{
    return ns->bytes >> ns->block_shift;
}

uint16_t nvme_range_take(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    uint64_t first = (uint64_t)command->dw11 << 32 | command->dw10;
    uint64_t count = (uint64_t)(command->dw12 & 0xffff) + 1;

    request->bad_lba = first;
    if (!range_is_within(first, count, nvme_namespace_blocks(request->ns)))
        return NVME_LBA_OUT_OF_RANGE;
    request->range = (struct nvme_range){first, first + count};
    request->position = first;
    return NVME_SUCCESS;
}

static uint64_t range_blocks(const struct nvme_request *request)
{
    return request->range.end - request->range.first;
}

/* Range and memory of a command whose data is as long as its range. */
static uint16_t transfer_take(struct nvme *dev, struct nvme_request *request)
{
    uint16_t status = nvme_range_take(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    uint64_t bytes = range_blocks(request) << request->ns->block_shift;
    return bytes > NVME_TRANSFER_BYTES ? nvme_field_refuse(request, NVME_FIELD_DW(12, 0))
                                       : nvme_prp_map(dev, request, (uint32_t)bytes);
}

static bool is_durable(const struct nvme *dev, const struct nvme_request *request)
{
    return (request->command.dw12 & NVME_RW_FUA) != 0 || dev->features.write_cache == 0;
}

/* Marked blocks fail without being read. */
static uint16_t readable_check(struct nvme *dev, struct nvme_request *request)
{
    if (!nvme_bad_find(&request->ns->bad, request->range.first, request->range.end,
                       &request->bad_lba))
        return NVME_SUCCESS;
    dev->statistics.media_errors++;
    return NVME_UNRECOVERED_READ;
}

/* Data read for the host or on its behalf; Verify counts here, but not as a command (5.14.1.2). */
static void read_count(struct nvme *dev, const struct nvme_request *request)
{
    dev->statistics.reads += request->command.opcode != NVME_IO_VERIFY ? 1 : 0;
    dev->statistics.read_units += range_blocks(request) << (request->ns->block_shift - UNIT_SHIFT);
}

static uint16_t read_step(struct nvme *dev, struct nvme_request *request, int result)
{
    uint16_t status = nvme_storage_status(dev, false, result);
    if (status == NVME_SUCCESS)
        status = nvme_data_write(dev, &request->data, request->buffer);
    if (status == NVME_SUCCESS)
        read_count(dev, request);
    return status;
}

static uint16_t read_through_buffer(struct nvme *dev, struct nvme_request *request,
                                    nvme_step_fn step)
{
    request->step = step;
    nvme_storage_start(dev, request, MODEL_STORAGE_READ, (request->command.dw12 & NVME_RW_FUA) != 0,
                       request->range.first, range_blocks(request));
    return NVME_LATER;
}

/* The data is there already, unless bus mastering went off before: when it is back, once more. */
static uint16_t read_direct_step(struct nvme *dev, struct nvme_request *request, int result)
{
    if (result == -ECANCELED)
        return read_through_buffer(dev, request, read_step);
    uint16_t status = nvme_storage_status(dev, false, result);
    if (status == NVME_SUCCESS)
        read_count(dev, request);
    return status;
}

/* The other side is read in pieces, each byte once. */
static uint16_t compare_step(struct nvme *dev, struct nvme_request *request, int result)
{
    const struct model_host *host = &dev->model.host;
    const uint8_t *stored = request->buffer;
    uint8_t piece[COMPARE_BYTES];
    uint16_t status = nvme_storage_status(dev, false, result);

    for (unsigned i = 0; status == NVME_SUCCESS && i < request->data.count; i++) {
        struct model_segment segment = request->data.segments[i];
        while (segment.bytes > 0 && status == NVME_SUCCESS) {
            uint32_t bytes = segment.bytes < sizeof(piece) ? segment.bytes : sizeof(piece);
            if (host->ops->dma_read(host->context, segment.address, piece, bytes) != 0)
                status = NVME_DATA_TRANSFER_ERROR;
            else if (memcmp(piece, stored, bytes) != 0)
                status = NVME_COMPARE_FAILURE;
            segment.address += bytes;
            segment.bytes -= bytes;
            stored += bytes;
        }
    }
    dev->work_bytes += request->data.bytes;
    if (status == NVME_SUCCESS)
        read_count(dev, request);
    return status;
}

static uint16_t read_start(struct nvme *dev, struct nvme_request *request, nvme_step_fn step)
{
    uint16_t status = transfer_take(dev, request);
    if (status == NVME_SUCCESS)
        status = readable_check(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    const uint8_t *memory = nvme_storage_memory(request->ns, request->range.first);
    if (memory != NULL && step == read_step) {
        status = nvme_data_write(dev, &request->data, memory);
        if (status == NVME_SUCCESS)
            read_count(dev, request);
        return status;
    }
    if (step == read_step && nvme_storage_read_now(dev, request)) {
        read_count(dev, request);
        return NVME_SUCCESS;
    }
    if (memory == NULL && step == read_step &&
        nvme_storage_transfer_direct(dev, request, MODEL_STORAGE_READ,
                                     (request->command.dw12 & NVME_RW_FUA) != 0)) {
        request->step = read_direct_step;
        return NVME_LATER;
    }
    return read_through_buffer(dev, request, step);
}

static uint16_t write_step(struct nvme *dev, struct nvme_request *request, int result)
{
    uint16_t status = nvme_storage_status(dev, true, result);

    if (status != NVME_SUCCESS)
        return status;
    if (!nvme_bad_clear(&request->ns->bad, request->range.first, request->range.end))
        return NVME_INTERNAL_ERROR;
    dev->statistics.writes++;
    dev->statistics.written_units += range_blocks(request)
                                     << (request->ns->block_shift - UNIT_SHIFT);
    return NVME_SUCCESS;
}

/* Data that cannot be read to the end must not overwrite any. */
static uint16_t write_through_buffer(struct nvme *dev, struct nvme_request *request)
{
    uint16_t status = nvme_data_read(dev, &request->data, request->buffer);
    if (status != NVME_SUCCESS)
        return status;
    request->step = write_step;
    nvme_storage_start(dev, request, MODEL_STORAGE_WRITE, is_durable(dev, request),
                       request->range.first, range_blocks(request));
    return NVME_LATER;
}

/* As with reads: once more when bus mastering is back. */
static uint16_t write_direct_step(struct nvme *dev, struct nvme_request *request, int result)
{
    return result == -ECANCELED ? write_through_buffer(dev, request)
                                : write_step(dev, request, result);
}

static uint16_t write_start(struct nvme *dev, struct nvme_request *request)
{
    uint16_t status = transfer_take(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    uint8_t *memory = nvme_storage_memory(request->ns, request->range.first);
    if (memory == NULL &&
        nvme_storage_transfer_direct(dev, request, MODEL_STORAGE_WRITE, is_durable(dev, request))) {
        request->step = write_direct_step;
        return NVME_LATER;
    }
    if (memory == NULL)
        return write_through_buffer(dev, request);
    status = nvme_data_read(dev, &request->data, request->buffer);
    if (status != NVME_SUCCESS)
        return status;
    memcpy(memory, request->buffer, request->data.bytes);
    return write_step(dev, request, 0);
}

static uint16_t verify_step(struct nvme *dev, struct nvme_request *request, int result)
{
    uint64_t most = NVME_TRANSFER_BYTES >> request->ns->block_shift;
    uint64_t left = request->range.end - request->position;

    if (result != 0)
        return nvme_storage_status(dev, false, result);
    if (left == 0) {
        read_count(dev, request);
        return NVME_SUCCESS;
    }
    uint64_t count = left < most ? left : most;
    uint64_t first = request->position;
    request->position += count;
    nvme_storage_start(dev, request, MODEL_STORAGE_READ, (request->command.dw12 & NVME_RW_FUA) != 0,
                       first, count);
    return NVME_LATER;
}

static uint16_t verify_start(struct nvme *dev, struct nvme_request *request)
{
    uint16_t status = nvme_range_take(dev, request);
    if (status == NVME_SUCCESS)
        status = readable_check(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    request->step = verify_step;
    return verify_step(dev, request, 0);
}

static uint16_t write_uncorrectable(struct nvme *dev, struct nvme_request *request)
{
    uint16_t status = nvme_range_take(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    return nvme_bad_mark(&request->ns->bad, request->range.first, request->range.end)
               ? NVME_SUCCESS
               : NVME_INTERNAL_ERROR;
}

static bool opcode_writes(const struct nvme_command *command)
{
    switch (command->opcode) {
    case NVME_IO_WRITE:
    case NVME_IO_WRITE_UNCORRECTABLE:
    case NVME_IO_WRITE_ZEROES:
        return true;
    case NVME_IO_DSM:
        return (command->dw11 & NVME_DSM_DEALLOCATE) != 0;
    default:
        return false;
    }
}

uint16_t nvme_io_execute(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;

    if (command->opcode == NVME_IO_FLUSH)
        return nvme_flush(dev, request);
    if (command->nsid == NVME_NSID_ALL)
        return nvme_field_refuse(request, NVME_FIELD_NSID); /* one at a time (figure 105) */
    request->ns = nvme_namespace_find(dev, command->nsid);
    if (request->ns == NULL)
        return NVME_INVALID_NAMESPACE;
    if (request->ns->is_formatting)
        return NVME_FORMAT_IN_PROGRESS;
    if (request->ns->is_read_only && opcode_writes(command))
        return NVME_WRITE_PROTECTED;
    switch (command->opcode) {
    case NVME_IO_WRITE:
        return write_start(dev, request);
    case NVME_IO_READ:
        return read_start(dev, request, read_step);
    case NVME_IO_WRITE_UNCORRECTABLE:
        return write_uncorrectable(dev, request);
    case NVME_IO_COMPARE:
        return read_start(dev, request, compare_step);
    case NVME_IO_WRITE_ZEROES:
        return nvme_write_zeroes(dev, request, is_durable(dev, request));
    case NVME_IO_DSM:
        return nvme_dsm(dev, request);
    default:
        return verify_start(dev, request);
    }
}
