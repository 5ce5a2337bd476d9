/*
 * The client's log: one callback a process, nothing printed without it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "client/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

enum { LOG_LINE_BYTES = 512 };

struct log_sink {
    void (*log_fn)(void *opaque, AppleDextLogLevel level, const char *line);
    void *opaque;
    AppleDextLogLevel level;
};

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_sink current_sink;

void apple_dext_set_log_callback(void (*log_fn)(void *opaque, AppleDextLogLevel level,
                                                const char *line),
                                 void *opaque, AppleDextLogLevel level)
{
    pthread_mutex_lock(&sink_lock);
    current_sink.log_fn = log_fn;
    current_sink.opaque = opaque;
    current_sink.level = level;
    pthread_mutex_unlock(&sink_lock);
}

void client_log(AppleDextLogLevel level, const char *format, ...)
{
    char line[LOG_LINE_BYTES];
    int saved_errno = errno;

    pthread_mutex_lock(&sink_lock);
    struct log_sink sink = current_sink;
    pthread_mutex_unlock(&sink_lock);

    if (sink.log_fn != NULL && level <= sink.level) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        sink.log_fn(sink.opaque, level, line);
    }
    errno = saved_errno;
}
