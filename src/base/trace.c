/*
 * Hop trace to the file named by DEXTLINK_TRACE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Atomic enum trace_state trace_state;
static pthread_once_t trace_once = PTHREAD_ONCE_INIT;
static int trace_fd = -1;
static _Atomic uint64_t trace_next_id;
static _Thread_local uint64_t trace_call_id;

static void trace_open(void)
{
    const char *path = getenv("DEXTLINK_TRACE");
    if (!path || !*path) {
        atomic_store(&trace_state, TRACE_OFF);
        return;
    }
    trace_fd = strcmp(path, "-") == 0 ? STDERR_FILENO
                                      : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace_fd < 0) {
        fprintf(stderr, "dextlink: DEXTLINK_TRACE=%s: %s\n", path, strerror(errno));
    }
    atomic_store(&trace_next_id, (uint64_t)getpid() << 32);
    atomic_store(&trace_state, trace_fd >= 0 ? TRACE_ON : TRACE_OFF);
}

bool trace_look(void)
{
    pthread_once(&trace_once, trace_open);
    return atomic_load(&trace_state) == TRACE_ON;
}

uint64_t trace_new_call(void)
{
    return trace_is_on() ? atomic_fetch_add(&trace_next_id, 1) + 1 : 0;
}

uint64_t trace_current_call(void)
{
    return trace_call_id;
}

void trace_set_current_call(uint64_t call_id)
{
    trace_call_id = call_id;
}

uint64_t trace_begin_call(void)
{
    uint64_t outer = trace_call_id;
    if (outer == 0) {
        trace_call_id = trace_new_call();
    }
    return outer;
}

void trace_end_call(uint64_t outer)
{
    trace_call_id = outer;
}

/* Said once: whoever asked for the trace looks at stderr for where it ends. */
static void trace_give_up(int error)
{
    if (atomic_exchange(&trace_state, TRACE_OFF) == TRACE_ON) {
        fprintf(stderr, "dextlink: DEXTLINK_TRACE=%s: %s: the trace ends here\n",
                getenv("DEXTLINK_TRACE"), strerror(error));
    }
}

void trace_write(const char *hop, const char *format, ...)
{
    int saved_errno = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[512];
    int used = snprintf(line, sizeof(line), "%lld.%09ld call=%llx %-8s ", (long long)now.tv_sec,
                        now.tv_nsec, (unsigned long long)trace_call_id, hop);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);
    va_end(arguments);
    if (more > 0) {
        used += more < (int)sizeof(line) - used - 1 ? more : (int)sizeof(line) - used - 2;
    }
    line[used++] = '\n';
    /* One write a line: lines of several processes in one file stay whole. */
    if (write(trace_fd, line, (size_t)used) < 0 && errno != EINTR && errno != EAGAIN) {
        trace_give_up(errno);
    }
    errno = saved_errno;
}
