/*
 * testdev's copy engine reads client memory into its own BAR, 4 KiB a request.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "device_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "iokit/served_memory.h"
#include "samples.h"

#define BYTES         (UINT64_C(1) << 20) /* of one copy */
#define REQUEST_BYTES UINT64_C(4096)
#define COPIES        60
#define POLL_NS       50000
#define IOVA          UINT64_C(0x100000000)

/* docs/testdev.md */
enum { SOURCE = 0x200, DESTINATION = 0x208, LENGTH = 0x210, REQUEST = 0x220 };
enum { STATUS = 0x228, COMMAND = 0x22c };
enum { RUNNING = 1, DONE = 2 };
#define COPY_INTO_BAR2 (1u | 1u << 10)

static bool put(io_connect_t testdev, uint64_t offset, uint64_t width, uint64_t value)
{
    return apple_dext_mmio_write(testdev, 0, offset, width, value) == KERN_SUCCESS;
}

/* One copy from its command to its end. */
static bool copy(io_connect_t testdev)
{
    uint64_t status = RUNNING;
    bool ok = put(testdev, COMMAND, 4, COPY_INTO_BAR2);
    while (ok && status == RUNNING) {
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL); /* who asks holds the device up */
        ok = apple_dext_mmio_read(testdev, 0, STATUS, 4, &status) == KERN_SUCCESS;
    }
    return ok && status == DONE;
}

static bool measure_reads(io_connect_t testdev, uint64_t address, const char *key,
                          json_object *figures)
{
    struct samples samples;
    uint64_t bus_address = 0;
    uint64_t bus_bytes = 0;
    bool ok = samples_create(&samples, COPIES) &&
              apple_dext_register_dma(testdev, IOVA, address, BYTES, &bus_address, &bus_bytes) ==
                  KERN_SUCCESS;
    ok = ok && put(testdev, SOURCE, 8, bus_address) && put(testdev, DESTINATION, 8, 0) &&
         put(testdev, LENGTH, 8, BYTES) && put(testdev, REQUEST, 4, REQUEST_BYTES);
    ok = ok && copy(testdev); /* pages get there, threads awake */
    for (int i = 0; ok && i < COPIES; i++) {
        double start = clock_us();
        ok = copy(testdev);
        samples_add(&samples, (clock_us() - start) * (double)REQUEST_BYTES / (double)BYTES);
    }
    apple_dext_unregister_dma(testdev, IOVA);
    if (ok) {
        json_object_object_add(figures, key, samples_json(&samples));
    } else {
        fprintf(stderr, "dextbench: %s: the device cannot copy\n", key);
    }
    samples_destroy(&samples);
    return ok;
}

static bool measure_mapping(io_connect_t testdev, int flags, int fd, const char *key,
                            json_object *figures)
{
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "dextbench: %s: %s\n", key, strerror(errno));
        return false;
    }
    memset(memory, 1, BYTES);
    bool ok = measure_reads(testdev, (uintptr_t)memory, key, figures);
    munmap(memory, BYTES);
    return ok;
}

static int answer_read(void *context, uint64_t offset, void *buffer, size_t length)
{
    memset(buffer, 1, length);
    return 0;
}

static int answer_write(void *context, uint64_t offset, const void *buffer, size_t length)
{
    return -EACCES;
}

static bool measure_served(io_connect_t testdev, const char *key, json_object *figures)
{
    static const struct iokit_served_ops ops = {.read = answer_read, .write = answer_write};
    struct iokit_served *served = NULL;
    uint64_t address = 0;
    int error = iokit_served_create(&served);
    error = error ? error : iokit_served_add(served, BYTES, &ops, NULL, &address);
    if (error) {
        fprintf(stderr, "dextbench: %s: %s\n", key, strerror(-error));
    }
    bool ok = !error && measure_reads(testdev, address, key, figures);
    iokit_served_destroy(served);
    return ok;
}

bool measure_device_memory(io_connect_t testdev, json_object *figures)
{
    int fd = memfd_create("dextbench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool ok =
        fd >= 0 && ftruncate(fd, (off_t)BYTES) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
    if (!ok) {
        fprintf(stderr, "dextbench: shared memory: %s\n", strerror(errno));
    }
    ok = ok && measure_mapping(testdev, MAP_SHARED, fd, "device_read_4k_shared", figures) &&
         measure_mapping(testdev, MAP_PRIVATE | MAP_ANONYMOUS, -1, "device_read_4k_copied",
                         figures) &&
         measure_served(testdev, "device_read_4k_served", figures);
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}
