/*
 * A small device for tests of the sim back end: a mailbox that does one thing a write.
 *
 * BAR 0, mem32, 16 KiB: mailbox; MSI-X table of 16 entries at 0x1000.
 * BAR 1, I/O, 32 bytes: one scratch word at 0.
 * BAR 2 + 3, mem64 prefetchable, 64 KiB: direct memory in [0, 32 KiB), trapped above.
 * Capabilities: power management, MSI (8 vectors), PCI Express with FLR, MSI-X. Three timers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TEST_FAKE_MODEL_H
#define DEXTLINK_TEST_FAKE_MODEL_H

#include <stdatomic.h>

#include "model/config_space.h"
#include "model/model.h"

#define FAKE_VENDOR     0x1234
#define FAKE_DEVICE     0xfa4e
#define FAKE_TIMERS     3
#define FAKE_VECTORS    16
#define FAKE_MSIX_TABLE 0x1000

/* Mailbox registers, 8 bytes each. */
#define FAKE_ADDRESS 0x00
#define FAKE_DATA    0x08
#define FAKE_RESULT  0x10 /* return code of the last operation, sign-extended */
#define FAKE_DO      0x18 /* writing an operation carries it out */
#define FAKE_SCRATCH 0x20

enum fake_operation {
    FAKE_DMA_WRITE = 1, /* data, 8 bytes, to address */
    FAKE_DMA_READ,      /* 8 bytes at address to data */
    FAKE_MESSAGE,       /* data to address */
    FAKE_MSIX,          /* vector data, as its table entry says */
    FAKE_MSI,           /* vector data, as the capability says */
    FAKE_ARM,           /* timer data, address ns from now */
    FAKE_CANCEL,        /* timer data */
};

struct fake_model {
    struct model model; /* first */
    struct config_space config;
    uint64_t registers[5];
    uint32_t table[FAKE_VECTORS][4];
    uint8_t *direct;
    uint32_t io_word;
    int trapped_accesses; /* to BAR 2 */
    bool rearms;          /* timer 0 arms itself again, at once */
    enum config_answer answer_after_reset;
    _Atomic int fired[FAKE_TIMERS];
    _Atomic uint64_t fired_at_ns[FAKE_TIMERS];
    int resets[3]; /* by kind */
    /* Of the polling one: */
    _Atomic int polls, peeks;
    _Atomic uint64_t poll_answer;
    _Atomic uint64_t poll_takes_ns;
    _Atomic bool peek_answer;
    int direct_writes;
    uint64_t direct_offset, direct_value;
    unsigned direct_width;
    unsigned power, msi, express, msix; /* capability offsets */
};

/* The one made last. */
extern struct fake_model *fake_model_last;
extern int fake_models_alive;
extern const struct model_ops fake_model_ops;
/* The same, but it watches its direct memory, which is [4 KiB, 8 KiB) and [32 KiB, 44 KiB). */
extern const struct model_ops fake_polling_ops;

#endif
