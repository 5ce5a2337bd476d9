/*
 * Register reads and interrupts through dext-vfio-user, timed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vfio_user.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "place.h"
#include "samples.h"
#include "vfiouser/protocol.h"

#define INTERLEAVE 50    /* reads, then as many ping-pongs */
#define FIRE       0x100 /* register of testdev in BAR 0 */
#define WAIT_MS    10000

const char *const bench_vfio_users[BENCH_VFIO_USERS] = {
    "testdev,addr=05:00.0,dart=identity",
    "testdev,addr=05:01.0,dart=identity",
    "testdev,addr=05:02.0,dart=identity",
};

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

/* Where both sides of what is compared run. */
struct placement {
    const char *reads, *pings; /* keys */
    unsigned client, other;
};

/* Interleaved, so that both see the same machine. */
static bool measure_reads(struct vfio_user *peer, struct pingpong *pingpong,
                          const struct placement *placement, uint64_t rounds, json_object *figures)
{
    struct samples reads;
    struct samples pings;
    bool ok = samples_create(&reads, (size_t)rounds + INTERLEAVE);

    ok = samples_create(&pings, (size_t)rounds + INTERLEAVE) && ok;
    place_on(placement->client);
    place_process(peer->pid, placement->other);
    place_process(pingpong->child, placement->other);
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
        json_object_object_add(figures, placement->reads, samples_json(&reads));
        json_object_object_add(figures, placement->pings, samples_json(&pings));
    }
    samples_destroy(&reads);
    samples_destroy(&pings);
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

static json_object *measure_peers(struct vfio_user peers[BENCH_VFIO_USERS],
                                  const struct measure_plan *plan, struct pingpong *pingpong)
{
    static const struct placement together = {"region_read_together", "ping_pong_together", 0, 0};
    static const struct placement apart = {"region_read", "ping_pong", 1, 0};
    json_object *figures = json_object_new_object();
    json_object *maps = NULL;

    /* Maps last: with memory mapped the server would ask for some of it. */
    if (measure_reads(&peers[0], pingpong, &together, plan->rounds, figures) &&
        measure_reads(&peers[0], pingpong, &apart, plan->rounds, figures) &&
        measure_interrupts(&peers[0], plan->rounds / 4 + 1, figures)) {
        maps = vfio_user_measure_maps(peers, plan);
    }
    if (!maps) {
        json_object_put(figures);
        return NULL;
    }
    json_object_object_add(figures, "map_unmap", maps);
    return figures;
}

json_object *vfio_user_measure(const char *path, bool has_device, const struct measure_plan *plan,
                               struct pingpong *pingpong)
{
    struct vfio_user peers[BENCH_VFIO_USERS];
    json_object *figures = NULL;
    size_t started = 0;

    while (started < BENCH_VFIO_USERS &&
           vfio_user_start(&peers[started], path, bench_vfio_users[started], has_device)) {
        started++;
    }
    if (started == BENCH_VFIO_USERS) {
        figures = measure_peers(peers, plan, pingpong);
    } else {
        vfio_user_stop(&peers[started]);
    }
    while (started > 0) {
        vfio_user_stop(&peers[--started]);
    }
    return figures;
}
