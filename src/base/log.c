/*
 * Log sink and its default.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const log_level_names[] = {"error", "warning", "info", "debug"};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink_fn log_sink;     /* under log_lock */
static void *log_sink_opaque;    /* under log_lock */
static _Atomic int log_max = -2; /* -2: not yet read from the environment, -1: nothing */

static void log_to_stderr(void *opaque, enum log_level level, const char *hop, const char *line)
{
    (void)opaque;
    fprintf(stderr, "dextlink: %s: %s: %s\n", log_level_names[level], hop, line);
}

static int log_level_from_environment(void)
{
    const char *wanted = getenv("DEXTLINK_LOG");
    for (int i = 0; wanted && i < 4; i++) {
        if (strcmp(wanted, log_level_names[i]) == 0) {
            return i;
        }
    }
    if (wanted && wanted[0]) {
        /* Whoever set it looks at stderr for what it brings. */
        fprintf(stderr, "dextlink: DEXTLINK_LOG=%s: takes error, warning, info or debug\n", wanted);
    }
    return -1;
}

static int log_current_max(void)
{
    int max = atomic_load_explicit(&log_max, memory_order_relaxed);
    if (max != -2) {
        return max;
    }
    pthread_mutex_lock(&log_lock);
    max = atomic_load(&log_max);
    if (max == -2) {
        max = log_level_from_environment();
        log_sink = max >= 0 ? log_to_stderr : NULL;
        atomic_store(&log_max, max);
    }
    pthread_mutex_unlock(&log_lock);
    return max;
}

void log_set_sink(log_sink_fn sink, void *opaque, enum log_level level)
{
    pthread_mutex_lock(&log_lock);
    log_sink = sink;
    log_sink_opaque = opaque;
    atomic_store(&log_max, sink ? (int)level : -2);
    pthread_mutex_unlock(&log_lock);
}

int log_is_enabled(enum log_level level)
{
    return (int)level <= log_current_max();
}

void log_line(enum log_level level, const char *hop, const char *format, ...)
{
    if (!log_is_enabled(level)) {
        return;
    }
    int saved_errno = errno;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);

    pthread_mutex_lock(&log_lock);
    if (log_sink) {
        log_sink(log_sink_opaque, level, hop, line);
    }
    pthread_mutex_unlock(&log_lock);
    errno = saved_errno;
}
