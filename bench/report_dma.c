/*
 * Printing the figures of DMA regions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "dma.h"
#include "figures.h"

static void print_row(const char *label, json_object *embedded, json_object *dextd)
{
    printf("%-34s %9.3f %9.3f  %9.3f %9.3f\n", label, number_of(embedded, "p50_us"),
           number_of(embedded, "p99_us"), number_of(dextd, "p50_us"), number_of(dextd, "p99_us"));
}

static void print_figure(const char *label, json_object *embedded, json_object *dextd,
                         const char *key)
{
    printf("%-34s %9.2f %9s  %9.2f\n", label, number_of(embedded, key), "", number_of(dextd, key));
}

static void print_live(json_object *embedded, json_object *dextd)
{
    static const struct {
        const char *key;
        const char *label;
    } rows[] = {
        {"ping_pong", "  two socketpair ping-pongs"},
        {"config_read", "  two config reads"},
        {"batch_1", "  register + unregister, single"},
        {"batch_16", "  an entry of 16"},
        {"batch_256", "  an entry of 256"},
    };
    printf("%.0f live\n", number_of(embedded, "live"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        print_row(rows[i].label, member(embedded, rows[i].key), member(dextd, rows[i].key));
    }
    print_figure("  an entry of 256 / single, p50", embedded, dextd, "batch_256_to_1");
}

static void print_kind(const char *name, json_object *embedded, json_object *dextd)
{
    json_object *ours = member(embedded, "rows");
    json_object *theirs = member(dextd, "rows");

    printf("\n%-34s %19s  %19s\n", name, "embedded", "dextd");
    printf("%-34s %9s %9s  %9s %9s\n", "microseconds", "p50", "p99", "p50", "p99");
    for (size_t i = 0; i < json_object_array_length(ours); i++) {
        print_live(json_object_array_get_idx(ours, i), json_object_array_get_idx(theirs, i));
    }
    print_figure("single, most live / 1 live, p50", embedded, dextd, "last_to_first");
    if (!member(embedded, "host_mappings")) {
        return;
    }
    print_figure("host's bytes a live region", embedded, dextd, "host_bytes_per_region");
    print_figure("host's mappings for all of them", embedded, dextd, "host_mappings");
}

void dma_report(json_object *embedded, json_object *dextd)
{
    print_kind("DMA regions in a shared file", member(embedded, "shared"), member(dextd, "shared"));
    print_kind("DMA regions in private memory", member(embedded, "private"),
               member(dextd, "private"));
}
