/*
 * Interrupts to a handler and to a client that polls, timed beside their yardsticks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "interrupts.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apple-dext-client.h"
#include "place.h"
#include "samples.h"

#define BUS        0x06
#define INTERLEAVE 10               /* of each kind before the next has its turn */
#define DELAY_NS   UINT64_C(300000) /* from the start of a timer to its vector: all sleep by then */
#define WAIT_S     10

/* Registers of testdev in BAR 0. */
enum { TIMER_PERIOD = 0x110, TIMER_COUNT = 0x118, TIMER_CONTROL = 0x11c, FIRED_AT = 0x148 };

struct bench_interrupts {
    io_connect_t connection;
    uint8_t registers; /* memory index of BAR 0 */
    AppleDextInterruptNotify *notify;
    sem_t handled;
    uint64_t handled_ns;
    bool is_apart, is_placed; /* device and client on processors of their own; the handler too */
    struct waker *waker;
};

static bool complain(const char *what, kern_return_t code)
{
    fprintf(stderr, "dextbench: %s: %s\n", what, apple_dext_status_text(code));
    return false;
}

static bool write_register(struct bench_interrupts *bench, uint64_t offset, uint64_t width,
                           uint64_t value)
{
    kern_return_t code =
        apple_dext_mmio_write(bench->connection, bench->registers, offset, width, value);
    return code == KERN_SUCCESS || complain("cannot write a register of testdev", code);
}

/* Microseconds from the vector's firing to then; negative with one line. */
static double since_fired(struct bench_interrupts *bench, uint64_t then_ns)
{
    uint64_t fired_ns;
    kern_return_t code =
        apple_dext_mmio_read(bench->connection, bench->registers, FIRED_AT, 8, &fired_ns);
    if (code != KERN_SUCCESS) {
        complain("cannot read a register of testdev", code);
        return -1;
    }
    return (double)(then_ns - fired_ns) / 1e3;
}

static void on_interrupt(void *opaque)
{
    struct bench_interrupts *bench = opaque;
    bench->handled_ns = waker_now_ns();
    if (bench->is_apart && !bench->is_placed) {
        bench->is_placed = true;
        place_on(1); /* the first interrupt has started this thread, on the device's processor */
    }
    sem_post(&bench->handled);
}

static bool wait_handled(struct bench_interrupts *bench)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    while (sem_timedwait(&bench->handled, &deadline) != 0) {
        if (errno != EINTR) {
            fprintf(stderr, "dextbench: an interrupt did not arrive\n");
            return false;
        }
    }
    return true;
}

/* What fired is taken, and the notice armed, before the next one starts. */
static double handle_once(struct bench_interrupts *bench)
{
    uint64_t pending[4];
    kern_return_t code = apple_dext_read_pending_irqs(bench->connection, pending);
    if (code == KERN_SUCCESS) {
        code = apple_dext_interrupt_notify_rearm(bench->notify);
    }
    if (code != KERN_SUCCESS) {
        complain("cannot wait for an interrupt", code);
        return -1;
    }
    if (!write_register(bench, TIMER_CONTROL, 4, 1) || !wait_handled(bench)) {
        return -1;
    }
    return since_fired(bench, bench->handled_ns);
}

static double poll_once(struct bench_interrupts *bench)
{
    uint64_t pending[4];
    uint64_t start_ns = waker_now_ns();
    /* What the handlers before have left is taken first. */
    if (apple_dext_read_pending_irqs(bench->connection, pending) != KERN_SUCCESS ||
        !write_register(bench, TIMER_CONTROL, 4, 1)) {
        return -1;
    }
    pending[0] = 0;
    while (pending[0] == 0) {
        kern_return_t code = apple_dext_read_pending_irqs(bench->connection, pending);
        if (code != KERN_SUCCESS) {
            complain("cannot poll", code);
            return -1;
        }
        if (pending[0] == 0 && waker_now_ns() - start_ns > WAIT_S * UINT64_C(1000000000)) {
            fprintf(stderr, "dextbench: an interrupt did not arrive\n");
            return -1;
        }
    }
    return since_fired(bench, waker_now_ns());
}

static double wake_once(struct bench_interrupts *bench, enum waker_kind kind)
{
    double us = waker_once(bench->waker, kind, DELAY_NS);
    if (us < 0) {
        fprintf(stderr, "dextbench: the process that wakes this one does not answer\n");
    }
    return us;
}

static double eventfd_once(struct bench_interrupts *bench)
{
    return wake_once(bench, WAKER_EVENTFD);
}

static double futex_once(struct bench_interrupts *bench)
{
    return wake_once(bench, WAKER_FUTEX);
}

static double handoff_once(struct bench_interrupts *bench)
{
    return wake_once(bench, WAKER_HANDOFF);
}

/* Those with a notice armed come before the one that must be the only one to take vectors. */
static const struct kind {
    const char *key;
    double (*once)(struct bench_interrupts *bench);
} kinds[] = {
    {"handler", handle_once}, {"eventfd", eventfd_once}, {"futex", futex_once},
    {"poll", poll_once},      {"handoff", handoff_once},
};
enum { HANDLER, EVENTFD, FUTEX, POLL, HANDOFF, KINDS };

static bool time_kind(struct bench_interrupts *bench, const struct kind *kind,
                      struct samples *samples)
{
    for (int i = 0; i < INTERLEAVE; i++) {
        double us = kind->once(bench);
        if (us < 0) {
            return false;
        }
        samples_add(samples, us);
    }
    return true;
}

static void add_ratio(json_object *figures, const char *name, const char *ours, const char *floor)
{
    double ratio = json_object_get_double(
                       json_object_object_get(json_object_object_get(figures, ours), "p50_us")) /
                   json_object_get_double(
                       json_object_object_get(json_object_object_get(figures, floor), "p50_us"));
    json_object_object_add(figures, name, figure_json(ratio));
}

static json_object *measure_kinds(struct bench_interrupts *bench, uint64_t rounds)
{
    struct samples samples[KINDS] = {0};
    json_object *figures = NULL;
    bool ok = true;

    for (size_t i = 0; ok && i < KINDS; i++) {
        ok = samples_create(&samples[i], (size_t)rounds + INTERLEAVE);
    }
    while (ok && samples[KINDS - 1].count < rounds) {
        for (size_t i = 0; ok && i < KINDS; i++) {
            ok = time_kind(bench, &kinds[i], &samples[i]);
        }
    }
    if (ok) {
        figures = json_object_new_object();
        for (size_t i = 0; i < KINDS; i++) {
            json_object_object_add(figures, kinds[i].key, samples_json(&samples[i]));
        }
        add_ratio(figures, "handler_to_eventfd", "handler", "eventfd");
        add_ratio(figures, "handler_to_futex", "handler", "futex");
        add_ratio(figures, "poll_to_handoff", "poll", "handoff");
    }
    for (size_t i = 0; i < KINDS; i++) {
        samples_destroy(&samples[i]);
    }
    return figures;
}

static bool set_up(struct bench_interrupts *bench)
{
    char *cause = NULL;
    uint32_t vectors;
    uint64_t size;
    uint8_t type;

    bench->connection = apple_dext_connect_with_root(BUS, 0, 0, NULL, &cause);
    if (bench->connection == IO_OBJECT_NULL) {
        fprintf(stderr, "dextbench: %02x:00.0: %s\n", BUS, cause ? cause : "cannot connect");
        free(cause);
        return false;
    }
    kern_return_t code = apple_dext_claim(bench->connection);
    if (code == KERN_SUCCESS) {
        code = apple_dext_get_bar_info(bench->connection, 0, &bench->registers, &size, &type);
    }
    if (code == KERN_SUCCESS) {
        code = apple_dext_setup_interrupts(bench->connection, &vectors);
    }
    if (code != KERN_SUCCESS) {
        return complain("cannot set interrupts up", code);
    }
    bench->notify = apple_dext_interrupt_notify_create(bench->connection, on_interrupt, bench);
    if (!bench->notify) {
        fprintf(stderr, "dextbench: cannot wait for interrupts\n");
        return false;
    }
    return write_register(bench, TIMER_PERIOD, 8, DELAY_NS) &&
           write_register(bench, TIMER_COUNT, 4, 1);
}

json_object *interrupts_measure(uint64_t rounds, bool is_apart, struct waker *waker)
{
    struct bench_interrupts bench = {.waker = waker, .is_apart = is_apart};
    json_object *figures = NULL;

    sem_init(&bench.handled, 0, 0);
    if (set_up(&bench)) {
        figures = measure_kinds(&bench, rounds);
    }
    apple_dext_interrupt_notify_destroy(bench.notify);
    apple_dext_disconnect(bench.connection);
    sem_destroy(&bench.handled);
    return figures;
}
