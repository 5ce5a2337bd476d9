/*
 * Findings of a test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "checks.h"

#include <stdarg.h>
#include <stdio.h>

#include "output.h"

#define TEXT_BYTES 512

static const char *const names[] = {"ok", "note", "warning", "failed", "skipped"};
static const char *const colours[] = {"\033[32m", "\033[2m", "\033[33m", "\033[1;31m", "\033[2m"};

void checks_begin(struct checks *checks, bool json)
{
    *checks = (struct checks){.array = json ? json_object_new_array() : NULL};
}

void checks_add(struct checks *checks, enum check_result result, const char *name,
                const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    checks->failed += result == CHECK_FAILED;
    if (checks->array) {
        json_object *object = json_object_new_object();
        json_add_text(object, "name", name);
        json_add_text(object, "result", names[result]);
        json_add_text(object, "text", text);
        json_object_array_add(checks->array, object);
        return;
    }
    bool colourful = output_is_colourful();
    printf("%s%-8s%s %-16s %s\n", colourful ? colours[result] : "", names[result],
           colourful ? "\033[0m" : "", name, text);
    output_flush();
}

json_object *checks_end(struct checks *checks)
{
    json_object *array = checks->array;
    checks->array = NULL;
    return array;
}
