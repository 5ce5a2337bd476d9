/*
 * Call round trips, DMA registrations and MMIO loads, timed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "apple-dext-client.h"
#include "device_memory.h"
#include "samples.h"

#define REGION_BYTES UINT64_C(4096)
#define IOVA_FIRST   UINT64_C(0x100000000)
#define IOVA_STRIDE  (2 * REGION_BYTES) /* leaves a gap for the region that comes and goes */
#define APERTURE_BAR 2                  /* of testdev: its first bytes are direct */
#define DIRECT_BATCH 1000               /* loads too short to be timed one by one */

static const uint64_t live_counts[] = {1, 1000, 60000};
#define LIVE_COUNTS (sizeof(live_counts) / sizeof(*live_counts))

static uint64_t live_count(const struct measure_plan *plan, size_t index)
{
    return live_counts[index] < plan->live_most ? live_counts[index] : plan->live_most;
}

static bool complain(const char *what, kern_return_t code)
{
    fprintf(stderr, "dextbench: %s: %s\n", what, apple_dext_status_text(code));
    return false;
}

static io_connect_t open_claimed(uint8_t bus)
{
    char *cause = NULL;
    io_connect_t connection = apple_dext_connect_with_root(bus, 0, 0, NULL, &cause);
    if (connection == IO_OBJECT_NULL) {
        fprintf(stderr, "dextbench: %02x:00.0: %s\n", bus, cause ? cause : "cannot connect");
        free(cause);
        return IO_OBJECT_NULL;
    }
    kern_return_t code = apple_dext_claim(connection);
    if (code != KERN_SUCCESS) {
        complain("cannot claim", code);
        apple_dext_disconnect(connection);
        return IO_OBJECT_NULL;
    }
    return connection;
}

static kern_return_t add_region(io_connect_t connection, const uint8_t *memory, uint64_t index,
                                uint64_t iova)
{
    uint64_t address;
    uint64_t length;
    return apple_dext_register_dma(connection, iova, (uintptr_t)memory + index * REGION_BYTES,
                                   REGION_BYTES, &address, &length);
}

/* One more region comes and goes among those that live, at a place that moves through them. */
static bool time_registrations(io_connect_t connection, const uint8_t *memory, uint64_t live,
                               uint64_t rounds, struct samples *samples)
{
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t iova = IOVA_FIRST + i * 7919 % live * IOVA_STRIDE + REGION_BYTES;
        double start = clock_us();
        kern_return_t code = add_region(connection, memory, live_counts[LIVE_COUNTS - 1], iova);
        if (code == KERN_SUCCESS) {
            code = apple_dext_unregister_dma(connection, iova);
        }
        samples_add(samples, clock_us() - start);
        if (code != KERN_SUCCESS) {
            return complain("cannot register and unregister a region", code);
        }
    }
    return true;
}

static bool measure_live(io_connect_t connection, const uint8_t *memory, uint64_t have,
                         uint64_t live, uint64_t rounds, json_object *rows)
{
    struct samples samples;

    for (uint64_t i = have; i < live; i++) {
        kern_return_t code = add_region(connection, memory, i, IOVA_FIRST + i * IOVA_STRIDE);
        if (code != KERN_SUCCESS) {
            return complain("cannot register a region that stays", code);
        }
    }
    struct samples warm_up = {0}; /* takes none: both hosts and caches get used to the work */
    bool ok = samples_create(&samples, (size_t)rounds) &&
              time_registrations(connection, memory, live, rounds / 4 + 1, &warm_up) &&
              time_registrations(connection, memory, live, rounds, &samples);
    if (ok) {
        json_object *row = samples_json(&samples);
        json_object_object_add(row, "live", json_object_new_uint64(live));
        json_object_array_add(rows, row);
    }
    samples_destroy(&samples);
    return ok;
}

static double p50_of(json_object *rows, size_t index)
{
    json_object *value = NULL;
    json_object_object_get_ex(json_object_array_get_idx(rows, index), "p50_us", &value);
    return json_object_get_double(value);
}

static bool measure_regions(io_connect_t connection, const struct measure_plan *plan,
                            json_object *figures)
{
    const size_t bytes = (size_t)((live_counts[LIVE_COUNTS - 1] + 1) * REGION_BYTES);
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "dextbench: cannot map %zu bytes: %s\n", bytes, strerror(errno));
        return false;
    }
    json_object *rows = json_object_new_array();
    bool ok = true;
    for (size_t i = 0; i < LIVE_COUNTS && ok; i++) {
        ok = measure_live(connection, memory, i ? live_count(plan, i - 1) : 0, live_count(plan, i),
                          plan->region_rounds, rows);
    }
    if (ok) {
        json_object_object_add(figures, "register_ratio_last_first",
                               figure_json(p50_of(rows, LIVE_COUNTS - 1) / p50_of(rows, 0)));
        json_object_object_add(figures, "register_unregister", json_object_get(rows));
    }
    json_object_put(rows);
    apple_dext_disconnect(connection); /* frees every region at once, before their memory goes */
    munmap(memory, bytes);
    return ok;
}

static uint32_t load(mach_vm_address_t address)
{
    return *(volatile uint32_t *)(uintptr_t)address;
}

/* Loads of 4 bytes from a mapped BAR, batch of them a sample. */
static bool measure_loads(io_connect_t connection, uint8_t bar, uint64_t rounds, uint64_t batch,
                          const char *key, json_object *figures)
{
    mach_vm_address_t address = 0;
    mach_vm_size_t size;
    uint8_t type;
    struct samples samples;

    kern_return_t code = apple_dext_map_bar(connection, bar, &address, &size, &type);
    if (code != KERN_SUCCESS) {
        return complain("cannot map a BAR", code);
    }
    bool ok = samples_create(&samples, (size_t)rounds);
    for (uint64_t i = 0; ok && i < rounds; i++) {
        double start = clock_us();
        for (uint64_t n = 0; n < batch; n++) {
            load(address);
        }
        samples_add(&samples, (clock_us() - start) / (double)batch);
    }
    if (ok) {
        json_object_object_add(figures, key, samples_json(&samples));
    }
    samples_destroy(&samples);
    apple_dext_unmap_bar(connection, bar, address);
    return ok;
}

static bool measure_mmio_calls(io_connect_t connection, uint64_t rounds, json_object *figures)
{
    struct samples samples;
    uint8_t index;
    uint64_t size;
    uint8_t type;

    kern_return_t code = apple_dext_get_bar_info(connection, 0, &index, &size, &type);
    if (code != KERN_SUCCESS) {
        return complain("cannot get information on BAR 0", code);
    }
    bool ok = samples_create(&samples, (size_t)rounds);
    for (uint64_t i = 0; ok && i < rounds; i++) {
        uint64_t value;
        double start = clock_us();
        code = apple_dext_mmio_read(connection, index, 0, 4, &value);
        samples_add(&samples, clock_us() - start);
        ok = code == KERN_SUCCESS || complain("cannot read BAR 0", code);
    }
    if (ok) {
        json_object_object_add(figures, "mmio_read_call", samples_json(&samples));
    }
    samples_destroy(&samples);
    return ok;
}

json_object *measure_host(const struct measure_plan *plan,
                          const struct calls_yardsticks *yardsticks, pid_t host)
{
    json_object *figures = json_object_new_object();
    io_connect_t edu = open_claimed(1);
    io_connect_t testdev = edu != IO_OBJECT_NULL ? open_claimed(2) : IO_OBJECT_NULL;

    bool ok =
        testdev != IO_OBJECT_NULL && calls_measure(1, plan->rounds, yardsticks, host, figures) &&
        measure_mmio_calls(edu, plan->rounds, figures) &&
        measure_loads(edu, 0, plan->rounds, 1, "mmio_load_trapped", figures) &&
        measure_loads(testdev, APERTURE_BAR, 1000, DIRECT_BATCH, "mmio_load_direct", figures) &&
        measure_device_memory(testdev, figures);
    apple_dext_disconnect(edu);
    apple_dext_disconnect(testdev);
    edu = ok ? open_claimed(1) : IO_OBJECT_NULL;
    ok = edu != IO_OBJECT_NULL && measure_regions(edu, plan, figures);
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}
