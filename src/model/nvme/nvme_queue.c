/*
 * Queues: heads and tails, fetching of commands, completions with their interrupts, and the batch
 * of work that runs through them (4.1, 4.6, 7.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <limits.h>
#include <string.h>

#include "model/nvme/nvme_device.h"

/* One op's share; the device's lock is held so long. */
#define WORK_STEPS          64
#define WORK_BYTES          (UINT64_C(2) << 20)
#define BURST               8 /* commands fetched from a queue at a time */

#define TAKEN_ID(sqid, cid) (1u << 31 | (uint32_t)(sqid) << 16 | (cid))

void nvme_queues_clear(struct nvme *dev)
{
    memset(dev->sq, 0, sizeof(dev->sq));
    memset(dev->cq, 0, sizeof(dev->cq));
    nvme_doorbells_clear(dev);
    memset(dev->rung, 0, sizeof(dev->rung));
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
    for (unsigned i = 0; i < 2; i++) {
        for (; dev->fire[i] != 0; dev->fire[i] &= dev->fire[i] - 1)
            msix_fire(&dev->msix, 64 * i + (unsigned)__builtin_ctzll(dev->fire[i]));
    }
    nvme_pin_update(dev);
}

/* The word with the phase bit goes last, by contract of dma_write. */
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
    if (host->ops->dma_write(host->context, address, entry, sizeof(entry)) != 0) {
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
    dev->taken_ids[request - dev->requests] = 0;
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
    memset(dev->taken_ids, 0, sizeof(dev->taken_ids));
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

static bool cid_is_in_use(const struct nvme *dev, unsigned sqid, uint16_t cid)
{
    uint32_t id = TAKEN_ID(sqid, cid);
    bool is_taken = false;

    if (dev->sq[sqid].in_flight > 1) {
        for (unsigned i = 0; i < NVME_REQUESTS; i++)
            is_taken |= dev->taken_ids[i] == id;
    }
    return is_taken || (sqid == 0 && nvme_event_has_cid(dev, cid));
}

static uint16_t execute(struct nvme *dev, struct nvme_request *request)
{
    const struct nvme_command *command = &request->command;
    bool is_admin = request->sqid == 0;

    if (cid_is_in_use(dev, request->sqid, command->cid))
        return NVME_COMMAND_ID_CONFLICT;
    dev->taken_ids[request - dev->requests] = TAKEN_ID(request->sqid, command->cid);
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

/* Take and execute one command of a queue that is ready. */
static void command_begin(struct nvme *dev, unsigned sqid, const uint8_t *entry)
{
    struct nvme_sq *sq = &dev->sq[sqid];
    struct nvme_request *request = request_take(dev, sqid);

    sq->head = sq->head + 1 == sq->entries ? 0 : sq->head + 1;
    sq->in_flight++;
    dev->in_flight++;
    dev->cq[sq->cqid].reserved++;
    command_decode(&request->command, entry);
    uint16_t status = execute(dev, request);
    if (status != NVME_LATER)
        nvme_request_complete(dev, request, status);
}

/* The next commands of a queue that is ready, at most so many; how many there were. An admin
 * command may change what comes next, so they come one by one. */
static unsigned fetch(struct nvme *dev, unsigned sqid, unsigned most)
{
    const struct model_host *host = &dev->model.host;
    const struct nvme_sq *sq = &dev->sq[sqid];
    uint8_t entries[BURST * NVME_SQE_BYTES];
    uint64_t address = sq->base + ((uint64_t)sq->head << NVME_SQE_SHIFT);
    unsigned count = (sq->tail > sq->head ? sq->tail : sq->entries) - sq->head;
    unsigned limit = sqid == 0 ? 1 : BURST;

    limit = limit < most ? limit : most;
    count = count < limit ? count : limit;
    if (host->ops->dma_read(host->context, address, entries, (size_t)count * NVME_SQE_BYTES) != 0) {
        nvme_fail(dev);
        return 1;
    }
    unsigned done = 0;
    do {
        command_begin(dev, sqid, entries + (size_t)done * NVME_SQE_BYTES);
        done++;
    } while (done < count && dev->work_bytes < WORK_BYTES && nvme_is_running(dev) &&
             sq_is_ready(dev, sqid));
    return done;
}

/* The first queue from there on that was rung; UINT_MAX when there is none. */
static unsigned next_rung(const struct nvme *dev, unsigned sqid)
{
    for (unsigned i = sqid / 64; i < 2; i++) {
        uint64_t bits = dev->rung[i] & (i == sqid / 64 ? UINT64_MAX << sqid % 64 : UINT64_MAX);
        if (bits != 0)
            return 64 * i + (unsigned)__builtin_ctzll(bits);
    }
    return UINT_MAX;
}

/* The next queue with something to fetch, round robin; -1 when there is none. */
static int ready_queue(struct nvme *dev)
{
    unsigned first = dev->next_sq;

    if ((dev->csts & NVME_CSTS_SHST_MASK) != 0)
        return -1;
    for (unsigned round = 0; round < 2; round++) {
        unsigned end = round == 0 ? UINT_MAX : dev->next_sq;
        for (unsigned sqid = next_rung(dev, first); sqid < end; sqid = next_rung(dev, sqid + 1)) {
            if (dev->sq[sqid].head == dev->sq[sqid].tail)
                dev->rung[sqid / 64] &= ~(UINT64_C(1) << sqid % 64);
            if (sq_is_ready(dev, sqid)) {
                dev->next_sq = sqid + 1;
                return (int)sqid;
            }
        }
        first = 0;
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
    while (nvme_is_running(dev) && steps < WORK_STEPS && dev->work_bytes < WORK_BYTES) {
        if (continue_one(dev)) {
            steps++;
            continue;
        }
        int sqid = ready_queue(dev);
        if (sqid < 0) {
            has_more = false;
            break;
        }
        steps += fetch(dev, (unsigned)sqid, WORK_STEPS - steps);
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
    dev->rung[sqid / 64] |= UINT64_C(1) << sqid % 64;
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
