/*
 * Config reads, timed beside handoffs and ping-pongs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "figures.h"
#include "samples.h"
#include "table.h"

#define INTERLEAVE       500 /* of one kind, then as many of the next */
#define WARM_UP          20  /* not timed, before each batch: busy is when others came before */
#define COLD_US          20000
#define THREADS_MOST     8
#define CONNECTIONS      4 /* of as many threads */
#define THREAD_TURNS     5
#define IDLE_CONNECTIONS 100

typedef bool (*once_fn)(void *opaque);

static bool read_config(void *opaque)
{
    uint64_t value;
    kern_return_t code = apple_dext_config_read(*(io_connect_t *)opaque, 0, 4, &value);
    if (code != KERN_SUCCESS) {
        fprintf(stderr, "dextbench: cannot read config space: %s\n", apple_dext_status_text(code));
    }
    return code == KERN_SUCCESS;
}

static bool ping(void *opaque)
{
    bool ok = pingpong_once(opaque);
    if (!ok) {
        fprintf(stderr, "dextbench: the ping-pong process has gone\n");
    }
    return ok;
}

static bool hand_off(void *opaque)
{
    bool ok = handoff_once(opaque);
    if (!ok) {
        fprintf(stderr, "dextbench: the handoff process has gone\n");
    }
    return ok;
}

/* What is timed, and by whom. */
struct kind {
    const char *key;
    once_fn once;
    void *opaque;
    struct handoff *handoff; /* to begin and end around a batch; NULL */
    struct samples samples;
};

static bool time_batch(struct kind *kind, unsigned warm_up, unsigned count)
{
    bool ok = !kind->handoff || handoff_begin(kind->handoff);
    if (!ok) {
        fprintf(stderr, "dextbench: cannot wake the handoff process\n");
    }
    for (unsigned i = 0; ok && i < warm_up; i++) {
        ok = kind->once(kind->opaque);
    }
    for (unsigned i = 0; ok && i < count; i++) {
        double start = clock_us();
        ok = kind->once(kind->opaque);
        samples_add(&kind->samples, clock_us() - start);
    }
    if (kind->handoff) {
        handoff_end(kind->handoff);
    }
    return ok;
}

/* Interleaved, so that all see the same machine. */
static bool time_kinds(struct kind *kinds, size_t kind_count, uint64_t rounds, unsigned batch,
                       json_object *figures)
{
    bool ok = true;

    for (size_t k = 0; k < kind_count; k++) {
        ok = samples_create(&kinds[k].samples, (size_t)rounds + batch) && ok;
    }
    while (ok && kinds[0].samples.count < rounds) {
        for (size_t k = 0; ok && k < kind_count; k++) {
            if (batch == 1) {
                usleep(COLD_US);
            }
            ok = time_batch(&kinds[k], batch == 1 ? 0 : WARM_UP, batch);
        }
    }
    for (size_t k = 0; k < kind_count; k++) {
        if (ok) {
            json_object_object_add(figures, kinds[k].key, samples_json(&kinds[k].samples));
        }
        samples_destroy(&kinds[k].samples);
    }
    return ok;
}

static void add_ratio(json_object *figures, const char *key, const char *of, const char *to)
{
    json_object_object_add(figures, key,
                           figure_json(number_of(member(figures, of), "p50_us") /
                                       number_of(member(figures, to), "p50_us")));
}

static bool measure_round_trips(io_connect_t connection, uint64_t rounds,
                                const struct calls_yardsticks *yardsticks, json_object *figures)
{
    struct kind busy[] = {
        {.key = "config_read", .once = read_config, .opaque = &connection},
        {.key = "handoff",
         .once = hand_off,
         .opaque = yardsticks->handoff,
         .handoff = yardsticks->handoff},
        {.key = "ping_pong", .once = ping, .opaque = yardsticks->pingpong},
    };
    struct kind cold[] = {
        {.key = "config_read_cold", .once = read_config, .opaque = &connection},
        {.key = "ping_pong_cold", .once = ping, .opaque = yardsticks->pingpong},
    };
    if (!time_kinds(busy, 3, rounds, INTERLEAVE, figures) ||
        !time_kinds(cold, 2, rounds / 400 + 10, 1, figures)) {
        return false;
    }
    add_ratio(figures, "config_read_to_handoff", "config_read", "handoff");
    add_ratio(figures, "config_read_to_ping_pong", "config_read", "ping_pong");
    add_ratio(figures, "config_read_to_ping_pong_cold", "config_read_cold", "ping_pong_cold");
    return true;
}

/* Threads. */

struct turn {
    _Atomic bool is_over;
    _Atomic uint64_t calls;
    _Atomic bool has_failed;
};

struct caller {
    pthread_t thread;
    struct turn *turn;
    io_connect_t connection;
};

static void *call_until_over(void *opaque)
{
    struct caller *caller = opaque;
    uint64_t calls = 0;
    do { /* once at least: a thread may begin when the turn is over */
        if (!read_config(&caller->connection)) {
            caller->turn->has_failed = true;
        }
        calls++;
    } while (!caller->turn->is_over && !caller->turn->has_failed);
    caller->turn->calls += calls;
    return NULL;
}

/* Calls per second of all threads together; 0 with one line when something failed. */
static double run_turn(const io_connect_t *connections, unsigned connection_count,
                       unsigned thread_count, unsigned us)
{
    struct turn turn = {.is_over = false};
    struct caller callers[THREADS_MOST];
    unsigned started = 0;

    double begin = clock_us();
    for (; started < thread_count; started++) {
        callers[started] =
            (struct caller){.turn = &turn, .connection = connections[started % connection_count]};
        if (pthread_create(&callers[started].thread, NULL, call_until_over, &callers[started])) {
            fprintf(stderr, "dextbench: cannot start a thread\n");
            turn.has_failed = true;
            break;
        }
    }
    usleep(us);
    turn.is_over = true;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(callers[i].thread, NULL);
    }
    return turn.has_failed ? 0 : (double)turn.calls / (clock_us() - begin) * 1e6;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static bool measure_threads(const io_connect_t *connections, uint64_t rounds, json_object *figures)
{
    static const struct {
        const char *key;
        unsigned connections, threads;
    } kinds[] = {
        {"one", 1, 1},
        {"two", 1, 2},
        {"four", 1, 4},
        {"eight", 1, THREADS_MOST},
        {"four_connections", CONNECTIONS, CONNECTIONS},
    };
    enum { KINDS = sizeof(kinds) / sizeof(*kinds) };
    double rates[KINDS][THREAD_TURNS];
    unsigned us = rounds >= 10000 ? 100000 : 10000;

    for (unsigned turn = 0; turn < THREAD_TURNS; turn++) {
        for (size_t k = 0; k < KINDS; k++) {
            rates[k][turn] = run_turn(connections, kinds[k].connections, kinds[k].threads, us);
            if (rates[k][turn] <= 0) {
                return false;
            }
        }
    }
    json_object *threads = json_object_new_object();
    for (size_t k = 0; k < KINDS; k++) {
        qsort(rates[k], THREAD_TURNS, sizeof(rates[k][0]), compare);
        json_object_object_add(threads, kinds[k].key, figure_json(rates[k][THREAD_TURNS / 2]));
    }
    json_object_object_add(threads, "four_to_one",
                           figure_json(number_of(threads, "four") / number_of(threads, "one")));
    json_object_object_add(figures, "threads_calls_per_s", threads);
    return true;
}

/* Connections that nobody uses. */

static double cpu_us(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static bool measure_idle(const io_connect_t *connections, unsigned count, pid_t host,
                         uint64_t rounds, json_object *figures)
{
    clockid_t clock;
    bool ok = true;

    if (clock_getcpuclockid(host, &clock) != 0) {
        fprintf(stderr, "dextbench: cannot tell the processor time of the host\n");
        return false;
    }
    for (unsigned i = 0; ok && i < count * WARM_UP; i++) {
        ok = read_config((void *)&connections[i / WARM_UP]);
    }
    usleep(COLD_US);
    double begin = clock_us();
    double used = cpu_us(clock);
    usleep(rounds >= 10000 ? 1000000 : 100000);
    used = cpu_us(clock) - used;
    double percent = used / (clock_us() - begin) * 100;
    json_object *idle = json_object_new_object();
    json_object_object_add(idle, "connections", json_object_new_int64(count));
    json_object_object_add(idle, "host_cpu_percent", figure_json(percent));
    json_object_object_add(figures, "idle", idle);
    return ok;
}

static io_connect_t open_claimed(uint8_t bus)
{
    io_connect_t connection = apple_dext_connect(bus, 0, 0);
    if (connection != IO_OBJECT_NULL && apple_dext_claim(connection) == KERN_SUCCESS) {
        return connection;
    }
    fprintf(stderr, "dextbench: %02x:00.0: cannot connect and claim\n", bus);
    apple_dext_disconnect(connection);
    return IO_OBJECT_NULL;
}

/* Open more, up to count. */
static bool open_more(io_connect_t *connections, unsigned *have, unsigned count, uint8_t bus)
{
    for (; *have < count; ++*have) {
        connections[*have] = open_claimed(bus);
        if (connections[*have] == IO_OBJECT_NULL) {
            return false;
        }
    }
    return true;
}

bool calls_measure(uint8_t bus, uint64_t rounds, const struct calls_yardsticks *yardsticks,
                   pid_t host, json_object *figures)
{
    io_connect_t connections[IDLE_CONNECTIONS];
    unsigned have = 0;

    bool ok = open_more(connections, &have, 1, bus) &&
              measure_round_trips(connections[0], rounds, yardsticks, figures) &&
              open_more(connections, &have, CONNECTIONS, bus) &&
              measure_threads(connections, rounds, figures) &&
              open_more(connections, &have, IDLE_CONNECTIONS, bus) &&
              measure_idle(connections, have, host, rounds, figures);
    while (have > 0) {
        apple_dext_disconnect(connections[--have]);
    }
    return ok;
}

void calls_report(json_object *embedded, json_object *dextd)
{
    static const struct {
        const char *key;
        const char *label;
    } rates[] = {
        {"one", "config reads a second, 1 thread"},
        {"two", "  2 threads, one connection"},
        {"four", "  4 threads, one connection"},
        {"eight", "  8 threads, one connection"},
        {"four_connections", "  4 threads, a connection each"},
    };
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        table_figure(rates[i].label, member(embedded, "threads_calls_per_s"),
                     member(dextd, "threads_calls_per_s"), rates[i].key);
    }
    table_figure("host's CPU %, 100 idle connections", member(embedded, "idle"),
                 member(dextd, "idle"), "host_cpu_percent");
}
