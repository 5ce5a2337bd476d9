/*
 * Reads and writes of an NVMe device through the example's driver, beside the same on its file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_BENCH_NVME_H
#define DEXTLINK_BENCH_NVME_H

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#define BENCH_NVME_MEMORY "nvme,addr=03:00.0,size=128M"
#define BENCH_NVME_FILE   "nvme,addr=04:00.0,drive="
#define BENCH_FILE_BYTES  (UINT64_C(128) << 20)

struct nvme_plan {
    double seconds;        /* of each figure, in rounds */
    const char *directory; /* where the file goes for as long as it is measured */
    const char *load;      /* of the loads those whose name has this in it; "" is all */
    pid_t host;            /* dextd's process; 0: this one */
};

/* The file of BENCH_NVME_FILE. */
struct bench_file {
    char path[512]; /* "" when there is none */
    char device[600];
};

/** Make the file, with no hole and nothing left to write back. false with one line on stderr. */
bool bench_file_create(struct bench_file *file, const char *directory);
void bench_file_remove(struct bench_file *file);

/**
 * Measure on the host this process reaches, which has both devices. The file loses its name.
 * Returns the figures, the caller's; NULL with one line on stderr.
 */
json_object *nvme_measure(const struct nvme_plan *plan, struct bench_file *file);

/** Whether the name of a load has text in it. */
bool nvme_has_load(const char *text);

/** Print the figures of a host as a table. */
void nvme_report(const char *host, json_object *figures);

#endif
