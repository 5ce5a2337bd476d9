/*
 * dextbench: call round trips, DMA registration and MMIO, embedded and through dextd.
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

#include "dext-host.h"
#include "dextd_child.h"
#include "measure.h"
#include "report.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct settings {
    struct measure_plan plan;
    const char *dextd;
    const char *host; /* --measure: which one, else NULL */
    bool json;
};

static const char *const devices[] = {BENCH_EDU, BENCH_TESTDEV};
#define DEVICE_COUNT (sizeof(devices) / sizeof(*devices))

static const char help[] =
    "Usage: dextbench [OPTION]...\n"
    "\n"
    "Measure the path from a client to a simulated device: call round trips beside a ping-pong\n"
    "between two processes, DMA registration with many live regions, loads from mapped BARs; in\n"
    "this process (embedded) and through dextd.\n"
    "\n"
    "  --rounds N          calls and loads (20000)\n"
    "  --region-rounds N   registrations at each number of live regions (2000)\n"
    "  --dextd PATH        the dextd to measure; default: DEXTD, else that of this build\n"
    "  --json              print JSON\n"
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

static int parse(struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"region-rounds", required_argument, NULL, 'g'},
        {"dextd", required_argument, NULL, 'd'},
        {"measure", required_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    int status = 0;

    while (status == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            status = number("rounds", optarg, &settings->plan.rounds);
            break;
        case 'g':
            status = number("region-rounds", optarg, &settings->plan.region_rounds);
            break;
        case 'd':
            settings->dextd = optarg;
            break;
        case 'm':
            settings->host = optarg;
            break;
        case 'j':
            settings->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(EXIT_SUCCESS);
        default:
            status = EXIT_USAGE;
            break;
        }
    }
    if (status == 0 && optind < argc) {
        fprintf(stderr, "dextbench: unexpected argument \"%s\"\n", argv[optind]);
        status = EXIT_USAGE;
    }
    return status;
}

static json_object *measure_embedded(const struct settings *settings, struct pingpong *pingpong)
{
    char *cause = NULL;
    json_object *figures = NULL;
    DextHost *host = dext_host_create(NULL, &cause);
    bool ok = host != NULL;

    for (size_t i = 0; ok && i < DEVICE_COUNT; i++) {
        ok = dext_host_add_device(host, devices[i], &cause) == 0;
    }
    ok = ok && dext_host_embed(host, &cause) == 0;
    if (ok) {
        figures = measure_host(&settings->plan, pingpong);
    } else {
        fprintf(stderr, "dextbench: %s\n", cause ? cause : "out of memory");
        free(cause);
    }
    dext_host_destroy(host);
    return figures;
}

static json_object *measure_dextd(const struct settings *settings, struct pingpong *pingpong)
{
    struct dextd_child child;
    json_object *figures = NULL;

    if (dextd_child_start(&child, settings->dextd, devices, DEVICE_COUNT)) {
        figures = measure_host(&settings->plan, pingpong);
        dextd_child_stop(&child);
    }
    return figures;
}

/* --measure: the figures of one host as JSON on stdout. */
static int measure(const struct settings *settings)
{
    struct pingpong pingpong;

    if (!pingpong_open(&pingpong)) {
        fprintf(stderr, "dextbench: cannot start the ping-pong: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    json_object *figures = strcmp(settings->host, "dextd") == 0
                               ? measure_dextd(settings, &pingpong)
                               : measure_embedded(settings, &pingpong);
    pingpong_close(&pingpong);
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
    const char *argv[] = {"dextbench",       "--measure",   host,      "--rounds",      rounds,
                          "--region-rounds", region_rounds, "--dextd", settings->dextd, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = -1;

    snprintf(rounds, sizeof(rounds), "%" PRIu64, settings->plan.rounds);
    snprintf(region_rounds, sizeof(region_rounds), "%" PRIu64, settings->plan.region_rounds);
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

int main(int argc, char **argv)
{
    const char *from_environment = getenv("DEXTD");
    struct settings settings = {
        .plan = {.rounds = 20000, .region_rounds = 2000},
        .dextd = from_environment ? from_environment : DEXTD_PATH,
    };

    int status = parse(&settings, argc, argv);
    if (status != 0 || settings.host) {
        return status != 0 ? status : measure(&settings);
    }
    json_object *embedded = run_worker(&settings, "embedded");
    json_object *dextd = embedded ? run_worker(&settings, "dextd") : NULL;
    if (dextd) {
        report(embedded, dextd, settings.json);
    }
    json_object_put(embedded);
    json_object_put(dextd);
    return dextd ? EXIT_SUCCESS : EXIT_FAILED;
}
