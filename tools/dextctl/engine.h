/*
 * What devices can do for tests: copy memory by DMA, and fire interrupts. One table row a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_ENGINE_H
#define DEXTLINK_DEXTCTL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

struct engine_ops;

/* A device whose registers are mapped. */
struct engine {
    const struct engine_ops *ops;
    const struct session *session; /* borrowed */
    mach_vm_address_t registers;
};

struct engine_ops {
    const char *name;
    uint16_t vendor_id;
    uint16_t device_id;
    uint8_t bar; /* where its registers are */
    /*
     * Have the device copy bytes between bus addresses and wait for it, seconds at most. Returns
     * NULL, or what went wrong. Any bytes: the engine splits what its device takes in pieces.
     */
    const char *(*copy)(struct engine *engine, uint64_t source, uint64_t target, uint64_t bytes);
    /* Make the device fire a vector, and quiet it once it has been seen. */
    void (*fire)(struct engine *engine, uint32_t vector);
    void (*acknowledge)(struct engine *engine, uint32_t vector);
};

extern const struct engine_ops engine_edu;
extern const struct engine_ops engine_testdev;

/** The row for a device's ids; NULL when there is none. */
const struct engine_ops *engine_find(uint16_t vendor_id, uint16_t device_id);

/** Names of the devices there are rows for, as "edu and testdev". */
const char *engine_names(void);

/** Map the registers of a claimed device. Prints one line on failure. */
int engine_open(struct engine *engine, const struct engine_ops *ops, const struct session *session);
void engine_close(struct engine *engine);

/** Read or write a register. */
uint32_t engine_read(const struct engine *engine, uint64_t offset);
void engine_write(const struct engine *engine, uint64_t offset, uint32_t value);
void engine_write64(const struct engine *engine, uint64_t offset, uint64_t value);

/** Read a register until (value & mask) == wanted, for at most seconds. Whether it came to that. */
bool engine_wait(const struct engine *engine, uint64_t offset, uint32_t mask, uint32_t wanted,
                 double seconds);

#endif
