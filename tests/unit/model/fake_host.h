/*
 * The world around a model in unit tests: memory at one bus address range, a clock that only moves
 * when told, timers, and a list of the messages sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_FAKE_HOST_H
#define DEXTLINK_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/config_space.h"
#include "model/model.h"

#define FAKE_MEMORY_START  UINT64_C(0x900004000)
#define FAKE_MEMORY_BYTES  (UINT64_C(1) << 20)
#define FAKE_TIMERS        4
#define FAKE_MESSAGES      1024
#define FAKE_STORAGES      8
#define FAKE_STORAGE_BYTES (UINT64_C(1) << 20)
#define FAKE_OPERATIONS    256

struct fake_storage {
    uint8_t *bytes; /* NULL: not opened */
    bool is_read_only, is_uncached;
};

struct fake_message {
    uint64_t address;
    uint32_t data;
};

struct fake_host {
    uint8_t *memory;        /* FAKE_MEMORY_BYTES at FAKE_MEMORY_START */
    uint64_t read_only_end; /* bus addresses below it refuse writes */
    uint64_t now_ns;
    bool is_armed[FAKE_TIMERS];
    uint64_t deadline_ns[FAKE_TIMERS];
    unsigned timer_limit; /* shape.timer_count: arming another one is a test failure */
    struct fake_message messages[FAKE_MESSAGES];
    unsigned message_count; /* all ever; the list keeps the first FAKE_MESSAGES */
    unsigned dma_calls;     /* reads and writes that arrived */
    uint64_t dma_last_address;
    size_t dma_longest;
    struct fake_storage storages[FAKE_STORAGES];
    struct model_storage_request operations[FAKE_OPERATIONS]; /* submitted, first comes first */
    unsigned operation_count;
    bool reads_now;     /* storage_read_now works */
    bool copies_direct; /* dma_copy works */
    unsigned copied_direct;
    bool submits_direct; /* storage_submit_direct works; a write's data is taken at once */
    unsigned reads_done_now, submitted_direct;
    bool is_woken;         /* ops->poll is due now */
    uint64_t poll_at_ns;   /* or then; UINT64_MAX: not by itself */
    uint64_t poll_wait_ns; /* the last answer */
    unsigned polls;
    struct model *model;
    void *attached[MODEL_BAR_COUNT][MODEL_MAX_RANGES];
};

/** Make the host and the model. options: "key=value" or "key", NULL-ended; NULL for none. */
void fake_start(struct fake_host *fake, const char *name, const char *const *options);
void fake_stop(struct fake_host *fake);

/** Carry out and report the oldest storage operation; error 0, or the -errno it ends with instead.
 * False when there is none. */
bool fake_storage_step(struct fake_host *fake, int error);

/** Carry out so many, the oldest first, and report them together. There are as many. */
void fake_storage_finish(struct fake_host *fake, unsigned count);

/** Create and expect -EINVAL with exactly this text. */
void fake_expect_refused(const char *name, const char *const *options, const char *text);

/** Move the clock, firing what falls due in order, and watching direct memory as told. */
void fake_advance(struct fake_host *fake, uint64_t ns);
/** Fire timers until none is armed or limit fired, and watch while the model asks for it at once;
 * how many. */
unsigned fake_run(struct fake_host *fake, unsigned limit);

uint64_t fake_read(struct fake_host *fake, unsigned bar, uint64_t offset, unsigned width);
void fake_write(struct fake_host *fake, unsigned bar, uint64_t offset, unsigned width,
                uint64_t value);
uint32_t fake_config_read(struct fake_host *fake, unsigned offset, unsigned width);
/** Direct memory at an offset of a BAR as a driver has it mapped; NULL: trapped. */
uint32_t *fake_direct(struct fake_host *fake, unsigned bar, uint64_t offset);
/** Store through the masks, tell the model, and carry out the reset that was asked for, if any; as
 * a host does. */
void fake_config_write(struct fake_host *fake, unsigned offset, unsigned width, uint32_t value);
/** Cancel the timers and reset, as a host does. */
void fake_reset(struct fake_host *fake, enum model_reset kind);
/** Memory decode and bus mastering on, as a driver does first. */
void fake_enable(struct fake_host *fake);

#endif
