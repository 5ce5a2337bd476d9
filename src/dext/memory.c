/*
 * CopyClientMemoryForType: what a mapping of each memory type is made of, and the accesses that
 * hit a trapped part of one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dext/dext_private.h"

#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/ticks.h"
#include "base/trace.h"

static void memory_describe_shared(const struct shared_memory *shared, uint64_t bytes,
                                   struct dext_memory *out)
{
    out->bytes = bytes;
    out->range_count = 1;
    out->ranges[0] = (struct pci_direct_range){.bytes = shared->bytes, .fd = shared->fd};
}

static IOReturn memory_of_buffer(struct dext_client *client, struct dext_memory *out)
{
    if (!client->buffer) {
        return dext_refuse(kIOReturnNotReady, "mapping of a DMA buffer that is not there");
    }
    memory_describe_shared(&client->buffer->shared, client->buffer->memory.bytes, out);
    return kIOReturnSuccess;
}

static IOReturn memory_of_irq_state(struct dext_client *client, struct dext_memory *out)
{
    /* Set-up and stop change irq under both locks: dext.lock alone is enough to look. */
    if (!client->irq.is_set_up) {
        return dext_refuse(kIOReturnNotReady, "mapping of the IRQ state before SetupInterrupts");
    }
    memory_describe_shared(&client->irq.page, DEXT_IRQ_STATE_BYTES, out);
    return kIOReturnSuccess;
}

/* Checks for a BAR mapping and for every access through one. */
static IOReturn memory_check_bar(struct dext_client *client, uint64_t type,
                                 struct pci_bar_info *info)
{
    IOReturn status = dext_claim_check(client, "BAR memory");
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = dext_bar_info(client->dext, type - DEXT_MEMORY_BAR(0), info);
    if (status != kIOReturnSuccess) {
        return dext_refuse(status, "mapping of BAR %llu",
                           (unsigned long long)(type - DEXT_MEMORY_BAR(0)));
    }
    if (DEXT_BAR_IS_IO(info->type)) {
        return dext_refuse(kIOReturnUnsupported, "mapping of an I/O BAR");
    }
    return kIOReturnSuccess;
}

static IOReturn memory_of_bar(struct dext_client *client, uint64_t type, struct dext_memory *out)
{
    struct pci_bar_info info;
    IOReturn status = memory_check_bar(client, type, &info);
    if (status != kIOReturnSuccess) {
        return status;
    }
    if (dext_is_removed(client->dext)) {
        return dext_refuse(kIOReturnNoDevice, "mapping of a BAR of a device that is gone");
    }
    struct pci_bar_memory memory;
    memset(&memory, 0, sizeof(memory));
    int error = provider_bar_memory(client->dext->provider, type - DEXT_MEMORY_BAR(0), &memory);
    if (error < 0) {
        return dext_refuse(status_from_errno(error), "mapping of BAR %llu",
                           (unsigned long long)(type - DEXT_MEMORY_BAR(0)));
    }
    out->bytes = memory.bytes;
    out->range_count = memory.range_count;
    memcpy(out->ranges, memory.ranges, sizeof(out->ranges));
    return kIOReturnSuccess;
}

static bool memory_type_is_bar(uint64_t type)
{
    return type >= DEXT_MEMORY_BAR(0) && type < DEXT_MEMORY_BAR(DEXT_BAR_COUNT);
}

IOReturn dext_client_memory_for_type(struct dext_client *client, uint64_t type,
                                     struct dext_memory *out)
{
    IOReturn status;
    uint64_t start = ticks_now();
    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&client->dext->lock);
    if (type == DEXT_MEMORY_DMA_BUFFER) {
        status = memory_of_buffer(client, out);
    } else if (memory_type_is_bar(type)) {
        status = memory_of_bar(client, type, out);
    } else if (type == DEXT_MEMORY_IRQ_STATE) {
        status = memory_of_irq_state(client, out);
    } else {
        status = dext_refuse(kIOReturnBadArgument, "memory type %llu", (unsigned long long)type);
    }
    pthread_mutex_unlock(&client->dext->lock);
    struct dext_call_record record = {.start_ns = start,
                                      .code = (uint32_t)status,
                                      .kind = DEXT_CALL_MAP,
                                      .input_count = 1,
                                      .inputs = {type}};
    dext_call_record(client, &record);
    trace_hop("dext", "client=%llu memory_for_type(%llu) %s", (unsigned long long)client->id,
              (unsigned long long)type, status_text(status));
    return status;
}

static IOReturn memory_access_locked(struct dext_client *client, uint64_t type, uint64_t offset,
                                     uint64_t width, bool is_write, uint64_t *value)
{
    if (!memory_type_is_bar(type)) {
        /* Types 0 and 7 are memory through and through: nothing of them is trapped. */
        return dext_refuse(kIOReturnBadArgument, "trapped access to memory type %llu",
                           (unsigned long long)type);
    }
    struct pci_bar_info info;
    IOReturn status = memory_check_bar(client, type, &info);
    if (status != kIOReturnSuccess) {
        return status;
    }
    status = dext_bar_check_access(&info, offset, width);
    if (status != kIOReturnSuccess) {
        return status;
    }
    unsigned bar = (unsigned)(type - DEXT_MEMORY_BAR(0));
    return is_write ? dext_bar_write(client->dext, bar, offset, width, *value)
                    : dext_bar_read(client->dext, bar, offset, width, value);
}

IOReturn dext_client_memory_access(struct dext_client *client, uint64_t type, uint64_t offset,
                                   uint64_t width, bool is_write, uint64_t *value)
{
    uint64_t start = ticks_now();
    pthread_mutex_lock(&client->dext->lock);
    IOReturn status = memory_access_locked(client, type, offset, width, is_write, value);
    pthread_mutex_unlock(&client->dext->lock);
    struct dext_call_record record = {.start_ns = start,
                                      .code = (uint32_t)status,
                                      .kind = is_write ? DEXT_CALL_STORE : DEXT_CALL_LOAD,
                                      .input_count = is_write ? 4 : 3,
                                      .inputs = {type, offset, width, is_write ? *value : 0}};
    dext_call_record(client, &record);
    if (status != kIOReturnSuccess && !is_write) {
        *value = ones_of_width(width);
    }
    trace_hop("dext", "client=%llu memory_%s(type %llu,0x%llx,%llu) %s",
              (unsigned long long)client->id, is_write ? "write" : "read", (unsigned long long)type,
              (unsigned long long)offset, (unsigned long long)width, status_text(status));
    return status;
}
