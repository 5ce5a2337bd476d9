/*
 * Printing the figures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report.h"

#include <errno.h>
#include <json-c/json_util.h>
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "data.h"
#include "dma.h"
#include "figures.h"
#include "interrupts.h"
#include "nvme.h"
#include "startup.h"
#include "table.h"
#include "vfio_user.h"

static void print_calls(json_object *embedded, json_object *dextd)
{
    static const struct table_row rows[] = {
        {"config_read", "config read, a call", "handoff"},
        {"handoff", "handoff by spinning beside it", NULL},
        {"ping_pong", "socketpair ping-pong beside it", NULL},
        {"config_read_cold", "config read, 20 ms after the last", "ping_pong_cold"},
        {"ping_pong_cold", "cold ping-pong beside it", NULL},
        {"mmio_read_call", "MMIO read, a call", "handoff"},
        {"mmio_load_trapped", "MMIO load, trapped BAR", "mmio_read_call"},
        {"mmio_load_direct", "MMIO load, direct BAR", NULL},
        {"device_read_4k_shared", "device reads 4 KiB, shared file", NULL},
        {"device_read_4k_copied", "device reads 4 KiB, private", NULL},
        {"device_read_4k_served", "device reads 4 KiB, served", NULL},
    };
    json_object *ours = member(embedded, "register_unregister");
    json_object *theirs = member(dextd, "register_unregister");

    table_head("calls, microseconds", "embedded", "dextd");
    table_rows(rows, sizeof(rows) / sizeof(*rows), embedded, dextd);
    for (size_t i = 0; i < json_object_array_length(ours); i++) {
        char label[64];
        json_object *row = json_object_array_get_idx(ours, i);
        snprintf(label, sizeof(label), "register + unregister, %.0f live", number_of(row, "live"));
        table_times(label, row, json_object_array_get_idx(ours, 0),
                    json_object_array_get_idx(theirs, i), json_object_array_get_idx(theirs, 0));
    }
    calls_report(embedded, dextd);
}

static void add(json_object *top, const char *name, json_object *figures)
{
    if (figures) {
        json_object_object_add(top, name, json_object_get(figures));
    }
}

static void print_tables(json_object *embedded, json_object *dextd, json_object *startup)
{
    if (member(embedded, "config_read")) {
        print_calls(embedded, dextd);
    }
    if (member(embedded, "data")) {
        data_report(member(embedded, "data"), member(dextd, "data"));
    }
    if (member(embedded, "dma")) {
        dma_report(member(embedded, "dma"), member(dextd, "dma"));
    }
    if (member(embedded, "interrupts")) {
        interrupts_report(member(embedded, "interrupts"), member(dextd, "interrupts"));
    }
    if (member(embedded, "nvme")) {
        nvme_report("embedded", member(embedded, "nvme"));
        nvme_report("dextd", member(dextd, "nvme"));
    }
    if (member(embedded, "vfio_user")) {
        vfio_user_report(member(embedded, "vfio_user"), member(dextd, "vfio_user"));
    }
    if (startup) {
        startup_report(startup);
    }
}

bool report(json_object *embedded, json_object *dextd, json_object *startup, bool as_json,
            const char *path)
{
    json_object *top = json_object_new_object();
    const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
    bool ok = true;

    add(top, "embedded", embedded);
    add(top, "dextd", dextd);
    add(top, "startup", startup);
    if (as_json) {
        puts(json_object_to_json_string_ext(top, flags));
    } else {
        print_tables(embedded, dextd, startup);
    }
    if (path && json_object_to_file_ext(path, top, flags) != 0) {
        fprintf(stderr, "dextbench: --output \"%s\": %s\n", path, strerror(errno));
        ok = false;
    }
    json_object_put(top);
    return ok;
}
