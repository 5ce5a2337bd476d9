/*
 * Printing the figures of dext-vfio-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "figures.h"
#include "table.h"
#include "vfio_user.h"

void vfio_user_report(json_object *embedded, json_object *dextd)
{
    static const struct table_row rows[] = {
        {"region_read", "region read, two processors", "ping_pong"},
        {"ping_pong", "socketpair ping-pong beside it", NULL},
        {"region_read_together", "region read, one processor", "ping_pong_together"},
        {"ping_pong_together", "socketpair ping-pong beside it", NULL},
        {"interrupt", "write that fires, to the eventfd", NULL},
    };
    json_object *ours = member(embedded, "map_unmap");
    json_object *theirs = member(dextd, "map_unmap");

    table_head("dext-vfio-user, microseconds", "it has the device", "dextd has it");
    table_rows(rows, sizeof(rows) / sizeof(*rows), embedded, dextd);
    for (size_t i = 0; i < json_object_array_length(ours); i++) {
        char label[64];
        json_object *row = json_object_array_get_idx(ours, i);
        snprintf(label, sizeof(label), "DMA map + unmap, %.0f live", number_of(row, "live"));
        table_times(label, row, json_object_array_get_idx(ours, 0),
                    json_object_array_get_idx(theirs, i), json_object_array_get_idx(theirs, 0));
    }
}
