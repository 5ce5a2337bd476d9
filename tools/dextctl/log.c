/*
 * The client library's log on stderr, in the form of the layers below it, and kept in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "log.h"

#include <apple-dext-client.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dextctl.h"
#include "output.h"

#define KEPT_MAX 262144

static const char *const level_names[] = {"error", "warning", "info", "debug"};
#define LEVEL_COUNT (sizeof(level_names) / sizeof(*level_names))
#define LEVEL_NONE  (-1)

static int printed_level = LEVEL_NONE; /* set before any thread logs */

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static char *kept;
static size_t kept_bytes;
static FILE *kept_file; /* NULL: nothing is kept */

static void keep(const char *level, const char *line)
{
    pthread_mutex_lock(&kept_lock);
    if (kept_file && ftell(kept_file) < KEPT_MAX) {
        fprintf(kept_file, "%.3f ms %s: %s\n", now_ms(), level, line);
    }
    pthread_mutex_unlock(&kept_lock);
}

static void take_line(void *opaque, AppleDextLogLevel level, const char *line)
{
    (void)opaque;
    keep(level_names[level], line);
    if ((int)level <= printed_level) {
        fprintf(stderr, "dextlink: %s: client: %s\n", level_names[level], line);
    }
}

void log_start(void)
{
    const char *wanted = getenv("DEXTLINK_LOG");

    for (size_t i = 0; wanted && i < LEVEL_COUNT; i++) {
        if (strcmp(wanted, level_names[i]) == 0) {
            printed_level = (int)i;
            apple_dext_set_log_callback(take_line, NULL, (AppleDextLogLevel)i);
        }
    }
}

void log_keep_start(void)
{
    pthread_mutex_lock(&kept_lock);
    if (!kept_file) {
        kept_file = open_memstream(&kept, &kept_bytes);
    }
    pthread_mutex_unlock(&kept_lock);
    apple_dext_set_log_callback(take_line, NULL, APPLE_DEXT_LOG_DEBUG);
}

char *log_keep_end(void)
{
    char *text = NULL;
    pthread_mutex_lock(&kept_lock);
    if (kept_file) {
        fclose(kept_file);
        text = kept;
        kept_file = NULL;
        kept = NULL;
    }
    pthread_mutex_unlock(&kept_lock);
    return text;
}
