/*
 * dextctl list: the devices there are, without opening any, and how they come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "dextctl.h"
#include "embedded.h"
#include "instance.h"
#include "list_watch.h"
#include "output.h"
#include "session.h"

static void print_json(const AppleDextInstance *instances, size_t count)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        json_object_array_add(array, instance_list_json(&instances[i], true));
    }
    json_object *top = json_object_new_object();
    json_object_object_add(top, "devices", array);
    json_print(top);
}

static void print_table(const AppleDextInstance *instances, size_t count)
{
    struct instance_widths widths = instance_widths_least();
    for (size_t i = 0; i < count; i++) {
        instance_widths_fit(&widths, &instances[i]);
    }
    instance_print_titles(&widths);
    for (size_t i = 0; i < count; i++) {
        instance_print_row(&widths, &instances[i], true);
    }
}

static int list(const struct options *options)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;

    kern_return_t code = apple_dext_list(&instances, &count);
    if (code != KERN_SUCCESS) {
        return list_failure(code);
    }
    if (options->json) {
        print_json(instances, count);
    } else if (count == 0) {
        fprintf(stderr, "dextctl: %s\n", embedded_hint());
    } else {
        print_table(instances, count);
    }
    apple_dext_free_list(instances);
    return STATUS_OK;
}

static int run(const struct options *options, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (!(options->given & OPTION_WATCH) && (options->given & (OPTION_COUNT | OPTION_SECONDS))) {
        return usage_error("list: --count and --seconds need --watch");
    }
    return options->given & OPTION_WATCH ? list_watch(options) : list(options);
}

const struct command command_list = {
    .name = "list",
    .summary = "list devices, without opening any",
    .synopsis = "",
    .details =
        "List the devices there are: address, root, vendor and device ID, the name that\n"
        "survives replug, who has claimed it (\"-\" nobody, \"?\" the registry does not say,\n"
        "as on macOS), class and device by pci.ids. No device is opened. No devices is no\n"
        "error.\n"
        "\n"
        "--watch goes on with a line for each device that arrives or goes, until --count\n"
        "lines or --seconds are over, or it is interrupted; with --json an object a line.\n"
        "\n"
        "Examples:\n"
        "  dextctl list\n"
        "  dextctl list --json | jq -r '.devices[].address'\n"
        "  dextctl list --watch\n"
        "  dextctl list --device edu,addr=01:00.0\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_WATCH | OPTION_COUNT | OPTION_SECONDS,
    .run = run,
};
