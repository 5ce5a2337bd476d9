/*
 * Lines on stderr.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "speak.h"

#include <json-c/json.h>
#include <stdio.h>
#include <time.h>

#include "apple-dext-client.h"

static const char *const level_names[] = {"error", "warning", "info", "trace"};

/* stdio locks the stream for each call, so that lines of several threads stay whole. */
static void print_text(void *opaque, enum vu_level level, const char *line)
{
    (void)opaque;
    fprintf(stderr, "dext-vfio-user: %s%s\n",
            level == VU_LEVEL_ERROR     ? "error: "
            : level == VU_LEVEL_WARNING ? "warning: "
                                        : "",
            line);
}

static void print_json(void *opaque, enum vu_level level, const char *line)
{
    struct timespec now;
    json_object *object = json_object_new_object();
    (void)opaque;
    if (!object || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        json_object_put(object);
        return;
    }
    char seconds[40];
    snprintf(seconds, sizeof(seconds), "%lld.%06ld", (long long)now.tv_sec, now.tv_nsec / 1000);
    json_object_object_add(
        object, "time",
        json_object_new_double_s((double)now.tv_sec + (double)now.tv_nsec / 1e9, seconds));
    json_object_object_add(object, "level", json_object_new_string(level_names[level]));
    json_object_object_add(object, "message", json_object_new_string(line));
    fprintf(stderr, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
    json_object_put(object);
}

static void print_client(void *opaque, AppleDextLogLevel level, const char *line)
{
    const struct vu_report *report = opaque;
    vu_say(report, level <= APPLE_DEXT_LOG_WARNING ? VU_LEVEL_WARNING : VU_LEVEL_TRACE,
           "client library: %s", line);
}

void speak_start(struct vu_report *report, bool is_json, bool is_verbose)
{
    *report = (struct vu_report){.line = is_json ? print_json : print_text,
                                 .level = is_verbose ? VU_LEVEL_TRACE : VU_LEVEL_INFO};
    if (is_verbose) {
        apple_dext_set_log_callback(print_client, report, APPLE_DEXT_LOG_DEBUG);
    }
}
