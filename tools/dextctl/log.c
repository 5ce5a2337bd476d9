/*
 * The client library's log on stderr, in the form of the layers below it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "log.h"

#include <apple-dext-client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dextctl.h"
#include "output.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};
#define LEVEL_COUNT (sizeof(level_names) / sizeof(*level_names))

static void print_line(void *opaque, AppleDextLogLevel level, const char *line)
{
    (void)opaque;
    fprintf(stderr, "dextlink: %s: client: %s\n", level_names[level], line);
}

int log_start(void)
{
    const char *wanted = getenv("DEXTLINK_LOG");

    if (!wanted || !wanted[0]) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(wanted, level_names[i]) == 0) {
            apple_dext_set_log_callback(print_line, NULL, (AppleDextLogLevel)i);
            return STATUS_OK;
        }
    }
    return usage_error("DEXTLINK_LOG=%s: want error, warning, info or debug", wanted);
}
