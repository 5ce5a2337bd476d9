/*
 * The NVMe driver: memory, bring-up, submission, completion.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme_driver.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CSTS_READY = 1, CSTS_FATAL = 2, CSTS_SHUTDOWN = 0xc, CSTS_SHUTDOWN_DONE = 0x8 };
enum {
    CC_ENABLED = 0x00460001,
    CC_SHUTDOWN = 0x4000
}; /* entries of 64 and 16 bytes, 4 KiB pages */
enum { LIST = NVME_TRANSFER_MAX / NVME_PAGE, SPINS = 1000 };
#define MS UINT64_C(1000000)

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

uint64_t nvme_register(struct nvme *nvme, uint64_t offset, unsigned width)
{
    uint64_t value;
    kern_return_t code = apple_dext_mmio_read(nvme->device, nvme->bar, offset, width, &value);
    return code == KERN_SUCCESS ? value : UINT64_MAX; /* as dead hardware reads */
}

static void register_write(struct nvme *nvme, uint64_t offset, unsigned width, uint64_t value)
{
    apple_dext_mmio_write(nvme->device, nvme->bar, offset, width, value);
}

/* What was written to memory before goes before. Doorbells are never read: that is undefined. */
static void doorbell_write(struct nvme_queue *queue, unsigned is_completion, uint32_t value)
{
    struct nvme *nvme = queue->nvme;
    uint64_t offset = NVME_DOORBELLS + (2 * queue->id + is_completion) * nvme->stride;

#if defined(__aarch64__)
    __asm__ volatile("dmb oshst" ::: "memory"); /* a release alone does not reach the device */
#endif
    if (nvme->bar_base != 0)
        atomic_store_explicit((_Atomic uint32_t *)(uintptr_t)(nvme->bar_base + offset), value,
                              memory_order_release);
    else
        register_write(nvme, offset, 4, value);
}

static bool wait_status(struct nvme *nvme, uint32_t mask, uint32_t wanted)
{
    uint64_t end = now_ns() + ((nvme->cap >> 24 & 0xff) + 1) * 500 * MS; /* CAP.TO */
    for (bool is_last = false; !is_last;) {
        is_last = now_ns() >= end; /* and one look after that: this thread may have been away */
        uint32_t status = (uint32_t)nvme_register(nvme, NVME_CSTS, 4);
        if (status == UINT32_MAX || (wanted != 0 && (status & CSTS_FATAL) != 0))
            return false;
        if ((status & mask) == wanted)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = MS / 20}, NULL);
    }
    return false;
}

uint64_t nvme_bus(const struct nvme *nvme, const volatile void *at)
{
    return nvme->bus + ((uintptr_t)at - nvme->memory);
}

uint8_t *nvme_data(const struct nvme_queue *queue, unsigned slot)
{
    return queue->data + (size_t)slot * queue->nvme->options.transfer_bytes;
}

void nvme_submit(struct nvme_queue *queue, unsigned slot, const struct nvme_command *command)
{
    struct nvme_command *entry = &queue->submissions[queue->tail];
    *entry = *command;
    entry->slot = (uint16_t)slot;
    if (++queue->tail == queue->entries)
        queue->tail = 0;
}

void nvme_transfer(struct nvme_queue *queue, unsigned slot, uint8_t opcode, uint64_t block,
                   uint32_t bytes, uint32_t flags)
{
    uint64_t data = nvme_bus(queue->nvme, nvme_data(queue, slot));
    struct nvme_command command = {.opcode = opcode, .nsid = 1, .prp1 = data};
    if (bytes > 2 * NVME_PAGE)
        command.prp2 = nvme_bus(queue->nvme, queue->lists + slot * LIST);
    else if (bytes > NVME_PAGE)
        command.prp2 = data + NVME_PAGE;
    command.dw10 = (uint32_t)block;
    command.dw11 = (uint32_t)(block >> 32);
    command.dw12 = flags | (bytes / queue->nvme->block_bytes - 1);
    nvme_submit(queue, slot, &command);
}

void nvme_ring(struct nvme_queue *queue)
{
    if (queue->tail != queue->tail_rung)
        doorbell_write(queue, 0, queue->tail_rung = queue->tail);
}

/* The completion queue has twice the room it needs: its doorbell can wait till half is used. */
unsigned nvme_poll(struct nvme_queue *queue, struct nvme_done *done, unsigned max)
{
    unsigned count = 0;
    for (; count < max; count++) {
        struct nvme_completion *entry = &queue->completions[queue->head];
        uint32_t state = atomic_load_explicit(&entry->state, memory_order_acquire);
        if ((state >> 16 & 1) != queue->phase)
            break;
        done[count] = (struct nvme_done){state & 0xffff, state >> 17, entry->result};
        if (++queue->head == 2 * queue->entries) {
            queue->head = 0;
            queue->phase ^= 1;
        }
    }
    queue->head_unsaid += count;
    if (queue->head_unsaid >= queue->entries) {
        queue->head_unsaid = 0;
        doorbell_write(queue, 1, queue->head);
    }
    return count;
}

static void interrupt_arrived(void *context)
{
    struct nvme *nvme = context;
    uint64_t pending[4];

    if (apple_dext_read_pending_irqs(nvme->device, pending) == KERN_SUCCESS) {
        pthread_mutex_lock(&nvme->lock);
        for (unsigned vector = 0; vector < nvme->vectors; vector++)
            nvme->irqs[vector] += pending[vector / 64] >> vector % 64 & 1;
        pthread_cond_broadcast(&nvme->arrived);
        pthread_mutex_unlock(&nvme->lock);
    }
    apple_dext_interrupt_notify_rearm(atomic_load(&nvme->notify));
}

/* For an interrupt, but not for ever: the controller may be dead. */
static void interrupt_wait(struct nvme_queue *queue)
{
    struct nvme *nvme = queue->nvme;
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    uint64_t ns = (uint64_t)end.tv_nsec + 10 * MS;
    end.tv_sec += (time_t)(ns / (1000 * MS));
    end.tv_nsec = (long)(ns % (1000 * MS));
    pthread_mutex_lock(&nvme->lock);
    if (nvme->irqs[queue->vector] == queue->irqs_seen)
        pthread_cond_timedwait(&nvme->arrived, &nvme->lock, &end);
    queue->irqs_seen = nvme->irqs[queue->vector];
    pthread_mutex_unlock(&nvme->lock);
}

static void relax(void)
{
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spin, then let others run, then sleep. A controller that failed, or that somebody reset,
 * completes nothing any more. */
unsigned nvme_wait(struct nvme_queue *queue, struct nvme_done *done, unsigned max)
{
    uint64_t start = 0, looked = 0;
    for (unsigned polls = 0;; polls++) {
        unsigned count = nvme_poll(queue, done, max);
        if (count > 0)
            return count;
        if (polls < SPINS) {
            relax();
            continue;
        }
        uint64_t now = now_ns();
        if (start == 0)
            start = looked = now;
        if (now - looked >= 10 * MS) {
            uint32_t status = (uint32_t)nvme_register(queue->nvme, NVME_CSTS, 4);
            if ((status & (CSTS_READY | CSTS_FATAL)) != CSTS_READY || now - start >= 30000 * MS)
                return nvme_poll(queue, done, max); /* the last it said */
            looked = now;
        }
        if (queue->nvme->options.has_interrupts)
            interrupt_wait(queue);
        else if (now - start < MS)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = MS / 20}, NULL);
    }
}

int nvme_run(struct nvme_queue *queue, const struct nvme_command *command, uint32_t *result)
{
    struct nvme_done done;

    nvme_submit(queue, 0, command);
    nvme_ring(queue);
    if (nvme_wait(queue, &done, 1) == 0 || done.slot != 0)
        return -1;
    if (result != NULL)
        *result = done.result;
    return (int)done.status;
}

static const char *identify(struct nvme *nvme)
{
    struct nvme_queue *admin = &nvme->queues[0];
    const uint8_t *data = admin->data;
    struct nvme_command command = {
        .opcode = NVME_IDENTIFY, .prp1 = nvme_bus(nvme, admin->data), .dw10 = 1};

    if (nvme_run(admin, &command, NULL) != 0)
        return "Identify Controller failed";
    memcpy(nvme->serial, data + 4, 20);
    memcpy(nvme->model, data + 24, 40);
    if (data[77] != 0 && data[77] < 20 &&
        nvme->options.transfer_bytes > (uint32_t)NVME_PAGE << data[77])
        return "the controller cannot transfer so much at a time"; /* MDTS */
    command.nsid = 1;
    command.dw10 = 0;
    if (nvme_run(admin, &command, NULL) != 0)
        return "Identify Namespace failed";
    memcpy(&nvme->blocks, data, sizeof(nvme->blocks));
    nvme->block_bytes = UINT32_C(1) << data[128 + 4 * (data[26] & 0xf) + 2];
    return nvme->block_bytes > NVME_PAGE ? "blocks are larger than a page" : NULL;
}

static const char *create_queues(struct nvme *nvme)
{
    uint32_t count = nvme->options.queues, granted;
    const struct nvme_command wish = {
        .opcode = NVME_SET_FEATURES, .dw10 = 7, .dw11 = (count - 1) << 16 | (count - 1)};

    if (nvme_run(&nvme->queues[0], &wish, &granted) != 0 || (granted & 0xffff) + 1 < count ||
        (granted >> 16) + 1 < count)
        return "the controller has fewer queues";
    for (unsigned i = 1; i <= count; i++) {
        struct nvme_queue *queue = &nvme->queues[i];
        const struct nvme_command cq = {.opcode = NVME_CREATE_CQ,
                                        .prp1 = nvme_bus(nvme, queue->completions),
                                        .dw10 = (2 * queue->entries - 1) << 16 | i,
                                        .dw11 = queue->vector << 16 |
                                                (nvme->options.has_interrupts ? 3 : 1)};
        const struct nvme_command sq = {.opcode = NVME_CREATE_SQ,
                                        .prp1 = nvme_bus(nvme, queue->submissions),
                                        .dw10 = (queue->entries - 1) << 16 | i,
                                        .dw11 = i << 16 | 1};
        if (nvme_run(&nvme->queues[0], &cq, NULL) != 0 ||
            nvme_run(&nvme->queues[0], &sq, NULL) != 0)
            return "no I/O queues";
    }
    return NULL;
}

const char *nvme_start(struct nvme *nvme)
{
    struct nvme_queue *admin = &nvme->queues[0];

    register_write(nvme, NVME_CC, 4, 0);
    if (!wait_status(nvme, CSTS_READY, 0))
        return "the controller cannot be disabled";
    for (unsigned i = 0; i <= nvme->options.queues; i++) {
        struct nvme_queue *queue = &nvme->queues[i];
        memset((void *)queue->completions, 0, sizeof(*queue->completions) * 2 * queue->entries);
        queue->tail = queue->tail_rung = queue->head = queue->head_unsaid = 0;
        queue->phase = 1;
    }
    register_write(nvme, NVME_AQA, 4, (2 * admin->entries - 1) << 16 | (admin->entries - 1));
    register_write(nvme, NVME_ASQ, 8, nvme_bus(nvme, admin->submissions));
    register_write(nvme, NVME_ACQ, 8, nvme_bus(nvme, admin->completions));
    register_write(nvme, NVME_CC, 4, CC_ENABLED);
    if (!wait_status(nvme, CSTS_READY, CSTS_READY))
        return "the controller is not ready";
    const char *problem = identify(nvme);
    return problem != NULL ? problem : create_queues(nvme);
}

const char *nvme_stop(struct nvme *nvme)
{
    register_write(nvme, NVME_CC, 4, CC_ENABLED | CC_SHUTDOWN);
    return wait_status(nvme, CSTS_SHUTDOWN, CSTS_SHUTDOWN_DONE) ? NULL : "no shutdown";
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + NVME_PAGE - 1) / NVME_PAGE * NVME_PAGE;
}

/* The list of a slot names the pages of its data but the first, once for all commands. */
static void make_queue(struct nvme *nvme, unsigned id, mach_vm_address_t at)
{
    struct nvme_queue *queue = &nvme->queues[id];
    const struct nvme_options *options = &nvme->options;

    *queue = (struct nvme_queue){.nvme = nvme, .id = id, .entries = options->depth + 1};
    queue->vector = nvme->vectors != 0 ? id % nvme->vectors : 0;
    queue->submissions = (struct nvme_command *)(uintptr_t)at;
    at += whole_pages(sizeof(*queue->submissions) * queue->entries);
    queue->completions = (struct nvme_completion *)(uintptr_t)at;
    at += whole_pages(sizeof(*queue->completions) * 2 * queue->entries);
    queue->lists = (uint64_t *)(uintptr_t)at;
    queue->data = (uint8_t *)(uintptr_t)(at + whole_pages(8 * LIST * options->depth));
    for (unsigned slot = 0; slot < options->depth; slot++)
        for (unsigned page = 1; page < options->transfer_bytes / NVME_PAGE; page++)
            queue->lists[slot * LIST + page - 1] =
                nvme_bus(nvme, nvme_data(queue, slot) + (size_t)page * NVME_PAGE);
}

/* One buffer for everything, which the host allocates: device and driver share it without copies.
 */
static const char *make_queues(struct nvme *nvme)
{
    const struct nvme_options *options = &nvme->options;
    uint64_t depth = options->depth, bus_bytes;
    uint64_t bytes = whole_pages(64 * (depth + 1)) + whole_pages(32 * (depth + 1)) +
                     whole_pages(8 * LIST * depth) + options->transfer_bytes * depth;
    mach_vm_size_t size;

    nvme->queues = calloc(1 + options->queues, sizeof(*nvme->queues));
    if (nvme->queues == NULL)
        return "no memory";
    kern_return_t code =
        apple_dext_allocate_dma_buffer(nvme->device, bytes * (1 + options->queues), NVME_PAGE,
                                       &nvme->bus, &bus_bytes, &nvme->memory, &size);
    if (code != KERN_SUCCESS)
        return apple_dext_status_text(code);
    for (unsigned i = 0; i <= options->queues; i++)
        make_queue(nvme, i, nvme->memory + i * bytes);
    return NULL;
}

static const char *set_up_interrupts(struct nvme *nvme)
{
    kern_return_t code = apple_dext_setup_interrupts(nvme->device, &nvme->vectors);
    if (code != KERN_SUCCESS)
        return apple_dext_status_text(code);
    nvme->notify = apple_dext_interrupt_notify_create(nvme->device, interrupt_arrived, nvme);
    if (nvme->notify == NULL)
        return "no notice of interrupts";
    apple_dext_interrupt_notify_rearm(nvme->notify); /* it may have run before it had a name */
    return NULL;
}

const char *nvme_open(struct nvme *nvme, io_connect_t device, const struct nvme_options *options)
{
    uint64_t bytes;
    mach_vm_size_t size;
    uint8_t type;

    *nvme = (struct nvme){.device = device, .options = *options};
    pthread_mutex_init(&nvme->lock, NULL);
    pthread_cond_init(&nvme->arrived, NULL);
    kern_return_t code = apple_dext_get_bar_info(device, 0, &nvme->bar, &bytes, &type);
    if (code != KERN_SUCCESS)
        return apple_dext_status_text(code);
    if (options->queues == 0 || options->depth == 0 || options->depth > NVME_DEPTH_MAX ||
        options->transfer_bytes % NVME_PAGE != 0 || options->transfer_bytes == 0 ||
        options->transfer_bytes > NVME_TRANSFER_MAX)
        return "options out of range";
    nvme->cap = nvme_register(nvme, NVME_CAP, 8);
    if (nvme->cap == UINT64_MAX)
        return "the controller does not answer";
    nvme->stride = UINT64_C(4) << (nvme->cap >> 32 & 0xf); /* CAP.DSTRD */
    if (2 * (options->depth + 1) > (nvme->cap & 0xffff) + 1 || (nvme->cap >> 48 & 0xf) != 0)
        return "the controller has shorter queues, or wants larger pages";
    if (options->has_calls_only ||
        apple_dext_map_bar(device, 0, &nvme->bar_base, &size, &type) != KERN_SUCCESS)
        nvme->bar_base = 0; /* a call for each doorbell then */
    const char *problem = options->has_interrupts ? set_up_interrupts(nvme) : NULL;
    return problem != NULL ? problem : make_queues(nvme);
}

void nvme_close(struct nvme *nvme)
{
    if (nvme->queues != NULL) {
        register_write(nvme, NVME_CC, 4, 0); /* nothing under way when the memory goes */
        wait_status(nvme, CSTS_READY, 0);
    }
    apple_dext_interrupt_notify_destroy(nvme->notify);
    if (nvme->memory != 0)
        apple_dext_free_dma_buffer(nvme->device, nvme->memory);
    if (nvme->bar_base != 0)
        apple_dext_unmap_bar(nvme->device, 0, nvme->bar_base);
    free(nvme->queues);
    pthread_cond_destroy(&nvme->arrived);
    pthread_mutex_destroy(&nvme->lock);
}
