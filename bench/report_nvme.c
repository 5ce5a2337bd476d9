/*
 * Printing the NVMe figures of a host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme.h"

#include <stdio.h>

#include "figures.h"

enum { COLUMNS = 4 };
static const char *const cached[COLUMNS] = {"memory", "file", "plain", "io_uring"};
static const char *const direct[COLUMNS] = {"", "direct", "plain_direct", "io_uring_direct"};

static void print_row(const char *label, json_object *row, const char *const *columns,
                      const char *key, double scale)
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

static void print_line(const char *label, json_object *row, const char *const *columns,
                       const char *key, double scale)
{
    print_row(label, row, columns, key, scale);
    printf("\n");
}

/* What the operations cost, under the line that says how many there were. */
static void print_costs(json_object *row, const char *const *columns)
{
    print_line("  processor time of the host, us", row, columns, "host_us", 1);
    print_line("  the same of the client", row, columns, "client_us", 1);
    print_line("  kIOPS a processor of the host", row, columns, "host_iops_per_core", 1e-3);
    print_line("  kIOPS a processor of both", row, columns, "iops_per_core", 1e-3);
    print_line("  host's time beside a copy", row, columns, "host_to_copy", 1);
    print_line("  both sides' beside a copy", row, columns, "to_copy", 1);
    if (member(member(row, columns[1]), "p50_us")) {
        print_line("  latency p50, us", row, columns, "p50_us", 1);
        print_line("  latency p99, us", row, columns, "p99_us", 1);
    }
}

static void print_load(json_object *row)
{
    const char *name = json_object_get_string(member(row, "name"));
    bool is_large = number_of(row, "bytes") > 4096;
    const char *key = is_large ? "mb_per_s" : "iops";
    double scale = is_large ? 1 : 1e-3;
    char label[64];

    snprintf(label, sizeof(label), "%s, %s", name, is_large ? "MB/s" : "kIOPS");
    print_row(label, row, cached, key, scale);
    printf(" %9.2f\n", number_of(row, "file_to_plain"));
    print_costs(row, cached);
    if (member(row, "direct")) {
        print_row("past the page cache", row, direct, key, scale);
        printf(" %9.2f\n", number_of(row, "direct_to_plain"));
        print_costs(row, direct);
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
    if (!json_object_get_boolean(member(figures, "has_direct"))) {
        printf("  nothing past the page cache: the file system has no O_DIRECT\n");
    }
}
