/*
 * testdev's copy engine between client memory and its BAR, beside memcpy of the same bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "samples.h"

#define BUS        0x07
#define BYTES_MAX  (UINT64_C(16) << 20) /* all of BAR 2 below its trapped window */
#define IOVA       UINT64_C(0x100000000)
#define COPIES_MAX 200
#define TURN_BYTES (UINT64_C(64) << 20) /* at most, by one who copies one size one way */

/* docs/testdev.md */
enum { SOURCE = 0x200, DESTINATION = 0x208, LENGTH = 0x210, STATUS = 0x228, COMMAND = 0x22c };
enum { TIME = 0x248 };
enum { RUNNING = 1, DONE = 2 };
enum { COPY = 1, LOCAL_SOURCE = 1 << 9, LOCAL_DESTINATION = 1 << 10 };

static const uint64_t sizes[] = {4096, 65536, 1 << 20, BYTES_MAX};

struct place {
    uint8_t *memory;  /* as the client has it */
    uint64_t address; /* as the device has it */
};

struct bench_data {
    io_connect_t testdev;
    int fd;
    uint8_t *memory; /* twice BYTES_MAX, shared with the device */
    mach_vm_address_t bar;
    struct place client[2], device;
};

static const struct way {
    const char *key;
    uint32_t command;
} ways[] = {
    {"to_device", COPY | LOCAL_DESTINATION},
    {"to_memory", COPY | LOCAL_SOURCE},
    {"in_memory", COPY},
};

static bool complain(const char *what, kern_return_t code)
{
    fprintf(stderr, "dextbench: %s: %s\n", what, apple_dext_status_text(code));
    return false;
}

static bool put(struct bench_data *bench, uint64_t offset, uint64_t width, uint64_t value)
{
    kern_return_t code = apple_dext_mmio_write(bench->testdev, 0, offset, width, value);
    return code == KERN_SUCCESS || complain("cannot write a register of testdev", code);
}

static bool get(struct bench_data *bench, uint64_t offset, uint64_t width, uint64_t *value)
{
    kern_return_t code = apple_dext_mmio_read(bench->testdev, 0, offset, width, value);
    return code == KERN_SUCCESS || complain("cannot read a register of testdev", code);
}

/* Who asks holds the device up: about as long as the copy takes, at 8 bytes a ns, it is let be. */
static void let_be(uint64_t bytes)
{
    if (bytes >= 1 << 20) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(bytes / 8)}, NULL);
    }
}

static bool engine_once(struct bench_data *bench, const struct way *way, uint64_t bytes,
                        struct samples *engine, struct samples *seen)
{
    uint64_t status = RUNNING;
    uint64_t took_ns;
    double start = clock_us();
    bool ok = put(bench, COMMAND, 4, way->command);

    while (ok && status == RUNNING) {
        let_be(bytes);
        ok = get(bench, STATUS, 4, &status);
    }
    samples_add(seen, clock_us() - start);
    if (!ok || !get(bench, TIME, 8, &took_ns)) {
        return false;
    }
    samples_add(engine, (double)took_ns / 1e3);
    if (status != DONE) {
        fprintf(stderr, "dextbench: %s: the device cannot copy\n", way->key);
    }
    return status == DONE;
}

static void memcpy_once(const struct place *to, const struct place *from, uint64_t bytes,
                        struct samples *samples)
{
    double start = clock_us();
    memcpy(to->memory, from->memory, bytes);
    __asm__ volatile("" : : "r"(to->memory) : "memory"); /* every copy is for somebody */
    samples_add(samples, clock_us() - start);
}

static void add_ratio(json_object *row, double engine_us, double floor_us)
{
    json_object_object_add(row, "engine_to_memcpy",
                           figure_json(engine_us > 0 ? floor_us / engine_us : 0));
}

static double p50_of(json_object *times)
{
    return json_object_get_double(json_object_object_get(times, "p50_us"));
}

static json_object *row_of(const struct way *way, uint64_t bytes, struct samples *engine,
                           struct samples *seen, struct samples *floor)
{
    json_object *row = json_object_new_object();
    json_object *ours = samples_json(engine);
    json_object *theirs = samples_json(floor);

    json_object_object_add(row, "way", json_object_new_string(way->key));
    json_object_object_add(row, "bytes", json_object_new_uint64(bytes));
    add_ratio(row, p50_of(ours), p50_of(theirs));
    json_object_object_add(row, "mb_per_s",
                           figure_json(p50_of(ours) > 0 ? (double)bytes / p50_of(ours) : 0));
    json_object_object_add(row, "engine", ours);
    json_object_object_add(row, "seen", samples_json(seen));
    json_object_object_add(row, "memcpy", theirs);
    return row;
}

/* Interleaved, so that both see the same machine. The first of each gets pages there. */
static json_object *measure_way(struct bench_data *bench, const struct way *way, uint64_t bytes,
                                uint64_t rounds)
{
    const struct place *from = way->command & LOCAL_SOURCE ? &bench->device : &bench->client[0];
    const struct place *to = way->command & LOCAL_DESTINATION ? &bench->device : &bench->client[1];
    struct samples engine;
    struct samples seen;
    struct samples floor;
    json_object *row = NULL;
    uint64_t copies = TURN_BYTES / bytes < COPIES_MAX ? TURN_BYTES / bytes : COPIES_MAX;

    copies = copies < rounds ? copies : rounds;
    bool ok = samples_create(&engine, (size_t)copies);
    ok = samples_create(&seen, (size_t)copies) && ok;
    ok = samples_create(&floor, (size_t)copies) && ok;
    ok = ok && put(bench, SOURCE, 8, from->address) && put(bench, DESTINATION, 8, to->address) &&
         put(bench, LENGTH, 8, bytes);
    for (uint64_t i = 0; ok && i <= copies; i++) {
        struct samples none[3] = {0}; /* take none */
        ok = engine_once(bench, way, bytes, i ? &engine : &none[0], i ? &seen : &none[1]);
        memcpy_once(to, from, bytes, i ? &floor : &none[2]);
    }
    if (ok) {
        row = row_of(way, bytes, &engine, &seen, &floor);
    }
    samples_destroy(&engine);
    samples_destroy(&seen);
    samples_destroy(&floor);
    return row;
}

static bool measure_copies(struct bench_data *bench, uint64_t rounds, json_object *figures)
{
    json_object *rows = json_object_new_array();

    json_object_object_add(figures, "copies", rows);
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
            json_object *row = measure_way(bench, &ways[i], sizes[k], rounds);
            if (!row) {
                return false;
            }
            json_object_array_add(rows, row);
        }
    }
    return true;
}

static bool share_memory(struct bench_data *bench)
{
    uint64_t address;
    uint64_t length;

    bench->fd = memfd_create("dextbench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (bench->fd < 0 || ftruncate(bench->fd, 2 * BYTES_MAX) != 0 ||
        fcntl(bench->fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        fprintf(stderr, "dextbench: shared memory: %s\n", strerror(errno));
        return false;
    }
    void *memory = mmap(NULL, 2 * BYTES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, bench->fd, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "dextbench: shared memory: %s\n", strerror(errno));
        return false;
    }
    bench->memory = memory;
    memset(memory, 1, 2 * BYTES_MAX);
    kern_return_t code = apple_dext_register_dma(bench->testdev, IOVA, (uintptr_t)memory,
                                                 2 * BYTES_MAX, &address, &length);
    if (code != KERN_SUCCESS) {
        return complain("cannot register memory", code);
    }
    bench->client[0] = (struct place){bench->memory, address};
    bench->client[1] = (struct place){bench->memory + BYTES_MAX, address + BYTES_MAX};
    return true;
}

static bool set_up(struct bench_data *bench)
{
    char *cause = NULL;
    mach_vm_size_t size;
    uint8_t type;

    bench->testdev = apple_dext_connect_with_root(BUS, 0, 0, NULL, &cause);
    if (bench->testdev == IO_OBJECT_NULL) {
        fprintf(stderr, "dextbench: %02x:00.0: %s\n", BUS, cause ? cause : "cannot connect");
        free(cause);
        return false;
    }
    kern_return_t code = apple_dext_claim(bench->testdev);
    if (code == KERN_SUCCESS) {
        code = apple_dext_map_bar(bench->testdev, 2, &bench->bar, &size, &type);
    }
    if (code != KERN_SUCCESS) {
        return complain("cannot map a BAR", code);
    }
    bench->device = (struct place){.memory = (uint8_t *)(uintptr_t)bench->bar};
    return share_memory(bench);
}

json_object *data_measure(uint64_t rounds)
{
    struct bench_data bench = {.fd = -1};
    json_object *figures = json_object_new_object();
    bool ok = set_up(&bench) && measure_copies(&bench, rounds, figures) &&
              data_measure_access(bench.testdev, rounds, figures);

    if (bench.bar) {
        apple_dext_unmap_bar(bench.testdev, 2, bench.bar);
    }
    apple_dext_disconnect(bench.testdev); /* takes the memory from the device before it goes */
    if (bench.memory) {
        munmap(bench.memory, 2 * BYTES_MAX);
    }
    if (bench.fd >= 0) {
        close(bench.fd);
    }
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}
