/*
 * DMA maps through dext-vfio-user with more and more that live, timed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "place.h"
#include "samples.h"
#include "vfio_user.h"
#include "vfiouser/protocol.h"

#define INTERLEAVE   50 /* at one number of live regions, then as many at the next */
#define WARM_UP      5  /* not timed, before each of these */
#define REGION_BYTES UINT64_C(16384)
#define IOVA_FIRST   UINT64_C(0x100000000)
#define IOVA_STRIDE  (2 * REGION_BYTES) /* leaves a gap for the region that comes and goes */

static const uint64_t live_counts[BENCH_VFIO_USERS] = {1, 1000, 60000};
#define LIVE_MOST (live_counts[BENCH_VFIO_USERS - 1])

static bool map(struct vfio_user *peer, int file, uint64_t index, uint64_t address)
{
    const struct vu_dma_map region = {.argsz = sizeof(region),
                                      .flags = VU_DMA_READABLE | VU_DMA_WRITABLE,
                                      .offset = index * REGION_BYTES,
                                      .address = address,
                                      .size = REGION_BYTES};
    const struct vfio_user_request request = {
        .command = VU_DMA_MAP, .head = &region, .head_bytes = sizeof(region), .fd = file};
    return vfio_user_ask(peer, &request, NULL, 0);
}

static bool unmap(struct vfio_user *peer, uint64_t address)
{
    const struct vu_dma_unmap region = {
        .argsz = sizeof(region), .address = address, .size = REGION_BYTES};
    const struct vfio_user_request request = {
        .command = VU_DMA_UNMAP, .head = &region, .head_bytes = sizeof(region), .fd = -1};
    uint8_t reply[sizeof(region)];
    return vfio_user_ask(peer, &request, reply, sizeof(reply));
}

/* One server, its live regions, and what they cost. */
struct mapped {
    struct vfio_user *peer;
    uint64_t live, turn;
    struct samples samples;
};

/* One more region comes and goes among those that live, at a place that moves through them. */
static bool time_map(struct mapped *mapped, int file, bool is_timed)
{
    uint64_t place = mapped->turn++ * 7919 % mapped->live;
    uint64_t address = IOVA_FIRST + place * IOVA_STRIDE + REGION_BYTES;
    double start = clock_us();
    bool ok = map(mapped->peer, file, LIVE_MOST, address) && unmap(mapped->peer, address);
    if (is_timed) {
        samples_add(&mapped->samples, clock_us() - start);
    }
    return ok;
}

static bool prepare(struct mapped *mapped, int file, uint64_t rounds)
{
    bool ok = samples_create(&mapped->samples, (size_t)rounds + INTERLEAVE);
    for (uint64_t i = 0; ok && i < mapped->live; i++) {
        ok = map(mapped->peer, file, i, IOVA_FIRST + i * IOVA_STRIDE);
    }
    return ok;
}

static bool take_turns(struct mapped all[BENCH_VFIO_USERS], int file, uint64_t rounds)
{
    bool ok = true;
    for (uint64_t round = 0; ok && round < rounds; round += INTERLEAVE) {
        for (size_t which = 0; ok && which < BENCH_VFIO_USERS; which++) {
            for (int i = 0; ok && i < WARM_UP + INTERLEAVE; i++) {
                ok = time_map(&all[which], file, i >= WARM_UP);
            }
        }
    }
    return ok;
}

static json_object *rows_of(struct mapped all[BENCH_VFIO_USERS])
{
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < BENCH_VFIO_USERS; i++) {
        json_object *row = samples_json(&all[i].samples);
        json_object_object_add(row, "live", json_object_new_uint64(all[i].live));
        json_object_array_add(rows, row);
    }
    return rows;
}

json_object *vfio_user_measure_maps(struct vfio_user peers[BENCH_VFIO_USERS],
                                    const struct measure_plan *plan)
{
    struct mapped all[BENCH_VFIO_USERS] = {{.live = 0}};
    json_object *rows = NULL;
    int file = memfd_create("guest", MFD_CLOEXEC);
    bool ok = file >= 0 && ftruncate(file, (off_t)((LIVE_MOST + 1) * REGION_BYTES)) == 0;

    if (!ok) {
        fprintf(stderr, "dextbench: cannot make the guest's memory: %s\n", strerror(errno));
    }
    place_on(1);
    for (size_t i = 0; ok && i < BENCH_VFIO_USERS; i++) {
        uint64_t live = live_counts[i] < plan->live_most ? live_counts[i] : plan->live_most;
        all[i] = (struct mapped){.peer = &peers[i], .live = live};
        place_process(peers[i].pid, 0);
        ok = prepare(&all[i], file, plan->region_rounds);
    }
    if (ok && take_turns(all, file, plan->region_rounds)) {
        rows = rows_of(all);
    }
    for (size_t i = 0; i < BENCH_VFIO_USERS; i++) {
        samples_destroy(&all[i].samples);
    }
    if (file >= 0) {
        close(file);
    }
    return rows;
}
