/*
 * Log pages: errors, health, firmware slot, changed namespaces, commands (5.14).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/checked.h"
#include "model/nvme/nvme_device.h"

#define ERROR_BYTES      64
#define LARGEST_LOG      4096
#define RETAIN_EVENT     0x8000u /* of dword 10 */
#define UNITS            1000    /* of 512 bytes, in a data unit */
#define NS_PER_HOUR      UINT64_C(3600000000000)

#define EFFECT_SUPPORTED 0x00000001u
#define EFFECT_CONTENT   0x00000002u /* changes logical blocks */
#define EFFECT_NAMESPACE 0x00000004u /* changes a namespace's capabilities */
#define EFFECT_ALONE     0x00010000u /* one command at a time to a namespace */

void nvme_error_log(struct nvme *dev, const struct nvme_error_entry *entry)
{
    struct nvme_error_entry *slot = &dev->errors[dev->error_count % NVME_ERROR_ENTRIES];

    *slot = *entry;
    slot->number = ++dev->error_count;
}

uint16_t nvme_field_refuse(struct nvme_request *request, uint16_t field)
{
    request->bad_field = field;
    return NVME_INVALID_FIELD;
}

uint16_t nvme_field_of(const struct nvme_request *request, uint16_t status)
{
    if (request->bad_field != NVME_FIELD_NONE)
        return request->bad_field;
    switch (status) {
    case NVME_INVALID_OPCODE:
        return NVME_FIELD(0, 0);
    case NVME_COMMAND_ID_CONFLICT:
        return NVME_FIELD_CID;
    case NVME_INVALID_NAMESPACE:
    case NVME_FEATURE_NOT_NS_SPECIFIC:
        return NVME_FIELD_NSID;
    case NVME_LBA_OUT_OF_RANGE: /* of Dataset Management it is in the data */
        return request->command.opcode != NVME_IO_DSM ? NVME_FIELD_DW(10, 0) : NVME_FIELD_NONE;
    case NVME_INVALID_QUEUE_ID:
    case NVME_INVALID_QUEUE_DELETION:
    case NVME_INVALID_LOG_PAGE:
    case NVME_INVALID_FORMAT:
        return NVME_FIELD_DW(10, 0);
    case NVME_INVALID_QUEUE_SIZE:
        return NVME_FIELD_DW(10, 16);
    case NVME_CQ_INVALID:
    case NVME_INVALID_VECTOR:
        return NVME_FIELD_DW(11, 16);
    case NVME_FEATURE_NOT_SAVEABLE:
        return NVME_FIELD_DW(10, 31);
    default:
        return NVME_FIELD_NONE;
    }
}

static uint32_t errors_fill(const struct nvme *dev, uint8_t *out)
{
    uint64_t count = dev->error_count < NVME_ERROR_ENTRIES ? dev->error_count : NVME_ERROR_ENTRIES;

    for (uint64_t i = 0; i < count; i++, out += ERROR_BYTES) {
        const struct nvme_error_entry *entry =
            &dev->errors[(dev->error_count - 1 - i) % NVME_ERROR_ENTRIES];
        nvme_put64(out, entry->number);
        nvme_put16(out + 8, entry->sqid);
        nvme_put16(out + 10, entry->cid);
        nvme_put16(out + 12, (uint16_t)(entry->status << 1));
        nvme_put16(out + 14, entry->parameter);
        nvme_put64(out + 16, entry->lba);
        nvme_put32(out + 24, entry->nsid);
    }
    return NVME_ERROR_ENTRIES * ERROR_BYTES;
}

uint8_t nvme_critical_warning(const struct nvme *dev)
{
    bool is_outside = NVME_TEMPERATURE >= dev->features.temperature_over ||
                      NVME_TEMPERATURE <= dev->features.temperature_under;
    return is_outside ? NVME_ASYNC_TEMPERATURE : 0;
}

static uint32_t health_fill(const struct nvme *dev, uint8_t *out)
{
    const struct nvme_statistics *statistics = &dev->statistics;

    out[0] = nvme_critical_warning(dev);
    nvme_put16(out + 1, NVME_TEMPERATURE);
    out[3] = 100; /* available spare and its threshold, per cent */
    out[4] = 10;
    nvme_put64(out + 32, (statistics->read_units + UNITS - 1) / UNITS);
    nvme_put64(out + 48, (statistics->written_units + UNITS - 1) / UNITS);
    nvme_put64(out + 64, statistics->reads);
    nvme_put64(out + 80, statistics->writes);
    nvme_put64(out + 112, statistics->power_cycles);
    nvme_put64(out + 128, (nvme_now(dev) - dev->created_ns) / NS_PER_HOUR);
    nvme_put64(out + 144, statistics->unsafe_shutdowns);
    nvme_put64(out + 160, statistics->media_errors);
    nvme_put64(out + 176, dev->error_count);
    return 512;
}

static uint32_t firmware_fill(uint8_t *out)
{
    out[0] = 1; /* active slot */
    memset(out + 8, ' ', 8);
    memcpy(out + 8, NVME_FIRMWARE, strlen(NVME_FIRMWARE));
    return 512;
}

static uint32_t changed_fill(const struct nvme *dev, uint8_t *out)
{
    for (uint32_t nsid = 1; nsid <= dev->namespace_count; nsid++) {
        if ((dev->changed_namespaces & 1u << (nsid - 1)) != 0) {
            nvme_put32(out, nsid);
            out += 4;
        }
    }
    return 4096;
}

static uint32_t commands_fill(uint8_t *out)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        uint32_t admin = nvme_admin_is_known((uint8_t)opcode) ? EFFECT_SUPPORTED : 0;
        uint32_t io = nvme_io_is_known((uint8_t)opcode) ? EFFECT_SUPPORTED : 0;
        if (opcode == NVME_ADMIN_FORMAT)
            admin |= EFFECT_CONTENT | EFFECT_NAMESPACE | EFFECT_ALONE;
        if (opcode == NVME_IO_WRITE || opcode == NVME_IO_WRITE_UNCORRECTABLE ||
            opcode == NVME_IO_WRITE_ZEROES || opcode == NVME_IO_DSM)
            io |= EFFECT_CONTENT;
        nvme_put32(out + (size_t)opcode * 4, admin);
        nvme_put32(out + 1024 + (size_t)opcode * 4, io);
    }
    return 4096;
}

static uint8_t event_type(uint8_t log)
{
    return log == NVME_LOG_ERROR   ? NVME_EVENT_ERROR
           : log == NVME_LOG_SMART ? NVME_EVENT_SMART
                                   : NVME_EVENT_NOTICE;
}

static uint32_t log_fill(const struct nvme *dev, uint8_t log, uint8_t *out)
{
    switch (log) {
    case NVME_LOG_ERROR:
        return errors_fill(dev, out);
    case NVME_LOG_SMART:
        return health_fill(dev, out);
    case NVME_LOG_FIRMWARE:
        return firmware_fill(out);
    case NVME_LOG_CHANGED_NAMESPACES:
        return changed_fill(dev, out);
    default:
        return commands_fill(out);
    }
}

uint16_t nvme_log_get(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    uint8_t log = command->dw10 & 0xff;
    uint64_t dwords = ((uint64_t)(command->dw11 & 0xffff) << 16 | command->dw10 >> 16) + 1;
    uint64_t offset = (uint64_t)command->dw13 << 32 | command->dw12;
    uint8_t content[LARGEST_LOG] = {0};

    if (log < NVME_LOG_ERROR || log > NVME_LOG_COMMANDS)
        return NVME_INVALID_LOG_PAGE;
    if (command->nsid != 0 && command->nsid != NVME_NSID_ALL)
        return nvme_field_refuse(request, NVME_FIELD_NSID); /* all are of the controller */
    if (dwords * 4 > NVME_TRANSFER_BYTES)
        return nvme_field_refuse(request, NVME_FIELD_DW(10, 16));
    if (!is_aligned(offset, 4))
        return nvme_field_refuse(request, NVME_FIELD_DW(12, 0));
    uint32_t bytes = (uint32_t)dwords * 4;
    uint16_t status = nvme_prp_map(dev, request, bytes);
    if (status != NVME_SUCCESS)
        return status;
    bool is_kept = (command->dw10 & RETAIN_EVENT) != 0;
    uint32_t size = log_fill(dev, log, content);
    if (offset > size)
        return nvme_field_refuse(request, NVME_FIELD_DW(12, 0));
    uint32_t there = size - (uint32_t)offset < bytes ? size - (uint32_t)offset : bytes;
    memset(request->buffer, 0, bytes);
    memcpy(request->buffer, content + offset, there);
    status = nvme_data_write(dev, &request->data, request->buffer);
    if (status != NVME_SUCCESS || is_kept)
        return status;
    if (log == NVME_LOG_CHANGED_NAMESPACES)
        dev->changed_namespaces = 0;
    if (log == NVME_LOG_ERROR || log == NVME_LOG_SMART || log == NVME_LOG_CHANGED_NAMESPACES)
        nvme_event_unmask(dev, event_type(log));
    return status;
}
