/*
 * Printing what it costs to start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "startup.h"
#include "table.h"

void startup_report(json_object *figures)
{
    static const struct table_row rows[] = {
        {"true", "/bin/true, from fork to its end", NULL},
        {"empty", "a program with an empty main", "true"},
        {"linked", "the same with libappledext", "empty"},
        {"list", "dextctl list, one device", "true"},
        {"dextd_1", "dextd until it serves 1 device", "true"},
        {"dextd_256", "dextd until it serves 256 devices", "true"},
    };

    table_head("start-up, microseconds", "", NULL);
    table_rows(rows, sizeof(rows) / sizeof(*rows), figures, NULL);
    table_figure("  what the library adds, p50", figures, NULL, "library_us");
}
