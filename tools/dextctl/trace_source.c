/*
 * Reading trace lines from files and from a program's pipe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "trace_source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dextctl.h"
#include "output.h"

extern char **environ;

#define STATUS_SIGNAL 128

int trace_source_open(struct trace_source *source, const char *path, bool from_end)
{
    *source = (struct trace_source){.name = path};
    source->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (source->fd < 0) {
        return failure(path, "%s", strerror(errno));
    }
    if (from_end) {
        lseek(source->fd, 0, SEEK_END); /* a pipe has no end to go to */
    }
    return STATUS_OK;
}

void trace_source_close(struct trace_source *source)
{
    if (source->fd >= 0) {
        close(source->fd);
        source->fd = -1;
    }
}

/* What never ends its line is no trace: it is dropped when it fills the buffer. */
static void hand_out(struct trace_source *source, void (*take)(void *context, char *line),
                     void *context)
{
    char *start = source->partial;
    char *end = source->partial + source->used;
    char *newline;
    while ((newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
        *newline = '\0';
        take(context, start);
        start = newline + 1;
    }
    source->used = start == source->partial && source->used == sizeof(source->partial)
                       ? 0
                       : (size_t)(end - start);
    memmove(source->partial, start, source->used);
}

bool trace_source_read(struct trace_source *source, void (*take)(void *context, char *line),
                       void *context)
{
    while (source->fd >= 0) {
        ssize_t got = read(source->fd, source->partial + source->used,
                           sizeof(source->partial) - source->used);
        if (got > 0) {
            source->used += (size_t)got;
            hand_out(source, take, context);
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else {
            return got < 0 && errno == EAGAIN;
        }
    }
    return false;
}

static int spawn(struct trace_child *child, char **arguments)
{
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int error = posix_spawnattr_init(&attributes);
    if (error) {
        return error;
    }
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGQUIT);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    error = posix_spawnp(&child->pid, arguments[0], NULL, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    return error;
}

int trace_child_start(struct trace_child *child, struct trace_source *source, char **arguments)
{
    int ends[2];
    char path[32];

    *child = (struct trace_child){0};
    *source = (struct trace_source){.name = "pipe", .fd = -1};
    if (pipe(ends) != 0) {
        return failure(NULL, "cannot make a pipe: %s", strerror(errno));
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
    setenv("DEXTLINK_TRACE", path, 1);
    int error = spawn(child, arguments);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return failure(NULL, "cannot run %s: %s", arguments[0], strerror(error));
    }
    source->fd = ends[0];
    return STATUS_OK;
}

bool trace_child_ended(struct trace_child *child)
{
    if (!child->has_ended && waitpid(child->pid, &child->status, WNOHANG) == child->pid) {
        child->has_ended = true;
    }
    return child->has_ended;
}

int trace_child_status(const struct trace_child *child)
{
    return WIFSIGNALED(child->status) ? STATUS_SIGNAL + WTERMSIG(child->status)
                                      : WEXITSTATUS(child->status);
}
