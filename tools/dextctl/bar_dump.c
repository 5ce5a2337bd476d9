/*
 * bar dump and bar fill: stretches of a BAR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bar_verbs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "place.h"

#define ROW_BYTES     16
#define DEFAULT_BYTES 256

/* Lay a value out as it lies in the device, lowest byte first. */
static void unpack(uint8_t *bytes, uint64_t value, uint64_t width)
{
    for (uint64_t i = 0; i < width; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

static int read_bytes(const struct place *place, uint64_t at, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i += place->width) {
        uint64_t value = 0;
        int status = place_read(place, at + i, &value);
        if (status != STATUS_OK) {
            return status;
        }
        unpack(bytes + i, value, place->width);
    }
    return STATUS_OK;
}

static bool all_ones(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0xff) {
            return false;
        }
    }
    return true;
}

static void print_row(uint64_t offset, const uint8_t *bytes, size_t count)
{
    printf("%06" PRIx64 ": ", offset);
    for (size_t i = 0; i < ROW_BYTES; i++) {
        printf(i < count ? "%s%02x " : "%s   ", i == ROW_BYTES / 2 ? " " : "", bytes[i]);
    }
    fputs(" |", stdout);
    for (size_t i = 0; i < count; i++) {
        putchar(isprint(bytes[i]) && bytes[i] < 0x80 ? bytes[i] : '.');
    }
    puts("|");
}

/* Rows that repeat the one before become one "*", as hexdump prints them; the last is shown. */
static int dump_text(const struct place *place)
{
    uint8_t before[ROW_BYTES] = {0};
    bool is_skipping = false;
    bool only_ones = true;

    for (uint64_t at = 0; at < place->bytes; at += ROW_BYTES) {
        uint64_t left = place->bytes - at;
        size_t count = left < ROW_BYTES ? (size_t)left : ROW_BYTES;
        uint8_t row[ROW_BYTES] = {0};
        int status = read_bytes(place, at, row, count);
        if (status != STATUS_OK) {
            return status;
        }
        only_ones = only_ones && all_ones(row, count);
        bool repeats = at > 0 && left > ROW_BYTES && memcmp(row, before, ROW_BYTES) == 0;
        if (!repeats) {
            print_row(place->offset + at, row, count);
        } else if (!is_skipping) {
            puts("*");
        }
        is_skipping = repeats;
        memcpy(before, row, ROW_BYTES);
    }
    return only_ones ? place_confirm_ones(place) : STATUS_OK;
}

static void print_json(const struct place *place, const uint8_t *bytes, char *hex)
{
    json_object *object = json_object_new_object();

    for (size_t i = 0; i < place->bytes; i++) {
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    json_add_text(object, "address", place->session->name);
    json_add_number(object, "bar", place->bar.index);
    json_add_hex(object, "offset", place->offset, 1);
    json_add_number(object, "length", place->bytes);
    json_add_number(object, "width", place->width);
    json_add_text(object, "path", place_path(place));
    json_add_text(object, "data", hex);
    json_print(object);
}

static int dump_json(const struct place *place)
{
    size_t length = (size_t)place->bytes;
    uint8_t *bytes = malloc(length);
    char *hex = malloc(2 * length + 1);
    int status = STATUS_OK;

    if (!bytes || !hex) {
        status = failure(place->session->name, "no memory for %zu bytes", length);
    }
    if (status == STATUS_OK) {
        status = read_bytes(place, 0, bytes, length);
    }
    if (status == STATUS_OK && all_ones(bytes, length)) {
        status = place_confirm_ones(place);
    }
    if (status == STATUS_OK) {
        print_json(place, bytes, hex);
    }
    free(bytes);
    free(hex);
    return status;
}

int bar_run_dump(const struct session *session, const struct options *options,
                 const struct arguments *arguments)
{
    struct place place;

    int status = place_open(&place, session, options, arguments, arguments->length, DEFAULT_BYTES);
    if (status == STATUS_OK) {
        status = options->json ? dump_json(&place) : dump_text(&place);
        place_close(&place);
    }
    return status;
}

/* Posted writes can vanish without an error (past a window, to a BAR that is smaller): look. */
static int verify(const struct place *place, uint64_t wanted)
{
    for (uint64_t at = 0; at < place->bytes; at += place->width) {
        uint64_t value = 0;
        int status = place_read(place, at, &value);
        if (status == STATUS_OK && value == place_ones(place) && value != wanted) {
            status = place_confirm_ones(place);
        }
        if (status == STATUS_OK && value != wanted) {
            int digits = (int)place->width * 2;
            status =
                failure(place->session->name,
                        "BAR %u reads 0x%0*" PRIx64 " at 0x%" PRIx64 ", was written 0x%0*" PRIx64,
                        place->bar.index, digits, value, place->offset + at, digits, wanted);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

int bar_run_fill(const struct session *session, const struct options *options,
                 const struct arguments *arguments)
{
    struct place place;

    int status = place_open(&place, session, options, arguments, arguments->length, 0);
    if (status != STATUS_OK) {
        return status;
    }
    status = place_check_harm(&place, options);
    for (uint64_t at = 0; at < place.bytes && status == STATUS_OK; at += place.width) {
        status = place_write(&place, at, arguments->value);
    }
    if (status == STATUS_OK && (options->given & OPTION_VERIFY)) {
        status = verify(&place, arguments->value);
    }
    place_close(&place);
    return status;
}
