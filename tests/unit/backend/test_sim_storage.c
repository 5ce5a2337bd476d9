/*
 * Unit tests of files as storage: what they hold, who may open them, and what their errors become.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include "sim_fixture.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "model/config_space.h"
#include "provider/pci_registers.h"

#define FILE_BYTES 65536
#define OPERATIONS 16

/* A model that opens its option "drive" and submits what the test wants on a register write. */
struct model_of_storage {
    struct model model;
    struct config_space config;
    unsigned storage;
    uint64_t bytes;
};

static struct model_of_storage *device;
static struct model_storage_request wanted[OPERATIONS];
static unsigned wanted_count;
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;
static unsigned done_count;
static unsigned done_tags[OPERATIONS];
static int done_results[OPERATIONS];

static const struct model_ops storage_model;

static int storage_create(const struct model_host *host, const struct model_option *options,
                          size_t count, struct model **out, char **error)
{
    const struct config_identity identity = {.vendor_id = 0x1234, .device_id = 1};
    device = calloc(1, sizeof(*device));
    assert_non_null(device);
    device->model.ops = &storage_model;
    device->model.host = *host;
    device->model.config = &device->config;
    device->model.shape.bars[0] = (struct model_bar){.bytes = 0x4000};
    device->model.shape.storage_operations = OPERATIONS;
    config_space_init(&device->config, &identity);
    config_space_add_bar(&device->config, 0, 0, 0x4000);
    config_space_seal(&device->config);
    unsigned flags = 0;
    for (size_t i = 1; i < count; i++) {
        flags |= strcmp(options[i].key, "readonly") == 0 ? MODEL_STORAGE_READ_ONLY
                                                         : MODEL_STORAGE_UNCACHED;
    }
    int result = host->ops->storage_open(host->context, options[0].value, flags, &device->storage,
                                         &device->bytes);
    if (result < 0) {
        free(device);
        device = NULL;
        return result;
    }
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
    return 0;
}

static void storage_mmio_write(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                               uint64_t value)
{
    for (unsigned i = 0; i < wanted_count; i++) {
        wanted[i].storage = device->storage;
        wanted[i].tag = i;
        model->host.ops->storage_submit(model->host.context, &wanted[i]);
    }
}

static void storage_done(struct model *model, unsigned tag, int result)
{
    pthread_mutex_lock(&done_lock);
    done_tags[done_count] = tag;
    done_results[done_count++] = result;
    pthread_cond_signal(&done_changed);
    pthread_mutex_unlock(&done_lock);
}

static void storage_reset(struct model *model, enum model_reset kind)
{
}

static const struct model_ops storage_model = {
    .name = "storage",
    .summary = "",
    .options = "",
    .create = storage_create,
    .destroy = storage_destroy,
    .mmio_read = storage_mmio_read,
    .mmio_write = storage_mmio_write,
    .storage_done = storage_done,
    .reset = storage_reset,
};

static char path[] = "/tmp/dextlink-storage-XXXXXX";

static uint32_t unit_told, memory_unit_told; /* of direct access; 0: no test of that */

static int file_make(void **state)
{
    unit_told = memory_unit_told = 0;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    int result = fd < 0 ? -1 : ftruncate(fd, FILE_BYTES);
    close(fd);
    return result;
}

static int file_remove(void **state)
{
    return unlink(path);
}

/* option: "readonly", "direct", or NULL. */
static int open_sim(struct pci_provider **out, const char *file, const char *option)
{
    const struct model_option options[] = {{"drive", file}, {option, ""}};
    const struct pci_address address = {.bus = 1};
    char *error = NULL;
    return backend_sim_create(&storage_model, address, options, option ? 2 : 1, NULL, out, &error);
}

static struct pci_provider *start(const char *option)
{
    struct pci_provider *provider;
    assert_int_equal(open_sim(&provider, path, option), 0);
    assert_int_equal(device->bytes, FILE_BYTES);
    assert_int_equal(provider_open(provider), 0);
    provider_config_write(provider, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    return provider;
}

/* Submit what is wanted and wait for it all; results in order. */
static void submit(struct pci_provider *provider, unsigned count)
{
    wanted_count = count;
    done_count = 0;
    assert_int_equal(provider_memory_write(provider, 0, 0, 4, 1), 0);
    pthread_mutex_lock(&done_lock);
    while (done_count < count) {
        pthread_cond_wait(&done_changed, &done_lock);
    }
    pthread_mutex_unlock(&done_lock);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(done_tags[i], i);
    }
}

static int submit_one(struct pci_provider *provider, enum model_storage_action action,
                      uint64_t offset, uint64_t bytes, void *buffer)
{
    wanted[0] = (struct model_storage_request){
        .action = action, .offset = offset, .bytes = bytes, .buffer = buffer, .is_durable = true};
    submit(provider, 1);
    return done_results[0];
}

static void keeps_what_is_written(void **state)
{
    uint8_t out[8192], in[8192], direct[8192];
    struct pci_provider *provider = start(NULL);
    for (unsigned i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i * 7 + i / 251);
    }
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 4096, 8192, out), 0);
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, direct, 8192, 4096), 8192);
    assert_memory_equal(direct, out, 8192);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_ZERO, 6144, 1000, NULL), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_FLUSH, 0, 0, NULL), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4096, 8192, in), 0);
    memset(out + 2048, 0, 1000);
    assert_memory_equal(in, out, 8192);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, FILE_BYTES);
    close(fd);
    provider_destroy(provider);
}

static void works_in_order(void **state)
{
    uint8_t bytes[OPERATIONS] = {0}, last = 0;
    struct pci_provider *provider = start(NULL);
    for (unsigned i = 0; i < OPERATIONS - 1; i++) {
        bytes[i] = (uint8_t)(i + 1);
        wanted[i] = (struct model_storage_request){
            .action = MODEL_STORAGE_WRITE, .offset = 9, .bytes = 1, .buffer = &bytes[i]};
    }
    wanted[OPERATIONS - 1] = (struct model_storage_request){
        .action = MODEL_STORAGE_READ, .offset = 9, .bytes = 1, .buffer = &last};
    submit(provider, OPERATIONS);
    assert_int_equal(last, OPERATIONS - 1);
    provider_destroy(provider);
}

static void is_exclusive(void **state)
{
    struct pci_provider *provider = start(NULL), *other;
    assert_int_equal(open_sim(&other, path, NULL), -EBUSY);
    assert_int_equal(open_sim(&other, path, "readonly"), -EBUSY);
    provider_destroy(provider);
    provider = start("readonly");
    provider_destroy(provider);
}

static void refuses_what_is_no_file(void **state)
{
    struct pci_provider *other;
    assert_int_equal(open_sim(&other, "/nowhere/at/all", NULL), -ENOENT);
    assert_int_equal(open_sim(&other, "/dev/null", NULL), -EINVAL);
    assert_int_equal(open_sim(&other, "/tmp", "readonly"), -EINVAL);
}

/* The file as a loop device, which is gone when the last has closed it: its descriptor, -1 where
 * that is not for us. */
static int loop_make(char *name, size_t bytes)
{
    struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    int file = open(path, O_RDWR | O_CLOEXEC), loop = -1;
    config.fd = (uint32_t)file;
    if (number >= 0) {
        snprintf(name, bytes, "/dev/loop%d", number);
        loop = open(name, O_RDWR | O_CLOEXEC);
    }
    if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
        close(loop);
        loop = -1;
    }
    close(control);
    close(file);
    return loop;
}

static void works_on_block_devices(void **state)
{
    char name[32];
    uint8_t out[4096], in[4096] = {0};
    struct pci_provider *provider;
    int loop = loop_make(name, sizeof(name));
    if (loop < 0) {
        print_message("# SKIP no loop device for us\n");
        skip();
    }
    memset(out, 0x5a, sizeof(out));
    assert_int_equal(open_sim(&provider, name, NULL), 0);
    assert_int_equal(device->bytes, FILE_BYTES);
    assert_int_equal(flock(loop, LOCK_EX | LOCK_NB), -1); /* the device has it */
    assert_int_equal(provider_open(provider), 0);
    provider_config_write(provider, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 8192, 4096, out), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_ZERO, 8192, 512, NULL), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 8192, 4096, in), 0);
    memset(out, 0, 512);
    assert_memory_equal(in, out, sizeof(in));
    provider_destroy(provider);
    close(loop);
}

/* A file that somebody made shorter, a disk that is full, a file that is not for writing. */
static void tells_errors(void **state)
{
    uint8_t buffer[4096] = {1};
    struct pci_provider *provider = start(NULL);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4096, 4096, buffer), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 0, 4096, buffer), 0);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES), 0);
    provider = start("readonly");
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 0, 4096, buffer), -EBADF);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_FLUSH, 0, 0, NULL), 0);
    provider_destroy(provider);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
static int sync_errno, sync_calls;

int __wrap_fdatasync(int fd)
{
    sync_calls++;
    if (sync_errno != 0) {
        errno = sync_errno;
        return -1;
    }
    return __real_fdatasync(fd);
}

/* What a failed flush lost the next one cannot save: no success after it. */
static void stays_broken_after_a_failed_flush(void **state)
{
    uint8_t buffer[512] = {1};
    struct pci_provider *provider = start(NULL);
    sync_calls = 0;
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 0, 512, buffer), 0);
    assert_int_equal(sync_calls, 1); /* durable means synced */
    wanted[0].is_durable = false;
    submit(provider, 1);
    assert_int_equal(sync_calls, 1);
    sync_errno = EIO;
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 0, 512, buffer), -EIO);
    sync_errno = 0;
    assert_int_equal(submit_one(provider, MODEL_STORAGE_FLUSH, 0, 0, NULL), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 0, 512, buffer), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_ZERO, 0, 512, NULL), -EIO);
    wanted[0] = (struct model_storage_request){
        .action = MODEL_STORAGE_READ, .bytes = 512, .buffer = buffer};
    submit(provider, 1);
    assert_int_equal(done_results[0], 0);
    provider_destroy(provider);
}

/* Every operation is answered before the model ends. */
static void ends_with_operations_under_way(void **state)
{
    static uint8_t buffer[OPERATIONS][4096];
    for (unsigned round = 0; round < 20; round++) {
        struct pci_provider *provider = start(NULL);
        for (unsigned i = 0; i < OPERATIONS; i++) {
            wanted[i] = (struct model_storage_request){
                .action = MODEL_STORAGE_WRITE, .bytes = 4096, .buffer = buffer[i]};
        }
        wanted_count = OPERATIONS;
        done_count = 0;
        provider_memory_write(provider, 0, 0, 4, 1);
        provider_destroy(provider);
        assert_int_equal(done_count, OPERATIONS);
        for (unsigned i = 0; i < OPERATIONS; i++) {
            assert_true(done_results[i] == 0 || done_results[i] == -ECANCELED);
        }
    }
}

/* ---- Past the page cache. What the kernel says of a file is what the test wants it to say. */

int __real_statx(int fd, const char *name, int flags, unsigned mask, struct statx *status);
int __wrap_statx(int fd, const char *name, int flags, unsigned mask, struct statx *status);
ssize_t __real_pread64(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __real_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __real_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset);

#define TELLS_NOTHING UINT32_MAX

static size_t least_tried;
static _Atomic unsigned straight, crooked; /* calls with that alignment, and without */

int __wrap_statx(int fd, const char *name, int flags, unsigned mask, struct statx *status)
{
    int result = __real_statx(fd, name, flags, mask, status);
    status->stx_dio_offset_align = unit_told;
    status->stx_dio_mem_align = memory_unit_told;
    status->stx_mask |= STATX_DIOALIGN;
    if (unit_told == TELLS_NOTHING) {
        status->stx_mask &= ~STATX_DIOALIGN;
    }
    return result;
}

ssize_t __wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset)
{
    if (bytes < least_tried) {
        errno = EINVAL;
        return -1;
    }
    return __real_pread64(fd, buffer, bytes, offset);
}

static void look(const struct iovec *pieces, int count, off_t offset)
{
    uint64_t sizes = (uint64_t)offset, addresses = 0;
    if (unit_told == 0) {
        return; /* a test of the page cache */
    }
    for (int i = 0; i < count; i++) {
        sizes |= pieces[i].iov_len;
        addresses |= (uintptr_t)pieces[i].iov_base;
    }
    bool is_crooked = sizes % unit_told != 0 || addresses % memory_unit_told != 0;
    (*(is_crooked ? &crooked : &straight))++;
}

ssize_t __wrap_preadv64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    look(pieces, count, offset);
    return __real_preadv64(fd, pieces, count, offset);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    look(pieces, count, offset);
    return __real_pwritev64(fd, pieces, count, offset);
}

/* A file that works in units of so many bytes; skips where its file system has none. */
static struct pci_provider *start_direct(uint32_t unit, uint32_t memory_unit)
{
    struct pci_provider *provider;
    int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        print_message("# SKIP no O_DIRECT in /tmp\n");
        skip();
    }
    close(fd);
    unit_told = unit;
    memory_unit_told = memory_unit;
    straight = crooked = 0;
    provider = start("direct");
    return provider;
}

/* Ranges and memory of every alignment: what is there is what was written, and no call on the file
 * was one that it would refuse. */
static void units_are_kept(void **state)
{
    static uint8_t model[FILE_BYTES], content[FILE_BYTES];
    static _Alignas(4096) uint8_t memory[FILE_BYTES];
    struct pci_provider *provider = start_direct(4096, 512);
    uint32_t random = 1;
    memset(model, 0, sizeof(model));
    for (unsigned i = 0; i < 400; i++) {
        random = random * 1664525 + 1013904223;
        size_t grain = i % 3 == 0 ? 4096 : i % 3 == 1 ? 512 : 1;
        size_t offset = (random >> 8) % FILE_BYTES / grain * grain;
        size_t bytes = (random >> 4) % 20000 / grain * grain + grain;
        uint8_t *buffer = memory + (random >> 24) % 64 / grain * grain;
        bytes = bytes < FILE_BYTES - offset ? bytes : FILE_BYTES - offset;
        bytes = bytes < sizeof(memory) - 64 ? bytes : sizeof(memory) - 64;
        if (i % 2 == 0) {
            memset(buffer, (int)(i + 1), bytes);
            memset(model + offset, (int)(i + 1), bytes);
            assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, offset, bytes, buffer), 0);
        } else {
            memset(buffer, 0, bytes);
            assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, offset, bytes, buffer), 0);
            assert_memory_equal(buffer, model + offset, bytes);
        }
    }
    assert_int_equal(submit_one(provider, MODEL_STORAGE_ZERO, 5000, 20000, NULL), 0);
    memset(model + 5000, 0, 20000);
    provider_destroy(provider);
    assert_int_not_equal(straight, 0);
    assert_int_equal(crooked, 0);
    int fd = open(path, O_RDONLY);
    assert_int_equal(__real_pread64(fd, content, FILE_BYTES, 0), FILE_BYTES);
    close(fd);
    assert_memory_equal(content, model, FILE_BYTES);
}

/* Without a detour: as many calls as operations. */
static void what_is_aligned_goes_straight(void **state)
{
    static _Alignas(4096) uint8_t memory[8192];
    struct pci_provider *provider = start_direct(512, 512);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 512, 1536, memory + 512), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 1024, 4096, memory), 0);
    assert_int_equal(straight, 2);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 1024, 4096, memory + 4), 0);
    assert_int_equal(straight, 3); /* through memory that is aligned */
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 1000, 100, memory), 0);
    assert_int_equal(straight, 6); /* two units, read before */
    assert_int_equal(submit_one(provider, MODEL_STORAGE_WRITE, 1024, 100, memory), 0);
    assert_int_equal(straight, 8);
    assert_int_equal(crooked, 0);
    provider_destroy(provider);
}

/* All at once, each a part of the same unit. */
static void neighbours_in_a_unit_stay(void **state)
{
    enum { PART = 4096 / OPERATIONS };
    uint8_t parts[OPERATIONS][PART], unit[4096];
    struct pci_provider *provider = start_direct(4096, 512);
    for (unsigned round = 1; round <= 10; round++) {
        for (unsigned i = 0; i < OPERATIONS; i++) {
            memset(parts[i], (int)(round * OPERATIONS + i), PART);
            wanted[i] = (struct model_storage_request){.action = MODEL_STORAGE_WRITE,
                                                       .offset = 4096 + i * PART,
                                                       .bytes = PART,
                                                       .buffer = parts[i]};
        }
        submit(provider, OPERATIONS);
        for (unsigned i = 0; i < OPERATIONS; i++) {
            assert_int_equal(done_results[i], 0);
        }
        assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4096, 4096, unit), 0);
        assert_memory_equal(unit, parts, 4096);
    }
    assert_int_equal(crooked, 0);
    provider_destroy(provider);
}

static void sizes_that_are_no_multiple_are_refused(void **state)
{
    struct pci_provider *provider = start_direct(4096, 512);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES - 512), 0);
    assert_int_equal(open_sim(&provider, path, "direct"), -EDOM);
    unit_told = 512;
    assert_int_equal(open_sim(&provider, path, "direct"), 0);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES - 1), 0);
    assert_int_equal(open_sim(&provider, path, "direct"), -EDOM);
    unit_told = 0; /* not this file */
    assert_int_equal(open_sim(&provider, path, "direct"), -ENOTBLK);
    unit_told = 131072; /* nothing we could serve */
    assert_int_equal(open_sim(&provider, path, "direct"), -ENOTBLK);
}

/* What an old kernel does not tell is found by trying. */
static void units_are_tried(void **state)
{
    struct pci_provider *provider = start_direct(TELLS_NOTHING, 0);
    provider_destroy(provider);
    assert_int_equal(truncate(path, FILE_BYTES - 512), 0);
    assert_int_equal(open_sim(&provider, path, "direct"), 0);
    provider_destroy(provider);
    least_tried = 4096;
    assert_int_equal(open_sim(&provider, path, "direct"), -EDOM);
    least_tried = 8192;
    assert_int_equal(open_sim(&provider, path, "direct"), -ENOTBLK);
    least_tried = 0;
}

/* A file that ends within a unit by now. */
static void ends_of_shorter_files_are_errors(void **state)
{
    static _Alignas(4096) uint8_t memory[8192];
    struct pci_provider *provider = start_direct(512, 512);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4096, 4096, memory), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 8192, 4096, memory), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 4100, 2000, memory), -EIO);
    assert_int_equal(submit_one(provider, MODEL_STORAGE_READ, 0, 4096, memory), 0);
    provider_destroy(provider);
}

int main(void)
{
#define storage_test(test) cmocka_unit_test_setup_teardown(test, file_make, file_remove)
    const struct CMUnitTest tests[] = {
        storage_test(keeps_what_is_written),
        storage_test(works_in_order),
        storage_test(is_exclusive),
        storage_test(refuses_what_is_no_file),
        storage_test(works_on_block_devices),
        storage_test(tells_errors),
        storage_test(stays_broken_after_a_failed_flush),
        storage_test(ends_with_operations_under_way),
        storage_test(units_are_kept),
        storage_test(what_is_aligned_goes_straight),
        storage_test(neighbours_in_a_unit_stay),
        storage_test(sizes_that_are_no_multiple_are_refused),
        storage_test(units_are_tried),
        storage_test(ends_of_shorter_files_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
