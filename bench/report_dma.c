/*
 * Printing the figures of DMA regions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "dma.h"
#include "figures.h"
#include "table.h"

static void print_kind(const char *name, json_object *embedded, json_object *dextd)
{
    static const struct table_row rows[] = {
        {"ping_pong", "  two socketpair ping-pongs", NULL},
        {"config_read", "  two config reads", "ping_pong"},
        {"batch_1", "  register + unregister, single", "config_read"},
        {"batch_16", "  an entry of 16", "batch_1"},
        {"batch_256", "  an entry of 256", "batch_1"},
    };
    json_object *ours = member(embedded, "rows");
    json_object *theirs = member(dextd, "rows");

    table_head(name, "embedded", "dextd");
    for (size_t i = 0; i < json_object_array_length(ours); i++) {
        json_object *row = json_object_array_get_idx(ours, i);
        printf("%.0f live\n", number_of(row, "live"));
        table_rows(rows, sizeof(rows) / sizeof(*rows), row, json_object_array_get_idx(theirs, i));
    }
    table_figure("single, most live / 1 live, p50", embedded, dextd, "last_to_first");
    if (!member(embedded, "host_mappings")) {
        return;
    }
    table_figure("host's bytes a live region", embedded, dextd, "host_bytes_per_region");
    table_figure("host's mappings for all of them", embedded, dextd, "host_mappings");
}

void dma_report(json_object *embedded, json_object *dextd)
{
    print_kind("DMA regions in a shared file, us", member(embedded, "shared"),
               member(dextd, "shared"));
    print_kind("DMA regions in private memory, us", member(embedded, "private"),
               member(dextd, "private"));
}
