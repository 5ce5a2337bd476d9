/*
 * An NVMe device on a file that is used past the page cache, O_DIRECT: data from and to memory of
 * every alignment, neighbours in a block, and that the flag is really set.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contract_host.h"
#include "nvme_io.h"

enum { NVME = 0x01, BLOCK = 512, BLOCKS = 256, SIZE = BLOCKS * BLOCK };

static char folder[64];
static char file[80];
static char with_cache[112], without_cache[128], for_reading[144];

static void file_fill(uint8_t value)
{
    static uint8_t bytes[SIZE];
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    memset(bytes, value, SIZE);
    assert_true(write(fd, bytes, SIZE) == SIZE);
    close(fd);
    fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        assert_int_equal(errno, EINVAL);
        print_message("# SKIP no O_DIRECT on the file system of %s\n", folder);
        skip();
    }
    close(fd);
}

static void host_start(const char *specification)
{
    const char *const devices[] = {specification, NULL};
    contract_host_start(devices);
}

static void host_end(struct nvme *nvme)
{
    io_connect_t device = nvme->device;
    nvme_end(nvme);
    contract_disconnect(device);
    contract_host_end();
}

/* A command on slot 0 whose memory begins within a page. */
static void run_at(struct nvme_queue *queue, uint8_t opcode, uint64_t block, unsigned blocks,
                   unsigned offset, uint32_t flags)
{
    uint64_t bus = nvme_bus(queue->nvme, nvme_data(queue, 0));
    struct nvme_command command = {.opcode = opcode,
                                   .nsid = 1,
                                   .prp1 = bus + offset,
                                   .dw10 = (uint32_t)block,
                                   .dw12 = (blocks - 1) | flags};
    if (offset + blocks * BLOCK > NVME_PAGE) {
        command.prp2 = bus + NVME_PAGE;
    }
    assert_int_equal(nvme_run(queue, &command, NULL), 0);
}

/* Commands of 1 to 8 blocks anywhere, their memory at any multiple of 4, which is all PRPs ask. */
static void memory_of_every_alignment(void **state)
{
    static const struct nvme_options options = {
        .queues = 1, .depth = 2, .transfer_bytes = 2 * NVME_PAGE};
    enum { WRITE_ZEROES = 8, ROUNDS = 200 };
    static uint8_t model[SIZE], content[SIZE];
    struct nvme nvme;
    uint64_t random = 42;
    file_fill(0x11);
    memset(model, 0x11, SIZE);
    host_start(without_cache);
    nvme_begin(&nvme, NVME, &options);
    struct nvme_queue *queue = &nvme.queues[1];
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned blocks = 1 + (unsigned)(nvme_random(&random) % 8);
        uint64_t block = nvme_random(&random) % (BLOCKS - blocks);
        unsigned offset = (unsigned)(nvme_random(&random) % (NVME_PAGE / 4)) * 4;
        uint8_t *data = nvme_data(queue, 0) + offset;
        uint8_t *expected = model + block * BLOCK;
        unsigned what = (unsigned)(nvme_random(&random) % 16);
        if (what == 0) {
            run_at(queue, WRITE_ZEROES, block, blocks, 0, 0);
            memset(expected, 0, blocks * BLOCK);
        } else if (what == 1) {
            assert_int_equal(
                nvme_run(queue, &(struct nvme_command){.opcode = NVME_FLUSH, .nsid = 1}, NULL), 0);
        } else if (what < 9) {
            nvme_pattern_fill(i, block * BLOCK, data, blocks * BLOCK);
            memcpy(expected, data, blocks * BLOCK);
            run_at(queue, NVME_WRITE, block, blocks, offset, i % 16 == 0 ? NVME_FUA : 0);
        } else {
            memset(data, 0xa5, blocks * BLOCK);
            run_at(queue, NVME_READ, block, blocks, offset, i % 16 == 0 ? NVME_FUA : 0);
            assert_memory_equal(data, expected, blocks * BLOCK);
        }
    }
    host_end(&nvme);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, content, SIZE) == SIZE);
    close(fd);
    assert_memory_equal(content, model, SIZE);
}

static void transfers_of_all_sizes(void **state)
{
    static const uint32_t sizes[] = {512, 1536, 4096, 8192, 65536};
    static const struct nvme_options options = {
        .queues = 1, .depth = 8, .transfer_bytes = NVME_TRANSFER_MAX};
    struct nvme nvme;
    file_fill(0);
    host_start(without_cache);
    nvme_begin(&nvme, NVME, &options);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes = SIZE / sizes[i] * sizes[i];
        nvme_range(&nvme.queues[1], true, i, 0, bytes, sizes[i]);
        nvme_range(&nvme.queues[1], false, i, 0, bytes, sizes[i]);
    }
    host_end(&nvme);
}

struct weaver {
    struct nvme_queue *queue;
    unsigned number;
    unsigned bad; /* commands that failed */
    pthread_t thread;
};

enum { WEAVERS = 4, WEAVER_DEPTH = 8 };

/* Every fourth block of the device. */
static void *weaver_thread(void *opaque)
{
    struct weaver *weaver = opaque;
    struct nvme_done done[WEAVER_DEPTH];
    for (unsigned block = weaver->number; block < BLOCKS;) {
        unsigned under_way = 0;
        for (; under_way < WEAVER_DEPTH && block < BLOCKS; under_way++, block += WEAVERS) {
            nvme_pattern_fill(weaver->number, block * BLOCK, nvme_data(weaver->queue, under_way),
                              BLOCK);
            nvme_transfer(weaver->queue, under_way, NVME_WRITE, block, BLOCK, 0);
        }
        nvme_ring(weaver->queue);
        while (under_way > 0) {
            unsigned count = nvme_wait(weaver->queue, done, WEAVER_DEPTH);
            if (count == 0) {
                weaver->bad++;
                return NULL;
            }
            for (unsigned i = 0; i < count; i++) {
                weaver->bad += done[i].status != 0;
            }
            under_way -= count;
        }
    }
    return NULL;
}

/* Four queues at once, and each writes to every page. */
static void neighbours_stay(void **state)
{
    static const struct nvme_options options = {
        .queues = WEAVERS, .depth = WEAVER_DEPTH, .transfer_bytes = NVME_PAGE};
    struct weaver weavers[WEAVERS];
    struct nvme nvme;
    file_fill(0);
    host_start(without_cache);
    nvme_begin(&nvme, NVME, &options);
    for (unsigned i = 0; i < WEAVERS; i++) {
        weavers[i] = (struct weaver){.queue = &nvme.queues[1 + i], .number = i};
        assert_int_equal(pthread_create(&weavers[i].thread, NULL, weaver_thread, &weavers[i]), 0);
    }
    for (unsigned i = 0; i < WEAVERS; i++) {
        pthread_join(weavers[i].thread, NULL);
        assert_int_equal(weavers[i].bad, 0);
    }
    for (unsigned block = 0; block < BLOCKS; block++) {
        nvme_range(&nvme.queues[1], false, block % WEAVERS, block * BLOCK, BLOCK, BLOCK);
    }
    host_end(&nvme);
}

/* Flags of the host's descriptor of the file, as the kernel tells; -1 when it has none. */
static long file_flags(int *descriptors)
{
    pid_t pid = contract_host_pid() ? contract_host_pid() : getpid();
    long flags = -1;
    for (int fd = 0; fd < 256; fd++) {
        char name[64], target[256], line[64];
        snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)pid, fd);
        ssize_t length = readlink(name, target, sizeof(target) - 1);
        if (length < 0) {
            continue;
        }
        target[length] = '\0';
        if (strcmp(target, file) != 0) {
            continue;
        }
        snprintf(name, sizeof(name), "/proc/%d/fdinfo/%d", (int)pid, fd);
        FILE *info = fopen(name, "re");
        assert_non_null(info);
        while (fgets(line, sizeof(line), info)) {
            if (strncmp(line, "flags:", 6) == 0) {
                flags = strtol(line + 6, NULL, 8);
                (*descriptors)++;
            }
        }
        fclose(info);
    }
    return flags;
}

static void check_flags(const char *specification, long direct, long access)
{
    int descriptors = 0;
    host_start(specification);
    long flags = file_flags(&descriptors);
    contract_host_end();
    assert_int_equal(descriptors, 1);
    assert_int_equal(flags & O_DIRECT, direct);
    assert_int_equal(flags & O_ACCMODE, access);
}

static void the_flag_is_set(void **state)
{
    int before = contract_count_fds(0);
    file_fill(0);
    check_flags(without_cache, O_DIRECT, O_RDWR);
    check_flags(for_reading, O_DIRECT, O_RDONLY);
    check_flags(with_cache, 0, O_RDWR);
    assert_int_equal(contract_count_fds(0), before);
}

static void reads_only(void **state)
{
    static const struct nvme_options options = {
        .queues = 1, .depth = 2, .transfer_bytes = NVME_PAGE};
    struct nvme nvme;
    struct nvme_done done;
    file_fill(0x77);
    host_start(for_reading);
    nvme_begin(&nvme, NVME, &options);
    struct nvme_queue *queue = &nvme.queues[1];
    run_at(queue, NVME_READ, 3, 2, 100, 0);
    assert_int_equal(nvme_data(queue, 0)[100], 0x77);
    assert_int_equal(nvme_data(queue, 0)[100 + 2 * BLOCK - 1], 0x77);
    nvme_transfer(queue, 0, NVME_WRITE, 0, BLOCK, 0);
    nvme_ring(queue);
    assert_int_equal(nvme_wait(queue, &done, 1), 1);
    assert_int_equal(done.status & 0x7ff, 0x020); /* write protected */
    host_end(&nvme);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        contract_test(memory_of_every_alignment),
        contract_test(transfers_of_all_sizes),
        contract_test(neighbours_stay),
        contract_test(the_flag_is_set),
        contract_test(reads_only),
    };
    const struct contract_suite suite = {.name = "nvme_direct",
                                         .tests = tests,
                                         .count = sizeof(tests) / sizeof(tests[0]),
                                         .has_own_host = true};
    snprintf(folder, sizeof(folder), "/tmp/dext-direct.XXXXXX");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    snprintf(file, sizeof(file), "%s/disk", folder);
    snprintf(with_cache, sizeof(with_cache), "nvme,addr=01:00.0,drive=%s", file);
    snprintf(without_cache, sizeof(without_cache), "%s,direct", with_cache);
    snprintf(for_reading, sizeof(for_reading), "%s,readonly", without_cache);
    int failed = contract_main(argc, argv, &suite);
    unlink(file);
    rmdir(folder);
    return failed;
}
