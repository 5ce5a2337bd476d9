/*
 * Ranges written and verified through the NVMe driver.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "nvme_io.h"

#include <stdlib.h>
#include <string.h>

void nvme_begin(struct nvme *nvme, uint8_t bus, const struct nvme_options *options)
{
    const char *problem = nvme_open(nvme, contract_claimed(bus), options);
    if (!problem) {
        problem = nvme_start(nvme);
    }
    if (problem) {
        nvme_close(nvme);
        fail_msg("%02x:00.0: %s", bus, problem);
    }
}

void nvme_end(struct nvme *nvme)
{
    nvme_close(nvme);
}

static void start_chunk(const struct nvme_job *job, unsigned slot, uint64_t offset)
{
    if (job->is_write) {
        nvme_pattern_fill(job->seed, offset, nvme_data(job->queue, slot), job->chunk_bytes);
    } else {
        memset(nvme_data(job->queue, slot), 0xa5, job->chunk_bytes);
    }
    nvme_transfer(job->queue, slot, job->is_write ? NVME_WRITE : NVME_READ,
                  offset / job->queue->nvme->block_bytes, job->chunk_bytes, 0);
}

static void end_chunk(struct nvme_job *job, const struct nvme_done *done, uint64_t offset)
{
    if (done->status != 0) {
        job->status = done->status;
    } else if (job->is_write ||
               nvme_pattern_is(job->seed, offset, nvme_data(job->queue, done->slot),
                               job->chunk_bytes)) {
        job->good_bytes += job->chunk_bytes;
    }
}

void nvme_job_run(struct nvme_job *job)
{
    enum { BATCH = 16 };
    unsigned depth = job->queue->nvme->options.depth;
    uint64_t next = job->first;
    uint64_t end = job->first + job->bytes;
    uint64_t *offsets = calloc(depth, sizeof(*offsets));
    unsigned under_way = 0;

    for (; under_way < depth && next < end; under_way++, next += job->chunk_bytes) {
        start_chunk(job, under_way, offsets[under_way] = next);
    }
    while (under_way > 0 && !job->is_lost) {
        struct nvme_done done[BATCH];
        nvme_ring(job->queue);
        unsigned count = nvme_wait(job->queue, done, BATCH);
        job->is_lost = count == 0;
        for (unsigned i = 0; i < count; i++) {
            unsigned slot = done[i].slot;
            end_chunk(job, &done[i], offsets[slot]);
            under_way--;
            if (next < end) {
                start_chunk(job, slot, offsets[slot] = next);
                next += job->chunk_bytes;
                under_way++;
            }
        }
    }
    free(offsets);
}

static void *job_thread(void *job)
{
    nvme_job_run(job);
    return NULL;
}

void nvme_jobs_run(struct nvme_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, job_thread, &jobs[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(jobs[i].thread, NULL);
    }
}

void nvme_job_check(const struct nvme_job *job)
{
    assert_false(job->is_lost);
    assert_int_equal(job->status, 0);
    assert_true(job->good_bytes == job->bytes);
}

void nvme_range(struct nvme_queue *queue, bool is_write, uint64_t seed, uint64_t first,
                uint64_t bytes, uint32_t chunk_bytes)
{
    struct nvme_job job = {.queue = queue,
                           .is_write = is_write,
                           .seed = seed,
                           .first = first,
                           .bytes = bytes,
                           .chunk_bytes = chunk_bytes};
    nvme_job_run(&job);
    nvme_job_check(&job);
}

uint64_t nvme_random(uint64_t *state)
{
    uint64_t word = nvme_pattern_word(*state, 0);
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return word;
}
