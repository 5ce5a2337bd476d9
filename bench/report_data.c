/*
 * Printing the figures of data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "data.h"
#include "figures.h"

static void print_copies(const char *host, json_object *rows)
{
    printf("\ncopy engine, %-21s %9s %9s %9s %9s %9s\n", host, "engine", "memcpy",
           "engine:", "command", "engine");
    printf("%-34s %9s %9s %9s %9s %9s\n", "", "p50, us", "p50, us", "memcpy", "to seen", "MB/s");
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        json_object *row = json_object_array_get_idx(rows, i);
        char label[64];
        snprintf(label, sizeof(label), "%s, %.0f bytes", json_object_get_string(member(row, "way")),
                 number_of(row, "bytes"));
        printf("%-34s %9.2f %9.2f %9.2f %9.1f %9.0f\n", label,
               number_of(member(row, "engine"), "p50_us"),
               number_of(member(row, "memcpy"), "p50_us"), number_of(row, "engine_to_memcpy"),
               number_of(member(row, "seen"), "p50_us"), number_of(row, "mb_per_s"));
    }
}

static void print_times(const char *label, const char *key, json_object *embedded,
                        json_object *dextd)
{
    json_object *ours = member(embedded, key);
    json_object *theirs = member(dextd, key);
    printf("%-34s %9.4f %9.4f %9.4f  %9.4f %9.4f %9.4f\n", label, number_of(ours, "p50_us"),
           number_of(ours, "p99_us"), number_of(ours, "p99_9_us"), number_of(theirs, "p50_us"),
           number_of(theirs, "p99_us"), number_of(theirs, "p99_9_us"));
}

static void print_ratio(const char *label, const char *key, json_object *embedded,
                        json_object *dextd)
{
    printf("%-34s %9.2f %19s  %9.2f\n", label, number_of(embedded, key), "", number_of(dextd, key));
}

void data_report(json_object *embedded, json_object *dextd)
{
    static const struct {
        const char *key;
        const char *label;
        bool is_ratio;
    } rows[] = {
        {"direct_load", "load from a direct BAR", false},
        {"plain_load", "load from plain memory beside it", false},
        {"direct_load_to_plain", "  direct against plain, p50", true},
        {"direct_store", "store to a direct BAR", false},
        {"plain_store", "store to plain memory beside it", false},
        {"direct_store_to_plain", "  direct against plain, p50", true},
        {"trapped_load", "load from a trapped BAR", false},
        {"trapped_store", "store to a trapped BAR", false},
        {"mmio_read", "MMIO read, a call", false},
        {"mmio_write", "MMIO write, a call", false},
        {"step_over", "SIGSEGV, to step over", false},
        {"trapped_load_to_floor", "  load against SIGSEGV + call, p50", true},
        {"trapped_store_to_floor", "  store against them", true},
    };

    print_copies("embedded", member(embedded, "copies"));
    print_copies("dextd", member(dextd, "copies"));
    printf("\n%-34s %29s  %29s\n", "accesses, microseconds", "embedded", "dextd");
    printf("%-34s %9s %9s %9s  %9s %9s %9s\n", "", "p50", "p99", "p99.9", "p50", "p99", "p99.9");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!member(embedded, rows[i].key)) {
            continue; /* trapped BARs: not on every processor */
        }
        if (rows[i].is_ratio) {
            print_ratio(rows[i].label, rows[i].key, embedded, dextd);
        } else {
            print_times(rows[i].label, rows[i].key, embedded, dextd);
        }
    }
}
