/*
 * dextd: serves simulated PCI devices to other processes until a signal ends it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon.h"
#include "dext-host.h"
#include "environment.h"
#include "options.h"
#include "standard_files.h"

enum { EXIT_CANNOT_SERVE = 1, EXIT_USAGE = 2 };

/* Print the cause of a failure and free it. text may be NULL: then the errno speaks. */
static int report(char *text, int error)
{
    fprintf(stderr, "dextd: %s\n", text ? text : strerror(-error));
    free(text);
    return error;
}

/* Every thread of the host inherits the mask, so that only sigwait below sees these. */
static int block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    int error = pthread_sigmask(SIG_BLOCK, set, NULL);
    if (error == 0 && signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        error = errno;
    }
    return error == 0 ? 0 : report(NULL, -error);
}

/* Each channel of a client takes descriptors, and where the soft limit is what select can wait for,
 * one client could have them all. Nothing here waits by select. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int start(DextHost *host, const struct options *options)
{
    char *cause = NULL;

    for (size_t i = 0; i < options->device_count; i++) {
        int error = dext_host_add_device(host, options->devices[i], &cause);
        if (error != 0) {
            return report(cause, error);
        }
    }
    int error = dext_host_serve(host, options->socket, &cause);
    return error == 0 ? 0 : report(cause, error);
}

static int announce(DextHost *host, const struct options *options)
{
    fprintf(stderr, "dextd: ready: %zu device%s at %s\n", options->device_count,
            options->device_count == 1 ? "" : "s", dext_host_socket_path(host));
    int error = daemon_announce(options->ready_fd);
    if (error != 0) {
        fprintf(stderr, "dextd: --ready-fd %d: %s\n", options->ready_fd, strerror(-error));
    }
    return error;
}

static void wait_for_end(const sigset_t *signals, bool verbose)
{
    int number = 0;
    while (sigwait(signals, &number) != 0) {
    }
    if (verbose) {
        fprintf(stderr, "dextd: ending on %s\n", number == SIGINT ? "SIGINT" : "SIGTERM");
    }
}

static int run(const struct options *options)
{
    const DextHostOptions host_options = {
        .page_size = options->page_size,
        .access_open = options->access_open,
        .group = options->group,
        .per_client = options->per_client,
    };
    sigset_t signals;
    char *cause = NULL;

    if (block_signals(&signals) != 0) {
        return EXIT_CANNOT_SERVE;
    }
    raise_descriptor_limit();
    DextHost *host = dext_host_create(&host_options, &cause);
    if (!host) {
        report(cause, -ENOMEM);
        return EXIT_CANNOT_SERVE;
    }
    int error = start(host, options);
    if (error == 0) {
        error = announce(host, options);
    }
    if (error == 0) {
        wait_for_end(&signals, options->verbosity > 0);
    }
    dext_host_destroy(host);
    if (error == -EINVAL || error == -EEXIST || error == -ENAMETOOLONG) {
        return EXIT_USAGE;
    }
    return error == 0 ? EXIT_SUCCESS : EXIT_CANNOT_SERVE;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int status = EXIT_USAGE;

    standard_files_occupy();
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_RUN:
        if (!environment_check("dextd")) {
            break;
        }
        if (options.verbosity > 0) {
            setenv("DEXTLINK_LOG", options.verbosity > 1 ? "debug" : "info", 1);
        }
        status = run(&options);
        break;
    case OPTIONS_DONE:
        status = daemon_finish_output("dextd") ? EXIT_SUCCESS : EXIT_CANNOT_SERVE;
        break;
    case OPTIONS_WRONG:
        break;
    }
    options_clear(&options);
    return status;
}
