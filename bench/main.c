/*
 * dextbench: call round trips, data, DMA registration, MMIO, interrupts, NVMe and the vfio-user
 * server, embedded and through dextd.
 *
 * Each host is measured in a process of its own (this program with --measure), since a process
 * that has embedded a host stays with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json_util.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data.h"
#include "dext-host.h"
#include "dextd_child.h"
#include "dma.h"
#include "figures.h"
#include "interrupts.h"
#include "measure.h"
#include "nvme.h"
#include "place.h"
#include "report.h"
#include "startup.h"
#include "vfio_user.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Words of the command line. */
enum what { CALLS, DATA, DMA, INTERRUPTS, NVME, STARTUP, VFIO_USER, WHAT_COUNT };
static const char *const words[WHAT_COUNT] = {"calls", "data",    "dma",      "interrupts",
                                              "nvme",  "startup", "vfio-user"};

struct settings {
    struct measure_plan plan;
    struct nvme_plan nvme;
    unsigned what; /* is measured: bits of enum what */
    const char *dextd;
    const char *dextctl;
    const char *vfio_user; /* the server's program */
    const char *host;      /* --measure: which one, else NULL */
    bool json;
    const char *output; /* a file that gets the JSON too; NULL: none */
};

/* Of the rounds: interrupts sleep most of the time, and programs take theirs. */
enum { DEVICES_MAX = 12, DATA_EVERY = 10, INTERRUPTS_EVERY = 20, STARTUP_EVERY = 1000 };

static bool has(const struct settings *settings, enum what what)
{
    return (settings->what >> what & 1) != 0;
}

/* A wake-up from one processor to another is measured where nothing else is. */
static bool is_apart(const struct settings *settings)
{
    return settings->what == 1u << INTERRUPTS;
}

static const char help[] =
    "Usage: dextbench [OPTION]... [calls | data | dma | interrupts | nvme | startup | "
    "vfio-user]...\n"
    "\n"
    "Measure the path from a client to a simulated device, in this process (embedded) and through\n"
    "dextd. Without a word for what: all.\n"
    "\n"
    "  calls   call round trips, busy and cold, beside a ping-pong between two processes and a\n"
    "          handoff through memory; calls by 4 threads; 100 idle connections; DMA registration\n"
    "          with many live regions, loads from mapped BARs\n"
    "  data    the copy engine of a device beside memcpy of the same bytes; loads and stores "
    "through\n"
    "          direct BARs beside plain memory, through trapped ones beside a signal and a call\n"
    "  dma     register + unregister, one by one and by the batch, with many live regions, beside\n"
    "          ping-pongs and calls, and what a region takes of the host's memory\n"
    "  interrupts\n"
    "          from a vector that fires in the device to its handler, beside eventfd and futex "
    "wakes;\n"
    "          to a client that polls, beside a store that another process spins on\n"
    "  nvme    reads and writes of an NVMe device in memory, on a file and on one past the page\n"
    "          cache, beside loops of pread, pwrite and io_uring on the same files\n"
    "  startup dextd until it serves 1 and 256 devices, dextctl list, and what libappledext adds "
    "to a\n"
    "          program, beside /bin/true\n"
    "  vfio-user\n"
    "          register reads beside a ping-pong, DMA maps with many live regions and interrupts,\n"
    "          as a client of dext-vfio-user that has the device itself, or dextd has it\n"
    "\n"
    "  --rounds N          calls and loads (20000)\n"
    "  --region-rounds N   registrations at each number of live regions (2000)\n"
    "  --live N            live regions at most, of 1, 1000 and 60000 (60000)\n"
    "  --milliseconds N    of each NVMe figure (250)\n"
    "  --load TEXT         NVMe loads with TEXT in their name, as the table has it; default: all\n"
    "  --directory DIR     where files of 160 MiB are made meanwhile; default: TMPDIR, else /tmp\n"
    "  --dextd PATH        the dextd to measure; default: DEXTD, else that of this build\n"
    "  --server PATH       the dext-vfio-user to measure; default: that of this build\n"
    "  --json              print JSON\n"
    "  --output FILE       write the JSON to a file, whatever is printed\n"
    "  --help              print this\n";

static int number(const char *name, const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || parsed == 0 ||
        parsed > 10000000) {
        fprintf(stderr, "dextbench: --%s \"%s\": want 1 to 10000000\n", name, text);
        return EXIT_USAGE;
    }
    *value = parsed;
    return 0;
}

static bool choose_one(struct settings *settings, const char *word)
{
    for (unsigned what = 0; what < WHAT_COUNT; what++) {
        if (strcmp(word, words[what]) == 0) {
            settings->what |= 1u << what;
            return true;
        }
    }
    return false;
}

/* What to measure: the words that stand there, or all. */
static int choose(struct settings *settings, char *const *chosen)
{
    settings->what = *chosen ? 0 : (1u << WHAT_COUNT) - 1;
    if (!nvme_has_load(settings->nvme.load)) {
        fprintf(stderr, "dextbench: --load \"%s\": no load has that in its name\n",
                settings->nvme.load);
        return EXIT_USAGE;
    }
    for (; *chosen; chosen++) {
        if (!choose_one(settings, *chosen)) {
            fprintf(stderr,
                    "dextbench: unexpected argument \"%s\": want calls, data, dma, interrupts, "
                    "nvme, startup or vfio-user\n",
                    *chosen);
            return EXIT_USAGE;
        }
    }
    return 0;
}

static int parse(struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"region-rounds", required_argument, NULL, 'g'},
        {"live", required_argument, NULL, 'n'},
        {"milliseconds", required_argument, NULL, 's'},
        {"load", required_argument, NULL, 'l'},
        {"directory", required_argument, NULL, 'D'},
        {"dextd", required_argument, NULL, 'd'},
        {"server", required_argument, NULL, 'v'},
        {"measure", required_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    int status = 0;
    uint64_t milliseconds;

    while (status == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            status = number("rounds", optarg, &settings->plan.rounds);
            break;
        case 'g':
            status = number("region-rounds", optarg, &settings->plan.region_rounds);
            break;
        case 'n':
            status = number("live", optarg, &settings->plan.live_most);
            break;
        case 's':
            status = number("milliseconds", optarg, &milliseconds);
            settings->nvme.seconds = (double)milliseconds / 1e3;
            break;
        case 'l':
            settings->nvme.load = optarg;
            break;
        case 'D':
            settings->nvme.directory = optarg;
            break;
        case 'd':
            settings->dextd = optarg;
            break;
        case 'v':
            settings->vfio_user = optarg;
            break;
        case 'm':
            settings->host = optarg;
            break;
        case 'j':
            settings->json = true;
            break;
        case 'o':
            settings->output = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            exit(EXIT_SUCCESS);
        default:
            status = EXIT_USAGE;
            break;
        }
    }
    return status != 0 ? status : choose(settings, argv + optind);
}

/* One host's worth of work: what it must have, and what of it is measured. */
struct job {
    const struct settings *settings;
    const char *devices[DEVICES_MAX];
    size_t device_count;
    struct bench_files files;
    struct pingpong pingpong;
    struct handoff handoff;
    struct waker waker;
};

static bool job_begin(struct job *job, const struct settings *settings)
{
    *job = (struct job){.settings = settings,
                        .handoff = {.fd = -1, .child = -1},
                        .waker = {.event = -1, .child = -1}};
    if (is_apart(settings)) {
        place_on(0); /* the device, and its yardsticks */
    }
    if (!pingpong_open(&job->pingpong) || !handoff_open(&job->handoff) ||
        !waker_open(&job->waker)) {
        fprintf(stderr, "dextbench: cannot start a process: %s\n", strerror(errno));
        return false;
    }
    if (has(settings, CALLS)) {
        job->devices[job->device_count++] = BENCH_EDU;
        job->devices[job->device_count++] = BENCH_TESTDEV;
    }
    if (has(settings, DATA)) {
        job->devices[job->device_count++] = BENCH_DATA;
    }
    if (has(settings, DMA)) {
        job->devices[job->device_count++] = BENCH_DMA;
    }
    if (has(settings, INTERRUPTS)) {
        job->devices[job->device_count++] = BENCH_INTERRUPTS;
    }
    if (has(settings, VFIO_USER)) {
        for (size_t i = 0; i < BENCH_VFIO_USERS; i++) {
            job->devices[job->device_count++] = bench_vfio_users[i];
        }
    }
    if (has(settings, NVME)) {
        job->devices[job->device_count++] = BENCH_NVME_MEMORY;
        job->devices[job->device_count++] = job->files.cached.device;
        if (!bench_files_create(&job->files, settings->nvme.directory)) {
            return false;
        }
        if (job->files.direct.path[0] != '\0') {
            job->devices[job->device_count++] = job->files.direct.device;
        }
    }
    return true;
}

static void job_end(struct job *job)
{
    bench_files_remove(&job->files);
    waker_close(&job->waker); /* first: a child of later has the socket of the one before it */
    handoff_close(&job->handoff);
    pingpong_close(&job->pingpong);
}

/* Add what was measured. false: nothing was. */
static bool add(json_object *figures, const char *name, json_object *more)
{
    if (more) {
        json_object_object_add(figures, name, more);
    }
    return more != NULL;
}

/* On the host this process reaches, dextd's process or 0; NULL with one line. */
static json_object *job_measure(struct job *job, pid_t host)
{
    const struct settings *settings = job->settings;
    struct nvme_plan nvme_plan = settings->nvme;
    const struct calls_yardsticks yardsticks = {&job->pingpong, &job->handoff};
    json_object *figures = has(settings, CALLS) ? measure_host(&settings->plan, &yardsticks, host)
                                                : json_object_new_object();
    bool ok = figures != NULL;

    nvme_plan.host = host;
    if (is_apart(settings)) {
        place_on(1); /* who hears of them; threads of this side begin here */
    }
    if (ok && has(settings, DATA)) {
        ok = add(figures, "data", data_measure(settings->plan.rounds / DATA_EVERY + 1));
    }
    if (ok && has(settings, DMA)) {
        ok = add(figures, "dma", dma_measure(&settings->plan, &job->pingpong, host));
    }
    if (ok && has(settings, INTERRUPTS)) {
        ok = add(figures, "interrupts",
                 interrupts_measure(settings->plan.rounds / INTERRUPTS_EVERY + 1,
                                    is_apart(settings), &job->waker));
    }
    if (ok && has(settings, NVME)) {
        ok = add(figures, "nvme", nvme_measure(&nvme_plan, &job->files));
    }
    if (ok && has(settings, VFIO_USER)) {
        ok =
            add(figures, "vfio_user",
                vfio_user_measure(settings->vfio_user, host == 0, &settings->plan, &job->pingpong));
    }
    if (!ok) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}

static json_object *measure_embedded(struct job *job)
{
    char *cause = NULL;
    json_object *figures = NULL;
    DextHost *host = dext_host_create(NULL, &cause);
    bool ok = host != NULL;

    for (size_t i = 0; ok && i < job->device_count; i++) {
        ok = dext_host_add_device(host, job->devices[i], &cause) == 0;
    }
    ok = ok && dext_host_embed(host, &cause) == 0;
    if (ok) {
        figures = job_measure(job, 0);
    } else {
        fprintf(stderr, "dextbench: %s\n", cause ? cause : "out of memory");
        free(cause);
    }
    dext_host_destroy(host);
    return figures;
}

static json_object *measure_dextd(struct job *job)
{
    struct dextd_child child;
    json_object *figures = NULL;

    if (dextd_child_start(&child, job->settings->dextd, job->devices, job->device_count)) {
        figures = job_measure(job, child.pid);
        dextd_child_stop(&child);
    }
    return figures;
}

/* --measure: the figures of one host as JSON on stdout. */
static int measure(const struct settings *settings)
{
    struct job job;
    json_object *figures = NULL;

    if (job_begin(&job, settings)) {
        figures =
            strcmp(settings->host, "dextd") == 0 ? measure_dextd(&job) : measure_embedded(&job);
    }
    job_end(&job);
    if (!figures) {
        return EXIT_FAILED;
    }
    puts(json_object_to_json_string_ext(figures, JSON_C_TO_STRING_PLAIN));
    json_object_put(figures);
    return EXIT_SUCCESS;
}

/* This program once more, with --measure; its output goes to fd. The child, -1 with one line. */
static pid_t start_worker(const struct settings *settings, const char *host, int fd)
{
    char rounds[24];
    char region_rounds[24];
    char live[24];
    char milliseconds[24];
    const char *argv[28] = {"dextbench",
                            "--measure",
                            host,
                            "--rounds",
                            rounds,
                            "--region-rounds",
                            region_rounds,
                            "--live",
                            live,
                            "--milliseconds",
                            milliseconds,
                            "--directory",
                            settings->nvme.directory,
                            "--load",
                            settings->nvme.load,
                            "--dextd",
                            settings->dextd,
                            "--server",
                            settings->vfio_user};
    size_t used = 19;
    posix_spawn_file_actions_t actions;
    pid_t child = -1;

    snprintf(rounds, sizeof(rounds), "%" PRIu64, settings->plan.rounds);
    snprintf(region_rounds, sizeof(region_rounds), "%" PRIu64, settings->plan.region_rounds);
    snprintf(live, sizeof(live), "%" PRIu64, settings->plan.live_most);
    snprintf(milliseconds, sizeof(milliseconds), "%.0f", settings->nvme.seconds * 1e3);
    for (unsigned what = 0; what < WHAT_COUNT; what++) {
        if (has(settings, what)) {
            argv[used++] = words[what];
        }
    }
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
        if (error == 0) {
            error =
                posix_spawn(&child, "/proc/self/exe", &actions, NULL, (char *const *)argv, environ);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    if (error != 0) {
        fprintf(stderr, "dextbench: cannot start a process: %s\n", strerror(error));
        return -1;
    }
    return child;
}

static json_object *run_worker(const struct settings *settings, const char *host)
{
    int status = -1;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(stderr, "dextbench: cannot make a pipe: %s\n", strerror(errno));
        return NULL;
    }
    pid_t child = start_worker(settings, host, ends[1]);
    close(ends[1]);
    json_object *figures = child > 0 ? json_object_from_fd(ends[0]) : NULL;
    close(ends[0]);
    if (child > 0) {
        waitpid(child, &status, 0);
    }
    if (status != 0) {
        json_object_put(figures);
        return NULL;
    }
    return figures;
}

/* Of one host; interrupts by a process of their own, whose threads have processors of their own. */
static json_object *run_workers(const struct settings *settings, const char *host)
{
    struct settings apart = *settings;
    struct settings others = *settings;

    apart.what &= 1u << INTERRUPTS;
    others.what &= ~(1u << INTERRUPTS | 1u << STARTUP);
    json_object *figures = others.what ? run_worker(&others, host) : json_object_new_object();
    if (figures && apart.what) {
        json_object *more = run_worker(&apart, host);
        json_object *interrupts = member(more, "interrupts");
        if (!interrupts) {
            json_object_put(figures);
            figures = NULL;
        } else {
            json_object_object_add(figures, "interrupts", json_object_get(interrupts));
        }
        json_object_put(more);
    }
    return figures;
}

static json_object *measure_startup(const struct settings *settings)
{
    const struct startup_plan plan = {.dextd = settings->dextd,
                                      .dextctl = settings->dextctl,
                                      .empty = EMPTY_PATH,
                                      .linked = LINKED_PATH,
                                      .rounds = settings->plan.rounds / STARTUP_EVERY + 1};
    return startup_measure(&plan);
}

static int measure_all(const struct settings *settings)
{
    json_object *embedded = NULL;
    json_object *dextd = NULL;
    json_object *startup = NULL;
    bool ok = true;

    if (settings->what & ~(1u << STARTUP)) {
        embedded = run_workers(settings, "embedded");
        dextd = embedded ? run_workers(settings, "dextd") : NULL;
        ok = dextd != NULL;
    }
    if (ok && has(settings, STARTUP)) {
        startup = measure_startup(settings);
        ok = startup != NULL;
    }
    if (ok) {
        ok = report(embedded, dextd, startup, settings->json, settings->output);
    }
    json_object_put(embedded);
    json_object_put(dextd);
    json_object_put(startup);
    return ok ? EXIT_SUCCESS : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    const char *from_environment = getenv("DEXTD");
    const char *directory = getenv("TMPDIR");
    struct settings settings = {
        .plan = {.rounds = 20000, .region_rounds = 2000, .live_most = 60000},
        .nvme = {.seconds = 0.25, .load = "", .directory = directory ? directory : "/tmp"},
        .dextd = from_environment ? from_environment : DEXTD_PATH,
        .dextctl = DEXTCTL_PATH,
        .vfio_user = VFIO_USER_PATH,
    };

    int status = parse(&settings, argc, argv);
    if (status != 0 || settings.host) {
        return status != 0 ? status : measure(&settings);
    }
    return measure_all(&settings);
}
