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

#define BENCH_NVME_MEMORY  "nvme,addr=03:00.0,size=128M"
#define BENCH_NVME_FILE    "nvme,addr=04:00.0,drive="
#define BENCH_NVME_DIRECT  "nvme,addr=05:00.0,direct,drive="
#define BENCH_FILE_BYTES   (UINT64_C(128) << 20)
#define BENCH_DIRECT_BYTES (UINT64_C(32) << 20)

struct nvme_plan {
    double seconds;        /* of each figure, in rounds */
    const char *directory; /* where the file goes for as long as it is measured */
    const char *load;      /* of the loads those whose name has this in it; "" is all */
    pid_t host;            /* dextd's process; 0: this one */
};

/* The files of BENCH_NVME_FILE and BENCH_NVME_DIRECT. */
struct bench_file {
    char path[512]; /* "" when there is none */
    char device[600];
};

struct bench_files {
    struct bench_file cached, direct; /* direct: none where the file system has no O_DIRECT */
};

/** Make the files, with no hole and nothing left to write back. false with one line on stderr. */
bool bench_files_create(struct bench_files *files, const char *directory);
void bench_files_remove(struct bench_files *files);

/**
 * Measure on the host this process reaches, which has the devices. The files lose their names.
 * Returns the figures, the caller's; NULL with one line on stderr.
 */
json_object *nvme_measure(const struct nvme_plan *plan, struct bench_files *files);

/** Whether the name of a load has text in it. */
bool nvme_has_load(const char *text);

/** Print the figures of a host as a table. */
void nvme_report(const char *host, json_object *figures);

#endif
