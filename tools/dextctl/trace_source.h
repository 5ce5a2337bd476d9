/*
 * Where lines of a trace come from: files, and a program that is run for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_TRACE_SOURCE_H
#define DEXTLINK_DEXTCTL_TRACE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TRACE_SOURCES_MAX 16

struct trace_source {
    const char *name; /* borrowed */
    int fd;           /* -1: closed */
    size_t used;
    char partial[8192]; /* the line that has not ended yet is at its start */
};

/** Open a file of trace lines; from_end leaves out what it has already. Prints one line on failure.
 */
int trace_source_open(struct trace_source *source, const char *path, bool from_end);
void trace_source_close(struct trace_source *source);

/**
 * Take what is there now, without waiting, and hand out whole lines, NUL-ended, borrowed for the
 * call. false when no more can come: end of a pipe, or an error.
 */
bool trace_source_read(struct trace_source *source, void (*take)(void *context, char *line),
                       void *context);

/* A program whose trace goes into a pipe. */
struct trace_child {
    pid_t pid;
    int status; /* of waitpid, once it has ended */
    bool has_ended;
};

/**
 * Run a program with DEXTLINK_TRACE naming a pipe that source reads. Prints one line on failure.
 */
int trace_child_start(struct trace_child *child, struct trace_source *source, char **arguments);

/** Whether it has ended; does not wait. */
bool trace_child_ended(struct trace_child *child);

/** Its exit status as a shell has it: 128 and the signal's number when one ended it. */
int trace_child_status(const struct trace_child *child);

#endif
