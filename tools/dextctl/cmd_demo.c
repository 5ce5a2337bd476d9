/*
 * dextctl demo: the main job on simulated devices of this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "demo_steps.h"
#include "dextctl.h"

static int run(const struct options *options, int argc, char **argv)
{
    struct demo demo = {0};

    (void)options;
    (void)argc;
    (void)argv;
    puts("dextlink demo: a client drives QEMU's educational device (edu) through the dext's "
         "interface\n");
    bool ok = steps_run(demo_steps, demo_step_count, &demo);
    demo_close(&demo);
    return ok ? STATUS_OK : STATUS_FAILED;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "drive a simulated device end to end",
    .synopsis = "",
    .details =
        "Start a host in this process with simulated devices and do all a driver does with one:\n"
        "list, claim, config header, BAR mapping, a computation, DMA both ways, interrupts, "
        "reset.\n"
        "One line a step, with what was seen and how long it took. Ends with 1 if a step failed.\n"
        "\n"
        "Examples:\n"
        "  dextctl demo\n",
    .run = run,
};
