/*
 * dext-vfio-user: offers a device behind the VFIOUserPCIDriver dext to QEMU over vfio-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apple-dext-client.h"
#include "arguments.h"
#include "daemon.h"
#include "dextctl.h" /* address_parse */
#include "embedded.h"
#include "environment.h"
#include "speak.h"
#include "standard_files.h"
#include "vfiouser/server.h"

enum { EXIT_CANNOT_SERVE = 1, EXIT_USAGE = 2 };

/* What ends the server from outside. */
struct ender {
    struct vu_server *server;
    sigset_t signals;
    pthread_t thread;
};

static const struct vu_report *report;

/* Say what failed and why, and free the cause; no cause: out of memory. */
static void complain(const char *what, char *cause)
{
    vu_say(report, VU_LEVEL_ERROR, "%s%s%s", what, what[0] ? ": " : "",
           cause ? cause : "out of memory");
    free(cause);
}

/* Every thread inherits the mask, so that only sigwait sees these. */
static bool block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    return pthread_sigmask(SIG_BLOCK, signals, NULL) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

static void *wait_for_signal(void *opaque)
{
    struct ender *ender = opaque;
    int number;
    while (sigwait(&ender->signals, &number) != 0) {
    }
    vu_server_stop(ender->server);
    return NULL;
}

/* ---- The device --------------------------------------------------------------------------------
 */

/* The only device there is. */
static bool find_only(struct address *address)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;
    kern_return_t code = apple_dext_list(&instances, &count);
    bool is_found = code == KERN_SUCCESS && count == 1 && instances[0].has_address;
    if (is_found) {
        *address = (struct address){.bus = instances[0].bus,
                                    .device = instances[0].device,
                                    .function = instances[0].function};
        snprintf(address->root, sizeof(address->root), "%s", instances[0].root);
    } else if (count > 1) {
        vu_say(report, VU_LEVEL_ERROR, "there are %zu devices: --host says which", count);
    } else {
        vu_say(report, VU_LEVEL_ERROR, "%s", embedded_hint());
    }
    apple_dext_free_list(instances);
    return is_found;
}

static io_connect_t connect_device(const struct arguments *arguments, struct address *address)
{
    char *cause = NULL;
    if (!arguments->host) {
        if (!find_only(address)) {
            return IO_OBJECT_NULL;
        }
    } else {
        address_parse(arguments->host, address);
    }
    io_connect_t connection =
        apple_dext_connect_with_root(address->bus, address->device, address->function,
                                     address->root[0] ? address->root : NULL, &cause);
    if (connection == IO_OBJECT_NULL && !embedded_found_host()) {
        vu_say(report, VU_LEVEL_ERROR, "%s", embedded_hint());
        free(cause);
    } else if (connection == IO_OBJECT_NULL) {
        complain("", cause);
    }
    return connection;
}

static int start_host(const struct arguments *arguments)
{
    char *cause;
    if (arguments->connect && setenv("DEXTLINK_SOCKET", arguments->connect, 1) != 0) {
        complain("--connect", NULL);
        return EXIT_CANNOT_SERVE;
    }
    if (arguments->device_count > 0 && !embedded_start(arguments->devices, arguments->device_count,
                                                       arguments->page_size, false, &cause)) {
        complain("--device", cause);
        return EXIT_USAGE;
    }
    return EXIT_SUCCESS;
}

/* ---- Serving -----------------------------------------------------------------------------------
 */

static bool announce(const struct arguments *arguments, const struct address *address)
{
    vu_say(report, VU_LEVEL_INFO, "listening at %s for %02x:%02x.%x", arguments->socket,
           address->bus, address->device, address->function);
    int error = daemon_announce(arguments->ready_fd);
    if (error != 0) {
        vu_say(report, VU_LEVEL_ERROR, "--ready-fd %d: %s", arguments->ready_fd, strerror(-error));
    }
    return error == 0;
}

static int run_until_signal(struct ender *ender, bool is_once)
{
    if (pthread_create(&ender->thread, NULL, wait_for_signal, ender) != 0) {
        complain("", NULL);
        return EXIT_CANNOT_SERVE;
    }
    int error = vu_server_run(ender->server, is_once);
    if (error != 0 && error != -EPROTO && error != -EPERM) { /* refusals were said */
        vu_say(report, VU_LEVEL_ERROR, "ending: %s",
               error == -ENODEV ? "the device has gone" : strerror(-error));
    }
    pthread_kill(ender->thread, SIGTERM); /* what it waits for, if it still does */
    pthread_join(ender->thread, NULL);
    return error == 0 ? EXIT_SUCCESS : EXIT_CANNOT_SERVE;
}

static int serve(const struct arguments *arguments, const sigset_t *signals)
{
    struct ender ender = {.signals = *signals};
    struct address address = {.bus = 0};
    char *cause;
    io_connect_t connection = connect_device(arguments, &address);
    if (connection == IO_OBJECT_NULL) {
        return EXIT_CANNOT_SERVE;
    }
    int status = EXIT_CANNOT_SERVE;
    int error = vu_server_create(connection, arguments->socket, report, &ender.server, &cause);
    if (error != 0) {
        complain("", cause);
        status = error == -ENAMETOOLONG ? EXIT_USAGE : EXIT_CANNOT_SERVE;
    } else if (announce(arguments, &address)) {
        status = run_until_signal(&ender, arguments->is_once);
    }
    vu_server_destroy(ender.server);
    apple_dext_disconnect(connection);
    return status;
}

static int run(const struct arguments *arguments)
{
    struct vu_report speech;
    struct address address;
    sigset_t signals;

    speak_start(&speech, arguments->is_json, arguments->verbosity > 0);
    report = &speech;
    if (arguments->host && !address_parse(arguments->host, &address)) {
        vu_say(report, VU_LEVEL_ERROR,
               "--host \"%s\": want BB:DD.F or ROOT/BB:DD.F, in hexadecimal, as in 01:00.0",
               arguments->host);
        return EXIT_USAGE;
    }
    if (!block_signals(&signals)) {
        vu_say(report, VU_LEVEL_ERROR, "signals: %s", strerror(errno));
        return EXIT_CANNOT_SERVE;
    }
    int status = start_host(arguments);
    if (status == EXIT_SUCCESS) {
        status = serve(arguments, &signals);
    }
    embedded_stop();
    apple_dext_set_log_callback(NULL, NULL, APPLE_DEXT_LOG_ERROR);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int status = EXIT_USAGE;

    standard_files_occupy();
    switch (arguments_parse(&arguments, argc, argv)) {
    case ARGUMENTS_RUN:
        status = environment_check("dext-vfio-user") ? run(&arguments) : EXIT_USAGE;
        break;
    case ARGUMENTS_DONE:
        status = daemon_finish_output("dext-vfio-user") ? EXIT_SUCCESS : EXIT_CANNOT_SERVE;
        break;
    case ARGUMENTS_WRONG:
        break;
    }
    arguments_clear(&arguments);
    return status;
}
