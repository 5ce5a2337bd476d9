/*
 * A small NVMe driver in user space: identify the controller, make two I/O queues, and from a
 * thread on each write and read blocks that are verified.
 *
 * usage: nvme BB:DD.F [write SEED | check SEED]; write destroys what is on namespace 1.
 * Little-endian hosts, as all that have this driver are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <apple-dext-client.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REG_CAP = 0x00, REG_CC = 0x14, REG_CSTS = 0x1c, REG_AQA = 0x24, REG_ASQ = 0x28 };
enum { REG_ACQ = 0x30, REG_DOORBELLS = 0x1000 };
enum { CSTS_READY = 1, CSTS_FATAL = 2, CSTS_SHUTDOWN = 0xc, CSTS_SHUTDOWN_DONE = 0x8 };
enum { ADMIN_CREATE_SQ = 1, ADMIN_CREATE_CQ = 5, ADMIN_IDENTIFY = 6 };
enum { IO_FLUSH, IO_WRITE, IO_READ };
enum { PAGE = 4096, ENTRIES = 32, DEPTH = 16, CHUNK = 8 * PAGE, QUEUES = 2, SPAN = 4 << 20 };

/* One queue pair and its memory, which the device sees at bus. */
struct queue_memory {
    uint32_t submissions[PAGE / 4]; /* 16 dwords each */
    uint32_t completions[PAGE / 4]; /* 4 dwords each */
    uint64_t lists[DEPTH][CHUNK / PAGE];
    uint8_t rest[PAGE - DEPTH * CHUNK / PAGE * 8];
    uint8_t data[DEPTH][CHUNK];
};

struct driver;

struct queue {
    struct driver *driver;
    unsigned id, tail, head, phase;
    struct queue_memory *memory;
    uint64_t bus;
    uint64_t first, count, seed; /* bytes of the namespace that are this queue's to use */
    bool is_write;
    const char *problem; /* of its thread */
};

struct driver {
    io_connect_t device;
    uint8_t bar; /* memory index of BAR 0 */
    uint64_t wait_ms, blocks, block_bytes;
    struct queue queues[1 + QUEUES];
};

struct command {
    uint32_t opcode, nsid;
    uint64_t prp1, prp2;
    uint32_t dw10, dw11, dw12;
};

static uint32_t reg_read(struct driver *driver, uint64_t offset)
{
    uint64_t value;
    kern_return_t code = apple_dext_mmio_read(driver->device, driver->bar, offset, 4, &value);
    return code == KERN_SUCCESS ? (uint32_t)value : UINT32_MAX; /* as dead hardware reads */
}

static void reg_write(struct driver *driver, uint64_t offset, unsigned width, uint64_t value)
{
    apple_dext_mmio_write(driver->device, driver->bar, offset, width, value);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static bool wait_status(struct driver *driver, uint32_t mask, uint32_t wanted)
{
    uint64_t end = now_ms() + driver->wait_ms;
    while (now_ms() < end) {
        uint32_t status = reg_read(driver, REG_CSTS);
        if ((status & mask) == wanted)
            return true;
        if (status == UINT32_MAX || (wanted != 0 && (status & CSTS_FATAL) != 0))
            return false;
        pause_briefly();
    }
    return false;
}

static void submit(struct queue *queue, uint16_t cid, const struct command *command)
{
    uint32_t *entry = queue->memory->submissions + queue->tail * 16;
    memset(entry, 0, 64);
    entry[0] = command->opcode | (uint32_t)cid << 16;
    entry[1] = command->nsid;
    memcpy(entry + 6, &command->prp1, sizeof(command->prp1));
    memcpy(entry + 8, &command->prp2, sizeof(command->prp2));
    entry[10] = command->dw10;
    entry[11] = command->dw11;
    entry[12] = command->dw12;
    queue->tail = (queue->tail + 1) % ENTRIES;
    atomic_thread_fence(memory_order_seq_cst); /* the entry before the doorbell */
    reg_write(queue->driver, REG_DOORBELLS + 8 * (uint64_t)queue->id, 4, queue->tail);
}

/* A controller that failed, or that somebody reset, completes nothing any more. */
static bool is_alive(struct driver *driver)
{
    uint32_t status = reg_read(driver, REG_CSTS);
    return status != UINT32_MAX && (status & (CSTS_READY | CSTS_FATAL)) == CSTS_READY;
}

/* Wait for the next completion; its id, or -1. A failed command's status goes to *status. */
static int complete(struct queue *queue, unsigned *status)
{
    volatile uint32_t *entry = queue->memory->completions + queue->head * 4;
    uint64_t end = now_ms() + queue->driver->wait_ms;
    for (unsigned polls = 1; (entry[3] >> 16 & 1) != queue->phase; polls++) {
        if (now_ms() >= end || (polls % 256 == 0 && !is_alive(queue->driver)))
            return -1;
        pause_briefly();
    }
    atomic_thread_fence(memory_order_seq_cst); /* the phase bit before the data */
    int cid = (int)(entry[3] & 0xffff);
    *status = entry[3] >> 17;
    queue->head = (queue->head + 1) % ENTRIES;
    if (queue->head == 0)
        queue->phase ^= 1;
    reg_write(queue->driver, REG_DOORBELLS + 8 * (uint64_t)queue->id + 4, 4, queue->head);
    return cid;
}

static bool run(struct queue *queue, const struct command *command)
{
    unsigned status;

    submit(queue, 0, command);
    return complete(queue, &status) == 0 && status == 0;
}

/* Bytes of block data nobody has by chance: a function of the seed and of the place. */
static void pattern_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = (offset + i + seed) * UINT64_C(0x9e3779b97f4a7c15);
        word ^= word >> 32;
        memcpy(out + i, &word, sizeof(word));
    }
}

/* A chunk that starts on a page: its first page, then the list of the others. */
static void transfer(struct queue *queue, unsigned slot, uint64_t offset)
{
    struct driver *driver = queue->driver;
    uint64_t data = queue->bus + offsetof(struct queue_memory, data) + (uint64_t)slot * CHUNK;
    uint64_t block = offset / driver->block_bytes;
    for (unsigned i = 1; i < CHUNK / PAGE; i++)
        queue->memory->lists[slot][i - 1] = data + (uint64_t)i * PAGE;
    const struct command command = {
        .opcode = queue->is_write ? IO_WRITE : IO_READ,
        .nsid = 1,
        .prp1 = data,
        .prp2 = queue->bus + offsetof(struct queue_memory, lists) +
                slot * sizeof(queue->memory->lists[0]),
        .dw10 = (uint32_t)block,
        .dw11 = (uint32_t)(block >> 32),
        .dw12 = (uint32_t)(CHUNK / driver->block_bytes - 1),
    };
    if (queue->is_write)
        pattern_fill(queue->seed, offset, queue->memory->data[slot], CHUNK);
    submit(queue, (uint16_t)slot, &command);
}

static bool chunk_is_right(struct queue *queue, unsigned slot, uint64_t offset)
{
    uint8_t expected[PAGE];
    for (unsigned i = 0; i < CHUNK; i += PAGE) {
        pattern_fill(queue->seed, offset + i, expected, PAGE);
        if (memcmp(expected, queue->memory->data[slot] + i, PAGE) != 0)
            return false;
    }
    return true;
}

/* Go over the queue's part of the namespace with DEPTH commands under way. */
static void *queue_thread(void *context)
{
    struct queue *queue = context;
    uint64_t next = queue->first, end = queue->first + queue->count, done = 0;
    uint64_t offsets[DEPTH];

    for (unsigned slot = 0; slot < DEPTH && next < end; slot++, next += CHUNK) {
        offsets[slot] = next;
        transfer(queue, slot, next);
    }
    while (done < queue->count) {
        unsigned status;
        int slot = complete(queue, &status);
        if (slot < 0 || slot >= DEPTH)
            queue->problem = "no completion";
        else if (status != 0)
            queue->problem = "a command failed";
        else if (!queue->is_write && !chunk_is_right(queue, (unsigned)slot, offsets[slot]))
            queue->problem = "data differs";
        if (queue->problem != NULL)
            return NULL;
        done += CHUNK;
        if (next < end) {
            offsets[slot] = next;
            transfer(queue, (unsigned)slot, next);
            next += CHUNK;
        }
    }
    return NULL;
}

static const char *run_threads(struct driver *driver, bool is_write, uint64_t seed)
{
    pthread_t threads[1 + QUEUES];
    uint64_t size = driver->blocks * driver->block_bytes;
    uint64_t part = (size < SPAN ? size : SPAN) / QUEUES / CHUNK * CHUNK;
    const char *problem;
    unsigned started = 1;

    for (; started <= QUEUES; started++) {
        struct queue *queue = &driver->queues[started];
        queue->first = (started - 1) * part;
        queue->count = part;
        queue->is_write = is_write;
        queue->seed = seed;
        queue->problem = NULL;
        if (pthread_create(&threads[started], NULL, queue_thread, queue) != 0)
            break;
    }
    problem = started <= QUEUES ? "no thread" : NULL;
    for (unsigned i = 1; i < started; i++) {
        pthread_join(threads[i], NULL);
        if (driver->queues[i].problem != NULL)
            problem = driver->queues[i].problem;
    }
    return problem;
}

static const char *enable(struct driver *driver)
{
    struct queue *admin = &driver->queues[0];
    uint32_t cap = reg_read(driver, REG_CAP);

    if (cap == UINT32_MAX)
        return "the controller does not answer";
    driver->wait_ms = ((cap >> 24) + 1) * UINT64_C(500);
    reg_write(driver, REG_CC, 4, 0);
    if (!wait_status(driver, CSTS_READY, 0))
        return "the controller cannot be disabled";
    reg_write(driver, REG_AQA, 4, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    reg_write(driver, REG_ASQ, 8, admin->bus);
    reg_write(driver, REG_ACQ, 8, admin->bus + PAGE);
    reg_write(driver, REG_CC, 4, 0x00460001); /* entries of 64 and 16 bytes, pages of 4096 */
    return wait_status(driver, CSTS_READY, CSTS_READY) ? NULL : "the controller is not ready";
}

static bool identify(struct driver *driver, uint32_t what, uint32_t nsid)
{
    struct queue *admin = &driver->queues[0];
    const struct command command = {.opcode = ADMIN_IDENTIFY,
                                    .nsid = nsid,
                                    .prp1 = admin->bus + offsetof(struct queue_memory, data),
                                    .dw10 = what};
    return run(admin, &command);
}

static const char *introduce(struct driver *driver)
{
    const uint8_t *data = driver->queues[0].memory->data[0];

    if (!identify(driver, 1, 0))
        return "Identify Controller failed";
    printf("%.40s serial %.20s", (const char *)data + 24, (const char *)data + 4);
    if (!identify(driver, 0, 1))
        return "Identify Namespace failed";
    memcpy(&driver->blocks, data, sizeof(driver->blocks));
    driver->block_bytes = UINT64_C(1) << data[128 + 4 * (data[26] & 0xf) + 2];
    printf(" blocks %" PRIu64 " of %" PRIu64 "\n", driver->blocks, driver->block_bytes);
    return NULL;
}

static const char *bring_up(struct driver *driver)
{
    struct queue *admin = &driver->queues[0];
    const char *problem = enable(driver);

    if (problem == NULL)
        problem = introduce(driver);
    if (problem != NULL)
        return problem;
    for (unsigned i = 1; i <= QUEUES; i++) {
        uint64_t bus = driver->queues[i].bus;
        uint32_t size = (uint32_t)(ENTRIES - 1) << 16 | i;
        const struct command cq = {
            .opcode = ADMIN_CREATE_CQ, .prp1 = bus + PAGE, .dw10 = size, .dw11 = 1};
        const struct command sq = {
            .opcode = ADMIN_CREATE_SQ, .prp1 = bus, .dw10 = size, .dw11 = i << 16 | 1};
        if (!run(admin, &cq) || !run(admin, &sq))
            return "no I/O queues";
    }
    return NULL;
}

static const char *work(struct driver *driver, const char *what, uint64_t seed)
{
    const char *problem = bring_up(driver);
    if (problem == NULL && strcmp(what, "write") == 0) {
        problem = run_threads(driver, true, seed);
        const struct command flush = {.opcode = IO_FLUSH, .nsid = 1};
        if (problem == NULL && !run(&driver->queues[1], &flush))
            problem = "Flush failed";
    }
    if (problem == NULL && what[0] != '\0')
        problem = run_threads(driver, false, seed);
    if (problem != NULL)
        return problem;
    reg_write(driver, REG_CC, 4, 0x00464001); /* normal shutdown */
    return wait_status(driver, CSTS_SHUTDOWN, CSTS_SHUTDOWN_DONE) ? NULL : "no shutdown";
}

/* Memory that the device may use till unregistered, one region for everything. */
static const char *with_memory(struct driver *driver, const char *what, uint64_t seed)
{
    const uint64_t iova = UINT64_C(0x100000000);
    uint64_t bytes = sizeof(struct queue_memory) * (1 + QUEUES), bus, bus_bytes, bar_bytes;
    uint8_t type;
    struct queue_memory *memory =
        aligned_alloc(PAGE * 4, (bytes + PAGE * 4 - 1) / (PAGE * 4) * (PAGE * 4));

    if (memory == NULL)
        return "no memory";
    memset(memory, 0, bytes);
    kern_return_t code =
        apple_dext_get_bar_info(driver->device, 0, &driver->bar, &bar_bytes, &type);
    if (code == KERN_SUCCESS)
        code = apple_dext_register_dma(driver->device, iova, (uint64_t)(uintptr_t)memory, bytes,
                                       &bus, &bus_bytes);
    if (code != KERN_SUCCESS) {
        free(memory);
        return apple_dext_status_text(code);
    }
    for (unsigned i = 0; i <= QUEUES; i++)
        driver->queues[i] = (struct queue){.driver = driver,
                                           .id = i,
                                           .phase = 1,
                                           .memory = &memory[i],
                                           .bus = bus + i * sizeof(*memory)};
    const char *problem = work(driver, what, seed);
    reg_write(driver, REG_CC, 4, 0); /* nothing under way when the memory goes */
    wait_status(driver, CSTS_READY, 0);
    apple_dext_unregister_dma(driver->device, iova);
    free(memory);
    return problem;
}

int main(int argc, char **argv)
{
    unsigned bus, slot, function;
    const char *what = argc > 3 ? argv[2] : "";
    char *why = NULL;

    if ((argc != 2 && argc != 4) || sscanf(argv[1], "%2x:%2x.%1x", &bus, &slot, &function) != 3 ||
        (argc == 4 && strcmp(what, "write") != 0 && strcmp(what, "check") != 0)) {
        fprintf(stderr, "usage: nvme BB:DD.F [write SEED | check SEED]\n");
        return 2;
    }
    struct driver driver = {.device = apple_dext_connect_with_root((uint8_t)bus, (uint8_t)slot,
                                                                   (uint8_t)function, NULL, &why)};
    if (driver.device == IO_OBJECT_NULL) {
        fprintf(stderr, "nvme: %s\n", why);
        free(why);
        return 1;
    }
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    kern_return_t code = apple_dext_claim(driver.device);
    const char *problem =
        code != KERN_SUCCESS ? apple_dext_status_text(code) : with_memory(&driver, what, seed);
    apple_dext_disconnect(driver.device);
    if (problem != NULL)
        fprintf(stderr, "nvme: %s\n", problem);
    else if (what[0] != '\0')
        printf("%s: verified\n", what);
    return problem != NULL ? 1 : 0;
}
