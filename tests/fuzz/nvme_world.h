/*
 * The world around the NVMe model under the fuzzer: pages of memory that come and go, a
 * thread that watches the doorbells, storage whose operations end when and how the input says. It
 * aborts when the model
 *  - leaves a failed DMA or storage operation without an error answer or a failed controller,
 *  - touches a buffer that storage is working on,
 *  - submits an operation outside the storage, twice under one tag, or a write to what is
 * read-only,
 *  - does more in one call than it may, or wants to be called at once with nothing to do,
 *  - loses count of its requests (nvme_state.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_FUZZ_NVME_WORLD_H
#define DEXTLINK_TESTS_FUZZ_NVME_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "model/nvme/nvme_device.h"

#define WORLD_PAGE       4096u
#define WORLD_PAGES      128u
#define WORLD_MEMORY     UINT64_C(0x900000000)
#define WORLD_BYTES      (WORLD_PAGES * WORLD_PAGE)
#define WORLD_STORAGES   NVME_MAX_NAMESPACES
#define WORLD_STORAGE    65536u /* bytes of each */
#define WORLD_OPERATIONS (2 * NVME_REQUESTS)

#define WORLD_READABLE   1u
#define WORLD_WRITABLE   2u

struct world_operation {
    struct model_storage_request request;
    uint16_t sqid, cid;
};

/* A command that has seen an error and must not be answered with success. */
struct world_failed {
    bool is_due;
    uint16_t sqid, cid;
};

struct world {
    struct model *model;
    uint8_t *memory;
    uint8_t access[WORLD_PAGES];
    uint64_t now_ns;
    bool is_woken;       /* the model's poll is due now */
    uint64_t poll_at_ns; /* or then; MODEL_POLL_NEVER */
    unsigned stores;     /* to direct memory; every other one goes through the host */
    uint8_t *storages[WORLD_STORAGES];
    bool is_read_only[WORLD_STORAGES];
    struct world_operation operations[WORLD_OPERATIONS];
    unsigned operation_count;
    struct world_failed failed[NVME_REQUESTS];
    void *direct[MODEL_BAR_COUNT][MODEL_MAX_RANGES];

    bool is_fault_open; /* a DMA failed in this call and nobody has been told */
    uint64_t last_write;
    size_t last_write_bytes;
    unsigned reads_now;               /* asked for */
    unsigned submits_direct;          /* asked for */
    unsigned calls_dma, calls_submit; /* of the present call */
    uint64_t bytes_dma;
    unsigned idle_fires; /* calls in a row that were wanted at once and did nothing */
};

/** Options: count of them, as model_ops.create takes. Never fails. */
void world_start(struct world *world, const struct model_option *options, size_t count);
/** End every operation and destroy the model. */
void world_stop(struct world *world);

uint64_t world_read(struct world *world, uint64_t offset, unsigned width);
/** A store to BAR 0, as wide and aligned as a host lets through. */
void world_write(struct world *world, uint64_t offset, unsigned width, uint64_t value);
void world_config_write(struct world *world, unsigned offset, unsigned width, uint32_t value);
void world_reset(struct world *world, enum model_reset kind);
/** Watch once, at the time the model wants to; false when it does not. */
bool world_fire(struct world *world);
/** Move the clock, watching as the model wants to, at most so often. */
void world_advance(struct world *world, uint64_t ns, unsigned most);
/** End the oldest operation of one of the storages; result 0 carries it out. False: there is none.
 */
bool world_storage_done(struct world *world, unsigned which, int result);
/** Memory as the driver sees it, mapped for the device or not. */
uint8_t *world_memory(struct world *world, uint64_t bus);

/** Abort unless the model's books agree with each other and with the operations under way. */
void world_state_check(const struct world *world);

/** Say what does not hold and abort. */
_Noreturn void world_fail(const char *text);

#endif
