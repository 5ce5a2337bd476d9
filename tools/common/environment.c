/*
 * Environment variables that every program of the project reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_level(const char *text)
{
    return strcmp(text, "error") == 0 || strcmp(text, "warning") == 0 ||
           strcmp(text, "info") == 0 || strcmp(text, "debug") == 0;
}

static bool is_switch(const char *text)
{
    return strcmp(text, "on") == 0 || strcmp(text, "off") == 0;
}

/* As src/base/patience.h reads it. */
static bool is_patience(const char *text)
{
    char *end;
    long seconds = strtol(text, &end, 10);
    return *end == '\0' && seconds >= 1 && seconds <= 86400;
}

static const struct {
    const char *name;
    bool (*is_known)(const char *text);
    const char *wanted;
} variables[] = {
    {"DEXTLINK_LOG", is_level, "error, warning, info or debug"},
    {"DEXTLINK_SLOTS", is_switch, "on or off"},
    {"DEXTLINK_PATIENCE", is_patience, "whole seconds, 1 to 86400"},
};

bool environment_check(const char *program)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
        const char *text = getenv(variables[i].name);
        if (text && text[0] && !variables[i].is_known(text)) {
            fprintf(stderr, "%s: %s=%s: want %s\n", program, variables[i].name, text,
                    variables[i].wanted);
            return false;
        }
    }
    return true;
}
