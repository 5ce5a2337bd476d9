/*
 * Register reads, DMA maps and interrupts through dext-vfio-user, timed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfio_user.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "samples.h"
#include "vfiouser/protocol.h"

#define INTERLEAVE   50 /* reads, then as many ping-pongs */
#define REGION_BYTES UINT64_C(16384)
#define IOVA_FIRST   UINT64_C(0x100000000)
#define IOVA_STRIDE  (2 * REGION_BYTES) /* leaves a gap for the region that comes and goes */
#define FIRE         0x100              /* register of testdev in BAR 0 */
#define WAIT_MS      10000

static const uint64_t live_counts[] = {1, 1000, 60000};
#define LIVE_COUNTS (sizeof(live_counts) / sizeof(*live_counts))

static uint64_t live_count(const struct measure_plan *plan, size_t index)
{
    return live_counts[index] < plan->live_most ? live_counts[index] : plan->live_most;
}

static bool read_register(struct vfio_user *peer)
{
    const struct vu_access access = {.region = VU_REGION_BAR0, .count = 4};
    const struct vfio_user_request request = {
        .command = VU_REGION_READ, .head = &access, .head_bytes = sizeof(access), .fd = -1};
    uint8_t reply[sizeof(access) + 4];
    return vfio_user_ask(peer, &request, reply, sizeof(reply));
}

static bool write_region(struct vfio_user *peer, uint32_t region, uint64_t offset, uint32_t value,
                         bool is_posted)
{
    const struct vu_access access = {.offset = offset, .region = region, .count = 4};
    const struct vfio_user_request request = {.command = VU_REGION_WRITE,
                                              .head = &access,
                                              .head_bytes = sizeof(access),
                                              .data = &value,
                                              .data_bytes = sizeof(value),
                                              .fd = -1};
    uint8_t reply[sizeof(access)];
    return is_posted ? vfio_user_post(peer, &request)
                     : vfio_user_ask(peer, &request, reply, sizeof(reply));
}

/* Interleaved, so that both see the same machine. */
static bool measure_reads(struct vfio_user *peer, struct pingpong *pingpong, uint64_t rounds,
                          json_object *figures)
{
    struct samples reads;
    struct samples pings;
    bool ok = samples_create(&reads, (size_t)rounds + INTERLEAVE);

    ok = samples_create(&pings, (size_t)rounds + INTERLEAVE) && ok;
    while (ok && reads.count < rounds) {
        for (int i = 0; ok && i < INTERLEAVE; i++) {
            double start = clock_us();
            ok = read_register(peer);
            samples_add(&reads, clock_us() - start);
        }
        for (int i = 0; ok && i < INTERLEAVE; i++) {
            double start = clock_us();
            ok = pingpong_once(pingpong);
            samples_add(&pings, clock_us() - start);
        }
    }
    if (ok) {
        json_object_object_add(figures, "region_read", samples_json(&reads));
        json_object_object_add(figures, "ping_pong", samples_json(&pings));
    }
    samples_destroy(&reads);
    samples_destroy(&pings);
    return ok;
}

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

/* One more region comes and goes among those that live, at a place that moves through them. */
static bool time_maps(struct vfio_user *peer, int file, uint64_t live, uint64_t rounds,
                      struct samples *samples)
{
    bool ok = true;
    for (uint64_t i = 0; ok && i < rounds; i++) {
        uint64_t address = IOVA_FIRST + i * 7919 % live * IOVA_STRIDE + REGION_BYTES;
        double start = clock_us();
        ok = map(peer, file, live_counts[LIVE_COUNTS - 1], address) && unmap(peer, address);
        samples_add(samples, clock_us() - start);
    }
    return ok;
}

static bool measure_live(struct vfio_user *peer, int file, uint64_t have, uint64_t live,
                         uint64_t rounds, json_object *rows)
{
    struct samples samples;
    struct samples warm_up = {0}; /* takes none */
    bool ok = samples_create(&samples, (size_t)rounds);

    for (uint64_t i = have; ok && i < live; i++) {
        ok = map(peer, file, i, IOVA_FIRST + i * IOVA_STRIDE);
    }
    ok = ok && time_maps(peer, file, live, rounds / 4 + 1, &warm_up) &&
         time_maps(peer, file, live, rounds, &samples);
    if (ok) {
        json_object *row = samples_json(&samples);
        json_object_object_add(row, "live", json_object_new_uint64(live));
        json_object_array_add(rows, row);
    }
    samples_destroy(&samples);
    return ok;
}

static bool measure_maps(struct vfio_user *peer, const struct measure_plan *plan,
                         json_object *figures)
{
    json_object *rows = json_object_new_array();
    int file = memfd_create("guest", MFD_CLOEXEC);
    bool ok = file >= 0 &&
              ftruncate(file, (off_t)((live_counts[LIVE_COUNTS - 1] + 1) * REGION_BYTES)) == 0;

    if (!ok) {
        fprintf(stderr, "dextbench: cannot make the guest's memory: %s\n", strerror(errno));
    }
    for (size_t i = 0; ok && i < LIVE_COUNTS; i++) {
        ok = measure_live(peer, file, i ? live_count(plan, i - 1) : 0, live_count(plan, i),
                          plan->region_rounds, rows);
    }
    if (file >= 0) {
        close(file);
    }
    if (ok) {
        json_object_object_add(figures, "map_unmap", json_object_get(rows));
    }
    json_object_put(rows);
    return ok;
}

static bool set_eventfd(struct vfio_user *peer, int event)
{
    const struct vu_irq_set set = {.argsz = sizeof(set),
                                   .flags = VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER,
                                   .index = VU_IRQ_MSIX,
                                   .count = 1};
    const struct vfio_user_request request = {
        .command = VU_DEVICE_SET_IRQS, .head = &set, .head_bytes = sizeof(set), .fd = event};
    return vfio_user_ask(peer, &request, NULL, 0);
}

/* The event, or false after WAIT_MS with one line. */
static bool take_event(int event)
{
    struct pollfd poll_fd = {.fd = event, .events = POLLIN};
    eventfd_t value;
    if (poll(&poll_fd, 1, WAIT_MS) == 1 && eventfd_read(event, &value) == 0) {
        return true;
    }
    fprintf(stderr, "dextbench: an interrupt did not arrive\n");
    return false;
}

static bool measure_interrupts(struct vfio_user *peer, uint64_t rounds, json_object *figures)
{
    struct samples samples;
    int event = eventfd(0, EFD_CLOEXEC);
    const uint32_t memory_and_master = 6;
    bool ok = samples_create(&samples, (size_t)rounds) && event >= 0 &&
              write_region(peer, VU_REGION_CONFIG, 4, memory_and_master, false) &&
              set_eventfd(peer, event);

    for (uint64_t i = 0; ok && i < rounds; i++) {
        double start = clock_us();
        ok = write_region(peer, VU_REGION_BAR0, FIRE, 0, true) && take_event(event);
        samples_add(&samples, clock_us() - start);
    }
    if (ok) {
        json_object_object_add(figures, "interrupt", samples_json(&samples));
    }
    samples_destroy(&samples);
    if (event >= 0) {
        close(event);
    }
    return ok;
}

json_object *vfio_user_measure(struct vfio_user *peer, const struct measure_plan *plan,
                               struct pingpong *pingpong)
{
    json_object *figures = json_object_new_object();

    /* Interrupts first: with memory mapped the server would ask for some of it. */
    if (measure_reads(peer, pingpong, plan->rounds, figures) &&
        measure_interrupts(peer, plan->rounds / 4 + 1, figures) &&
        measure_maps(peer, plan, figures)) {
        return figures;
    }
    json_object_put(figures);
    return NULL;
}
