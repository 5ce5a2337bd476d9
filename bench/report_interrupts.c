/*
 * Printing the figures of interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdio.h>

#include "figures.h"
#include "interrupts.h"

static void print_times(const char *label, json_object *embedded, json_object *dextd)
{
    printf("%-34s %9.2f %9.2f %9.2f  %9.2f %9.2f %9.2f\n", label, number_of(embedded, "p50_us"),
           number_of(embedded, "p99_us"), number_of(embedded, "p99_9_us"),
           number_of(dextd, "p50_us"), number_of(dextd, "p99_us"), number_of(dextd, "p99_9_us"));
}

static void print_ratio(const char *label, const char *key, json_object *embedded,
                        json_object *dextd)
{
    printf("%-34s %9.2f %19s  %9.2f\n", label, number_of(embedded, key), "", number_of(dextd, key));
}

void interrupts_report(json_object *embedded, json_object *dextd)
{
    static const struct {
        const char *key;
        const char *label;
        bool is_ratio;
    } rows[] = {
        {"handler", "vector fires, to the handler", false},
        {"eventfd", "eventfd wake beside it", false},
        {"futex", "futex wake beside it", false},
        {"handler_to_eventfd", "  handler against eventfd, p50", true},
        {"handler_to_futex", "  handler against futex, p50", true},
        {"poll", "vector fires, to who polls", false},
        {"handoff", "a store seen by who spins", false},
        {"poll_to_handoff", "  poll against store, p50", true},
    };

    printf("\n%-34s %29s  %29s\n", "interrupts, microseconds", "embedded", "dextd");
    printf("%-34s %9s %9s %9s  %9s %9s %9s\n", "", "p50", "p99", "p99.9", "p50", "p99", "p99.9");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].is_ratio) {
            print_ratio(rows[i].label, rows[i].key, embedded, dextd);
        } else {
            print_times(rows[i].label, member(embedded, rows[i].key), member(dextd, rows[i].key));
        }
    }
}
