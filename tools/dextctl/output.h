/*
 * How dextctl speaks: one-line errors on stderr, JSON and readable text on stdout.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_OUTPUT_H
#define DEXTLINK_DEXTCTL_OUTPUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/** Print "dextctl: ..." to stderr; returns STATUS_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Print "dextctl: WHERE: ..." to stderr; where may be NULL. Returns STATUS_FAILED. */
int failure(const char *where, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Write out what was printed. False when it cannot be written: whoever goes on printing stops. */
bool output_flush(void);

/** The end of the program: its exit status, after a line when the output could not be written.
 * Dies of SIGPIPE where nobody reads it. */
int output_finish(int status);

/** Print an object, indented or on one line, and drop it. */
void json_print(json_object *object);
void json_print_line(json_object *object);

/** Add a number as text: "0x" and at least digits hexadecimal digits. */
void json_add_hex(json_object *object, const char *key, uint64_t value, int digits);
void json_add_number(json_object *object, const char *key, uint64_t value);
void json_add_text(json_object *object, const char *key, const char *text);
/** A time, to the nanosecond. */
void json_add_ms(json_object *object, const char *key, double ms);
void json_add_bool(json_object *object, const char *key, int value);

/** Whether stdout is a terminal that may be written colours and cursor movements to. */
bool output_is_colourful(void);

/** Milliseconds of a clock that only goes forward. */
double now_ms(void);

/** A size for people: "4 KiB", "1 MiB", "12 bytes". Returns text. */
#define SIZE_TEXT_BYTES 32
const char *size_text(uint64_t bytes, char text[SIZE_TEXT_BYTES]);

#endif
