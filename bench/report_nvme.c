/*
 * Printing the NVMe figures of a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme.h"

#include <stdio.h>

#include "figures.h"

static const char *const columns[] = {"memory", "file", "plain", "io_uring"};
#define COLUMNS (sizeof(columns) / sizeof(*columns))

static void print_row(const char *label, json_object *row, const char *key, double scale)
{
    printf("%-38s", label);
    for (size_t i = 0; i < COLUMNS; i++) {
        json_object *figures = member(row, columns[i]);
        if (member(figures, key)) {
            printf(" %9.1f", number_of(figures, key) * scale);
        } else {
            printf(" %9s", "-");
        }
    }
}

static void print_load(json_object *row)
{
    const char *name = json_object_get_string(member(row, "name"));
    char label[64];

    if (number_of(row, "bytes") > 4096) {
        snprintf(label, sizeof(label), "%s, MB/s", name);
        print_row(label, row, "mb_per_s", 1);
    } else {
        snprintf(label, sizeof(label), "%s, kIOPS", name);
        print_row(label, row, "iops", 1e-3);
    }
    printf(" %9.2f\n", number_of(row, "file_to_plain"));
    print_row("  processor time of the host, us", row, "host_us", 1);
    print_row("\n  kIOPS a processor of the host", row, "host_iops_per_core", 1e-3);
    print_row("\n  its time beside a copy of the bytes", row, "host_to_copy", 1);
    printf("\n");
    if (member(member(row, "file"), "p50_us")) {
        print_row("  latency p50, us", row, "p50_us", 1);
        print_row("\n  latency p99, us", row, "p99_us", 1);
        printf("\n");
    }
}

void nvme_report(const char *host, json_object *figures)
{
    json_object *rows = member(figures, "rows");
    const char *refusal = json_object_get_string(member(figures, "io_uring_refusal"));
    double copy = number_of(member(figures, "copy_4k"), "p50_us");
    double doorbell = number_of(member(figures, "doorbell"), "p50_us");

    printf("\nbest rounds of NVMe, %-17s %9s %9s %9s %9s %9s\n", host, "memory", "file", "pread",
           "io_uring", "file:");
    printf("%-38s %9s %9s %9s %9s %9s\n", "", "", "", "pwrite", "", "pread");
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        print_load(json_object_array_get_idx(rows, i));
    }
    printf("  to copy 4 KiB %.3f us, to ring a doorbell %.3f us: both for each command on one core "
           "are %.0f kIOPS\n",
           copy, doorbell, 1e3 / (copy + doorbell));
    if (refusal) {
        printf("  no io_uring: %s\n", refusal);
    }
}
