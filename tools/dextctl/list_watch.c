/*
 * dextctl list --watch: the library's thread prints, this one waits for the end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "list_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dextctl.h"
#include "embedded.h"
#include "instance.h"
#include "output.h"

#define ROOT_WIDTH 12 /* lines come one by one, so their widths are guessed */
#define NAME_WIDTH 20

/* Belongs to the handler while the watch lives. */
struct list_watch {
    const struct options *options;
    struct instance_widths widths;
    uint64_t lines;
};

static int stop_pipe[2]; /* a byte ends the wait */

static void stop(void)
{
    int saved = errno;
    ssize_t written = write(stop_pipe[1], "s", 1);
    (void)written;
    errno = saved;
}

static void on_signal(int number)
{
    (void)number;
    stop();
}

static void on_event(void *opaque, AppleDextEvent event, const AppleDextInstance *instance)
{
    struct list_watch *watch = opaque;
    bool is_present = event == APPLE_DEXT_ARRIVED;

    if (watch->options->count && watch->lines == watch->options->count) {
        return;
    }
    if (watch->options->json) {
        json_print_line(instance_list_json(instance, is_present));
    } else {
        if (watch->lines == 0) {
            instance_print_titles(&watch->widths);
        }
        instance_print_row(&watch->widths, instance, is_present);
        output_flush();
    }
    if (++watch->lines == watch->options->count || ferror(stdout)) {
        stop();
    }
}

static int wait_for_end(double seconds)
{
    double deadline_ms = now_ms() + seconds * 1e3;
    struct pollfd end = {.fd = stop_pipe[0], .events = POLLIN};

    for (;;) {
        double left_ms = seconds > 0 ? deadline_ms - now_ms() : 60e3;
        if (left_ms <= 0) {
            return STATUS_OK;
        }
        int ready = poll(&end, 1, left_ms < 60e3 ? (int)left_ms + 1 : 60000);
        if (ready > 0) {
            return STATUS_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return failure(NULL, "cannot wait: %s", strerror(errno));
        }
    }
}

static int watch_until_end(const struct options *options)
{
    struct list_watch watch = {.options = options, .widths = instance_widths_least()};
    const struct sigaction ending = {.sa_handler = on_signal};
    const struct sigaction before = {.sa_handler = SIG_DFL};

    watch.widths.root = ROOT_WIDTH;
    watch.widths.name = NAME_WIDTH;
    sigaction(SIGINT, &ending, NULL);
    sigaction(SIGTERM, &ending, NULL);
    AppleDextWatch *live = apple_dext_watch_create(on_event, &watch);
    int status = live ? wait_for_end(options->seconds) : failure(NULL, "%s", embedded_hint());
    apple_dext_watch_destroy(live);
    sigaction(SIGINT, &before, NULL);
    sigaction(SIGTERM, &before, NULL);
    return status;
}

int list_watch(const struct options *options)
{
    if (pipe(stop_pipe) != 0) {
        return failure(NULL, "cannot make a pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(stop_pipe[i], F_SETFL, O_NONBLOCK);
    }
    int status = watch_until_end(options);
    close(stop_pipe[0]);
    close(stop_pipe[1]);
    return status;
}
