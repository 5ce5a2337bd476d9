/*
 * dextctl bar: describes base address registers, and reads and writes what is behind them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>

#include "bar.h"
#include "capability.h"
#include "dextctl.h"
#include "output.h"
#include "session.h"
#include "verb.h"

/* Where to access, and how: by the mapping, or by calls when address is 0. */
struct place {
    struct bar bar;
    uint64_t offset;
    mach_vm_address_t address;
};

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

/* All count values must lie inside. */
static int check_place(const struct session *session, const struct place *place, uint64_t width,
                       uint64_t count)
{
    if (!place->bar.exists) {
        return failure(session->name, "BAR %u is unused or the upper half of the one before",
                       place->bar.index);
    }
    if (place->bar.type & BAR_TYPE_IO) {
        return failure(session->name,
                       "BAR %u is I/O ports: unsupported, the dext reaches memory BARs only",
                       place->bar.index);
    }
    if (place->offset > place->bar.size || (place->bar.size - place->offset) / width < count) {
        return failure(session->name,
                       "offset 0x%" PRIx64 " is outside BAR %u (0x%" PRIx64 " bytes)",
                       place->offset, place->bar.index, place->bar.size);
    }
    return STATUS_OK;
}

static int open_place(const struct session *session, const struct options *options,
                      const struct arguments *arguments, uint64_t count, struct place *place)
{
    mach_vm_size_t size;
    uint8_t type;

    *place = (struct place){.offset = arguments->offset};
    kern_return_t code = bar_get(session, arguments->bar, &place->bar);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot get information on BAR %u", arguments->bar);
    }
    int status = check_place(session, place, options->width, count);
    if (status != STATUS_OK || (options->given & OPTION_CALL)) {
        return status;
    }
    code = apple_dext_map_bar(session->connection, arguments->bar, &place->address, &size, &type);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot map BAR %u (--call needs no mapping)",
                               arguments->bar);
    }
    return STATUS_OK;
}

static void close_place(const struct session *session, const struct place *place)
{
    if (place->address) {
        apple_dext_unmap_bar(session->connection, place->bar.index, place->address);
    }
}

static kern_return_t read_value(const struct session *session, const struct place *place,
                                uint64_t offset, uint64_t width, uint64_t *value)
{
    if (place->address) {
        *value = bar_load(place->address + offset, width);
        return KERN_SUCCESS;
    }
    return apple_dext_mmio_read(session->connection, place->bar.memory_index, offset, width, value);
}

static void print_value(const struct options *options, uint64_t offset, uint64_t value,
                        uint64_t count)
{
    if (count > 1) {
        printf("%06" PRIx64 ": ", offset);
    }
    printf("0x%0*" PRIx64 "\n", (int)options->width * 2, value);
}

static void print_values_json(const struct session *session, const struct options *options,
                              const struct place *place, json_object *values)
{
    json_object *object = json_object_new_object();
    json_add_text(object, "address", session->name);
    json_add_number(object, "bar", place->bar.index);
    json_add_hex(object, "offset", place->offset, 1);
    json_add_number(object, "width", options->width);
    json_add_text(object, "path", place->address ? "mapping" : "call");
    json_object_object_add(object, "values", values);
    json_print(object);
}

static int run_read(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    uint64_t count = options->count ? options->count : 1;
    struct place place;

    int status = open_place(session, options, arguments, count, &place);
    if (status != STATUS_OK) {
        return status;
    }
    json_object *values = options->json ? json_object_new_array() : NULL;
    for (uint64_t i = 0; i < count && status == STATUS_OK; i++) {
        uint64_t offset = place.offset + i * options->width;
        uint64_t value;
        kern_return_t code = read_value(session, &place, offset, options->width, &value);
        if (code != KERN_SUCCESS) {
            status = session_failure(session, code, "cannot read BAR %u at 0x%" PRIx64,
                                     place.bar.index, offset);
        } else if (values) {
            char text[24];
            snprintf(text, sizeof(text), "0x%0*" PRIx64, (int)options->width * 2, value);
            json_object_array_add(values, json_object_new_string(text));
        } else {
            print_value(options, offset, value, count);
        }
    }
    if (values && status == STATUS_OK) {
        print_values_json(session, options, &place, values);
    } else {
        json_object_put(values);
    }
    close_place(session, &place);
    return status;
}

static int run_write(const struct session *session, const struct options *options,
                     const struct arguments *arguments)
{
    struct place place;

    int status = open_place(session, options, arguments, 1, &place);
    if (status != STATUS_OK) {
        return status;
    }
    if (place.address) {
        bar_store(place.address + place.offset, options->width, arguments->value);
    } else {
        kern_return_t code = apple_dext_mmio_write(session->connection, place.bar.memory_index,
                                                   place.offset, options->width, arguments->value);
        if (code != KERN_SUCCESS) {
            status = session_failure(session, code, "cannot write BAR %u at 0x%" PRIx64,
                                     place.bar.index, place.offset);
        }
    }
    close_place(session, &place);
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
        .synopsis = "bar write ADDR BAR OFFSET VALUE [--width N] [--call]",
        .arguments = "bov",
        .width_max = 8,
        .accepts = OPTION_HOST | OPTION_WIDTH | OPTION_CALL,
        .access = SESSION_CLAIM,
        .run = run_write,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_bar.name, verbs, options, argc, argv);
}

const struct command command_bar = {
    .name = "bar",
    .summary = "describe, read or write what is behind a BAR",
    .synopsis = "info|read|write ADDR ...",
    .details =
        "  dextctl bar info ADDR [BAR]                            sizes and types\n"
        "  dextctl bar read ADDR BAR OFFSET [--width N] [-n N]    print N values\n"
        "  dextctl bar write ADDR BAR OFFSET VALUE [--width N]    write one value\n"
        "\n"
        "Accesses are single loads and stores of the given width through the mapped BAR;\n"
        "with --call they are calls of the driver. Reading a register may have side effects.\n"
        "\n"
        "Examples:\n"
        "  dextctl bar info 01:00.0\n"
        "  dextctl bar read 01:00.0 0 0x0\n"
        "  dextctl bar write 01:00.0 0 0x4 0x12345678 --call\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH | OPTION_COUNT | OPTION_CALL,
    .arguments_min = 1,
    .arguments_max = 8, /* the verb knows */
    .run = run,
};
