/*
 * Unit tests of what goes without a copy: reads that need no waiting, and writes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "sim_fixture.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "provider/pci_registers.h"

#define FILE_BYTES 65536

/* A model whose register 0, when read, reads from its file as the test wants, and when written,
 * starts a write. */
struct model_of_storage {
    struct model model;
    struct config_space config;
    unsigned storage;
    uint64_t bytes;
};

static struct model_segment segments[70];
static unsigned segment_count;
static uint64_t offset_wanted;
static bool is_after_write; /* behind an operation that is not done */
static uint8_t written[4096];
static bool is_refused, is_read;
static _Atomic int results_seen, last_result, cancelled;
static const struct model_ops storage_model;

static int storage_create(const struct model_host *host, const struct model_option *options,
                          size_t count, struct model **out, char **error)
{
    const struct config_identity identity = {.vendor_id = 0x1234, .device_id = 1};
    struct model_of_storage *device = calloc(1, sizeof(*device));
    assert_non_null(device);
    device->model.ops = &storage_model;
    device->model.host = *host;
    device->model.config = &device->config;
    device->model.shape.bars[0] = (struct model_bar){.bytes = 0x4000};
    device->model.shape.storage_operations = 4;
    config_space_init(&device->config, &identity);
    config_space_add_bar(&device->config, 0, 0, 0x4000);
    config_space_seal(&device->config);
    assert_int_equal(host->ops->storage_open(host->context, options[0].value, 0, &device->storage,
                                             &device->bytes),
                     0);
    *out = &device->model;
    return 0;
}

static void storage_destroy(struct model *model)
{
    free(model);
}

static uint64_t storage_mmio_read(struct model *model, unsigned bar, uint64_t offset,
                                  unsigned width)
{
    const struct model_host *host = &model->host;
    unsigned storage = ((struct model_of_storage *)model)->storage;
    const struct model_storage_request request = {.storage = storage,
                                                  .action = MODEL_STORAGE_WRITE,
                                                  .bytes = sizeof(written),
                                                  .buffer = written};
    if (is_after_write) {
        host->ops->storage_submit(host->context, &request);
    }
    return host->ops->storage_read_now(host->context, storage, offset_wanted, segments,
                                       segment_count);
}

static void storage_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                               uint64_t value)
{
    const struct model_host *host = &model->host;
    struct model_storage_request request = {.storage = ((struct model_of_storage *)model)->storage,
                                            .action =
                                                is_read ? MODEL_STORAGE_READ : MODEL_STORAGE_WRITE,
                                            .offset = offset_wanted,
                                            .segments = segments,
                                            .segment_count = segment_count};
    for (unsigned i = 0; i < segment_count; i++) {
        request.bytes += segments[i].bytes;
    }
    is_refused = !host->ops->storage_submit_direct(host->context, &request);
}

static void storage_done(struct model *model, const struct model_storage_result *results,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        atomic_fetch_add(&cancelled, results[i].result == -ECANCELED);
        atomic_store(&last_result, results[i].result);
        atomic_fetch_add(&results_seen, 1);
    }
}

static _Atomic bool was_reset;

static void storage_reset(struct model *model, enum model_reset kind)
{
    atomic_store(&was_reset, true);
}

static const struct model_ops storage_model = {
    .name = "storage",
    .create = storage_create,
    .destroy = storage_destroy,
    .mmio_read = storage_mmio_read,
    .mmio_write = storage_mmio_write,
    .storage_done = storage_done,
    .reset = storage_reset,
};

/* What is not in the page cache: the kernel says so, or gives what it has. */
static int error_now;
static size_t bytes_now;

ssize_t __real_preadv64v2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *pieces, int count, off_t offset, int flags);

ssize_t __wrap_preadv64v2(int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
    struct statfs system;
    assert_int_equal(fstatfs(fd, &system), 0);
    assert_int_equal(flags, system.f_type == TMPFS_MAGIC ? 0 : RWF_NOWAIT);
    if (error_now) {
        errno = error_now;
        return -1;
    }
    return bytes_now ? (ssize_t)bytes_now : __real_preadv64v2(fd, pieces, count, offset, flags);
}

/* A disk that takes its time. */
static _Atomic bool is_slow, is_writing, is_reading;

ssize_t __real_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);

ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    atomic_store(&is_reading, true);
    while (atomic_load(&is_slow)) {
        sched_yield();
    }
    return __real_preadv64(fd, pieces, count, offset);
}

ssize_t __real_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);

ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    atomic_store(&is_writing, true);
    while (atomic_load(&is_slow)) {
        sched_yield();
    }
    return __real_pwritev64(fd, pieces, count, offset);
}

/* Memory of a client that lies in this process, or does not. */
struct plain_memory {
    struct dma_memory memory;
    uint8_t bytes[3 * 16384];
    bool is_plain;
    struct dart_mapping *mapping;
};

static void *plain_point(struct dma_memory *memory, uint64_t offset, size_t length, bool is_write)
{
    struct plain_memory *self = (struct plain_memory *)memory;
    assert_true(offset + length <= sizeof(self->bytes));
    return self->is_plain ? self->bytes + offset : NULL;
}

static const struct dma_memory_ops plain_ops = {.point = plain_point};
static struct plain_memory plain;
static uint64_t bus;
static const char *folder = "/tmp";
static char path[64];

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 0x9e3779b1u >> 24);
}

static int start(void **state)
{
    const struct pci_address address = {.bus = 1};
    char *error = NULL;
    uint8_t content[FILE_BYTES];
    snprintf(path, sizeof(path), "%s/dextlink-now-XXXXXX", folder);
    int fd = mkstemp(path);
    for (uint64_t i = 0; i < FILE_BYTES; i++) {
        content[i] = byte_at(i);
    }
    if (fd < 0 || write(fd, content, FILE_BYTES) != FILE_BYTES || close(fd) < 0) {
        return -1;
    }
    const struct model_option drive = {"drive", path};
    error_now = 0;
    bytes_now = 0;
    is_after_write = false;
    is_slow = is_writing = is_reading = is_read = false;
    results_seen = cancelled = 0;
    memset(&plain, 0, sizeof(plain));
    plain.memory = (struct dma_memory){.ops = &plain_ops, .bytes = sizeof(plain.bytes)};
    plain.is_plain = true;
    if (backend_sim_create(&storage_model, address, &drive, 1, NULL, &sim, &error) < 0 ||
        provider_open(sim) < 0 ||
        provider_config_write(sim, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER) <
            0 ||
        provider_dma_map(sim, &plain.memory, 0, sizeof(plain.bytes), 0x1000, DART_BOTH, 1,
                         &plain.mapping) < 0) {
        return -1;
    }
    bus = plain.mapping->bus_address;
    return 0;
}

static int stop(void **state)
{
    provider_dma_unmap(sim, plain.mapping);
    provider_destroy(sim);
    return unlink(path);
}

static bool read_now(uint64_t offset, uint64_t where, uint32_t bytes)
{
    offset_wanted = offset;
    segments[0] = (struct model_segment){where, bytes};
    segment_count = 1;
    return bar_get(0, 0, 4) == 1;
}

static bool is_there(uint64_t where, uint64_t offset, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (plain.bytes[where + i] != byte_at(offset + i)) {
            return false;
        }
    }
    return true;
}

static void cached_data_goes_straight_to_memory(void **state)
{
    if (!read_now(512, bus + 100, 4096)) {
        skip(); /* a file system that always waits */
    }
    assert_true(is_there(100, 512, 4096));
    assert_int_equal(plain.bytes[99], 0);
    assert_int_equal(plain.bytes[100 + 4096], 0);
    /* Pieces in any order, in the order of the file. */
    offset_wanted = 8192;
    segment_count = 3;
    segments[0] = (struct model_segment){bus + 32768, 4096};
    segments[1] = (struct model_segment){bus, 16};
    segments[2] = (struct model_segment){bus + 16384, 8192};
    assert_int_equal(bar_get(0, 0, 4), 1);
    assert_true(is_there(32768, 8192, 4096));
    assert_true(is_there(0, 12288, 16));
    assert_true(is_there(16384, 12304, 8192));
}

static int start_in_memory(void **state)
{
    struct statfs system;
    if (statfs("/dev/shm", &system) == 0 && system.f_type == TMPFS_MAGIC) {
        folder = "/dev/shm";
    }
    int result = start(state);
    folder = "/tmp";
    return result;
}

/* tmpfs knows no RWF_NOWAIT. */
static void files_in_memory_never_wait(void **state)
{
    if (strncmp(path, "/dev/shm/", 9) != 0) {
        skip();
    }
    assert_true(read_now(512, bus + 100, 4096));
    assert_true(is_there(100, 512, 4096));
}

static void what_cannot_be_had_at_once_is_refused(void **state)
{
    error_now = EAGAIN;
    assert_false(read_now(0, bus, 4096));
    error_now = EIO;
    assert_false(read_now(0, bus, 4096));
    error_now = 0;
    bytes_now = 512;
    assert_false(read_now(0, bus, 4096));
}

static void memory_that_is_not_plain_is_refused(void **state)
{
    assert_false(read_now(0, bus + sizeof(plain.bytes) - 4095, 4096)); /* past its end */
    assert_false(read_now(0, bus - 4096, 4096));
    plain.is_plain = false;
    assert_false(read_now(0, bus, 4096));
    plain.is_plain = true;
    for (unsigned i = 0; i < 70; i++) {
        segments[i] = (struct model_segment){bus + 64 * i, 16};
    }
    segment_count = 70; /* more pieces than one read takes */
    assert_int_equal(bar_get(0, 0, 4), 0);
    struct dart_statistics statistics;
    dart_get_statistics(sim->dart, &statistics);
    assert_int_equal(statistics.faults, 0); /* whoever tries again reports it */
    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_false(read_now(0, bus, 4096)); /* no bus master */
}

/* A read must not overtake what was submitted before. */
static void operations_under_way_come_first(void **state)
{
    is_after_write = true;
    assert_false(read_now(0, bus, 4096));
    is_after_write = false;
}

static void write_direct(uint64_t offset)
{
    offset_wanted = offset;
    bar_set(0, 0, 4, 1);
}

static void wait_for(_Atomic int *seen, int wanted)
{
    while (atomic_load(seen) < wanted) {
        sched_yield();
    }
}

static void writes_are_taken_from_memory(void **state)
{
    uint8_t content[12288];
    int fd = open(path, O_RDONLY);
    for (uint64_t i = 0; i < sizeof(plain.bytes); i++) {
        plain.bytes[i] = byte_at(100000 + i);
    }
    segments[0] = (struct model_segment){bus + 20000, 4096};
    segments[1] = (struct model_segment){bus + 100, 8192};
    segment_count = 2;
    write_direct(512);
    assert_false(is_refused);
    wait_for(&results_seen, 1);
    assert_int_equal(last_result, 0);
    assert_int_equal(pread(fd, content, 12288, 512), 12288);
    assert_memory_equal(content, plain.bytes + 20000, 4096);
    assert_memory_equal(content + 4096, plain.bytes + 100, 8192);
    assert_int_equal(pread(fd, content, 1, 511), 1);
    assert_int_equal(content[0], byte_at(511));
    assert_int_equal(pread(fd, content, 1, 512 + 12288), 1);
    assert_int_equal(content[0], byte_at(512 + 12288));
    close(fd);
}

static void a_write_from_elsewhere_is_refused(void **state)
{
    segments[0] = (struct model_segment){bus, 512};
    segments[1] = (struct model_segment){bus + sizeof(plain.bytes) - 256, 512}; /* past its end */
    segment_count = 2;
    write_direct(0);
    assert_true(is_refused);
    segment_count = 1;
    plain.is_plain = false;
    write_direct(0);
    assert_true(is_refused);
    plain.is_plain = true;
    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    write_direct(0);
    assert_true(is_refused); /* no bus master */
    assert_int_equal(results_seen, 0);
    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
    write_direct(0);
    assert_false(is_refused);
    wait_for(&results_seen, 1);
}

static _Atomic int unmapped;

static void *unmap_main(void *context)
{
    provider_dma_unmap(sim, plain.mapping);
    atomic_store(&unmapped, 1);
    return NULL;
}

/* The write is done from memory that is still the client's. */
static void unmapping_waits_for_the_write(void **state)
{
    pthread_t thread;
    unmapped = 0;
    is_slow = true;
    segments[0] = (struct model_segment){bus, 4096};
    segment_count = 1;
    write_direct(0);
    assert_false(is_refused);
    while (!is_writing) {
        sched_yield();
    }
    assert_int_equal(pthread_create(&thread, NULL, unmap_main, NULL), 0);
    usleep(20000);
    assert_int_equal(unmapped, 0);
    assert_int_equal(config_get(PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
    is_slow = false;
    pthread_join(thread, NULL);
    wait_for(&results_seen, 1);
    plain.mapping = NULL;
}

static void reads_that_wait_go_to_memory(void **state)
{
    is_read = true;
    segments[0] = (struct model_segment){bus + 20000, 4096};
    segments[1] = (struct model_segment){bus + 100, 8192};
    segment_count = 2;
    write_direct(512);
    assert_false(is_refused);
    wait_for(&results_seen, 1);
    assert_int_equal(last_result, 0);
    assert_true(is_there(20000, 512, 4096));
    assert_true(is_there(100, 512 + 4096, 8192));
    plain.is_plain = false;
    write_direct(0);
    assert_true(is_refused);
    plain.is_plain = true;
}

static void *stop_master_main(void *context)
{
    config_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    atomic_store(&unmapped, 1);
    return NULL;
}

static void *reset_main(void *context)
{
    provider_reset(sim, PCI_RESET_HOT);
    atomic_store(&unmapped, 1);
    return NULL;
}

/* It has begun, and what it revokes with it, under one lock. */
static void wait_for_end(void)
{
    while (!was_reset && (config_get(PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER)) {
        sched_yield();
    }
}

/* One operation under way and one behind it: the first is waited for, the other does not begin. */
static void end_two_under_way(void *(*end)(void *context), const _Atomic bool *has_begun,
                              uint64_t second)
{
    pthread_t thread;
    unmapped = 0;
    was_reset = false;
    is_slow = true;
    segments[0] = (struct model_segment){bus, 4096};
    segment_count = 1;
    write_direct(0);
    assert_false(is_refused);
    while (!*has_begun) {
        sched_yield();
    }
    segments[0] = (struct model_segment){bus + 8192, 4096};
    write_direct(second);
    assert_false(is_refused);
    assert_int_equal(pthread_create(&thread, NULL, end, NULL), 0);
    wait_for_end();
    usleep(20000);
    assert_int_equal(unmapped, 0);
    is_slow = false;
    pthread_join(thread, NULL);
}

static void check_ends_reads(void *(*end)(void *context))
{
    uint8_t before[4096];
    memcpy(before, plain.bytes + 8192, sizeof(before));
    is_read = true;
    end_two_under_way(end, &is_reading, 0);
    assert_true(is_there(0, 0, 4096));
    wait_for(&results_seen, 2);
    assert_int_equal(cancelled, 1);
    assert_memory_equal(plain.bytes + 8192, before, sizeof(before));
}

static void no_bus_master_no_read(void **state)
{
    check_ends_reads(stop_master_main);
    assert_int_equal(config_get(PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
}

static void no_read_after_a_reset(void **state)
{
    check_ends_reads(reset_main);
}

/* The same of writes: what is in that memory from then on is no data of theirs. */
static void check_ends_writes(void *(*end)(void *context))
{
    uint8_t content[4096];
    memset(plain.bytes, 0xa1, sizeof(plain.bytes));
    end_two_under_way(end, &is_writing, 8192);
    memset(plain.bytes, 0xb2, sizeof(plain.bytes));
    wait_for(&results_seen, 2);
    assert_int_equal(cancelled, 1);
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, content, 4096, 0), 4096);
    assert_int_equal(content[0], 0xa1);
    assert_int_equal(content[4095], 0xa1);
    assert_int_equal(pread(fd, content, 4096, 8192), 4096);
    for (uint64_t i = 0; i < 4096; i++) {
        assert_int_equal(content[i], byte_at(8192 + i));
    }
    close(fd);
}

static void no_bus_master_no_write(void **state)
{
    check_ends_writes(stop_master_main);
}

static void no_write_after_a_reset(void **state)
{
    check_ends_writes(reset_main);
}

#define now_test(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        now_test(cached_data_goes_straight_to_memory),
        cmocka_unit_test_setup_teardown(files_in_memory_never_wait, start_in_memory, stop),
        now_test(what_cannot_be_had_at_once_is_refused),
        now_test(memory_that_is_not_plain_is_refused),
        now_test(operations_under_way_come_first),
        now_test(writes_are_taken_from_memory),
        now_test(a_write_from_elsewhere_is_refused),
        now_test(unmapping_waits_for_the_write),
        now_test(reads_that_wait_go_to_memory),
        now_test(no_bus_master_no_read),
        now_test(no_read_after_a_reset),
        now_test(no_bus_master_no_write),
        now_test(no_write_after_a_reset),
    };
    return cmocka_run_group_tests_name("sim storage direct", tests, NULL, NULL);
}
