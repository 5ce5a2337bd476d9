/*
 * Ticks at an interval, with an end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ticker.h"

#include <sys/select.h>
#include <time.h>

#include "output.h"

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
    (void)number;
    is_stopped = 1;
}

void ticker_begin(struct ticker *ticker, const struct options *options, double default_interval)
{
    double seconds = options->given & OPTION_INTERVAL ? options->interval : default_interval;
    const struct sigaction stop = {.sa_handler = on_signal};
    sigset_t ours;

    *ticker = (struct ticker){.start_ms = now_ms(), .interval_ms = seconds * 1e3};
    ticker->has_count = (options->given & OPTION_COUNT) != 0;
    ticker->left = options->count;
    ticker->end_ms =
        options->given & OPTION_SECONDS ? ticker->start_ms + options->seconds * 1e3 : 0;
    is_stopped = 0;
    /* delivered inside pselect only, so that none falls between looking and waiting */
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigprocmask(SIG_BLOCK, &ours, &ticker->waiting);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
}

static void wait_until(const struct ticker *ticker, double at_ms)
{
    for (;;) {
        double left_ms = at_ms - now_ms();
        double wait_ms = left_ms > 0 ? left_ms : 0;
        struct timespec time = {.tv_sec = (time_t)(wait_ms / 1e3)};
        time.tv_nsec = (long)((wait_ms - (double)time.tv_sec * 1e3) * 1e6);
        /* also with nothing to wait for: this is where signals arrive */
        pselect(0, NULL, NULL, NULL, &time, &ticker->waiting);
        if (is_stopped || left_ms <= 0) {
            return;
        }
    }
}

bool ticker_next(struct ticker *ticker)
{
    double at_ms = ticker->start_ms + (double)ticker->ticks * ticker->interval_ms;
    bool is_last = ticker->end_ms != 0 && at_ms > ticker->end_ms;

    if (ticker->has_count && ticker->left == 0) {
        return false;
    }
    wait_until(ticker, is_last ? ticker->end_ms : at_ms);
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
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &ticker->waiting, NULL);
}
