/*
 * Ticks at an interval, with an end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ticker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "output.h"

static volatile sig_atomic_t is_stopped;
/* Whichever thread the signal finds, the waiting one sees the byte. -1: none to be had. */
static int stop_pipe[2] = {-1, -1};

static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    is_stopped = 1;
    ssize_t written = write(stop_pipe[1], "s", 1);
    (void)written;
    errno = saved;
}

static void open_pipe(void)
{
    if (pipe(stop_pipe) != 0) {
        stop_pipe[0] = stop_pipe[1] = -1;
        return;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(stop_pipe[i], F_SETFL, O_NONBLOCK);
    }
}

void ticker_begin(struct ticker *ticker, const struct options *options, double default_interval)
{
    double seconds = options->given & OPTION_INTERVAL ? options->interval : default_interval;
    /* A line that is being written to a slow reader is not cut. */
    const struct sigaction stop = {.sa_handler = on_signal,
                                   .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

    *ticker = (struct ticker){.start_ms = now_ms(), .interval_ms = seconds * 1e3};
    ticker->has_count = (options->given & OPTION_COUNT) != 0;
    ticker->left = options->count;
    ticker->end_ms =
        options->given & OPTION_SECONDS ? ticker->start_ms + options->seconds * 1e3 : 0;
    is_stopped = 0;
    open_pipe();
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
}

static void wait_until(double at_ms)
{
    double left_ms;

    while (!is_stopped && (left_ms = at_ms - now_ms()) > 0) {
        struct pollfd stopped = {.fd = stop_pipe[0], .events = POLLIN};
        poll(&stopped, 1, left_ms < 1e6 ? (int)left_ms + 1 : 1000000);
    }
}

bool ticker_next(struct ticker *ticker)
{
    double at_ms = ticker->start_ms + (double)ticker->ticks * ticker->interval_ms;
    bool is_last = ticker->end_ms != 0 && at_ms > ticker->end_ms;

    if ((ticker->has_count && ticker->left == 0) || ferror(stdout)) {
        return false;
    }
    wait_until(is_last ? ticker->end_ms : at_ms);
    if (is_stopped || is_last || (ticker->end_ms != 0 && now_ms() > ticker->end_ms)) {
        return false;
    }
    ticker->left -= ticker->has_count;
    ticker->ticks++;
    return true;
}

double ticker_time_ms(const struct ticker *ticker)
{
    return now_ms() - ticker->start_ms;
}

void ticker_end(struct ticker *ticker)
{
    (void)ticker;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    for (int i = 0; i < 2; i++) {
        if (stop_pipe[i] >= 0) {
            close(stop_pipe[i]);
            stop_pipe[i] = -1;
        }
    }
}
