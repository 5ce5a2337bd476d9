/*
 * Write and read blocks of an NVMe device, verified, from a thread for each of two queues.
 *
 * usage: nvme BB:DD.F [write SEED | check SEED]; write destroys what is on namespace 1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nvme_driver.h"
#include "nvme_pattern.h"

enum { QUEUES = 2, DEPTH = 16, CHUNK = 32 << 10, SPAN = 4 << 20 };

struct part { /* of the namespace, for one queue */
    struct nvme_queue *queue;
    uint64_t first, bytes, seed;
    uint8_t opcode;
    const char *problem;
};

static void start_chunk(const struct part *part, unsigned slot, uint64_t offset)
{
    if (part->opcode == NVME_WRITE)
        nvme_pattern_fill(part->seed, offset, nvme_data(part->queue, slot), CHUNK);
    nvme_transfer(part->queue, slot, part->opcode, offset / part->queue->nvme->block_bytes, CHUNK,
                  0);
}

static const char *judge_chunk(const struct part *part, const struct nvme_done *done,
                               uint64_t offset)
{
    if (done->status != 0)
        return "a command failed";
    if (part->opcode == NVME_READ &&
        !nvme_pattern_is(part->seed, offset, nvme_data(part->queue, done->slot), CHUNK))
        return "data differs";
    return NULL;
}

/* Go over the part with DEPTH commands under way: each slot takes every DEPTH-th chunk. */
static void *part_thread(void *context)
{
    struct part *part = context;
    uint64_t offsets[DEPTH], end = part->first + part->bytes;
    struct nvme_done done[DEPTH];
    unsigned under_way = 0;

    for (; under_way < DEPTH && under_way * CHUNK < part->bytes; under_way++)
        start_chunk(part, under_way, offsets[under_way] = part->first + under_way * CHUNK);
    while (under_way > 0 && part->problem == NULL) {
        nvme_ring(part->queue);
        unsigned count = nvme_wait(part->queue, done, DEPTH);
        if (count == 0)
            part->problem = "no completion";
        for (unsigned i = 0; i < count && part->problem == NULL; i++) {
            uint64_t *offset = &offsets[done[i].slot];
            part->problem = judge_chunk(part, &done[i], *offset);
            *offset += DEPTH * CHUNK;
            if (*offset < end)
                start_chunk(part, done[i].slot, *offset);
            else
                under_way--;
        }
    }
    return NULL;
}

static const char *run_threads(struct nvme *nvme, uint8_t opcode, uint64_t seed)
{
    struct part parts[QUEUES];
    pthread_t threads[QUEUES];
    uint64_t size = nvme->blocks * nvme->block_bytes;
    uint64_t bytes = (size < SPAN ? size : SPAN) / QUEUES / CHUNK * CHUNK;
    unsigned started = 0;

    for (; started < QUEUES; started++) {
        parts[started] = (struct part){.queue = &nvme->queues[1 + started],
                                       .first = started * bytes,
                                       .bytes = bytes,
                                       .seed = seed,
                                       .opcode = opcode};
        if (pthread_create(&threads[started], NULL, part_thread, &parts[started]) != 0)
            break;
    }
    const char *problem = started < QUEUES ? "no thread" : NULL;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        if (parts[i].problem != NULL)
            problem = parts[i].problem;
    }
    return problem;
}

static const char *work(struct nvme *nvme, const char *what, uint64_t seed)
{
    const struct nvme_command flush = {.opcode = NVME_FLUSH, .nsid = 1};
    const char *problem = nvme_start(nvme);

    if (problem != NULL)
        return problem;
    printf("%s serial %s blocks %" PRIu64 " of %" PRIu32 "\n", nvme->model, nvme->serial,
           nvme->blocks, nvme->block_bytes);
    if (strcmp(what, "write") == 0) {
        problem = run_threads(nvme, NVME_WRITE, seed);
        if (problem == NULL && nvme_run(&nvme->queues[1], &flush, NULL) != 0)
            problem = "Flush failed";
    }
    if (problem == NULL && what[0] != '\0')
        problem = run_threads(nvme, NVME_READ, seed);
    return problem != NULL ? problem : nvme_stop(nvme);
}

int main(int argc, char **argv)
{
    const struct nvme_options options = {
        .queues = QUEUES, .depth = DEPTH, .transfer_bytes = CHUNK, .has_interrupts = true};
    unsigned bus, slot, function;
    const char *what = argc > 3 ? argv[2] : "";
    char *why = NULL;
    struct nvme nvme;

    if ((argc != 2 && argc != 4) || sscanf(argv[1], "%2x:%2x.%1x", &bus, &slot, &function) != 3 ||
        (argc == 4 && strcmp(what, "write") != 0 && strcmp(what, "check") != 0)) {
        fprintf(stderr, "usage: nvme BB:DD.F [write SEED | check SEED]\n");
        return 2;
    }
    io_connect_t device =
        apple_dext_connect_with_root((uint8_t)bus, (uint8_t)slot, (uint8_t)function, NULL, &why);
    if (device == IO_OBJECT_NULL) {
        fprintf(stderr, "nvme: %s\n", why);
        free(why);
        return 1;
    }
    kern_return_t code = apple_dext_claim(device);
    const char *problem = code != KERN_SUCCESS ? apple_dext_status_text(code) : NULL;
    if (problem == NULL) {
        problem = nvme_open(&nvme, device, &options);
        if (problem == NULL)
            problem = work(&nvme, what, argc > 3 ? strtoull(argv[3], NULL, 0) : 0);
        nvme_close(&nvme);
    }
    apple_dext_disconnect(device);
    if (problem != NULL)
        fprintf(stderr, "nvme: %s\n", problem);
    else if (what[0] != '\0')
        printf("%s: verified\n", what);
    return problem != NULL ? 1 : 0;
}
