/*
 * A fake device behind trapped pages: a file of bytes that logs every access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_TRAP_DEVICE_H
#define TESTS_TRAP_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "iokit/trap.h"

#define DEVICE_BYTES 4096

/* TSan makes atomic accesses itself, some of them twice, and runs signal handlers late and with
 * every signal blocked, so that a trapped access in one cannot be completed. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN false
#endif

struct device_access {
    uint64_t offset;
    unsigned width;
    bool is_write;
    uint64_t value;
};

struct device {
    uint8_t *page; /* trapped */
    struct trap_region *region;
    uint8_t memory[DEVICE_BYTES];
    volatile unsigned count; /* accesses, of which the first are kept */
    struct device_access log[64];
};

/** After an access: the compiler does not know that it changed the device. */
#define DEVICE_SETTLE() __asm__ volatile("" : : : "memory")

/** Back an inaccessible page (at `at`, or anywhere when NULL) by the device. */
void device_open(struct device *device, void *at);
void device_close(struct device *device);
/** Log and serve one access; little-endian. */
void device_access(void *context, uint64_t offset, unsigned width, bool is_write, uint64_t *value);

/** A reproducible random number, every other one an edge case. */
uint64_t random_value(void);

#endif
