/*
 * Admin commands: dispatch, I/O queues, abort (5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/checked.h"
#include "model/nvme/nvme_device.h"

#define QUEUE_CONTIGUOUS 0x1u
#define CQ_INTERRUPTS    0x2u

bool nvme_admin_is_known(uint8_t opcode)
{
    switch (opcode) {
    case NVME_ADMIN_DELETE_SQ:
    case NVME_ADMIN_CREATE_SQ:
    case NVME_ADMIN_GET_LOG:
    case NVME_ADMIN_DELETE_CQ:
    case NVME_ADMIN_CREATE_CQ:
    case NVME_ADMIN_IDENTIFY:
    case NVME_ADMIN_ABORT:
    case NVME_ADMIN_SET_FEATURES:
    case NVME_ADMIN_GET_FEATURES:
    case NVME_ADMIN_ASYNC_EVENT:
    case NVME_ADMIN_FORMAT:
        return true;
    default: /* Keep Alive too: there is no timer for it on PCIe here (Identify KAS is 0) */
        return false;
    }
}

/* Whether id may be a queue: 1 to what Number of Queues granted. */
static bool id_is_valid(const struct nvme *dev, unsigned id, bool is_cq)
{
    uint32_t granted = is_cq ? dev->features.queues >> 16 : dev->features.queues & 0xffff;
    return id != 0 && id <= granted + 1;
}

/* What both kinds of queue have in common: size, base, being contiguous. */
static uint16_t queue_check(const struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    uint32_t size = command->dw10 >> 16;

    if (size == 0 || size >= NVME_MAX_ENTRIES)
        return NVME_INVALID_QUEUE_SIZE;
    if ((command->dw11 & QUEUE_CONTIGUOUS) == 0)
        return nvme_field_refuse(request, NVME_FIELD_DW(11, 0));
    if (!is_aligned(command->prp1, dev->page_bytes)) {
        request->bad_field = NVME_FIELD_PRP1;
        return NVME_PRP_OFFSET_INVALID;
    }
    return NVME_SUCCESS;
}

static uint16_t cq_create(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    unsigned id = command->dw10 & 0xffff;
    unsigned vector = command->dw11 >> 16;

    if (!id_is_valid(dev, id, true) || dev->cq[id].exists)
        return NVME_INVALID_QUEUE_ID;
    uint16_t status = queue_check(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    if (NVME_CC_IOCQES(dev->cc) != NVME_CQE_SHIFT)
        return NVME_INVALID_QUEUE_SIZE; /* the host did not say how large entries are */
    bool has_interrupt = (command->dw11 & CQ_INTERRUPTS) != 0;
    if (has_interrupt && vector > dev->queues)
        return NVME_INVALID_VECTOR;
    nvme_cq_open(dev, id, command->prp1, (command->dw10 >> 16) + 1);
    dev->had_queues = true;
    dev->cq[id].has_interrupt = has_interrupt;
    dev->cq[id].vector = has_interrupt ? (uint16_t)vector : 0;
    return NVME_SUCCESS;
}

static uint16_t sq_create(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    unsigned id = command->dw10 & 0xffff;
    unsigned cqid = command->dw11 >> 16;

    if (!id_is_valid(dev, id, false) || dev->sq[id].exists)
        return NVME_INVALID_QUEUE_ID;
    if (!id_is_valid(dev, cqid, true)) {
        request->bad_field = NVME_FIELD_DW(11, 16);
        return NVME_INVALID_QUEUE_ID;
    }
    if (!dev->cq[cqid].exists)
        return NVME_CQ_INVALID;
    uint16_t status = queue_check(dev, request);
    if (status != NVME_SUCCESS)
        return status;
    if (NVME_CC_IOSQES(dev->cc) != NVME_SQE_SHIFT)
        return NVME_INVALID_QUEUE_SIZE;
    nvme_sq_open(dev, id, command->prp1, (command->dw10 >> 16) + 1, cqid);
    return NVME_SUCCESS;
}

static uint16_t cq_delete(struct nvme *dev, const struct nvme_command *command)
{
    unsigned id = command->dw10 & 0xffff;

    if (id == 0 || id > dev->queues || !dev->cq[id].exists)
        return NVME_INVALID_QUEUE_ID;
    if (dev->cq[id].sq_count != 0)
        return NVME_INVALID_QUEUE_DELETION;
    dev->cq[id] = (struct nvme_cq){0};
    return NVME_SUCCESS;
}

/* Commands under way end first: nothing they do may come after the answer. */
static uint16_t sq_delete(struct nvme *dev, struct nvme_request *request)
{
    unsigned id = request->command.dw10 & 0xffff;

    if (id == 0 || id > dev->queues || !dev->sq[id].exists || dev->sq[id].deleted_by != NULL)
        return NVME_INVALID_QUEUE_ID;
    if (dev->sq[id].in_flight != 0) {
        dev->sq[id].deleted_by = request;
        return NVME_LATER;
    }
    nvme_sq_close(dev, id);
    return NVME_SUCCESS;
}

/* A command that runs in steps can be stopped between them; one in the hands of storage not. */
static struct nvme_request *find_abortable(struct nvme *dev, unsigned sqid, uint16_t cid)
{
    struct nvme_request *request;

    STAILQ_FOREACH(request, &dev->ready, link)
    {
        if (request->sqid == sqid && request->command.cid == cid)
            return request;
    }
    return NULL;
}

static uint16_t abort_command(struct nvme *dev, struct nvme_request *request)
{
    unsigned sqid = request->command.dw10 & 0xffff;
    uint16_t cid = (uint16_t)(request->command.dw10 >> 16);
    struct nvme_request *found = find_abortable(dev, sqid, cid);

    request->answer = 0;
    if (found != NULL && (found->ns == NULL || !found->ns->is_formatting)) {
        STAILQ_REMOVE(&dev->ready, found, nvme_request, link);
        nvme_request_complete(dev, found, NVME_ABORT_REQUESTED);
    } else if (sqid != 0 || !nvme_event_abort(dev, cid)) {
        request->answer = 1;
    }
    return NVME_SUCCESS;
}

uint16_t nvme_admin_execute(struct nvme *dev, struct nvme_request *request)
{
    switch (request->command.opcode) {
    case NVME_ADMIN_DELETE_SQ:
        return sq_delete(dev, request);
    case NVME_ADMIN_CREATE_SQ:
        return sq_create(dev, request);
    case NVME_ADMIN_GET_LOG:
        return nvme_log_get(dev, request);
    case NVME_ADMIN_DELETE_CQ:
        return cq_delete(dev, &request->command);
    case NVME_ADMIN_CREATE_CQ:
        return cq_create(dev, request);
    case NVME_ADMIN_IDENTIFY:
        return nvme_identify(dev, request);
    case NVME_ADMIN_ABORT:
        return abort_command(dev, request);
    case NVME_ADMIN_SET_FEATURES:
        return nvme_features_set(dev, request);
    case NVME_ADMIN_GET_FEATURES:
        return nvme_features_get(dev, request);
    case NVME_ADMIN_ASYNC_EVENT:
        return nvme_event_request(dev, request);
    case NVME_ADMIN_FORMAT:
        return nvme_format(dev, request);
    default:
        return NVME_INVALID_OPCODE;
    }
}
