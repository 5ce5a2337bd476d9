/*
 * dextctl dump: config space as lspci -xxxx prints it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "dextctl.h"
#include "dump.h"
#include "output.h"
#include "session.h"

#define DEVICES_MAX 256

static int dump_one(const char *name, bool is_first)
{
    AppleDextInstance instance;
    struct config_image image;
    struct session session;

    int status = session_open(&session, name, SESSION_CLAIM);
    if (status != STATUS_OK) {
        return status;
    }
    kern_return_t code = apple_dext_get_identity(session.connection, &instance);
    if (code == KERN_SUCCESS) {
        code = config_image_read(&session, &image);
    }
    if (code == KERN_SUCCESS) {
        fputs(is_first ? "" : "\n", stdout);
        dump_print(&instance, &image);
    } else {
        status = session_failure(&session, code, "cannot read config space");
    }
    session_close(&session);
    return status;
}

/* What cannot be dumped does not keep the others from it. */
static int run(const struct options *options, int argc, char **argv)
{
    int worst = STATUS_OK;
    bool is_first = true;

    (void)options;
    for (int i = 0; i < argc; i++) {
        int status = dump_one(argv[i], is_first);
        worst = status > worst ? status : worst;
        is_first = is_first && status != STATUS_OK;
    }
    return worst;
}

const struct command command_dump = {
    .name = "dump",
    .summary = "print config space as lspci -xxxx does",
    .synopsis = "ADDR...",
    .details =
        "Print the config space of devices as lspci -xxxx does: 4096 bytes, or 256 of a device\n"
        "without the PCI Express capability. lspci -F decodes the text, and a replay device is "
        "made\n"
        "of it.\n"
        "Claims the device, which turns on memory decoding and bus mastering if nobody else has\n"
        "claimed it. \"dextctl config dump --json\" has the same bytes as JSON.\n"
        "\n"
        "Examples:\n"
        "  dextctl dump 01:00.0 | lspci -vvv -F /dev/stdin\n"
        "  dextctl dump 01:00.0 > gpu.txt\n"
        "  dextctl dump 01:00.0 --device replay,file=gpu.txt\n",
    .accepts = OPTION_HOST,
    .arguments_min = 1,
    .arguments_max = DEVICES_MAX,
    .run = run,
};
