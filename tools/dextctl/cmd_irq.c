/*
 * dextctl irq: watches interrupts arrive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "dextctl.h"
#include "engine.h"
#include "notice.h"
#include "output.h"
#include "session.h"
#include "verb.h"

#define VECTOR_MAX    256
#define FOREVER       1e9
#define FIRE_COUNT    10  /* with --fire and no --count */
#define FIRE_SECONDS  5.0 /* for one fired interrupt to arrive */
#define FIRE_PAUSE_NS 100000000

struct watch {
    const struct options *options;
    struct notice notice;
    struct engine engine;
    bool fires;
    uint64_t wanted; /* 0: no end */
    uint64_t seen;
    uint64_t counts[VECTOR_MAX];
    double start_ms;
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
    if (watch->options->json) {
        json_object *object = json_object_new_object();
        json_add_ms(object, "time_ms", at_ms);
        json_add_number(object, "vector", vector);
        json_add_number(object, "count", watch->counts[vector]);
        json_print_line(object);
    } else {
        printf("%12.3f ms  vector %3" PRIu32 "  count %" PRIu64 "\n", at_ms, vector,
               watch->counts[vector]);
        fflush(stdout);
    }
}

static void report_all(struct watch *watch, const uint64_t pending[4])
{
    for (uint32_t vector = 0; vector < VECTOR_MAX; vector++) {
        if (pending[vector / 64] >> (vector % 64) & 1) {
            report(watch, vector);
            if (watch->fires) {
                watch->engine.ops->acknowledge(&watch->engine, vector);
            }
        }
    }
}

static void summarize(const struct watch *watch)
{
    json_object *object = json_object_new_object();
    json_object *counts = json_object_new_object();
    for (uint32_t vector = 0; vector < VECTOR_MAX; vector++) {
        char key[8];
        snprintf(key, sizeof(key), "%" PRIu32, vector);
        if (watch->counts[vector]) {
            json_add_number(counts, key, watch->counts[vector]);
        }
    }
    json_add_number(object, "total", watch->seen);
    json_object_object_add(object, "vectors", counts);
    json_print_line(object);
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
static uint32_t fire_next(struct watch *watch)
{
    const struct timespec pause = {.tv_nsec = FIRE_PAUSE_NS};
    uint32_t vector = (uint32_t)(watch->seen % watch->notice.vectors);

    if (watch->wanted == 0 && watch->seen > 0) {
        nanosleep(&pause, NULL);
    }
    watch->engine.ops->fire(&watch->engine, vector);
    return vector;
}

/* Until enough came, time is up, a signal ends it, or the device has gone. */
static int watch_loop(struct watch *watch, const struct session *session)
{
    while (watch->wanted == 0 || watch->seen < watch->wanted) {
        uint64_t pending[4] = {0};
        kern_return_t code = KERN_SUCCESS;
        uint32_t fired = watch->fires ? fire_next(watch) : 0;
        double left = seconds_left(watch);
        bool must_arrive = watch->fires && left > FIRE_SECONDS;

        switch (notice_wait(&watch->notice, must_arrive ? FIRE_SECONDS : left, pending, &code)) {
        case NOTICE_PENDING:
            report_all(watch, pending);
            break;
        case NOTICE_STOPPED:
            return STATUS_OK;
        case NOTICE_TIMEOUT:
            if (must_arrive) {
                return failure(session->name,
                               "vector %" PRIu32 " fired but did not arrive in %.0f s", fired,
                               FIRE_SECONDS);
            }
            return watch->wanted == 0 ? STATUS_OK : too_few(watch, session);
        case NOTICE_FAILED:
            return session_failure(session, code, "cannot wait for interrupts");
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

static int run_watch(const struct session *session, const struct options *options,
                     const struct arguments *arguments)
{
    struct watch watch = {.options = options, .wanted = options->count};
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
        fflush(stdout);
    }
    watch.start_ms = now_ms();
    status = watch_loop(&watch, session);
    if (options->json) {
        summarize(&watch);
    } else {
        printf("%" PRIu64 " interrupt%s\n", watch.seen, watch.seen == 1 ? "" : "s");
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    notice_close(&watch.notice);
    engine_close(&watch.engine);
    return status;
}

static const struct verb verbs[] = {
    {
        .name = "watch",
        .synopsis = "irq watch ADDR [--count N] [--seconds S] [--fire]",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_COUNT | OPTION_SECONDS | OPTION_FIRE,
        .access = SESSION_CLAIM,
        .run = run_watch,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_irq.name, verbs, options, argc, argv);
}

const struct command command_irq = {
    .name = "irq",
    .summary = "watch interrupts arrive",
    .synopsis = "watch ADDR",
    .details =
        "Set up the device's interrupts, arm the notice and print each vector as it arrives, with\n"
        "the time since the start and its count. Ends after --count interrupts, after --seconds,\n"
        "or at Ctrl-C. With --count, fewer than that within --seconds is a failure.\n"
        "--fire makes the device fire its vectors in turn (10 times unless told otherwise).\n"
        "--json prints one object a line, the last one with the totals.\n"
        "\n"
        "Examples:\n"
        "  dextctl irq watch 01:00.0\n"
        "  dextctl irq watch 01:00.0 --fire --count 3\n"
        "  dextctl irq watch 01:00.0 --seconds 10 --json\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_COUNT | OPTION_SECONDS | OPTION_FIRE,
    .arguments_min = 1,
    .arguments_max = 8, /* the verb knows */
    .run = run,
};
