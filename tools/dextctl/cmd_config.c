/*
 * dextctl config: reads, writes and dumps configuration space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>

#include "capability.h"
#include "dextctl.h"
#include "dump.h"
#include "instance.h"
#include "output.h"
#include "session.h"
#include "verb.h"

static int run_read(const struct session *session, const struct options *options,
                    const struct arguments *arguments)
{
    uint64_t offset = arguments->offset;
    uint64_t value;

    kern_return_t code =
        apple_dext_config_read(session->connection, offset, options->width, &value);
    if (code != KERN_SUCCESS) {
        return session_failure(session, code, "cannot read config space at 0x%" PRIx64, offset);
    }
    if (options->json) {
        json_object *object = json_object_new_object();
        json_add_text(object, "address", session->name);
        json_add_hex(object, "offset", offset, 2);
        json_add_number(object, "width", options->width);
        json_add_hex(object, "value", value, (int)options->width * 2);
        json_print(object);
    } else {
        printf("0x%0*" PRIx64 "\n", (int)options->width * 2, value);
    }
    return STATUS_OK;
}

static int run_write(const struct session *session, const struct options *options,
                     const struct arguments *arguments)
{
    kern_return_t code = apple_dext_config_write(session->connection, arguments->offset,
                                                 options->width, arguments->value);
    return code == KERN_SUCCESS
               ? STATUS_OK
               : session_failure(session, code, "cannot write config space at 0x%" PRIx64,
                                 arguments->offset);
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
        .synopsis = "config read ADDR OFFSET [--width N]",
        .arguments = "o",
        .width_max = 4,
        .offset_end = CONFIG_BYTES,
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH,
        .access = SESSION_CLAIM,
        .run = run_read,
    },
    {
        .name = "write",
        .synopsis = "config write ADDR OFFSET VALUE [--width N]",
        .arguments = "ov",
        .width_max = 4,
        .offset_end = CONFIG_BYTES,
        .accepts = OPTION_HOST | OPTION_WIDTH,
        .access = SESSION_CLAIM,
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
        "  dextctl config read ADDR OFFSET [--width N]         print one value\n"
        "  dextctl config write ADDR OFFSET VALUE [--width N]  write one value\n"
        "  dextctl config dump ADDR                            print all, as lspci -xxxx does\n"
        "\n"
        "A 4-byte read of a base address register (0x10 to 0x24) gives its type bits alone: the\n"
        "host owns the addresses. dump shows the registers themselves.\n"
        "\n"
        "Examples:\n"
        "  dextctl config read 01:00.0 0\n"
        "  dextctl config write 01:00.0 0x3c 0x0b --width 1\n"
        "  dextctl config dump 01:00.0 | lspci -F /dev/stdin -vv\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_WIDTH,
    .arguments_min = 1,
    .arguments_max = 8, /* the verb knows */
    .run = run,
};
