/*
 * The world around the NVMe model under the fuzzer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "model/config_registers.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

/* What one call may do: 64 steps, each a command with a full PRP list and its answers, and the
 * piece that was begun when the share was used up. */
#define MOST_DMA_BYTES  (UINT64_C(4) << 20)
#define MOST_DMA_CALLS  (64u * 80)
#define MOST_SUBMITS    (64u * NVME_MAX_NAMESPACES)
#define MOST_IDLE_FIRES 64

#define FLR_BYTE        (PCIE_DEVICE_CONTROL + 1)
#define FLR_BIT         0x80u

_Noreturn void world_fail(const char *text)
{
    fprintf(stderr, "nvme: %s\n", text);
    abort();
}

static struct nvme *device(const struct world *world)
{
    return (struct nvme *)world->model;
}

/* Whoever else calls may have given the timer something to do. */
static void call_begin(struct world *world)
{
    world->is_fault_open = false;
    world->calls_dma = world->calls_submit = 0;
    world->bytes_dma = 0;
    world->last_write_bytes = 0;
    world->idle_fires = 0;
}

/* Marks of commands that a reset took, or that were answered, are over. */
static void failed_forget(struct world *world)
{
    for (unsigned tag = 0; tag < NVME_REQUESTS; tag++) {
        const struct nvme_request *request = &device(world)->requests[tag];
        struct world_failed *failed = &world->failed[tag];
        if (request->state == NVME_REQUEST_FREE || request->state == NVME_REQUEST_ORPHAN ||
            request->sqid != failed->sqid || request->command.cid != failed->cid)
            failed->is_due = false;
    }
}

static void call_end(struct world *world)
{
    if (world->is_fault_open && (device(world)->csts & NVME_CSTS_CFS) == 0)
        world_fail("a DMA failed and neither an answer nor CSTS.CFS says so");
    if (world->bytes_dma > MOST_DMA_BYTES || world->calls_dma > MOST_DMA_CALLS ||
        world->calls_submit > MOST_SUBMITS)
        world_fail("too much work in one call");
    failed_forget(world);
    world_state_check(world);
}

/* The page of an address with the access wanted, NULL when there is none. */
static uint8_t *page_find(struct world *world, uint64_t bus, unsigned access)
{
    uint64_t inside = bus - WORLD_MEMORY;

    if (inside >= WORLD_BYTES || (world->access[inside / WORLD_PAGE] & access) == 0)
        return NULL;
    return world->memory + inside;
}

static bool is_master(const struct world *world)
{
    return (config_space_get(world->model->config, CONFIG_COMMAND, 2) & CONFIG_COMMAND_MASTER) != 0;
}

static size_t piece_bytes(uint64_t bus, size_t left)
{
    size_t piece = WORLD_PAGE - (size_t)(bus & (WORLD_PAGE - 1));
    return piece < left ? piece : left;
}

static int dma_read(void *host, uint64_t bus_address, void *buffer, size_t length)
{
    struct world *world = host;
    uint8_t *out = buffer;
    int rc = is_master(world) ? 0 : -EPERM;

    world->calls_dma++;
    world->bytes_dma += length;
    while (length > 0) {
        size_t piece = piece_bytes(bus_address, length);
        const uint8_t *page = rc != -EPERM ? page_find(world, bus_address, WORLD_READABLE) : NULL;
        if (page != NULL)
            memcpy(out, page, piece);
        else
            memset(out, 0xff, piece);
        if (page == NULL && rc == 0)
            rc = -EFAULT;
        bus_address += piece;
        out += piece;
        length -= piece;
    }
    world->is_fault_open |= rc != 0;
    return rc;
}

/* An answer on its way to a completion queue: it must tell of what failed. */
static void answer_seen(struct world *world, const uint8_t *entry)
{
    uint16_t sqid = nvme_get16(entry + 10), cid = nvme_get16(entry + 12);
    bool is_success = nvme_get16(entry + 14) >> 1 == 0;

    if (world->is_fault_open && is_success)
        world_fail("success after a DMA that failed");
    world->is_fault_open = false;
    for (unsigned tag = 0; tag < NVME_REQUESTS; tag++) {
        struct world_failed *failed = &world->failed[tag];
        if (!failed->is_due || failed->sqid != sqid || failed->cid != cid)
            continue;
        if (is_success)
            world_fail("success after a storage operation that failed");
        failed->is_due = false;
    }
}

/* A completion entry is written whole, or its last dword behind the rest. */
static void write_seen(struct world *world, uint64_t address, size_t length)
{
    const struct nvme *dev = device(world);

    for (unsigned i = 0; i <= dev->queues; i++) {
        const struct nvme_cq *cq = &dev->cq[i];
        uint64_t slot = cq->base + ((uint64_t)cq->tail << NVME_CQE_SHIFT);
        bool is_whole = address == slot && length == NVME_CQE_BYTES;
        bool is_end = address == slot + 12 && length == 4 && world->last_write == slot &&
                      world->last_write_bytes == 12;
        if (cq->exists && (is_whole || is_end)) {
            answer_seen(world, world->memory + (slot - WORLD_MEMORY));
            return;
        }
    }
}

static int dma_write(void *host, uint64_t bus_address, const void *buffer, size_t length)
{
    struct world *world = host;
    const uint8_t *in = buffer;
    uint64_t at = bus_address;
    int rc = is_master(world) ? 0 : -EPERM;

    world->calls_dma++;
    world->bytes_dma += length;
    for (size_t left = length; left > 0;) {
        size_t piece = piece_bytes(at, left);
        uint8_t *page = rc != -EPERM ? page_find(world, at, WORLD_WRITABLE) : NULL;
        if (page != NULL)
            memcpy(page, in, piece);
        else if (rc == 0)
            rc = -EFAULT;
        at += piece;
        in += piece;
        left -= piece;
    }
    if (rc == 0)
        write_seen(world, bus_address, length);
    world->is_fault_open |= rc != 0;
    world->last_write = bus_address;
    world->last_write_bytes = length;
    return rc;
}

static void message(void *host, uint64_t address, uint32_t data)
{
    (void)host;
    (void)address;
    (void)data;
}

static uint64_t now_ns(void *host)
{
    return ((struct world *)host)->now_ns;
}

static void timer_arm(void *host, unsigned timer, uint64_t deadline_ns)
{
    (void)host;
    (void)timer;
    (void)deadline_ns;
    world_fail("a timer that does not exist");
}

static void timer_cancel(void *host, unsigned timer)
{
    timer_arm(host, timer, 0);
}

static void poll_wake(void *host)
{
    ((struct world *)host)->is_woken = true;
}

static int storage_open(void *host, const char *path, unsigned flags, unsigned *storage,
                        uint64_t *bytes)
{
    struct world *world = host;
    unsigned free_one = 0;

    (void)path;
    while (free_one < WORLD_STORAGES && world->storages[free_one] != NULL)
        free_one++;
    if (free_one == WORLD_STORAGES)
        return -EMFILE;
    world->storages[free_one] = calloc(1, WORLD_STORAGE);
    if (world->storages[free_one] == NULL)
        return -ENOMEM;
    world->is_read_only[free_one] = (flags & MODEL_STORAGE_READ_ONLY) != 0;
    *storage = free_one;
    *bytes = WORLD_STORAGE;
    return 0;
}

static void request_check(const struct world *world, const struct model_storage_request *request)
{
    bool has_data = request->action == MODEL_STORAGE_READ || request->action == MODEL_STORAGE_WRITE;

    if (request->storage >= WORLD_STORAGES || world->storages[request->storage] == NULL)
        world_fail("a storage that was not opened");
    if (!range_is_within(request->offset, request->bytes, WORLD_STORAGE))
        world_fail("a storage operation past the end");
    if (has_data != (request->buffer != NULL) || request->tag >= NVME_REQUESTS)
        world_fail("a storage operation with a bad buffer or tag");
    if (world->is_read_only[request->storage] &&
        (request->action == MODEL_STORAGE_WRITE || request->action == MODEL_STORAGE_ZERO))
        world_fail("a write to storage that is read-only");
    for (unsigned i = 0; i < world->operation_count; i++) {
        if (world->operations[i].request.tag == request->tag)
            world_fail("two storage operations with one tag");
    }
    if (world->operation_count == WORLD_OPERATIONS ||
        world->operation_count == world->model->shape.storage_operations)
        world_fail("more storage operations than promised");
}

/* While storage has it, the buffer is nobody else's. */
static void storage_submit(void *host, const struct model_storage_request *request)
{
    struct world *world = host;
    const struct nvme_request *owner;

    request_check(world, request);
    owner = &device(world)->requests[request->tag];
    world->calls_submit++;
    world->operations[world->operation_count++] =
        (struct world_operation){*request, owner->sqid, owner->command.cid};
    if (request->buffer != NULL)
        ASAN_POISON_MEMORY_REGION(request->buffer, request->bytes);
}

/* Copy between the memory of a direct operation and data; without data only look. False: some of
 * the memory is not there. */
static bool segments_copy(struct world *world, const struct model_storage_request *request,
                          uint8_t *data)
{
    bool is_read = request->action == MODEL_STORAGE_READ;

    for (unsigned i = 0; i < request->segment_count; i++) {
        const struct model_segment *segment = &request->segments[i];
        for (uint32_t done = 0; done < segment->bytes;) {
            uint64_t bus = segment->address + done;
            size_t piece = piece_bytes(bus, segment->bytes - done);
            uint8_t *page = page_find(world, bus, is_read ? WORLD_WRITABLE : WORLD_READABLE);
            if (page == NULL)
                return false;
            if (data != NULL) {
                memcpy(is_read ? page : data, is_read ? data : page, piece);
                data += piece;
            }
            done += (uint32_t)piece;
        }
    }
    return true;
}

/* Now and then. What a write takes is taken at once. buffer and, behind it, segments become the
 * operation's own. */
static bool storage_submit_direct(void *host, const struct model_storage_request *request)
{
    struct world *world = host;
    struct model_storage_request taken = *request;

    size_t list_bytes = request->segment_count * sizeof(*request->segments);
    bool is_read = request->action == MODEL_STORAGE_READ;
    uint64_t bytes = 0;

    if ((!is_read && request->action != MODEL_STORAGE_WRITE) || request->buffer != NULL ||
        request->segment_count == 0)
        world_fail("a direct operation with a bad action or buffer");
    for (unsigned i = 0; i < request->segment_count; i++)
        bytes += request->segments[i].bytes;
    if (bytes != request->bytes)
        world_fail("segments of another length than the operation");
    if (world->submits_direct++ % 3 == 0 || !is_master(world) ||
        !segments_copy(world, request, NULL))
        return false;
    uint8_t *data = malloc(request->bytes + list_bytes);
    if (data == NULL)
        return false;
    taken.buffer = data;
    taken.segments = memcpy(data + request->bytes, request->segments, list_bytes);
    if (!is_read)
        segments_copy(world, request, data);
    storage_submit(host, &taken);
    return true;
}

/* Now and then: every third is not to be had at once. */
static bool storage_read_now(void *host, unsigned storage, uint64_t offset,
                             const struct model_segment *segments, unsigned count)
{
    struct world *world = host;
    uint64_t bytes = 0;

    if (storage >= WORLD_STORAGES || world->storages[storage] == NULL)
        world_fail("a storage that was not opened");
    for (unsigned i = 0; i < count; i++)
        bytes += segments[i].bytes;
    if (!range_is_within(offset, bytes, WORLD_STORAGE))
        world_fail("a read past the end");
    if (world->operation_count > 0 || world->reads_now++ % 3 == 0 || !is_master(world))
        return false;
    for (unsigned i = 0; i < count; i++) {
        for (uint32_t done = 0; done < segments[i].bytes;) {
            uint64_t bus = segments[i].address + done;
            size_t piece = piece_bytes(bus, segments[i].bytes - done);
            uint8_t *page = page_find(world, bus, WORLD_WRITABLE);
            if (page == NULL)
                return false;
            memcpy(page, world->storages[storage] + offset, piece);
            offset += piece;
            done += (uint32_t)piece;
        }
    }
    return true;
}

/* The controller copies nothing in memory. */
static int dma_copy(void *host, uint64_t from, uint64_t to, size_t length)
{
    return -ENOTSUP;
}

static const struct model_host_ops host_ops = {
    dma_read,         dma_write,    dma_copy,     message,        now_ns,
    timer_arm,        timer_cancel, storage_open, storage_submit, storage_submit_direct,
    storage_read_now, poll_wake,
};

static void attach_direct(struct world *world)
{
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        const struct model_bar *shape = &world->model->shape.bars[bar];
        for (unsigned range = 0; range < shape->direct_count; range++) {
            void *memory = aligned_alloc(WORLD_PAGE, shape->direct[range].bytes);
            if (memory == NULL)
                world_fail("out of memory");
            memset(memory, 0, shape->direct[range].bytes);
            world->direct[bar][range] = memory;
            world->model->ops->attach_memory(world->model, bar, range, memory);
        }
    }
}

void world_start(struct world *world, const struct model_option *options, size_t count)
{
    const struct model_host host = {&host_ops, world};
    char *error = NULL;

    memset(world, 0, sizeof(*world));
    world->now_ns = 1000;
    world->poll_at_ns = MODEL_POLL_NEVER;
    world->memory = calloc(1, WORLD_BYTES);
    if (world->memory == NULL ||
        model_find("nvme")->create(&host, options, count, &world->model, &error) != 0)
        world_fail(error != NULL ? error : "out of memory");
    memset(world->access, WORLD_READABLE | WORLD_WRITABLE, sizeof(world->access));
    attach_direct(world);
}

void world_stop(struct world *world)
{
    while (world->operation_count > 0)
        world_storage_done(world, 0, -ECANCELED);
    world->model->ops->destroy(world->model);
    for (unsigned i = 0; i < WORLD_STORAGES; i++)
        free(world->storages[i]);
    for (unsigned bar = 0; bar < MODEL_BAR_COUNT; bar++) {
        for (unsigned range = 0; range < MODEL_MAX_RANGES; range++)
            free(world->direct[bar][range]);
    }
    free(world->memory);
}

/* Where in a direct range the offset lies; NULL when it is trapped. */
static uint8_t *direct_find(struct world *world, uint64_t offset)
{
    const struct model_bar *bar = &world->model->shape.bars[0];

    for (unsigned i = 0; i < bar->direct_count; i++) {
        const struct model_range *range = &bar->direct[i];
        if (offset >= range->offset && offset - range->offset < range->bytes)
            return (uint8_t *)world->direct[0][i] + (offset - range->offset);
    }
    return NULL;
}

uint64_t world_read(struct world *world, uint64_t offset, unsigned width)
{
    uint64_t value = 0;
    const uint8_t *direct = direct_find(world, offset);

    if (direct != NULL) {
        memcpy(&value, direct, width);
        return value;
    }
    call_begin(world);
    value = world->model->ops->mmio_read(world->model, 0, offset, width);
    call_end(world);
    if ((value & ~ones_of_width(width)) != 0)
        world_fail("a register wider than its access");
    return value;
}

void world_write(struct world *world, uint64_t offset, unsigned width, uint64_t value)
{
    uint8_t *direct = direct_find(world, offset);

    if (direct != NULL) {
        memcpy(direct, &value, width);
        if (world->stores++ % 2 == 0)
            return;
        call_begin(world);
        world->model->ops->direct_written(world->model, 0, offset, width);
        call_end(world);
        return;
    }
    call_begin(world);
    world->model->ops->mmio_write(world->model, 0, offset, width, value & ones_of_width(width));
    call_end(world);
}

void world_config_write(struct world *world, unsigned offset, unsigned width, uint32_t value)
{
    unsigned flr = config_space_find(world->model->config, CAPABILITY_PCIE) + FLR_BYTE;
    bool initiates_flr =
        flr >= offset && flr < offset + width && (value >> (8 * (flr - offset)) & FLR_BIT) != 0;

    config_space_write(world->model->config, offset, width, value);
    call_begin(world);
    world->model->ops->config_written(world->model, offset, width);
    call_end(world);
    if (initiates_flr)
        world_reset(world, MODEL_RESET_FUNCTION);
}

void world_reset(struct world *world, enum model_reset kind)
{
    world->is_woken = false;
    call_begin(world);
    world->model->ops->reset(world->model, kind);
    call_end(world);
}

bool world_fire(struct world *world)
{
    const struct model_ops *ops = world->model->ops;
    bool is_wanted_now = world->is_woken;
    unsigned idle_fires = world->idle_fires;

    if (!is_wanted_now && world->poll_at_ns == MODEL_POLL_NEVER)
        return false;
    if (!is_wanted_now && world->poll_at_ns > world->now_ns)
        world->now_ns = world->poll_at_ns;
    bool is_idle = STAILQ_EMPTY(&device(world)->ready) && !ops->peek(world->model);
    world->is_woken = false;
    call_begin(world);
    uint64_t wait = ops->poll(world->model);
    call_end(world);
    world->poll_at_ns = wait == MODEL_POLL_NEVER ? wait : world->now_ns + wait;
    world->is_woken |= wait == 0;
    if (is_wanted_now && is_idle && world->calls_dma + world->calls_submit == 0)
        world->idle_fires = idle_fires + 1;
    if (world->idle_fires > MOST_IDLE_FIRES)
        world_fail("wanted at once, with nothing to do");
    return true;
}

void world_advance(struct world *world, uint64_t ns, unsigned most)
{
    uint64_t until = world->now_ns + ns;

    while (most-- > 0 && (world->is_woken || world->poll_at_ns <= until) && world_fire(world)) {
    }
    if (until > world->now_ns)
        world->now_ns = until;
}

static void operation_run(struct world *world, const struct model_storage_request *request)
{
    uint8_t *bytes = world->storages[request->storage] + request->offset;

    if (request->action == MODEL_STORAGE_READ)
        memcpy(request->buffer, bytes, request->bytes);
    else if (request->action == MODEL_STORAGE_WRITE)
        memcpy(bytes, request->buffer, request->bytes);
    else if (request->action == MODEL_STORAGE_ZERO)
        memset(bytes, 0, request->bytes);
}

/* The storage of operation `which`; its oldest one goes first. */
static unsigned oldest_of(const struct world *world, unsigned which)
{
    unsigned storage = world->operations[which % world->operation_count].request.storage;
    unsigned i = 0;

    while (world->operations[i].request.storage != storage)
        i++;
    return i;
}

bool world_storage_done(struct world *world, unsigned which, int result)
{
    if (world->operation_count == 0)
        return false;
    unsigned i = oldest_of(world, which);
    struct world_operation operation = world->operations[i];
    unsigned tag = operation.request.tag;
    bool is_own = tag == NVME_OWN_REQUEST;
    bool is_waited_for = device(world)->requests[tag].state == NVME_REQUEST_STORAGE;

    world->operation_count--;
    memmove(world->operations + i, world->operations + i + 1,
            (world->operation_count - i) * sizeof(world->operations[0]));
    if (operation.request.buffer != NULL)
        ASAN_UNPOISON_MEMORY_REGION(operation.request.buffer, operation.request.bytes);
    bool is_direct = operation.request.segment_count > 0;
    bool is_canceled = is_direct && result == 0 && !is_master(world);
    if (result == 0 && !is_canceled)
        operation_run(world, &operation.request);
    if (is_direct && operation.request.action == MODEL_STORAGE_READ && result == 0 && !is_canceled)
        is_canceled = !segments_copy(world, &operation.request, operation.request.buffer);
    if (is_canceled)
        result = -ECANCELED; /* the controller tries again */
    if (is_direct)
        free(operation.request.buffer);
    if (result != 0 && !is_canceled && is_waited_for && !is_own)
        world->failed[tag] = (struct world_failed){true, operation.sqid, operation.cid};
    call_begin(world);
    const struct model_storage_result ended = {tag, result};
    world->model->ops->storage_done(world->model, &ended, 1);
    if (result != 0 && is_waited_for && is_own && (device(world)->csts & NVME_CSTS_CFS) == 0)
        world_fail("a shutdown's flush failed and CSTS.CFS does not say so");
    call_end(world);
    return true;
}

uint8_t *world_memory(struct world *world, uint64_t bus)
{
    return world->memory + (bus - WORLD_MEMORY) % WORLD_BYTES;
}
