/*
 * Hosts and clients of an NVMe device on a file that die while blocks are under way: what a Flush
 * or FUA write promised is there, and no block is older, or a mixture.
 *
 * usage: as the others; "busy-client" as the first argument is the client that dies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nvme_io.h"

enum { NVME = 0x01, BLOCK = 512 };
enum { WRITERS = 2, CHUNKS = 32, CHUNK = 16384, DEPTH = 8 };
enum { PART = CHUNKS * CHUNK, SIZE = WRITERS * PART };
enum { FLUSH_SLOT = DEPTH - 1, FLUSH_EVERY = 20, FUA_ONE_IN = 8 };

static char folder[64];
static char file[80];
static char specification[128];
static const char *devices[] = {specification, NULL};

/* Which write of a chunk is under way, complete, and promised: 1 for the first, 0 for what was. */
struct chunk {
    uint32_t submitted, completed, flushing, durable;
    bool is_busy, is_fua;
};

struct writer {
    struct nvme_queue *queue;
    uint64_t first, random, base_seed;
    struct chunk chunks[CHUNKS];
    unsigned chunk_of_slot[DEPTH];
    unsigned writes;
    _Atomic unsigned flushes;
    bool is_flushing, has_failed;
    pthread_t thread;
};

static uint64_t seed_of(uint64_t base, uint32_t generation)
{
    return base + ((uint64_t)generation << 32);
}

static void start_write(struct writer *writer, unsigned slot)
{
    unsigned index = (unsigned)(nvme_random(&writer->random) % CHUNKS);
    while (writer->chunks[index].is_busy) {
        index = (index + 1) % CHUNKS;
    }
    struct chunk *chunk = &writer->chunks[index];
    uint64_t offset = writer->first + (uint64_t)index * CHUNK;
    chunk->is_busy = true;
    chunk->is_fua = nvme_random(&writer->random) % FUA_ONE_IN == 0;
    chunk->submitted++;
    writer->chunk_of_slot[slot] = index;
    nvme_pattern_fill(seed_of(writer->base_seed, chunk->submitted), offset,
                      nvme_data(writer->queue, slot), CHUNK);
    nvme_transfer(writer->queue, slot, NVME_WRITE, offset / BLOCK, CHUNK,
                  chunk->is_fua ? NVME_FUA : 0);
}

/* It covers what is complete by now; the writes beside it may go either way. */
static void start_flush(struct writer *writer)
{
    const struct nvme_command flush = {.opcode = NVME_FLUSH, .nsid = 1};
    for (unsigned i = 0; i < CHUNKS; i++) {
        writer->chunks[i].flushing = writer->chunks[i].completed;
    }
    writer->is_flushing = true;
    nvme_submit(writer->queue, FLUSH_SLOT, &flush);
}

static void end_flush(struct writer *writer)
{
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = &writer->chunks[i];
        chunk->durable = chunk->flushing > chunk->durable ? chunk->flushing : chunk->durable;
    }
    writer->is_flushing = false;
    writer->flushes++;
}

static void end_write(struct writer *writer, unsigned slot)
{
    struct chunk *chunk = &writer->chunks[writer->chunk_of_slot[slot]];
    chunk->is_busy = false;
    chunk->completed = chunk->submitted;
    if (chunk->is_fua) {
        chunk->durable = chunk->submitted;
    }
    writer->writes++;
}

static void *writer_thread(void *opaque)
{
    struct writer *writer = opaque;
    struct nvme_done done[DEPTH];
    unsigned count;
    for (unsigned slot = 0; slot < FLUSH_SLOT; slot++) {
        start_write(writer, slot);
    }
    for (nvme_ring(writer->queue); (count = nvme_wait(writer->queue, done, DEPTH)) > 0;
         nvme_ring(writer->queue)) {
        for (unsigned i = 0; i < count; i++) {
            if (done[i].status != 0) {
                writer->has_failed = true;
                return NULL;
            }
            if (done[i].slot == FLUSH_SLOT) {
                end_flush(writer);
                continue;
            }
            end_write(writer, done[i].slot);
            start_write(writer, done[i].slot);
            if (!writer->is_flushing && writer->writes % FLUSH_EVERY == 0) {
                start_flush(writer);
            }
        }
    }
    return NULL;
}

/* Which write, from what was promised to the newest, a block is of; -1: of none. */
static int64_t generation_of(const struct writer *writer, unsigned index, uint64_t offset,
                             const uint8_t *block)
{
    const struct chunk *chunk = &writer->chunks[index];
    for (uint32_t i = chunk->durable; i <= chunk->submitted; i++) {
        if (nvme_pattern_is(seed_of(writer->base_seed, i), offset, block, BLOCK)) {
            return i;
        }
    }
    return -1;
}

static void check_part(const struct writer *writer, const uint8_t *bytes)
{
    for (unsigned index = 0; index < CHUNKS; index++) {
        for (unsigned at = 0; at < CHUNK; at += BLOCK) {
            uint64_t offset = writer->first + (uint64_t)index * CHUNK + at;
            if (generation_of(writer, index, offset, bytes + offset) < 0) {
                fail_msg("block at 0x%jx is of none of the writes %u to %u", (uintmax_t)offset,
                         writer->chunks[index].durable, writer->chunks[index].submitted);
            }
        }
    }
}

static void fill_file(uint64_t seed)
{
    static uint8_t bytes[SIZE];
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    nvme_pattern_fill(seed, 0, bytes, SIZE);
    assert_true(write(fd, bytes, SIZE) == SIZE);
    close(fd);
}

/* Two looks at what is there: the file's bytes, and those a new host's device gives. */
static void check_file(const struct writer *writers)
{
    static const struct nvme_options options = {.queues = 1, .depth = 4, .transfer_bytes = CHUNK};
    static uint8_t bytes[SIZE];
    struct nvme nvme;
    struct nvme_done done;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, bytes, SIZE) == SIZE);
    close(fd);
    for (unsigned i = 0; i < WRITERS; i++) {
        check_part(&writers[i], bytes);
    }
    contract_host_start(devices);
    nvme_begin(&nvme, NVME, &options);
    struct nvme_queue *queue = &nvme.queues[1];
    for (uint64_t offset = 0; offset < SIZE; offset += CHUNK) {
        nvme_transfer(queue, 0, NVME_READ, offset / BLOCK, CHUNK, 0);
        nvme_ring(queue);
        assert_int_equal(nvme_wait(queue, &done, 1), 1);
        assert_int_equal(done.status, 0);
        assert_memory_equal(nvme_data(queue, 0), bytes + offset, CHUNK);
    }
    io_connect_t device = nvme.device;
    nvme_end(&nvme);
    contract_disconnect(device);
    contract_host_end();
}

static bool have_promises(void *opaque)
{
    const struct writer *writers = opaque;
    bool have_all = true;
    for (unsigned i = 0; i < WRITERS; i++) {
        have_all &= writers[i].flushes > 0;
    }
    return have_all;
}

static void kill_once(uint64_t seed)
{
    static const struct nvme_options options = {
        .queues = WRITERS, .depth = DEPTH, .transfer_bytes = CHUNK};
    static struct writer writers[WRITERS];
    struct nvme nvme;
    uint64_t random = seed;
    fill_file(seed);
    contract_host_start(devices);
    nvme_begin(&nvme, NVME, &options);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.queue = &nvme.queues[1 + i],
                                     .first = (uint64_t)i * PART,
                                     .random = seed + 1 + i,
                                     .base_seed = seed};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_thread, &writers[i]), 0);
    }
    bool has_promises = false;                          /* else there is nothing to look for */
    for (unsigned i = 0; i < 6 && !has_promises; i++) { /* five seconds each: disks can be busy */
        has_promises = contract_eventually(have_promises, writers);
    }
    assert_true(has_promises);
    usleep((useconds_t)(nvme_random(&random) % 130000));
    contract_host_kill();
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_false(writers[i].has_failed);
    }
    io_connect_t device = nvme.device;
    nvme_end(&nvme);
    contract_disconnect(device);
    check_file(writers);
}

/* With the page cache and, where the file system can, past it. */
static void specify(bool is_direct)
{
    int fd = is_direct ? open(file, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600) : -1;
    snprintf(specification, sizeof(specification), "nvme,addr=01:00.0,drive=%s%s", file,
             fd >= 0 ? ",direct" : "");
    if (fd >= 0) {
        close(fd);
    }
}

static void what_was_promised_is_in_the_file(void **state)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        specify(seed % 2 == 0);
        kill_once(seed * 1000);
    }
    specify(false);
}

/* The client that dies: it overwrites the second half again and again, and says when it is at it.
 */
static int busy_client(void)
{
    static const struct nvme_options options = {
        .queues = 1, .depth = 64, .transfer_bytes = CHUNK, .has_interrupts = true};
    struct nvme nvme;
    io_connect_t device = apple_dext_connect(NVME, 0, 0);
    if (apple_dext_claim(device) != kIOReturnSuccess || nvme_open(&nvme, device, &options) ||
        nvme_start(&nvme)) {
        return 1;
    }
    struct nvme_job job = {.queue = &nvme.queues[1],
                           .is_write = true,
                           .seed = 77,
                           .first = PART,
                           .bytes = PART,
                           .chunk_bytes = CHUNK};
    while (!job.is_lost && job.status == 0) {
        nvme_job_run(&job);
        (void)!write(STDOUT_FILENO, "", 1);
    }
    return 1;
}

static pid_t start_client(int *busy_fd)
{
    char *const arguments[] = {(char *)"test_contract_nvme_kill", (char *)"busy-client", NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t child = -1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *busy_fd = ends[0];
    return child;
}

static void a_new_client_takes_over(void **state)
{
    static const struct nvme_options options = {.queues = 2, .depth = 8, .transfer_bytes = CHUNK};
    uint64_t random = 4711;
    fill_file(1);
    contract_host_start(devices);
    for (unsigned round = 0; round < 4; round++) {
        struct nvme nvme;
        int busy;
        int status = 0;
        char byte;
        pid_t child = start_client(&busy);
        ssize_t got = read(busy, &byte, 1);
        usleep((useconds_t)(nvme_random(&random) % 20000));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        close(busy);
        assert_int_equal(got, 1);
        assert_true(WIFSIGNALED(status));
        nvme_begin(&nvme, NVME, &options);
        nvme_range(&nvme.queues[1], false, round == 0 ? 1 : 200 + round - 1, 0, PART, CHUNK);
        nvme_range(&nvme.queues[2], false, 77, PART, PART, CHUNK);
        nvme_range(&nvme.queues[1], true, 200 + round, 0, PART, CHUNK);
        nvme_range(&nvme.queues[2], true, 300 + round, PART, PART, CHUNK);
        nvme_range(&nvme.queues[2], false, 300 + round, PART, PART, CHUNK);
        io_connect_t device = nvme.device;
        nvme_end(&nvme);
        contract_disconnect(device);
    }
    assert_int_equal(contract_after(NULL), 0); /* nothing is left of the dead either */
    contract_host_end();
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "busy-client") == 0) {
        return busy_client();
    }
    const struct CMUnitTest tests[] = {
        contract_test(what_was_promised_is_in_the_file),
        contract_test_when(a_new_client_takes_over, WHEN_REMOTE),
    };
    const struct contract_suite suite = {.name = "nvme_kill",
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0]),
                                         .has_own_host = true};
    snprintf(folder, sizeof(folder), "/tmp/dext-nvme.XXXXXX");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    snprintf(file, sizeof(file), "%s/disk", folder);
    specify(false);
    int failed = contract_main(argc, argv, &suite);
    unlink(file);
    rmdir(folder);
    return failed;
}
