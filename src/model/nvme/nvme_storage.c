/*
 * Operations on a namespace's bytes: in memory at once, in the host's storage later. Either way
 * the request's next step is taken from the ready list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "model/nvme/nvme_device.h"

#define ZERO_BYTES_MEMORY (UINT64_C(2) << 20) /* under the device's lock */
#define ZERO_BYTES_HOST   (UINT64_C(64) << 20)

static void memory_run(struct nvme *dev, struct nvme_request *request,
                       const struct model_storage_request *operation)
{
    uint8_t *memory = request->ns->memory + operation->offset;
    size_t bytes = (size_t)operation->bytes;

    if (operation->action == MODEL_STORAGE_READ)
        memcpy(request->buffer, memory, bytes);
    else if (operation->action == MODEL_STORAGE_WRITE)
        memcpy(memory, request->buffer, bytes);
    else if (operation->action == MODEL_STORAGE_ZERO)
        memset(memory, 0, bytes);
    dev->work_bytes += bytes;
    nvme_request_ready(dev, request, 0);
}

uint8_t *nvme_storage_memory(const struct nvme_namespace *ns, uint64_t block)
{
    return ns->memory != NULL ? ns->memory + (block << ns->block_shift) : NULL;
}

bool nvme_storage_read_now(struct nvme *dev, const struct nvme_request *request)
{
    const struct model_host *host = &dev->model.host;
    const struct nvme_namespace *ns = request->ns;

    if (ns->memory != NULL || (request->command.dw12 & NVME_RW_FUA) != 0 ||
        !host->ops->storage_read_now(host->context, ns->storage,
                                     request->range.first << ns->block_shift,
                                     request->data.segments, request->data.count))
        return false;
    dev->work_bytes += request->data.bytes;
    return true;
}

static struct model_storage_request operation_of(const struct nvme *dev,
                                                 const struct nvme_request *request,
                                                 enum model_storage_action action, bool is_durable,
                                                 uint64_t first, uint64_t count)
{
    const struct nvme_namespace *ns = request->ns;

    return (struct model_storage_request){
        .storage = ns->storage,
        .action = action,
        .is_durable = is_durable,
        .offset = first << ns->block_shift,
        .bytes = count << ns->block_shift,
        .tag = (unsigned)(request - dev->requests),
    };
}

bool nvme_storage_transfer_direct(struct nvme *dev, struct nvme_request *request,
                                  enum model_storage_action action, bool is_durable)
{
    const struct model_host *host = &dev->model.host;
    struct model_storage_request operation =
        operation_of(dev, request, action, is_durable, request->range.first,
                     request->range.end - request->range.first);

    operation.segments = request->data.segments;
    operation.segment_count = request->data.count;
    if (!host->ops->storage_submit_direct(host->context, &operation))
        return false;
    request->state = NVME_REQUEST_STORAGE;
    return true;
}

void nvme_storage_start(struct nvme *dev, struct nvme_request *request,
                        enum model_storage_action action, bool is_durable, uint64_t first,
                        uint64_t count)
{
    const struct model_host *host = &dev->model.host;
    struct model_storage_request operation =
        operation_of(dev, request, action, is_durable, first, count);

    if (action == MODEL_STORAGE_READ || action == MODEL_STORAGE_WRITE)
        operation.buffer = request->buffer;
    if (request->ns->memory != NULL) {
        memory_run(dev, request, &operation);
        return;
    }
    request->state = NVME_REQUEST_STORAGE;
    host->ops->storage_submit(host->context, &operation);
}

uint64_t nvme_storage_zero_blocks(const struct nvme_namespace *ns)
{
    return (ns->memory != NULL ? ZERO_BYTES_MEMORY : ZERO_BYTES_HOST) >> ns->block_shift;
}

static void operation_end(struct nvme *dev, unsigned tag, int result)
{
    struct nvme_request *request = &dev->requests[tag];

    if (request->state == NVME_REQUEST_ORPHAN) {
        request->state = NVME_REQUEST_FREE;
        if (tag < NVME_IO_REQUESTS)
            STAILQ_INSERT_TAIL(&dev->free_io, request, link);
        else if (tag != NVME_OWN_REQUEST)
            STAILQ_INSERT_TAIL(&dev->free_admin, request, link);
        dev->orphans--;
        nvme_settle(dev);
    } else if (request->state == NVME_REQUEST_STORAGE) {
        nvme_request_ready(dev, request, result);
    }
}

/* One pass for all of them, and so one interrupt a vector. */
void nvme_storage_done(struct model *model, const struct model_storage_result *results,
                       unsigned count)
{
    struct nvme *dev = (struct nvme *)model;

    for (unsigned i = 0; i < count; i++)
        operation_end(dev, results[i].tag, results[i].result);
    nvme_doorbells_take(dev);
    enum nvme_poll_found found = nvme_work(dev);
    /* The poller goes on where no further operation would: the driver is about to answer. */
    if (found == NVME_POLL_MORE || dev->in_flight <= 1) {
        nvme_poll_answered(&dev->poll, nvme_now(dev));
        nvme_kick(dev);
    }
}

uint16_t nvme_storage_status(struct nvme *dev, bool is_write, int result)
{
    if (result == 0)
        return NVME_SUCCESS;
    if (is_write && (result == -ENOSPC || result == -EDQUOT || result == -EFBIG))
        return NVME_CAPACITY_EXCEEDED;
    dev->statistics.media_errors++;
    return is_write ? NVME_WRITE_FAULT : NVME_UNRECOVERED_READ;
}
