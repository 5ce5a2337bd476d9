/*
 * Running steps and printing a line each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "step.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

#define COLOUR_GOOD  "\033[32m"
#define COLOUR_BAD   "\033[1;31m"
#define COLOUR_FAINT "\033[2m"
#define COLOUR_NONE  "\033[0m"

static void append(struct saying *saying, const char *format, va_list arguments)
{
    size_t used = strlen(saying->text);
    vsnprintf(saying->text + used, sizeof(saying->text) - used, format, arguments);
}

void say(struct saying *saying, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(saying, format, arguments);
    va_end(arguments);
}

bool blame(struct saying *saying, const char *format, ...)
{
    va_list arguments;
    saying->text[0] = '\0';
    va_start(arguments, format);
    append(saying, format, arguments);
    va_end(arguments);
    return false;
}

bool blame_code(struct saying *saying, kern_return_t code, const char *what)
{
    return blame(saying, "%s: %s", what, code_text(code));
}

static void print_line(bool colourful, const char *colour, const char *verdict, const char *time,
                       const char *name, const char *text)
{
    printf("%s%-6s%s %10s  %-10s  %s\n", colourful ? colour : "", verdict,
           colourful ? COLOUR_NONE : "", time, name, text);
    output_flush();
}

static void time_text(double milliseconds, char text[24])
{
    snprintf(text, 24, "%.3f ms", milliseconds);
}

bool steps_run(const struct step *steps, size_t count, void *subject)
{
    bool colourful = output_is_colourful();
    double start = now_ms();
    size_t done = 0;
    bool ok = true;
    char time[24];

    while (done < count && ok) {
        struct saying saying = {""};
        double step_start = now_ms();
        ok = steps[done].run(subject, &saying);
        time_text(now_ms() - step_start, time);
        print_line(colourful, ok ? COLOUR_GOOD : COLOUR_BAD, ok ? "ok" : "FAILED", time,
                   steps[done].name, saying.text);
        done++;
    }
    for (size_t i = done; i < count; i++) {
        print_line(colourful, COLOUR_FAINT, "-", "", steps[i].name, "not run");
    }
    time_text(now_ms() - start, time);
    if (ok) {
        printf("\nall %zu steps passed in %s\n", count, time);
    } else {
        printf("\nstep %zu of %zu failed: %s\n", done, count, steps[done - 1].name);
    }
    return ok;
}
