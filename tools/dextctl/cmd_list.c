/*
 * dextctl list: the devices there are, without opening any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "capability.h"
#include "dextctl.h"
#include "embedded.h"
#include "instance.h"
#include "output.h"
#include "session.h"

static void print_json(const AppleDextInstance *instances, size_t count)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        json_object_array_add(array, instance_json(&instances[i]));
    }
    json_object *top = json_object_new_object();
    json_object_object_add(top, "devices", array);
    json_print(top);
}

static void print_table(const AppleDextInstance *instances, size_t count)
{
    int root_width = (int)strlen("ROOT");
    int name_width = (int)strlen("NAME");
    for (size_t i = 0; i < count; i++) {
        int root = (int)strlen(instances[i].root);
        int name = (int)strlen(instances[i].name);
        root_width = root > root_width ? root : root_width;
        name_width = name > name_width ? name : name_width;
    }
    printf("%-7s  %-*s  %-9s  %-*s  %s\n", "ADDRESS", root_width, "ROOT", "ID", name_width, "NAME",
           "CLASS");
    for (size_t i = 0; i < count; i++) {
        const AppleDextInstance *it = &instances[i];
        char address[INSTANCE_TEXT_BYTES];
        char ids[INSTANCE_TEXT_BYTES];
        printf("%-7s  %-*s  %-9s  %-*s  %s\n", instance_address_text(it, address), root_width,
               it->root, instance_ids_text(it, ids), name_width, it->name,
               it->has_ids ? class_text(it->class_code) : "?");
    }
}

static int run(const struct options *options, int argc, char **argv)
{
    AppleDextInstance *instances = NULL;
    size_t count = 0;

    (void)argc;
    (void)argv;
    kern_return_t code = apple_dext_list(&instances, &count);
    if (code != KERN_SUCCESS) {
        return failure(NULL, "cannot list devices: %s", code_text(code));
    }
    if (options->json) {
        print_json(instances, count);
    } else if (count == 0) {
        fprintf(stderr, "dextctl: %s\n", embedded_hint);
    } else {
        print_table(instances, count);
    }
    apple_dext_free_list(instances);
    return STATUS_OK;
}

const struct command command_list = {
    .name = "list",
    .summary = "list devices, without opening any",
    .synopsis = "",
    .details = "List the devices there are: address, root, vendor and device ID, the name that\n"
               "survives replug, and class. No device is opened. No devices is no error.\n"
               "\n"
               "Examples:\n"
               "  dextctl list\n"
               "  dextctl list --json | jq -r '.devices[].address'\n"
               "  dextctl list --device edu,addr=01:00.0\n",
    .accepts = OPTION_HOST | OPTION_JSON,
    .run = run,
};
