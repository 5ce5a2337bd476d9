/*
 * Unit tests of files as storage: what they hold, who may open them, and what their errors become.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "storage_fixture.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocations.h"
#include "provider/pci_registers.h"

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

/* What was submitted together is half carried out, told, and half of the rest … */
static void tells_of_many_at_once(void **state)
{
    static uint8_t buffers[OPERATIONS][512];
    struct pci_provider *provider = start(NULL);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < OPERATIONS; i++) {
            wanted[i] = (struct model_storage_request){.action = MODEL_STORAGE_WRITE,
                                                       .offset = i * 512,
                                                       .bytes = 512,
                                                       .buffer = buffers[i]};
        }
        done_calls = 0;
        submit(provider, OPERATIONS);
        assert_int_equal(done_calls, 5); /* 8, 4, 2, 1, 1 */
        wanted[5].is_durable = true;     /* which takes its time: those before are told first */
        done_calls = 0;
        submit(provider, OPERATIONS);
        assert_int_equal(done_calls, 6); /* 5; 1 + 4; 3; 1; 1; 1 */
        done_calls = 0;
        submit(provider, 1);
        assert_int_equal(done_calls, 1);
    }
    provider_destroy(provider);
}

/* Whatever the operation, its alignment and the file. */
static void check_allocates_nothing(const char *option)
{
    static uint8_t buffers[OPERATIONS][1000];
    static const enum model_storage_action actions[] = {MODEL_STORAGE_READ, MODEL_STORAGE_WRITE,
                                                        MODEL_STORAGE_ZERO, MODEL_STORAGE_FLUSH};
    struct pci_provider *provider;
    allocations = 0;
    if (open_sim(&provider, path, option) == -ENOTBLK) {
        return; /* no O_DIRECT here */
    }
    assert_int_equal(provider_open(provider), 0);
    provider_config_write(provider, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_not_equal(allocations, 0); /* they are counted */
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < OPERATIONS; i++) {
            wanted[i] = (struct model_storage_request){.action = actions[(i + round) % 4],
                                                       .offset = i * 1000,
                                                       .bytes = 1000,
                                                       .buffer = buffers[i]};
        }
        allocations = 0;
        submit_any(provider, OPERATIONS);
        assert_int_equal(allocations, 0);
    }
    provider_destroy(provider);
}

static void allocates_nothing(void **state)
{
    check_allocates_nothing(NULL);
    check_allocates_nothing("direct");
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

int main(void)
{
#define storage_test(test) cmocka_unit_test_setup_teardown(test, file_make, file_remove)
    const struct CMUnitTest tests[] = {
        storage_test(keeps_what_is_written),
        storage_test(works_in_order),
        storage_test(tells_of_many_at_once),
        storage_test(allocates_nothing),
        storage_test(is_exclusive),
        storage_test(refuses_what_is_no_file),
        storage_test(works_on_block_devices),
        storage_test(tells_errors),
        storage_test(stays_broken_after_a_failed_flush),
        storage_test(ends_with_operations_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
