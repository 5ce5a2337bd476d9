/*
 * Queues: heads and tails, fetching of commands, completions with their interrupts, and the batch
 * of work that runs through them (4.1, 4.6, 7.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "model/nvme/nvme_device.h"

/* One op's share; the device's lock is held so long. */
#define WORK_STEPS 64
#define WORK_BYTES (UINT64_C(2) << 20)

void nvme_queues_clear(struct nvme *dev)
{
    memset(dev->sq, 0, sizeof(dev->sq));
    memset(dev->cq, 0, sizeof(dev->cq));
    nvme_doorbells_clear(dev);
    dev->next_sq = 0;
    memset(dev->fire, 0, sizeof(dev->fire));
}

void nvme_sq_open(struct nvme *dev, unsigned sqid, uint64_t base, uint32_t entries, unsigned cqid)
{
    nvme_doorbell_clear(dev, 2 * sqid);
    dev->sq[sqid] =
        (struct nvme_sq){.exists = true, .cqid = (uint16_t)cqid, .base = base, .entries = entries};
    dev->cq[cqid].sq_count++;
}

void nvme_cq_open(struct nvme *dev, unsigned cqid, uint64_t base, uint32_t entries)
{
    nvme_doorbell_clear(dev, 2 * cqid + 1);
    dev->cq[cqid] =
        (struct nvme_cq){.exists = true, .phase = true, .base = base, .entries = entries};
}

void nvme_sq_close(struct nvme *dev, unsigned sqid)
{
    dev->cq[dev->sq[sqid].cqid].sq_count--;
    dev->sq[sqid] = (struct nvme_sq){0};
}

static uint32_t cq_used(const struct nvme_cq *cq)
{
    return (cq->tail + cq->entries - cq->head) % cq->entries;
}

bool nvme_cq_has_room(const struct nvme_cq *cq)
{
    return cq_used(cq) + cq->reserved < cq->entries - 1;
}

/* Interrupt pin: there is no way out of a model for it, the status bit shows what it would do. */
void nvme_pin_update(struct nvme *dev)
{
    bool is_raised = false;

    if (!msix_is_enabled(&dev->msix) && (dev->intm & 1) == 0) {
        for (unsigned i = 0; i <= dev->queues && !is_raised; i++) {
            const struct nvme_cq *cq = &dev->cq[i];
            is_raised = cq->exists && cq->has_interrupt && cq->head != cq->tail;
        }
    }
    uint32_t status = config_space_get(&dev->config, CONFIG_STATUS, 2) & ~CONFIG_STATUS_INTERRUPT;
    config_space_set(&dev->config, CONFIG_STATUS, 2,
                     status | (is_raised ? CONFIG_STATUS_INTERRUPT : 0));
}

static void interrupts_send(struct nvme *dev)
{
    for (unsigned vector = 0; vector <= dev->queues; vector++) {
        uint64_t bit = UINT64_C(1) << vector % 64;
        if ((dev->fire[vector / 64] & bit) != 0)
            msix_fire(&dev->msix, vector);
    }
    memset(dev->fire, 0, sizeof(dev->fire));
    nvme_pin_update(dev);
}

/* The phase bit goes last: a driver that polls for it must find the rest. */
bool nvme_cq_post(struct nvme *dev, uint16_t sqid, uint16_t cid, uint32_t answer, uint16_t status)
{
    const struct model_host *host = &dev->model.host;
    const struct nvme_sq *sq = &dev->sq[sqid];
    struct nvme_cq *cq = &dev->cq[sq->cqid];
    uint64_t address = cq->base + ((uint64_t)cq->tail << NVME_CQE_SHIFT);
    uint8_t entry[NVME_CQE_BYTES] = {0};

    nvme_put32(entry, answer);
    nvme_put16(entry + 8, (uint16_t)sq->head);
    nvme_put16(entry + 10, sqid);
    nvme_put16(entry + 12, cid);
    nvme_put16(entry + 14, (uint16_t)(status << 1 | cq->phase));
    if (host->ops->dma_write(host->context, address, entry, 12) != 0 ||
        host->ops->dma_write(host->context, address + 12, entry + 12, 4) != 0) {
        nvme_fail(dev);
        return false;
    }
    if (++cq->tail == cq->entries) {
        cq->tail = 0;
        cq->phase = !cq->phase;
    }
    if (cq->has_interrupt)
        dev->fire[cq->vector / 64] |= UINT64_C(1) << cq->vector % 64;
    return true;
}

static struct nvme_request *request_take(struct nvme *dev, unsigned sqid)
{
    struct nvme_request_list *list = sqid == 0 ? &dev->free_admin : &dev->free_io;
    struct nvme_request *request = STAILQ_FIRST(list);

    if (request == NULL)
        return NULL;
    STAILQ_REMOVE_HEAD(list, link);
    request->state = NVME_REQUEST_BUSY;
    request->sqid = (uint16_t)sqid;
    request->answer = 0;
    request->bad_lba = 0;
    request->bad_field = NVME_FIELD_NONE;
    request->step = NULL;
    request->ns = NULL;
    request->position = 0;
    request->range_index = request->range_count = 0;
    return request;
}

static void request_free(struct nvme *dev, struct nvme_request *request)
{
    request->state = NVME_REQUEST_FREE;
    if (request - dev->requests < NVME_IO_REQUESTS)
        STAILQ_INSERT_HEAD(&dev->free_io, request, link);
    else
        STAILQ_INSERT_HEAD(&dev->free_admin, request, link);
}

void nvme_requests_drop(struct nvme *dev)
{
    STAILQ_INIT(&dev->free_io);
    STAILQ_INIT(&dev->free_admin);
    STAILQ_INIT(&dev->ready);
    for (unsigned i = 0; i < NVME_REQUESTS; i++) {
        struct nvme_request *request = &dev->requests[i];
        if (request->state == NVME_REQUEST_STORAGE) {
            request->state = NVME_REQUEST_ORPHAN;
            dev->orphans++;
        }
        if (request->state == NVME_REQUEST_ORPHAN)
            continue;
        request->state = NVME_REQUEST_FREE;
        if (i != NVME_OWN_REQUEST)
            STAILQ_INSERT_TAIL(i < NVME_IO_REQUESTS ? &dev->free_io : &dev->free_admin, request,
                               link);
    }
    dev->in_flight = 0;
}

void nvme_request_ready(struct nvme *dev, struct nvme_request *request, int result)
{
    if (request == &dev->requests[NVME_OWN_REQUEST]) { /* runs whether the controller does or not */
        request->state = NVME_REQUEST_BUSY;
        request->step(dev, request, result);
        return;
    }
    request->result = result;
    request->state = NVME_REQUEST_READY;
    STAILQ_INSERT_TAIL(&dev->ready, request, link);
}

void nvme_request_retire(struct nvme *dev, struct nvme_request *request)
{
    struct nvme_sq *sq = &dev->sq[request->sqid];

    dev->cq[sq->cqid].reserved--;
    sq->in_flight--;
    dev->in_flight--;
    request_free(dev, request);
}

static bool may_be_retried(uint16_t status)
{
    switch (status) {
    case NVME_DATA_TRANSFER_ERROR:
    case NVME_INTERNAL_ERROR:
    case NVME_ABORT_REQUESTED:
    case NVME_FORMAT_IN_PROGRESS:
    case NVME_CAPACITY_EXCEEDED:
    case NVME_WRITE_FAULT:
    case NVME_TOO_MANY_ASYNC_EVENTS:
        return true;
    default:
        return false;
    }
}

static void failure_log(struct nvme *dev, const struct nvme_request *request, uint16_t status)
{
    const struct nvme_error_entry entry = {
        .lba = request->bad_lba,
        .nsid = request->command.nsid,
        .sqid = request->sqid,
        .cid = request->command.cid,
        .status = status,
        .parameter = nvme_field_of(request, status & NVME_STATUS_CODE),
    };
    nvme_error_log(dev, &entry);
}

void nvme_request_complete(struct nvme *dev, struct nvme_request *request, uint16_t status)
{
    uint16_t sqid = request->sqid;
    struct nvme_sq *sq = &dev->sq[sqid];

    if (status != NVME_SUCCESS) {
        status |= NVME_STATUS_MORE | (may_be_retried(status) ? 0 : NVME_STATUS_DNR);
        failure_log(dev, request, status);
    }
    nvme_request_retire(dev, request);
    nvme_cq_post(dev, sqid, request->command.cid, request->answer, status);
    if (sq->in_flight == 0 && sq->deleted_by != NULL) {
        struct nvme_request *deletion = sq->deleted_by;
        nvme_sq_close(dev, sqid);
        nvme_request_complete(dev, deletion, NVME_SUCCESS);
    }
}

static void command_decode(struct nvme_command *command, const uint8_t *entry)
{
    *command = (struct nvme_command){
        .opcode = entry[0],
        .flags = entry[1],
        .cid = nvme_get16(entry + 2),
        .nsid = nvme_get32(entry + 4),
        .prp1 = nvme_get64(entry + 24),
        .prp2 = nvme_get64(entry + 32),
        .dw10 = nvme_get32(entry + 40),
        .dw11 = nvme_get32(entry + 44),
        .dw12 = nvme_get32(entry + 48),
        .dw13 = nvme_get32(entry + 52),
        .dw14 = nvme_get32(entry + 56),
        .dw15 = nvme_get32(entry + 60),
    };
}

static bool cid_is_in_use(const struct nvme *dev, const struct nvme_request *request)
{
    for (unsigned i = 0; dev->sq[request->sqid].in_flight > 1 && i < NVME_REQUESTS; i++) {
        const struct nvme_request *other = &dev->requests[i];
        if (other != request && other->sqid == request->sqid &&
            other->command.cid == request->command.cid && other->state != NVME_REQUEST_FREE &&
            other->state != NVME_REQUEST_ORPHAN)
            return true;
    }
    return request->sqid == 0 && nvme_event_has_cid(dev, request->command.cid);
}

static uint16_t execute(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    bool is_admin = request->sqid == 0;

    if (cid_is_in_use(dev, request))
        return NVME_COMMAND_ID_CONFLICT;
    if (is_admin ? !nvme_admin_is_known(command->opcode) : !nvme_io_is_known(command->opcode))
        return NVME_INVALID_OPCODE;
    if ((command->flags & NVME_FLAGS_FUSE) != 0)
        return nvme_field_refuse(request, NVME_FIELD_FLAGS);
    if ((command->flags & NVME_FLAGS_PSDT) != 0)
        return nvme_field_refuse(request, NVME_FIELD_PSDT);
    return is_admin ? nvme_admin_execute(dev, request) : nvme_io_execute(dev, request);
}

static bool sq_is_ready(const struct nvme *dev, unsigned sqid)
{
    const struct nvme_sq *sq = &dev->sq[sqid];
    return sq->exists && sq->deleted_by == NULL && sq->head != sq->tail &&
           nvme_cq_has_room(&dev->cq[sq->cqid]) &&
           !STAILQ_EMPTY(sqid == 0 ? &dev->free_admin : &dev->free_io);
}

/* Take and execute the next command of a queue that is ready. */
static void fetch(struct nvme *dev, unsigned sqid)
{
    const struct model_host *host = &dev->model.host;
    struct nvme_sq *sq = &dev->sq[sqid];
    uint8_t entry[NVME_SQE_BYTES];

    if (host->ops->dma_read(host->context, sq->base + ((uint64_t)sq->head << NVME_SQE_SHIFT), entry,
                            sizeof(entry)) != 0) {
        nvme_fail(dev);
        return;
    }
    struct nvme_request *request = request_take(dev, sqid);
    sq->head = (sq->head + 1) % sq->entries;
    sq->in_flight++;
    dev->in_flight++;
    dev->cq[sq->cqid].reserved++;
    command_decode(&request->command, entry);
    uint16_t status = execute(dev, request);
    if (status != NVME_LATER)
        nvme_request_complete(dev, request, status);
}

/* The next queue with something to fetch, round robin; -1 when there is none. */
static int ready_queue(struct nvme *dev)
{
    if ((dev->csts & NVME_CSTS_SHST_MASK) != 0)
        return -1;
    for (unsigned i = 0; i <= dev->queues; i++) {
        unsigned sqid = (dev->next_sq + i) % (dev->queues + 1);
        if (sq_is_ready(dev, sqid)) {
            dev->next_sq = (sqid + 1) % (dev->queues + 1);
            return (int)sqid;
        }
    }
    return -1;
}

static bool continue_one(struct nvme *dev)
{
    struct nvme_request *request = STAILQ_FIRST(&dev->ready);

    if (request == NULL)
        return false;
    STAILQ_REMOVE_HEAD(&dev->ready, link);
    request->state = NVME_REQUEST_BUSY;
    uint16_t status = request->step(dev, request, request->result);
    if (status != NVME_LATER)
        nvme_request_complete(dev, request, status);
    return true;
}

enum nvme_poll_found nvme_work(struct nvme *dev)
{
    unsigned steps = 0;
    bool has_more = nvme_is_running(dev);

    dev->work_bytes = 0;
    for (; nvme_is_running(dev) && steps < WORK_STEPS && dev->work_bytes < WORK_BYTES; steps++) {
        if (continue_one(dev))
            continue;
        int sqid = ready_queue(dev);
        if (sqid < 0) {
            has_more = false;
            break;
        }
        fetch(dev, (unsigned)sqid);
    }
    if (nvme_is_running(dev))
        nvme_events_send(dev);
    nvme_settle(dev);
    interrupts_send(dev);
    if (has_more)
        return NVME_POLL_MORE;
    return steps > 0 ? NVME_POLL_SOME : NVME_POLL_NOTHING;
}

bool nvme_sq_tail_write(struct nvme *dev, unsigned sqid, uint32_t value)
{
    struct nvme_sq *sq = &dev->sq[sqid];
    uint32_t used = (sq->tail + sq->entries - sq->head) % sq->entries;

    if (value >= sq->entries || value == sq->tail)
        return false;
    if (used + (value + sq->entries - sq->tail) % sq->entries >= sq->entries)
        return false; /* more than there is room for */
    sq->tail = value;
    return true;
}

bool nvme_cq_head_write(struct nvme *dev, unsigned cqid, uint32_t value)
{
    struct nvme_cq *cq = &dev->cq[cqid];

    if (value >= cq->entries || value == cq->head)
        return false;
    if ((value + cq->entries - cq->head) % cq->entries > cq_used(cq))
        return false; /* past what there is */
    cq->head = value;
    return true;
}
