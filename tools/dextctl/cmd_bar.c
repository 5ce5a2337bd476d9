/*
 * dextctl bar: describes base address registers, and reads and writes what is behind them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "bar.h"
#include "bar_verbs.h"
#include "dextctl.h"
#include "output.h"
#include "place.h"
#include "session.h"
#include "verb.h"

static int run_info(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    struct bar bars[BAR_COUNT] = {{0}};
    uint8_t first = arguments->bar;
    size_t count = arguments->has_bar ? 1 : BAR_COUNT;

    for (size_t i = 0; i < count; i++) {
        kern_return_t code = bar_get(session, (uint8_t)(first + i), &bars[i]);
        if (code != KERN_SUCCESS) {
            return session_failure(session, code, "cannot get information on BAR %zu", first + i);
        }
    }
    if (arguments->has_bar && !bars[0].exists) {
        return failure(session->name, "BAR %u is unused or the upper half of the one before",
                       first);
    }
    if (options->json) {
        json_object *top = json_object_new_object();
        json_add_text(top, "address", session->name);
        json_object_object_add(top, "bars", bar_table_json(bars, count));
        json_print(top);
    } else {
        bar_print_table(bars, count);
    }
    return STATUS_OK;
}

static void print_value(const struct options *options, uint64_t offset, uint64_t value,
                        uint64_t count)
{
    if (count > 1) {
        printf("%06" PRIx64 ": ", offset);
    }
    printf("0x%0*" PRIx64 "\n", (int)options->width * 2, value);
}

static void print_values_json(const struct place *place, json_object *values)
{
    json_object *object = json_object_new_object();
    json_add_text(object, "address", place->session->name);
    json_add_number(object, "bar", place->bar.index);
    json_add_hex(object, "offset", place->offset, 1);
    json_add_number(object, "width", place->width);
    json_add_text(object, "path", place_path(place));
    json_object_object_add(object, "values", values);
    json_print(object);
}

static void add_value(json_object *values, uint64_t value, uint64_t width)
{
    char text[24];
    snprintf(text, sizeof(text), "0x%0*" PRIx64, (int)width * 2, value);
    json_object_array_add(values, json_object_new_string(text));
}

static int run_read(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    uint64_t count = options->count ? options->count : 1;
    bool only_ones = true;
    struct place place;

    int status = place_open(&place, session, options, arguments, count * options->width, 0);
    if (status != STATUS_OK) {
        return status;
    }
    json_object *values = options->json ? json_object_new_array() : NULL;
    for (uint64_t i = 0; i < count && status == STATUS_OK; i++) {
        uint64_t value = 0;
        status = place_read(&place, i * place.width, &value);
        if (status != STATUS_OK) {
            break;
        }
        only_ones = only_ones && value == place_ones(&place);
        if (values) {
            add_value(values, value, place.width);
        } else {
            print_value(options, place.offset + i * place.width, value, count);
        }
    }
    if (status == STATUS_OK && only_ones) {
        status = place_confirm_ones(&place);
    }
    if (values && status == STATUS_OK) {
        print_values_json(&place, values);
    } else {
        json_object_put(values);
    }
    place_close(&place);
    return status;
}

static int run_write(const struct session *session, const struct options *options,
                     const struct arguments *arguments)
{
    struct place place;

    int status = place_open(&place, session, options, arguments, options->width, 0);
    if (status != STATUS_OK) {
        return status;
    }
    status = place_check_harm(&place, options);
    if (status == STATUS_OK) {
        status = place_write(&place, 0, arguments->value);
    }
    place_close(&place);
    return status;
}

static const struct verb verbs[] = {
    {
        .name = "info",
        .synopsis = "bar info ADDR [BAR]",
        .arguments = "b",
        .optional = 1,
        .accepts = OPTION_HOST | OPTION_JSON,
        .access = SESSION_LOOK,
        .run = run_info,
    },
    {
        .name = "read",
        .synopsis = "bar read ADDR BAR OFFSET [--width N] [--count N] [--call]",
        .arguments = "bo",
        .width_max = 8,
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH | OPTION_COUNT | OPTION_CALL,
        .access = SESSION_CLAIM,
        .run = run_read,
    },
    {
        .name = "write",
        .synopsis = "bar write ADDR BAR OFFSET VALUE [--width N] [--call] [--force]",
        .arguments = "bov",
        .width_max = 8,
        .accepts = OPTION_HOST | OPTION_WIDTH | OPTION_CALL | OPTION_FORCE,
        .access = SESSION_CLAIM,
        .run = run_write,
    },
    {
        .name = "dump",
        .synopsis = "bar dump ADDR BAR [OFFSET [LENGTH]] [--width N] [--call]",
        .arguments = "bol",
        .optional = 2,
        .width_max = 8,
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH | OPTION_CALL,
        .access = SESSION_CLAIM,
        .run = bar_run_dump,
    },
    {
        .name = "fill",
        .synopsis = "bar fill ADDR BAR OFFSET LENGTH VALUE [--width N] [--call] [--verify] "
                    "[--force]",
        .arguments = "bolv",
        .width_max = 8,
        .accepts = OPTION_HOST | OPTION_WIDTH | OPTION_CALL | OPTION_VERIFY | OPTION_FORCE,
        .access = SESSION_CLAIM,
        .run = bar_run_fill,
    },
    {
        .name = "watch",
        .synopsis = "bar watch ADDR BAR [OFFSET [LENGTH]] [--interval S] [--count N] "
                    "[--seconds S] [--width N] [--call]",
        .arguments = "bol",
        .optional = 2,
        .width_max = 8,
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH | OPTION_CALL | OPTION_INTERVAL |
                   OPTION_COUNT | OPTION_SECONDS,
        .access = SESSION_CLAIM,
        .check = bar_check_watch,
        .run = bar_run_watch,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_bar.name, verbs, options, argc, argv);
}

const struct command command_bar = {
    .name = "bar",
    .summary = "describe, read, write or watch what is behind a BAR",
    .synopsis = "info|read|write|dump|fill|watch ADDR ...",
    .details =
        "  dextctl bar info ADDR [BAR]                      sizes and types\n"
        "  dextctl bar read ADDR BAR OFFSET [-n N]          print N values\n"
        "  dextctl bar write ADDR BAR OFFSET VALUE          write one value\n"
        "  dextctl bar dump ADDR BAR [OFFSET [LENGTH]]      print bytes and characters (256)\n"
        "  dextctl bar fill ADDR BAR OFFSET LENGTH VALUE    write a value over and over\n"
        "  dextctl bar watch ADDR BAR [OFFSET [LENGTH]]     show what changes (64 bytes)\n"
        "\n"
        "Accesses are single loads and stores of --width bytes through the mapped BAR; with "
        "--call\n"
        "they are calls of the driver. Reading a register may have side effects.\n"
        "\n"
        "dump prints \"*\" for rows equal to the one before. fill --verify reads everything back:\n"
        "writes past a bridge's window vanish without an error. watch looks every half second or\n"
        "--interval; on a terminal it shows the values in place with changed ones marked, else a\n"
        "line a change. It ends after --count looks, after --seconds, or at Ctrl-C.\n"
        "\n"
        "write and fill refuse the MSI-X table and its pending bits, which are the host's, unless\n"
        "--force is given. Where all that was read is ones the vendor ID is read too, so that a\n"
        "device that has gone is an error.\n"
        "\n"
        "Examples:\n"
        "  dextctl bar info 01:00.0\n"
        "  dextctl bar read 01:00.0 0 0x0\n"
        "  dextctl bar write 01:00.0 0 0x4 0x12345678 --call\n"
        "  dextctl bar dump 02:00.0 2 0x1000 64 --width 8\n"
        "  dextctl bar fill 02:00.0 2 0 1M 0 --verify\n"
        "  dextctl bar watch 01:00.0 0 0x20 8 --interval 0.1\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH | OPTION_COUNT | OPTION_CALL |
               OPTION_SECONDS | OPTION_INTERVAL | OPTION_VERIFY | OPTION_FORCE,
    .arguments_min = 1,
    .arguments_max = INT_MAX, /* the verb knows */
    .run = run,
};
