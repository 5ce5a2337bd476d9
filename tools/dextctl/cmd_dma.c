/*
 * dextctl dma: tests DMA, and shows its budget.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dextctl.h"
#include "dma_verbs.h"

static const struct verb verbs[] = {
    {
        .name = "test",
        .synopsis = "dma test ADDR [--size BYTES]... [--full]",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_SIZE | OPTION_FULL,
        .access = SESSION_CLAIM,
        .run = dma_run_test,
    },
    {
        .name = "budget",
        .synopsis = "dma budget ADDR [--interval S] [--count N] [--seconds S]",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_INTERVAL | OPTION_COUNT | OPTION_SECONDS,
        .access = SESSION_LOOK,
        .run = dma_run_budget,
    },
    {
        .name = "soak",
        .synopsis = "dma soak ADDR [--seconds S] [--count N] [--seed N]",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_COUNT | OPTION_SECONDS | OPTION_SEED,
        .access = SESSION_CLAIM,
        .run = dma_run_soak,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_dma.name, verbs, options, argc, argv);
}

const struct command command_dma = {
    .name = "dma",
    .summary = "test DMA, show what is mapped against what can be",
    .synopsis = "test|budget|soak ADDR",
    .details =
        "  dextctl dma test ADDR      register memory and have the device copy it\n"
        "  dextctl dma budget ADDR    what is mapped for DMA, and how much can be\n"
        "  dextctl dma soak ADDR      register, copy and unregister at random\n"
        "\n"
        "test, for each size: register two buffers of this process, check that the driver sees\n"
        "what is in them, have the device's own engine copy patterns from one to the other,\n"
        "compare every byte, and unregister. Then it tells what the addresses were like, tries\n"
        "the driver's own buffer, and looks for faults and for regions left behind. --full goes\n"
        "on with sizes that double up to the whole budget. edu and testdev have an engine; of\n"
        "other devices only registering is tested, as nobody knows how to make them copy.\n"
        "\n"
        "budget prints once, or with --interval, --count or --seconds again and again, counting\n"
        "all clients of the device. It needs no claim. A driver that keeps no statistics is said\n"
        "to keep none.\n"
        "\n"
        "soak runs for 10 seconds, --seconds or --count operations, on up to 16 regions of up to\n"
        "64 KiB; the same --seed gives the same operations. It fails on a wrong byte, on a fault,\n"
        "and when more is registered at the end than before.\n"
        "\n"
        "Examples:\n"
        "  dextctl dma test 01:00.0\n"
        "  dextctl dma test 01:00.0 --size 4096 --size 1M --json\n"
        "  dextctl dma test 01:00.0 --device edu,addr=01:00.0 --page-size 16384\n"
        "  dextctl dma budget 01:00.0 --interval 0.5\n"
        "  dextctl dma soak 01:00.0 --seconds 60 --seed 7\n",
    .accepts = OPTION_HOST | OPTION_JSON | OPTION_SIZE | OPTION_FULL | OPTION_INTERVAL |
               OPTION_COUNT | OPTION_SECONDS | OPTION_SEED,
    .arguments_min = 1,
    .arguments_max = 8, /* the verb knows */
    .run = run,
};
