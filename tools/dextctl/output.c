/*
 * One-line errors, JSON helpers, sizes and time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dextctl.h"

static int output_error; /* the first errno of writing stdout, 0: none, or not known */

static void note(int result)
{
    if (result == EOF && output_error == 0) {
        output_error = errno;
    }
}

bool output_flush(void)
{
    note(fflush(stdout));
    return !ferror(stdout);
}

int output_finish(int status)
{
    if (output_flush()) {
        return status;
    }
    if (output_error == EPIPE) {
        /* Written by a thread that blocks signals. Returns where SIGPIPE is ignored. */
        raise(SIGPIPE);
    }
    if (status == STATUS_USAGE) {
        return status;
    }
    return failure(NULL, "cannot write the output%s%s", output_error ? ": " : "",
                   output_error ? strerror(output_error) : "");
}

static void complain(const char *where, const char *format, va_list arguments)
{
    output_flush(); /* keeps the order when both go to one place */
    fputs("dextctl: ", stderr);
    if (where) {
        fprintf(stderr, "%s: ", where);
    }
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int usage_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(NULL, format, arguments);
    va_end(arguments);
    return STATUS_USAGE;
}

int failure(const char *where, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(where, format, arguments);
    va_end(arguments);
    return STATUS_FAILED;
}

void json_print(json_object *object)
{
    note(puts(json_object_to_json_string_ext(
        object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                    JSON_C_TO_STRING_NOSLASHESCAPE))); /* a long text is written at once */
    json_object_put(object);
}

void json_print_line(json_object *object)
{
    note(puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE)));
    output_flush(); /* whoever reads a stream of lines wants each when it happens */
    json_object_put(object);
}

void json_add_hex(json_object *object, const char *key, uint64_t value, int digits)
{
    char text[24];
    snprintf(text, sizeof(text), "0x%0*" PRIx64, digits, value);
    json_object_object_add(object, key, json_object_new_string(text));
}

void json_add_number(json_object *object, const char *key, uint64_t value)
{
    json_object_object_add(object, key, json_object_new_uint64(value));
}

void json_add_text(json_object *object, const char *key, const char *text)
{
    json_object_object_add(object, key, json_object_new_string(text));
}

void json_add_ms(json_object *object, const char *key, double ms)
{
    char text[40];
    snprintf(text, sizeof(text), "%.6f", ms);
    json_object_object_add(object, key, json_object_new_double_s(ms, text));
}

void json_add_bool(json_object *object, const char *key, int value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}

bool output_is_colourful(void)
{
    const char *refused = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(refused && refused[0]) &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}

double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

const char *size_text(uint64_t bytes, char text[SIZE_TEXT_BYTES])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (unit + 1 < sizeof(units) / sizeof(*units) && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, SIZE_TEXT_BYTES, "%" PRIu64 " %s", bytes,
             bytes == 1 && unit == 0 ? "byte" : units[unit]);
    return text;
}
