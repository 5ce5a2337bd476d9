/*
 * Doorbells (3.1.24, 3.1.25): words of a page that drivers write without anybody noticing. A look
 * at the page takes what differs from what was seen last, so of several writes to one doorbell the
 * latest counts, and a bad value is complained of once.
 *
 * Drivers write at any time, hence the atomic accesses, to doorbells_seen too: nvme_doorbells_peek
 * runs beside everything else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/nvme/nvme_device.h"

static unsigned word_count(const struct nvme *dev)
{
    return 2 * (dev->queues + 1);
}

static uint32_t seen(const struct nvme *dev, unsigned index)
{
    return __atomic_load_n(&dev->doorbells_seen[index], __ATOMIC_RELAXED);
}

static void seen_set(struct nvme *dev, unsigned index, uint32_t value)
{
    __atomic_store_n(&dev->doorbells_seen[index], value, __ATOMIC_RELAXED);
}

/* Acquire: the entries that a driver wrote before it rang are there. */
static uint32_t page_load(const struct nvme *dev, unsigned index)
{
    return __atomic_load_n(&dev->doorbells[index], __ATOMIC_ACQUIRE);
}

static void page_store(struct nvme *dev, unsigned index, uint32_t value)
{
    __atomic_store_n(&dev->doorbells[index], value, __ATOMIC_RELEASE);
}

static bool is_enabled(const struct nvme *dev)
{
    return (dev->csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) == NVME_CSTS_RDY;
}

static void complain(struct nvme *dev, unsigned queue, uint8_t info)
{
    const struct nvme_error_entry entry = {
        .sqid = (uint16_t)queue,
        .cid = 0xffff,
        .status = NVME_INVALID_FIELD,
        .parameter = NVME_FIELD_NONE,
    };
    nvme_error_log(dev, &entry);
    nvme_event_post(dev, NVME_EVENT_ERROR, info, NVME_LOG_ERROR);
}

static void apply(struct nvme *dev, unsigned index, uint32_t value)
{
    unsigned queue = index / 2;
    bool is_cq = (index & 1) != 0;

    if (queue > dev->queues || (is_cq ? !dev->cq[queue].exists : !dev->sq[queue].exists))
        complain(dev, queue, NVME_EVENT_DOORBELL_REGISTER);
    else if (is_cq ? !nvme_cq_head_write(dev, queue, value)
                   : !nvme_sq_tail_write(dev, queue, value))
        complain(dev, queue, NVME_EVENT_DOORBELL_VALUE);
}

void nvme_doorbell_clear(struct nvme *dev, unsigned index)
{
    if (dev->doorbells != NULL)
        page_store(dev, index, 0);
    seen_set(dev, index, 0);
}

void nvme_doorbells_clear(struct nvme *dev)
{
    for (unsigned i = 0; i < NVME_DOORBELLS; i++)
        nvme_doorbell_clear(dev, i);
}

bool nvme_doorbells_peek(const struct nvme *dev)
{
    unsigned count = word_count(dev);

    for (unsigned i = 0; i < count; i++) {
        if (page_load(dev, i) != seen(dev, i))
            return true;
    }
    return false;
}

static bool take(struct nvme *dev, unsigned first, unsigned end)
{
    bool has_any = false;

    for (unsigned i = first; i < end; i++) {
        uint32_t value = page_load(dev, i);
        if (value == seen(dev, i))
            continue;
        seen_set(dev, i, value);
        apply(dev, i, value);
        has_any = true;
    }
    return has_any;
}

bool nvme_doorbells_take(struct nvme *dev)
{
    return is_enabled(dev) && dev->is_decoding && take(dev, 0, word_count(dev));
}

bool nvme_doorbells_take_strays(struct nvme *dev)
{
    return is_enabled(dev) && dev->is_decoding && take(dev, word_count(dev), NVME_DOORBELLS);
}

void nvme_doorbells_gate(struct nvme *dev, bool is_decoding)
{
    if (is_decoding == dev->is_decoding)
        return;
    if (is_decoding) {
        for (unsigned i = 0; i < NVME_DOORBELLS; i++)
            page_store(dev, i, seen(dev, i));
    } else {
        nvme_doorbells_take(dev);
        nvme_doorbells_take_strays(dev);
    }
    dev->is_decoding = is_decoding;
}

/* Such a write is seen even if it changes nothing. */
void nvme_doorbells_written(struct nvme *dev, uint64_t offset, unsigned width)
{
    unsigned index = (unsigned)(offset - NVME_REG_DOORBELLS) / 4;

    if (!is_enabled(dev))
        return; /* undefined until ready */
    if (width == 4) {
        uint32_t value = page_load(dev, index);
        seen_set(dev, index, value);
        apply(dev, index, value);
    } else {
        take(dev, index, index + (width + 3) / 4);
    }
    nvme_pin_update(dev);
    nvme_kick(dev);
}
