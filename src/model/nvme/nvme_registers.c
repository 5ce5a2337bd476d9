/*
 * Controller registers: enable, disable, shutdown, subsystem reset (3.1, 7.6).
 *
 * Disabling and shutting down wait for the storage operations under way: a write from before a
 * reset must not land after one that was sent behind it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/checked.h"
#include "model/nvme/nvme_device.h"

#define CAP                                                                                        \
    (NVME_CAP_MQES | NVME_CAP_CQR | NVME_CAP_TO | NVME_CAP_NSSRS | NVME_CAP_CSS_NVM |              \
     NVME_CAP_MPSMAX)
#define MPS_MAX     4
#define AQA_MASK    0x0fff0fffu
#define ASQ_MASK    (~UINT64_C(0xfff))
#define LEAST_ENTRY 2

static void activity_clear(struct nvme *dev)
{
    nvme_requests_drop(dev);
    nvme_queues_clear(dev);
    nvme_events_clear(dev);
    nvme_features_reset(dev);
    for (unsigned i = 0; i < dev->namespace_count; i++)
        dev->namespaces[i].is_formatting = false;
    dev->has_own_flush = false;
    dev->had_queues = false;
    dev->intm = 0;
}

void nvme_controller_reset(struct nvme *dev)
{
    activity_clear(dev);
    dev->cc = dev->csts = dev->aqa = 0;
    dev->asq = dev->acq = 0;
    dev->page_bytes = NVME_PAGE_BYTES;
}

/* EN 1 to 0: everything goes but the admin queue's registers. */
static void disable(struct nvme *dev)
{
    activity_clear(dev);
    dev->csts &= ~(NVME_CSTS_CFS | NVME_CSTS_SHST_MASK);
}

static void enable(struct nvme *dev)
{
    uint32_t page = NVME_PAGE_BYTES << NVME_CC_MPS(dev->cc);
    uint32_t sq_entries = (dev->aqa & 0xfff) + 1;
    uint32_t cq_entries = (dev->aqa >> 16 & 0xfff) + 1;

    if (NVME_CC_MPS(dev->cc) > MPS_MAX || NVME_CC_CSS(dev->cc) != 0 || NVME_CC_AMS(dev->cc) != 0 ||
        sq_entries < LEAST_ENTRY || cq_entries < LEAST_ENTRY || !is_aligned(dev->asq, page) ||
        !is_aligned(dev->acq, page)) {
        nvme_fail(dev);
        return;
    }
    dev->page_bytes = page;
    nvme_doorbells_clear(dev);
    nvme_cq_open(dev, 0, dev->acq, cq_entries);
    dev->cq[0].has_interrupt = true;
    nvme_sq_open(dev, 0, dev->asq, sq_entries, 0);
    dev->csts |= NVME_CSTS_RDY;
    nvme_kick(dev);
}

static void shutdown_finish(struct nvme *dev)
{
    dev->requests[NVME_OWN_REQUEST].state = NVME_REQUEST_FREE;
    dev->has_own_flush = false;
    dev->csts &= ~NVME_CSTS_SHST_MASK;
    if (NVME_CC_SHN(dev->cc) != 0)
        dev->csts |= NVME_CSTS_SHST_DONE;
    else
        nvme_kick(dev); /* the host has taken it back */
}

/* One namespace after the other. A failure has no status to go to but the fatal one. */
static uint16_t shutdown_step(struct nvme *dev, struct nvme_request *request, int result)
{
    if (result != 0)
        nvme_fail(dev);
    if (request->position == dev->namespace_count) {
        shutdown_finish(dev);
        return NVME_SUCCESS;
    }
    request->ns = &dev->namespaces[request->position++];
    nvme_storage_start(dev, request, MODEL_STORAGE_FLUSH, true, 0, 0);
    return NVME_LATER;
}

static void shutdown_start(struct nvme *dev)
{
    struct nvme_request *request = &dev->requests[NVME_OWN_REQUEST];

    dev->csts = (dev->csts & ~NVME_CSTS_SHST_MASK) | NVME_CSTS_SHST_BUSY;
    if ((dev->csts & NVME_CSTS_CFS) != 0)
        nvme_requests_drop(dev); /* nobody will answer them */
    request->step = NULL;
    dev->has_own_flush = true;
}

void nvme_settle(struct nvme *dev)
{
    struct nvme_request *own = &dev->requests[NVME_OWN_REQUEST];

    if (dev->orphans != 0)
        return;
    if (dev->has_own_flush && own->step == NULL && dev->in_flight == 0) {
        own->step = shutdown_step;
        own->state = NVME_REQUEST_BUSY;
        own->position = 0;
        shutdown_step(dev, own, 0);
    }
    if ((dev->cc & NVME_CC_EN) == 0)
        dev->csts &= ~NVME_CSTS_RDY;
    else if ((dev->csts & NVME_CSTS_CFS) == 0 && !dev->sq[0].exists)
        enable(dev);
}

static void cc_write(struct nvme *dev, uint32_t value)
{
    uint32_t old = dev->cc;

    dev->cc = value & NVME_CC_WRITABLE;
    if ((old & NVME_CC_EN) != 0 && (dev->cc & NVME_CC_EN) == 0)
        disable(dev);
    if (NVME_CC_SHN(dev->cc) == 0 && NVME_CC_SHN(old) != 0 && !dev->has_own_flush)
        dev->csts &= ~NVME_CSTS_SHST_MASK;
    if (NVME_CC_SHN(dev->cc) != 0 && (dev->csts & NVME_CSTS_SHST_MASK) == 0)
        shutdown_start(dev);
    /* Between disable and enable RDY has to be seen at 0, unless operations are still under way. */
    nvme_settle(dev);
}

static void subsystem_reset(struct nvme *dev)
{
    nvme_controller_reset(dev);
    dev->csts |= NVME_CSTS_NSSRO;
}

static uint32_t word_read(const struct nvme *dev, uint64_t offset)
{
    switch (offset) {
    case NVME_REG_CAP:
        return (uint32_t)CAP;
    case NVME_REG_CAP + 4:
        return (uint32_t)(CAP >> 32);
    case NVME_REG_VS:
        return NVME_VERSION;
    case NVME_REG_INTMS:
    case NVME_REG_INTMC:
        return dev->intm;
    case NVME_REG_CC:
        return dev->cc;
    case NVME_REG_CSTS:
        return dev->csts;
    case NVME_REG_AQA:
        return dev->aqa;
    case NVME_REG_ASQ:
        return (uint32_t)dev->asq;
    case NVME_REG_ASQ + 4:
        return (uint32_t)(dev->asq >> 32);
    case NVME_REG_ACQ:
        return (uint32_t)dev->acq;
    case NVME_REG_ACQ + 4:
        return (uint32_t)(dev->acq >> 32);
    default:
        return 0; /* reserved, and NSSR */
    }
}

static uint64_t half_set(uint64_t old, uint64_t offset, uint32_t value)
{
    if ((offset & 4) != 0)
        return (old & 0xffffffff) | (uint64_t)value << 32;
    return (old & ~UINT64_C(0xffffffff)) | value;
}

static void word_write(struct nvme *dev, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case NVME_REG_INTMS:
        dev->intm |= value;
        break;
    case NVME_REG_INTMC:
        dev->intm &= ~value;
        break;
    case NVME_REG_CC:
        cc_write(dev, value);
        break;
    case NVME_REG_CSTS:
        dev->csts &= ~(value & NVME_CSTS_NSSRO);
        break;
    case NVME_REG_NSSR:
        if (value == NVME_NSSR_MAGIC)
            subsystem_reset(dev);
        break;
    case NVME_REG_AQA:
        dev->aqa = value & AQA_MASK;
        break;
    case NVME_REG_ASQ:
    case NVME_REG_ASQ + 4:
        dev->asq = half_set(dev->asq, offset, value) & ASQ_MASK;
        break;
    case NVME_REG_ACQ:
    case NVME_REG_ACQ + 4:
        dev->acq = half_set(dev->acq, offset, value) & ASQ_MASK;
        break;
    default:
        break;
    }
}

uint64_t nvme_register_read(struct nvme *dev, uint64_t offset, unsigned width)
{
    if (width < 4)
        return ones_of_width(width);
    uint64_t value = word_read(dev, offset);
    if (width == 8)
        value |= (uint64_t)word_read(dev, offset + 4) << 32;
    return value;
}

void nvme_register_write(struct nvme *dev, uint64_t offset, unsigned width, uint64_t value)
{
    if (width < 4)
        return;
    word_write(dev, offset, (uint32_t)value);
    if (width == 8)
        word_write(dev, offset + 4, (uint32_t)(value >> 32));
    nvme_pin_update(dev);
}
