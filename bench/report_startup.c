/*
 * Printing what it costs to start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "figures.h"
#include "startup.h"

void startup_report(json_object *figures)
{
    static const struct {
        const char *key;
        const char *label;
    } rows[] = {
        {"true", "/bin/true, from fork to its end"},
        {"empty", "a program with an empty main"},
        {"linked", "the same with libappledext"},
        {"list", "dextctl list, one device"},
        {"dextd_1", "dextd until it serves 1 device"},
        {"dextd_256", "dextd until it serves 256 devices"},
    };

    printf("\n%-34s %9s %9s\n", "start-up, milliseconds", "p50", "p99");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        json_object *row = member(figures, rows[i].key);
        printf("%-34s %9.2f %9.2f\n", rows[i].label, number_of(row, "p50_us") / 1e3,
               number_of(row, "p99_us") / 1e3);
    }
    printf("%-34s %9.2f\n", "  what the library adds, p50", number_of(figures, "library_us") / 1e3);
}
