/*
 * irq watch: shows interrupts as they arrive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "irq_verbs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "engine.h"
#include "latency.h"
#include "notice.h"
#include "output.h"
#include "patience.h"

#define FOREVER       1e9
#define FIRE_COUNT    10 /* with --fire and no --count */
#define FIRE_SECONDS  5.0
#define FIRE_PAUSE_NS 100000000

struct watch {
    const struct options *options;
    struct notice notice;
    struct engine engine;
    bool fires;
    uint64_t wanted; /* 0: no end */
    uint64_t seen;
    uint64_t counts[IRQ_VECTORS];
    uint64_t told[IRQ_VECTORS]; /* counts at the last line of rates */
    double start_ms;
    double told_ms;
    double fired_ms;
    double longest; /* seconds for one fired interrupt to arrive */
    uint32_t fired; /* the vector that is on its way; IRQ_VECTORS: none */
    struct latency latency;
};

static struct notice *signal_notice; /* what a signal ends */

static void on_signal(int number)
{
    (void)number;
    notice_stop(signal_notice);
}

static void report(struct watch *watch, uint32_t vector)
{
    double at_ms = now_ms() - watch->start_ms;

    watch->seen++;
    watch->counts[vector]++;
    if (watch->fires && vector == watch->fired) {
        latency_add(&watch->latency, (now_ms() - watch->fired_ms) * 1e3);
        watch->fired = IRQ_VECTORS;
    }
    if (watch->options->given & OPTION_INTERVAL) {
        return; /* rates stand for single interrupts */
    }
    if (watch->options->json) {
        json_object *object = json_object_new_object();
        json_add_ms(object, "time_ms", at_ms);
        json_add_number(object, "vector", vector);
        json_add_number(object, "count", watch->counts[vector]);
        json_print_line(object);
    } else {
        printf("%12.3f ms  vector %3" PRIu32 "  count %" PRIu64 "\n", at_ms, vector,
               watch->counts[vector]);
        output_flush();
    }
}

static void report_all(struct watch *watch, const uint64_t pending[4])
{
    for (uint32_t vector = 0; vector < IRQ_VECTORS; vector++) {
        if (pending[vector / 64] >> (vector % 64) & 1) {
            report(watch, vector);
            if (watch->fires) {
                watch->engine.ops->acknowledge(&watch->engine, vector);
            }
        }
    }
}

static void summarize(struct watch *watch)
{
    json_object *object = json_object_new_object();
    json_object *counts = json_object_new_object();
    for (uint32_t vector = 0; vector < IRQ_VECTORS; vector++) {
        char key[8];
        snprintf(key, sizeof(key), "%" PRIu32, vector);
        if (watch->counts[vector]) {
            json_add_number(counts, key, watch->counts[vector]);
        }
    }
    json_add_number(object, "total", watch->seen);
    json_object_object_add(object, "vectors", counts);
    json_add_ms(object, "time_ms", now_ms() - watch->start_ms);
    json_object_object_add(object, "latency_us", latency_json(&watch->latency));
    json_print_line(object);
}

/* One line: what arrived of each vector since the last one, a second. */
static void report_rates(struct watch *watch)
{
    double now = now_ms();
    double seconds = (now - watch->told_ms) / 1e3;
    json_object *rates = json_object_new_object();
    bool any = false;

    if (!watch->options->json) {
        printf("%12.3f ms ", now - watch->start_ms);
    }
    for (uint32_t vector = 0; vector < IRQ_VECTORS; vector++) {
        uint64_t count = watch->counts[vector] - watch->told[vector];
        char key[8];
        watch->told[vector] = watch->counts[vector];
        if (count == 0) {
            continue;
        }
        any = true;
        snprintf(key, sizeof(key), "%" PRIu32, vector);
        if (watch->options->json) {
            json_add_ms(rates, key, (double)count / seconds);
        } else {
            printf(" %s: %.1f/s", key, (double)count / seconds);
        }
    }
    watch->told_ms = now;
    if (!watch->options->json) {
        puts(any ? "" : " none");
        output_flush();
        json_object_put(rates);
        return;
    }
    json_object *object = json_object_new_object();
    json_add_ms(object, "time_ms", now - watch->start_ms);
    json_object_object_add(object, "rates", rates);
    json_print_line(object);
}

/* How long to wait at most for rates to be due; reports them when they are. */
static double until_rates(struct watch *watch, double left)
{
    if (!(watch->options->given & OPTION_INTERVAL)) {
        return left;
    }
    double due = watch->options->interval - (now_ms() - watch->told_ms) / 1e3;
    if (due <= 0) {
        report_rates(watch);
        due = watch->options->interval;
    }
    return due < left ? due : left;
}

static double seconds_left(const struct watch *watch)
{
    double limit = watch->options->given & OPTION_SECONDS ? watch->options->seconds : FOREVER;
    double left = limit - (now_ms() - watch->start_ms) / 1e3;
    return left > 0 ? left : 0;
}

static int too_few(const struct watch *watch, const struct session *session)
{
    return failure(session->name, "%" PRIu64 " of %" PRIu64 " interrupts arrived within %.1f s",
                   watch->seen, watch->wanted, (now_ms() - watch->start_ms) / 1e3);
}

/* Make the next vector fire; without an end in sight not faster than a person can read. */
static void fire_next(struct watch *watch)
{
    const struct timespec pause = {.tv_nsec = FIRE_PAUSE_NS};
    uint32_t vector = (uint32_t)(watch->seen % watch->notice.vectors);

    if (watch->wanted == 0 && watch->seen > 0) {
        nanosleep(&pause, NULL);
    }
    watch->fired = vector;
    watch->fired_ms = now_ms();
    watch->engine.ops->fire(&watch->engine, vector);
}

/* Nothing came: is that the end, and a good one? false: go on waiting. */
static bool is_over(struct watch *watch, const struct session *session, int *status)
{
    bool is_late = watch->fires && watch->fired < IRQ_VECTORS &&
                   now_ms() - watch->fired_ms > watch->longest * 1e3;

    if (is_late && seconds_left(watch) > 0) {
        *status = failure(session->name, "vector %" PRIu32 " fired but did not arrive in %.0f s",
                          watch->fired, watch->longest);
        return true;
    }
    if (seconds_left(watch) > 0) {
        return false;
    }
    *status = watch->wanted == 0 ? STATUS_OK : too_few(watch, session);
    return true;
}

/* Until enough came, time is up, a signal ends it, or the device has gone. */
static int watch_loop(struct watch *watch, const struct session *session)
{
    int status = STATUS_OK;

    while ((watch->wanted == 0 || watch->seen < watch->wanted) && !ferror(stdout)) {
        uint64_t pending[4] = {0};
        kern_return_t code = KERN_SUCCESS;
        if (watch->fires && watch->fired == IRQ_VECTORS) {
            fire_next(watch);
        }
        double left = until_rates(watch, seconds_left(watch));

        switch (notice_wait(&watch->notice,
                            watch->fires && left > watch->longest ? watch->longest : left, pending,
                            &code)) {
        case NOTICE_PENDING:
            report_all(watch, pending);
            break;
        case NOTICE_STOPPED:
            return STATUS_OK;
        case NOTICE_TIMEOUT:
            if (is_over(watch, session, &status)) {
                return status;
            }
            break;
        case NOTICE_FAILED:
            return session_failure(session, code, "cannot wait for interrupts");
        }
        if (watch->wanted == 0 && seconds_left(watch) <= 0) {
            break;
        }
    }
    return STATUS_OK;
}

static int open_engine(struct watch *watch, const struct session *session)
{
    AppleDextInstance instance;
    kern_return_t code = apple_dext_get_identity(session->connection, &instance);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get its identity");
    }
    const struct engine_ops *ops = engine_find(instance.vendor_id, instance.device_id);
    if (!ops) {
        return failure(session->name, "%04x:%04x cannot be made to fire: --fire knows %s",
                       instance.vendor_id, instance.device_id, engine_names());
    }
    watch->fires = true;
    return engine_open(&watch->engine, ops, session);
}

int irq_run_watch(const struct session *session, const struct options *options,
                  const struct arguments *arguments)
{
    struct watch watch = {.options = options,
                          .wanted = options->count,
                          .fired = IRQ_VECTORS,
                          .longest = patience(FIRE_SECONDS)};
    const struct sigaction stop = {.sa_handler = on_signal};

    (void)arguments;
    int status = options->given & OPTION_FIRE ? open_engine(&watch, session) : STATUS_OK;
    if (status == STATUS_OK) {
        status = notice_open(&watch.notice, session);
    }
    if (status != STATUS_OK) {
        engine_close(&watch.engine);
        return status;
    }
    if (watch.fires && !(options->given & (OPTION_COUNT | OPTION_SECONDS))) {
        watch.wanted = FIRE_COUNT;
    }
    signal_notice = &watch.notice;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    if (!options->json) {
        printf("watching %" PRIu32 " vector%s of %s\n", watch.notice.vectors,
               watch.notice.vectors == 1 ? "" : "s", session->name);
        output_flush();
    }
    watch.start_ms = watch.told_ms = now_ms();
    status = watch_loop(&watch, session);
    if (options->json) {
        summarize(&watch);
    } else {
        printf("%" PRIu64 " interrupt%s\n", watch.seen, watch.seen == 1 ? "" : "s");
        latency_print(&watch.latency, "latency, from firing to the process");
    }
    latency_clear(&watch.latency);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    notice_close(&watch.notice);
    engine_close(&watch.engine);
    return status;
}
