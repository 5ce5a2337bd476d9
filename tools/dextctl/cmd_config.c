/*
 * dextctl config: reads, writes and dumps configuration space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "capability.h"
#include "dextctl.h"
#include "dump.h"
#include "guard.h"
#include "instance.h"
#include "output.h"
#include "register.h"
#include "session.h"
#include "verb.h"

#define REGISTERS_MAX 64
#define NAME_COLUMNS  20

/* One register of a write: what goes there, and which bits of it. */
struct change {
    struct register_place place;
    uint32_t value;
    uint32_t mask;
};

static uint32_t width_mask(uint8_t width)
{
    return UINT32_MAX >> (32 - 8 * width);
}

static int check_read(const struct options *options, const struct arguments *arguments)
{
    struct register_place place;
    int status = STATUS_OK;

    if (arguments->word_count > REGISTERS_MAX) {
        return usage_error("at most %d registers at a time", REGISTERS_MAX);
    }
    for (int i = 0; i < arguments->word_count && status == STATUS_OK; i++) {
        status = register_parse(arguments->words[i], options, &place);
    }
    return status;
}

/* Read the image when a place asks for it, once. */
static int find(const struct session *session, struct register_place *place,
                struct config_image *image)
{
    if (register_needs_image(place) && image->length == 0) {
        kern_return_t code = config_image_read(session, image);
        if (code != KERN_SUCCESS) {
            return session_failure(session, code, "cannot read config space");
        }
    }
    return register_resolve(place, session, image);
}

static void print_register(const struct options *options, const struct register_place *place,
                           uint32_t value, bool alone, json_object *array)
{
    if (!options->json) {
        if (!alone) {
            printf("%03x  %-*s  ", place->offset, NAME_COLUMNS, place->text);
        }
        printf("0x%0*" PRIx32 "\n", place->width * 2, value);
        return;
    }
    json_object *object = json_object_new_object();
    json_add_text(object, "register", place->text);
    json_add_hex(object, "offset", place->offset, 2);
    json_add_number(object, "width", place->width);
    json_add_hex(object, "value", value, place->width * 2);
    json_object_array_add(array, object);
}

static int run_read(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    json_object *array = options->json ? json_object_new_array() : NULL;
    struct config_image image = {.length = 0};
    int status = STATUS_OK;

    for (int i = 0; i < arguments->word_count && status == STATUS_OK; i++) {
        struct register_place place;
        uint64_t value = 0;
        register_parse(arguments->words[i], options, &place);
        status = find(session, &place, &image);
        if (status != STATUS_OK) {
            break;
        }
        kern_return_t code =
            apple_dext_config_read(session->connection, place.offset, place.width, &value);
        if (code != KERN_SUCCESS) {
            status =
                session_failure(session, code, "cannot read config space at 0x%x", place.offset);
        } else {
            print_register(options, &place, (uint32_t)value, arguments->word_count == 1, array);
        }
    }
    if (array && status == STATUS_OK) {
        json_object *top = json_object_new_object();
        json_add_text(top, "address", session->name);
        json_object_object_add(top, "registers", array);
        json_print(top);
    } else {
        json_object_put(array);
    }
    return status;
}

/* VALUE or VALUE:MASK; fits is what a width can hold. */
static int parse_change_value(const char *text, struct change *change)
{
    uint8_t width = change->place.width ? change->place.width : 4;
    const char *colon = strchr(text, ':');
    uint64_t value, mask = width_mask(width);
    char head[24] = "";

    if (colon && colon - text < (int)sizeof(head)) {
        memcpy(head, text, (size_t)(colon - text));
    }
    if (!number_parse(colon ? head : text, width_mask(width), &value) ||
        (colon && !number_parse(colon + 1, width_mask(width), &mask))) {
        return usage_error("\"%s\" is no value of %u byte%s", text, width, width == 1 ? "" : "s");
    }
    change->value = (uint32_t)value;
    change->mask = (uint32_t)mask;
    return STATUS_OK;
}

static int parse_changes(const struct options *options, const struct arguments *arguments,
                         struct change *changes)
{
    int status = STATUS_OK;

    for (int i = 0; i + 1 < arguments->word_count && status == STATUS_OK; i += 2) {
        struct change *change = &changes[i / 2];
        status = register_parse(arguments->words[i], options, &change->place);
        if (status == STATUS_OK && change->place.width == 0) {
            return usage_error("%s: how wide is it? Say .B, .W or .L", arguments->words[i]);
        }
        if (status == STATUS_OK) {
            status = parse_change_value(arguments->words[i + 1], change);
        }
    }
    return status;
}

static int check_write(const struct options *options, const struct arguments *arguments)
{
    struct change changes[REGISTERS_MAX];

    if (arguments->word_count > 2 * REGISTERS_MAX) {
        return usage_error("at most %d registers at a time", REGISTERS_MAX);
    }
    if (arguments->word_count % 2 != 0) {
        return usage_error("config write: %s has no value; want pairs of register and value",
                           arguments->words[arguments->word_count - 1]);
    }
    return parse_changes(options, arguments, changes);
}

/* What the register will be written with, given what it holds now. */
static uint32_t merged(const struct change *change, const struct config_image *image)
{
    uint32_t now = config_u32(image, change->place.offset);
    return (now & ~change->mask & width_mask(change->place.width)) | (change->value & change->mask);
}

static int check_harm(const struct session *session, const struct change *change,
                      const struct config_image *image)
{
    struct guard_finding finding;

    if (!guard_config_write(image, change->place.offset, change->place.width, merged(change, image),
                            &finding)) {
        return STATUS_OK;
    }
    return failure(session->name, "%s touches %s: %s (--force writes it all the same)",
                   change->place.text, finding.what, finding.why);
}

/* Everything is found and checked before anything is written. */
static int prepare(const struct session *session, const struct options *options,
                   struct change *changes, int count, struct config_image *image)
{
    bool needs_image = (options->given & OPTION_FORCE) == 0;
    int status = STATUS_OK;

    for (int i = 0; i < count; i++) {
        needs_image |= register_needs_image(&changes[i].place) ||
                       changes[i].mask != width_mask(changes[i].place.width);
    }
    if (needs_image) {
        kern_return_t code = config_image_read(session, image);
        if (code != KERN_SUCCESS) {
            return session_failure(session, code, "cannot read config space");
        }
    }
    for (int i = 0; i < count && status == STATUS_OK; i++) {
        status = register_resolve(&changes[i].place, session, image);
        if (status == STATUS_OK && (options->given & OPTION_FORCE) == 0) {
            status = check_harm(session, &changes[i], image);
        }
    }
    return status;
}

static int run_write(const struct session *session, const struct options *options,
                     const struct arguments *arguments)
{
    struct change changes[REGISTERS_MAX];
    struct config_image image = {.length = 0};
    int count = arguments->word_count / 2;

    int status = parse_changes(options, arguments, changes);
    if (status == STATUS_OK) {
        status = prepare(session, options, changes, count, &image);
    }
    for (int i = 0; i < count && status == STATUS_OK; i++) {
        const struct register_place *place = &changes[i].place;
        kern_return_t code = apple_dext_config_write(session->connection, place->offset,
                                                     place->width, merged(&changes[i], &image));
        if (code != KERN_SUCCESS) {
            status =
                session_failure(session, code, "cannot write config space at 0x%x", place->offset);
        }
    }
    return status;
}

static void print_dump_json(const AppleDextInstance *instance, const struct config_image *image)
{
    char hex[2 * CONFIG_BYTES + 1];
    char address[INSTANCE_TEXT_BYTES];
    json_object *object = json_object_new_object();

    for (size_t i = 0; i < image->length; i++) {
        snprintf(hex + 2 * i, 3, "%02x", image->bytes[i]);
    }
    json_add_text(object, "address", instance_address_text(instance, address));
    json_add_number(object, "length", image->length);
    json_add_text(object, "data", hex);
    json_print(object);
}

static int run_dump(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    AppleDextInstance instance;
    struct config_image image;

    (void)arguments;
    kern_return_t code = apple_dext_get_identity(session->connection, &instance);
    if (code == KERN_SUCCESS) {
        code = config_image_read(session, &image);
    }
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot read config space");
    }
    if (options->json) {
        print_dump_json(&instance, &image);
    } else {
        dump_print(&instance, &image);
    }
    return STATUS_OK;
}

static const struct verb verbs[] = {
    {
        .name = "read",
        .synopsis = "config read ADDR REGISTER... [--width N]",
        .arguments = "+",
        .width_max = 4,
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH,
        .access = SESSION_CLAIM,
        .check = check_read,
        .run = run_read,
    },
    {
        .name = "write",
        .synopsis = "config write ADDR REGISTER VALUE[:MASK]... [--width N] [--force]",
        .arguments = "++",
        .width_max = 4,
        .accepts = OPTION_HOST | OPTION_WIDTH | OPTION_FORCE,
        .access = SESSION_CLAIM,
        .check = check_write,
        .run = run_write,
    },
    {
        .name = "dump",
        .synopsis = "config dump ADDR",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON,
        .access = SESSION_CLAIM,
        .run = run_dump,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_config.name, verbs, options, argc, argv);
}

const struct command command_config = {
    .name = "config",
    .summary = "read, write or dump config space",
    .synopsis = "read|write|dump ADDR ...",
    .details =
        "  dextctl config read ADDR REGISTER...                   print values\n"
        "  dextctl config write ADDR REGISTER VALUE[:MASK]...     write them, in this order\n"
        "  dextctl config dump ADDR                               print all, as lspci -xxxx does\n"
        "\n"
        "A register is an offset, or a name as setpci has it: COMMAND, BAR0, INTERRUPT_LINE,\n"
        "CAP_EXP+8, CAP_MSIX+2, ECAP_AER+4, CAP_VNDR@1 (the second one), CAP05, ECAP0001. The\n"
        "offset after + is hexadecimal, as in setpci; all other numbers are decimal unless they\n"
        "begin with 0x. .B, .W or .L behind it says 1, 2 or 4 bytes; names of the header have\n"
        "their own width, offsets that of --width, capabilities are read as wide as aligned.\n"
        "With a mask only its bits change: the register is read before it is written.\n"
        "\n"
        "A write that would hurt (base addresses, error bits of STATUS, power state, MSI and\n"
        "MSI-X, payload sizes, ...) is refused with the reason, and nothing written, unless\n"
        "--force is given.\n"
        "\n"
        "A 4-byte read of a base address register (0x10 to 0x24) gives its type bits alone: the\n"
        "host owns the addresses. dump shows the registers themselves.\n"
        "\n"
        "Examples:\n"
        "  dextctl config read 01:00.0 0\n"
        "  dextctl config read 01:00.0 COMMAND STATUS CAP_EXP+8.W\n"
        "  dextctl config write 01:00.0 INTERRUPT_LINE 0x0b\n"
        "  dextctl config write 01:00.0 COMMAND 0x4:0x4\n"
        "  dextctl config dump 01:00.0 | lspci -F /dev/stdin -vv\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH | OPTION_FORCE,
    .arguments_min = 1,
    .arguments_max = INT_MAX, /* the verb knows */
    .run = run,
};
