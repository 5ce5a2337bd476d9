/*
 * Work for the NVMe driver of examples/: a queue goes over a range of the namespace, from a thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_CONTRACT_NVME_IO_H
#define DEXTLINK_TESTS_CONTRACT_NVME_IO_H

#include "contract.h"
#include "nvme_driver.h"
#include "nvme_pattern.h"

/* A range gone over once, with as many commands under way as the queue has slots. */
struct nvme_job {
    struct nvme_queue *queue;
    uint64_t seed;
    uint64_t first, bytes; /* of the namespace; multiples of chunk_bytes */
    uint32_t chunk_bytes;
    bool is_write;
    /* What came of it: */
    uint64_t good_bytes; /* completed well and, when read, as the seed says */
    unsigned status;     /* of the last command that failed */
    bool is_lost;        /* a completion did not come */
    pthread_t thread;
};

/** Open, start and own a device's controller; the test ends when that fails. */
void nvme_begin(struct nvme *nvme, uint8_t bus, const struct nvme_options *options);
/** nvme_close; the connection is the harness's. */
void nvme_end(struct nvme *nvme);

void nvme_job_run(struct nvme_job *job);
/** The same, each on a thread of its own, till all are done. */
void nvme_jobs_run(struct nvme_job *jobs, size_t count);
/** Asserts that all of it went well. */
void nvme_job_check(const struct nvme_job *job);

/** Write, or read and verify, a range in one go. Asserts. */
void nvme_range(struct nvme_queue *queue, bool is_write, uint64_t seed, uint64_t first,
                uint64_t bytes, uint32_t chunk_bytes);

/** The next of a generator that starts with *state; the same numbers in each run. */
uint64_t nvme_random(uint64_t *state);

#endif
