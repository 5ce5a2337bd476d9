/*
 * Printing the figures.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "report.h"

#include <stdio.h>

#include "calls.h"
#include "data.h"
#include "dma.h"
#include "figures.h"
#include "interrupts.h"
#include "nvme.h"
#include "startup.h"
#include "vfio_user.h"

static void print_row(const char *label, json_object *embedded, json_object *dextd)
{
    printf("%-34s %9.4f %9.4f  %9.4f %9.4f\n", label, number_of(embedded, "p50_us"),
           number_of(embedded, "p99_us"), number_of(dextd, "p50_us"), number_of(dextd, "p99_us"));
}

static void print_calls(json_object *embedded, json_object *dextd)
{
    static const struct {
        const char *key;
        const char *label;
    } rows[] = {
        {"config_read", "config read, a call"},
        {"handoff", "handoff by spinning beside it"},
        {"ping_pong", "socketpair ping-pong beside it"},
        {"config_read_cold", "config read, 20 ms after the last"},
        {"ping_pong_cold", "cold ping-pong beside it"},
        {"mmio_read_call", "MMIO read, a call"},
        {"mmio_load_trapped", "MMIO load through a trapped BAR"},
        {"mmio_load_direct", "MMIO load through a direct BAR"},
        {"device_read_4k_shared", "device reads 4 KiB, shared file"},
        {"device_read_4k_copied", "device reads 4 KiB, private memory"},
        {"device_read_4k_served", "device reads 4 KiB, served memory"},
    };
    json_object *ours = member(embedded, "register_unregister");
    json_object *theirs = member(dextd, "register_unregister");

    printf("%-34s %19s  %19s\n", "microseconds", "embedded", "dextd");
    printf("%-34s %9s %9s  %9s %9s\n", "", "p50", "p99", "p50", "p99");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        print_row(rows[i].label, member(embedded, rows[i].key), member(dextd, rows[i].key));
    }
    for (size_t i = 0; i < json_object_array_length(ours); i++) {
        char label[64];
        json_object *row = json_object_array_get_idx(ours, i);
        snprintf(label, sizeof(label), "register + unregister, %.0f live", number_of(row, "live"));
        print_row(label, row, json_object_array_get_idx(theirs, i));
    }
    printf("%-34s %9.2f %9s  %9.2f\n", "  last against first, p50",
           number_of(embedded, "register_ratio_last_first"), "",
           number_of(dextd, "register_ratio_last_first"));
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

void report(json_object *embedded, json_object *dextd, json_object *startup, bool as_json)
{
    if (!as_json) {
        print_tables(embedded, dextd, startup);
        return;
    }
    json_object *top = json_object_new_object();
    add(top, "embedded", embedded);
    add(top, "dextd", dextd);
    add(top, "startup", startup);
    puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
    json_object_put(top);
}
