/*
 * DMA registrations through the client library, timed beside calls and ping-pongs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dma.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "figures.h"
#include "samples.h"

#define REGION_BYTES UINT64_C(4096)
#define IOVA_FIRST   UINT64_C(0x100000000)
#define IOVA_STRIDE  (2 * REGION_BYTES) /* leaves gaps for regions that come and go */
#define BATCH_MOST   256                /* entries of the largest batch */
#define RARELY       8                  /* rounds from one largest batch to the next */
#define FILL         4096               /* regions that stay, a call */

static const uint64_t live_counts[] = {1, 1000, 60000};
#define LIVE_COUNTS (sizeof(live_counts) / sizeof(*live_counts))
#define LIVE_MOST   UINT64_C(60000)

/* What is timed at one number of live regions, interleaved, so that all see the same machine. */
enum { PING_PONG, CONFIG_READ, BATCH_1, BATCH_16, BATCH_256, SERIES };
static const char *const series_names[SERIES] = {"ping_pong", "config_read", "batch_1", "batch_16",
                                                 "batch_256"};

struct bench_dma {
    io_connect_t connection;
    struct pingpong *pingpong;
    uint64_t rounds;
    pid_t host;
    uint8_t *memory; /* of LIVE_MOST regions that stay, then of BATCH_MOST that come and go */
    struct samples series[SERIES];
    AppleDextDmaRequest requests[FILL];
    AppleDextDmaResult results[FILL];
    uint64_t iovas[BATCH_MOST];
};

static bool complain(const char *what, kern_return_t code)
{
    fprintf(stderr, "dextbench: %s: %s\n", what, apple_dext_status_text(code));
    return false;
}

/* ---- What the host takes ---- */

struct host_use {
    uint64_t bytes; /* of memory that is its own */
    uint64_t mappings;
};

static FILE *host_file(pid_t host, const char *name)
{
    char path[64];
    if (host == 0) {
        snprintf(path, sizeof(path), "/proc/self/%s", name);
    } else {
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)host, name);
    }
    return fopen(path, "re");
}

static bool host_use(pid_t host, struct host_use *use)
{
    char line[512];
    unsigned long long kib;
    *use = (struct host_use){0};
    FILE *rollup = host_file(host, "smaps_rollup");
    while (rollup && fgets(line, sizeof(line), rollup)) {
        if (sscanf(line, "Anonymous: %llu kB", &kib) == 1) {
            use->bytes = kib * 1024;
        }
    }
    FILE *maps = host_file(host, "maps");
    while (maps && fgets(line, sizeof(line), maps)) {
        use->mappings += strchr(line, '\n') != NULL;
    }
    bool ok = rollup && maps;
    if (!ok) {
        fprintf(stderr, "dextbench: cannot see what the host uses: %s\n", strerror(errno));
    }
    if (rollup) {
        fclose(rollup);
    }
    if (maps) {
        fclose(maps);
    }
    return ok;
}

/* ---- Times ---- */

static bool time_pings(struct bench_dma *bench)
{
    double start = clock_us();
    bool ok = pingpong_once(bench->pingpong) && pingpong_once(bench->pingpong);
    samples_add(&bench->series[PING_PONG], clock_us() - start);
    if (!ok) {
        fprintf(stderr, "dextbench: the ping-pong process has gone\n");
    }
    return ok;
}

static bool time_reads(struct bench_dma *bench)
{
    uint64_t value;
    double start = clock_us();
    kern_return_t code = apple_dext_config_read(bench->connection, 0, 4, &value);
    if (code == KERN_SUCCESS) {
        code = apple_dext_config_read(bench->connection, 0, 4, &value);
    }
    samples_add(&bench->series[CONFIG_READ], clock_us() - start);
    return code == KERN_SUCCESS || complain("cannot read config space", code);
}

/* A place that moves through the live regions. */
static uint64_t gap(uint64_t index, uint64_t live)
{
    return IOVA_FIRST + index * 7919 % live * IOVA_STRIDE + REGION_BYTES;
}

static uint64_t region_address(const struct bench_dma *bench, uint64_t index)
{
    return (uintptr_t)bench->memory + index * REGION_BYTES;
}

static bool time_single(struct bench_dma *bench, uint64_t round, uint64_t live)
{
    uint64_t iova = gap(round, live);
    double start = clock_us();
    kern_return_t code = apple_dext_register_dma(
        bench->connection, iova, region_address(bench, LIVE_MOST), REGION_BYTES, NULL, NULL);
    if (code == KERN_SUCCESS) {
        code = apple_dext_unregister_dma(bench->connection, iova);
    }
    samples_add(&bench->series[BATCH_1], clock_us() - start);
    return code == KERN_SUCCESS || complain("cannot register and unregister a region", code);
}

/* An entry's share of a batch that comes and goes. */
static bool time_batch(struct bench_dma *bench, uint64_t round, uint64_t live, unsigned count,
                       struct samples *samples)
{
    for (unsigned i = 0; i < count; i++) {
        /* Above all that stay where there are too few gaps. */
        bench->iovas[i] =
            live > count ? gap(round + i, live) : IOVA_FIRST + (LIVE_MOST + i) * IOVA_STRIDE;
        bench->requests[i] =
            (AppleDextDmaRequest){.iova = bench->iovas[i],
                                  .client_va = region_address(bench, LIVE_MOST + i),
                                  .size = REGION_BYTES};
    }
    double start = clock_us();
    kern_return_t code =
        apple_dext_register_dma_batch(bench->connection, bench->requests, count, 0, bench->results);
    if (code == KERN_SUCCESS) {
        code = apple_dext_unregister_dma_batch(bench->connection, bench->iovas, count, NULL);
    }
    samples_add(samples, (clock_us() - start) / count);
    return code == KERN_SUCCESS || complain("cannot register and unregister a batch", code);
}

static bool time_round(struct bench_dma *bench, uint64_t round, uint64_t live)
{
    return time_pings(bench) && time_reads(bench) && time_single(bench, round, live) &&
           time_batch(bench, round, live, 16, &bench->series[BATCH_16]) &&
           (round % RARELY != 0 ||
            time_batch(bench, round, live, BATCH_MOST, &bench->series[BATCH_256]));
}

static bool fill(struct bench_dma *bench, uint64_t have, uint64_t live)
{
    while (have < live) {
        size_t count = live - have < FILL ? (size_t)(live - have) : FILL;
        for (size_t i = 0; i < count; i++) {
            bench->requests[i] =
                (AppleDextDmaRequest){.iova = IOVA_FIRST + (have + i) * IOVA_STRIDE,
                                      .client_va = region_address(bench, have + i),
                                      .size = REGION_BYTES};
        }
        kern_return_t code = apple_dext_register_dma_batch(bench->connection, bench->requests,
                                                           count, 0, bench->results);
        if (code != KERN_SUCCESS) {
            return complain("cannot register regions that stay", code);
        }
        have += count;
    }
    return true;
}

static json_object *live_row(struct bench_dma *bench, uint64_t live)
{
    json_object *row = json_object_new_object();
    json_object_object_add(row, "live", json_object_new_uint64(live));
    for (unsigned i = 0; i < SERIES; i++) {
        json_object_object_add(row, series_names[i], samples_json(&bench->series[i]));
    }
    json_object_object_add(row, "batch_256_to_1",
                           figure_json(number_of(member(row, "batch_256"), "p50_us") /
                                       number_of(member(row, "batch_1"), "p50_us")));
    return row;
}

static bool measure_live(struct bench_dma *bench, uint64_t live, json_object *rows)
{
    bool ok = true;
    const uint64_t warm_up = bench->rounds / 4 + 1;

    for (uint64_t i = 0; ok && i < warm_up + bench->rounds; i++) {
        for (unsigned n = 0; i == warm_up && n < SERIES; n++) {
            bench->series[n].count = 0;
        }
        ok = time_round(bench, i == warm_up ? 0 : i, live);
    }
    if (ok) {
        json_object_array_add(rows, live_row(bench, live));
    }
    return ok;
}

/* ---- Both kinds of memory ---- */

static uint8_t *memory_map(bool is_shared, size_t bytes)
{
    int fd = is_shared ? memfd_create("regions", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
    void *memory = MAP_FAILED;

    if (!is_shared || (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 &&
                       fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)) {
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      is_shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    }
    if (memory == MAP_FAILED) {
        fprintf(stderr, "dextbench: cannot map %zu bytes: %s\n", bytes, strerror(errno));
    }
    if (fd >= 0) {
        close(fd); /* the host finds the file by its mapping, or copies */
    }
    return memory == MAP_FAILED ? NULL : memory;
}

static double single_p50(json_object *rows, size_t index)
{
    return number_of(member(json_object_array_get_idx(rows, index), "batch_1"), "p50_us");
}

static void add_use(json_object *figures, const struct host_use *first, const struct host_use *last)
{
    double bytes = (double)last->bytes - (double)first->bytes;
    json_object_object_add(figures, "host_bytes_per_region",
                           figure_json(bytes / (double)(LIVE_MOST - 1)));
    json_object_object_add(
        figures, "host_mappings",
        json_object_new_int64((int64_t)last->mappings - (int64_t)first->mappings));
}

/* has_use: also what they take. For the first kind only: what one leaves free the next one takes.
 */
static bool measure_all(struct bench_dma *bench, bool has_use, json_object *figures)
{
    struct host_use first;
    struct host_use last;
    json_object *rows = json_object_new_array();
    bool ok = true;

    for (size_t i = 0; ok && i < LIVE_COUNTS; i++) {
        ok = fill(bench, i ? live_counts[i - 1] : 0, live_counts[i]) &&
             measure_live(bench, live_counts[i], rows) && (i > 0 || host_use(bench->host, &first));
    }
    ok = ok && host_use(bench->host, &last);
    if (ok) {
        json_object_object_add(
            figures, "last_to_first",
            figure_json(single_p50(rows, LIVE_COUNTS - 1) / single_p50(rows, 0)));
        json_object_object_add(figures, "rows", json_object_get(rows));
    }
    if (ok && has_use) {
        add_use(figures, &first, &last);
    }
    json_object_put(rows);
    return ok;
}

static bool open_device(struct bench_dma *bench)
{
    char *cause = NULL;
    bench->connection = apple_dext_connect_with_root(6, 0, 0, NULL, &cause);
    if (bench->connection == IO_OBJECT_NULL) {
        fprintf(stderr, "dextbench: 06:00.0: %s\n", cause ? cause : "cannot connect");
        free(cause);
        return false;
    }
    kern_return_t code = apple_dext_claim(bench->connection);
    return code == KERN_SUCCESS || complain("cannot claim", code);
}

static json_object *measure_kind(struct bench_dma *bench, bool is_shared)
{
    const size_t bytes = (size_t)((LIVE_MOST + BATCH_MOST) * REGION_BYTES);
    json_object *figures = json_object_new_object();
    bool ok = true;

    for (unsigned i = 0; i < SERIES; i++) {
        ok = samples_create(&bench->series[i], (size_t)(bench->rounds + bench->rounds / 4 + 2)) &&
             ok;
    }
    bench->memory = ok ? memory_map(is_shared, bytes) : NULL;
    ok = bench->memory && open_device(bench) && measure_all(bench, is_shared, figures);
    apple_dext_disconnect(bench->connection); /* every region at once, before their memory goes */
    bench->connection = IO_OBJECT_NULL;
    if (bench->memory) {
        munmap(bench->memory, bytes);
    }
    for (unsigned i = 0; i < SERIES; i++) {
        samples_destroy(&bench->series[i]);
    }
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}

json_object *dma_measure(const struct measure_plan *plan, struct pingpong *pingpong, pid_t host)
{
    json_object *figures = json_object_new_object();
    struct bench_dma *bench = calloc(1, sizeof(*bench));
    bool ok = bench != NULL;

    if (ok) {
        bench->pingpong = pingpong;
        bench->rounds = plan->region_rounds;
        bench->host = host;
    }
    for (int kind = 0; ok && kind < 2; kind++) {
        json_object *one = measure_kind(bench, kind == 0);
        ok = one != NULL;
        if (ok) {
            json_object_object_add(figures, kind == 0 ? "shared" : "private", one);
        }
    }
    free(bench);
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}
