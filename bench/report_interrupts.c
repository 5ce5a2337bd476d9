/*
 * Printing the figures of interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "interrupts.h"
#include "table.h"

void interrupts_report(json_object *embedded, json_object *dextd)
{
    static const struct table_row rows[] = {
        {"handler", "vector fires, to the handler", "eventfd"},
        {"eventfd", "eventfd wake beside it", NULL},
        {"futex", "futex wake beside it", NULL},
        {"poll", "vector fires, to who polls", "handoff"},
        {"handoff", "a store seen by who spins", NULL},
    };

    table_head("interrupts, microseconds", "embedded", "dextd");
    table_rows(rows, sizeof(rows) / sizeof(*rows), embedded, dextd);
}
