/*
 * What must hold between calls in the NVMe controller's own books: every request is in one place,
 * and all that is counted twice agrees.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme_world.h"

static void expect(bool holds, const char *text)
{
    if (!holds)
        world_fail(text);
}

struct tally {
    unsigned in_flight, orphans, storage, ready;
    unsigned of_queue[NVME_MAX_QUEUES + 1];
};

static void count_requests(const struct nvme *dev, struct tally *out)
{
    for (unsigned i = 0; i < NVME_REQUESTS; i++) {
        const struct nvme_request *request = &dev->requests[i];
        bool is_own = i == NVME_OWN_REQUEST;

        out->orphans += request->state == NVME_REQUEST_ORPHAN;
        out->storage += request->state == NVME_REQUEST_STORAGE;
        out->ready += request->state == NVME_REQUEST_READY;
        if (is_own || request->state == NVME_REQUEST_FREE || request->state == NVME_REQUEST_ORPHAN)
            continue;
        expect(request->sqid <= dev->queues && dev->sq[request->sqid].exists,
               "a request of a queue that does not exist");
        out->in_flight++;
        out->of_queue[request->sqid]++;
    }
}

static void check_lists(const struct nvme *dev, const struct tally *tally)
{
    const struct nvme_request *request;
    unsigned free_count = 0, ready = 0;

    STAILQ_FOREACH(request, &dev->free_io, link)
    {
        expect(request->state == NVME_REQUEST_FREE, "a request in use is in the free list");
        expect(++free_count <= NVME_IO_REQUESTS, "the free list has no end");
    }
    STAILQ_FOREACH(request, &dev->free_admin, link)
    {
        expect(request->state == NVME_REQUEST_FREE, "an admin request in use is in the free list");
        expect(++free_count < NVME_REQUESTS, "the free list of admin requests has no end");
    }
    STAILQ_FOREACH(request, &dev->ready, link)
    {
        expect(request->state == NVME_REQUEST_READY, "a request in the ready list is not ready");
        expect(++ready <= NVME_REQUESTS, "the ready list has no end");
    }
    unsigned own_orphans = dev->requests[NVME_OWN_REQUEST].state == NVME_REQUEST_ORPHAN;
    expect(ready == tally->ready, "a ready request is not in the list");
    expect(free_count + tally->in_flight + tally->orphans - own_orphans == NVME_REQUESTS - 1,
           "a request was lost");
}

static void check_queues(const struct nvme *dev, const struct tally *tally)
{
    unsigned reserved[NVME_MAX_QUEUES + 1] = {0}, users[NVME_MAX_QUEUES + 1] = {0};

    for (unsigned i = 0; i <= NVME_MAX_QUEUES; i++) {
        const struct nvme_sq *sq = &dev->sq[i];
        expect(sq->in_flight == tally->of_queue[i], "a submission queue's count is wrong");
        if (!sq->exists)
            continue;
        expect(sq->head < sq->entries && sq->tail < sq->entries, "a position outside its queue");
        expect(sq->cqid <= dev->queues && dev->cq[sq->cqid].exists, "no completion queue");
        reserved[sq->cqid] += sq->in_flight;
        users[sq->cqid]++;
    }
    for (unsigned i = 0; i <= NVME_MAX_QUEUES; i++) {
        const struct nvme_cq *cq = &dev->cq[i];
        expect(cq->reserved == reserved[i], "promised completions are miscounted");
        expect(cq->sq_count == users[i], "users of a completion queue are miscounted");
        if (!cq->exists)
            continue;
        expect(cq->head < cq->entries && cq->tail < cq->entries, "a position outside its queue");
        unsigned used = (cq->tail + cq->entries - cq->head) % cq->entries;
        expect(used + cq->reserved < cq->entries, "more completions than room");
        expect(cq->vector <= dev->queues, "a vector that does not exist");
    }
}

void world_state_check(const struct world *world)
{
    const struct nvme *dev = (const struct nvme *)world->model;
    struct tally tally = {0};

    count_requests(dev, &tally);
    expect(dev->in_flight == tally.in_flight, "requests in flight are miscounted");
    expect(dev->orphans == tally.orphans, "orphans are miscounted");
    expect(world->operation_count == tally.storage + tally.orphans,
           "storage operations nobody waits for");
    check_lists(dev, &tally);
    check_queues(dev, &tally);
    expect(dev->async_count <= NVME_ASYNC_LIMIT, "more event requests than allowed");
    expect(dev->event_count <= NVME_EVENTS, "more events than fit");
    for (unsigned i = 0; i < dev->namespace_count; i++)
        expect(dev->namespaces[i].bad.count <= NVME_BAD_RANGES, "more bad ranges than fit");
}
