/*
 * Printing the figures of dext-vfio-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "figures.h"
#include "vfio_user.h"

static void print_row(const char *label, json_object *embedded, json_object *dextd)
{
    printf("%-34s %9.2f %9.2f  %9.2f %9.2f\n", label, number_of(embedded, "p50_us"),
           number_of(embedded, "p99_us"), number_of(dextd, "p50_us"), number_of(dextd, "p99_us"));
}

void vfio_user_report(json_object *embedded, json_object *dextd)
{
    static const struct {
        const char *key;
        const char *label;
    } rows[] = {
        {"region_read", "region read, 4 bytes of a BAR"},
        {"ping_pong", "socketpair ping-pong beside it"},
        {"interrupt", "write that fires, to the eventfd"},
    };
    json_object *ours = member(embedded, "map_unmap");
    json_object *theirs = member(dextd, "map_unmap");

    printf("\n%-34s %19s  %19s\n", "dext-vfio-user, microseconds", "with the device",
           "beside dextd");
    printf("%-34s %9s %9s  %9s %9s\n", "", "p50", "p99", "p50", "p99");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        print_row(rows[i].label, member(embedded, rows[i].key), member(dextd, rows[i].key));
    }
    for (size_t i = 0; i < json_object_array_length(ours); i++) {
        char label[64];
        json_object *row = json_object_array_get_idx(ours, i);
        snprintf(label, sizeof(label), "DMA map + unmap, %.0f live", number_of(row, "live"));
        print_row(label, row, json_object_array_get_idx(theirs, i));
    }
}
