/*
 * dextctl irq: watches interrupts arrive, and tests that they do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dextctl.h"
#include "irq_verbs.h"

static const struct verb verbs[] = {
    {
        .name = "watch",
        .synopsis = "irq watch ADDR [--count N] [--seconds S] [--interval S] [--fire]",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_COUNT | OPTION_SECONDS | OPTION_INTERVAL |
                   OPTION_FIRE,
        .access = SESSION_CLAIM,
        .run = irq_run_watch,
    },
    {
        .name = "test",
        .synopsis = "irq test ADDR [--count ROUNDS]",
        .arguments = "",
        .accepts = OPTION_HOST | OPTION_JSON | OPTION_COUNT,
        .access = SESSION_CLAIM,
        .run = irq_run_test,
    },
    {NULL},
};

static int run(const struct options *options, int argc, char **argv)
{
    return verb_run(command_irq.name, verbs, options, argc, argv);
}

const struct command command_irq = {
    .name = "irq",
    .summary = "watch interrupts arrive, test that they do",
    .synopsis = "watch|test ADDR",
    .details =
        "watch sets up the device's interrupts, arms the notice and prints each vector as it\n"
        "arrives, with the time since the start and its count; with --interval a line of rates a\n"
        "vector instead. It ends after --count interrupts, after --seconds, or at Ctrl-C. With\n"
        "--count, fewer than that within --seconds is a failure. --fire makes the device fire its\n"
        "vectors in turn (10 times unless told otherwise), and tells how long they took to "
        "arrive.\n"
        "--json prints one object a line, the last one with the totals.\n"
        "\n"
        "test tells what kind of interrupts and how many vectors the device offers and the driver\n"
        "granted, fires every vector --count times (3), and looks for lost and stray ones; then "
        "it\n"
        "masks, fires and unmasks one, to show whether a masked interrupt is kept or dropped. edu\n"
        "and testdev can be made to fire; of other devices only what was granted is told.\n"
        "\n"
        "Examples:\n"
        "  dextctl irq watch 01:00.0\n"
        "  dextctl irq watch 01:00.0 --fire --count 3\n"
        "  dextctl irq watch 01:00.0 --interval 1 --seconds 10 --json\n"
        "  dextctl irq test 01:00.0\n",
    .accepts =
        OPTION_HOST | OPTION_JSON | OPTION_COUNT | OPTION_SECONDS | OPTION_INTERVAL | OPTION_FIRE,
    .arguments_min = 1,
    .arguments_max = 8, /* the verb knows */
    .run = run,
};
