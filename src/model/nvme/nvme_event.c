/*
 * Asynchronous events: requests that wait for them, and events that wait for requests (5.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "model/nvme/nvme_device.h"

void nvme_events_clear(struct nvme *dev)
{
    dev->async_count = 0;
    dev->event_count = 0;
    dev->masked_events = 0;
}

static void async_remove(struct nvme *dev, unsigned index)
{
    dev->async_count--;
    memmove(dev->async_cids + index, dev->async_cids + index + 1,
            (dev->async_count - index) * sizeof(dev->async_cids[0]));
}

/* A request that waits for ever holds neither a slot nor a completion entry, only its id. */
uint16_t nvme_event_request(struct nvme *dev, struct nvme_request *request)
{
    if (dev->async_count == NVME_ASYNC_LIMIT)
        return NVME_TOO_MANY_ASYNC_EVENTS;
    dev->async_cids[dev->async_count++] = request->command.cid;
    nvme_request_retire(dev, request);
    return NVME_LATER;
}

bool nvme_event_has_cid(const struct nvme *dev, uint16_t cid)
{
    for (unsigned i = 0; i < dev->async_count; i++) {
        if (dev->async_cids[i] == cid)
            return true;
    }
    return false;
}

bool nvme_event_abort(struct nvme *dev, uint16_t cid)
{
    for (unsigned i = 0; i < dev->async_count; i++) {
        if (dev->async_cids[i] != cid)
            continue;
        if (!nvme_cq_has_room(&dev->cq[0]))
            return false;
        async_remove(dev, i);
        nvme_cq_post(dev, 0, cid, 0, NVME_ABORT_REQUESTED);
        return true;
    }
    return false;
}

void nvme_event_post(struct nvme *dev, uint8_t type, uint8_t info, uint8_t log)
{
    if (dev->event_count == NVME_EVENTS)
        return;
    for (unsigned i = 0; i < dev->event_count; i++) {
        if (dev->events[i].type == type && dev->events[i].info == info)
            return; /* said once it is said */
    }
    dev->events[dev->event_count++] = (struct nvme_event){type, info, log};
    nvme_kick(dev);
}

void nvme_event_unmask(struct nvme *dev, uint8_t type)
{
    dev->masked_events &= ~(1u << type);
}

void nvme_events_send(struct nvme *dev)
{
    unsigned i = 0;

    while (i < dev->event_count && dev->async_count > 0 && nvme_cq_has_room(&dev->cq[0])) {
        struct nvme_event event = dev->events[i];
        if ((dev->masked_events & 1u << event.type) != 0) {
            i++;
            continue;
        }
        uint16_t cid = dev->async_cids[0];
        async_remove(dev, 0);
        dev->event_count--;
        memmove(dev->events + i, dev->events + i + 1,
                (dev->event_count - i) * sizeof(dev->events[0]));
        dev->masked_events |= 1u << event.type;
        uint32_t answer = event.type | (uint32_t)event.info << 8 | (uint32_t)event.log << 16;
        if (!nvme_cq_post(dev, 0, cid, answer, NVME_SUCCESS))
            return;
    }
}
