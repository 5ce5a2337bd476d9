/*
 * What crosses the line between a client and the VFIOUserPCIDriver dext: service names, selectors,
 * argument counts, memory types, limits and the IRQ state page. Plain C11, no other include than
 * <stdint.h>; the one file both ends share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_ABI_DEXT_ABI_H
#define DEXTLINK_ABI_DEXT_ABI_H

#include <stdint.h>

#define DEXT_SERVICE_CLASS  "IOUserService"     /* kernel class of every dext service */
#define DEXT_USER_CLASS_KEY "IOUserClass"       /* registry key that names the dext's class */
#define DEXT_USER_CLASS     "VFIOUserPCIDriver" /* its value for the dext this is about */
/* Ours: on the dext's registry entry, an array with a string "pid N, NAME" for each client that
 * holds a claim. The real dext has no such property. */
#define DEXT_CLAIMED_BY_KEY   "DextClaimedBy"
#define DEXT_USER_CLIENT_TYPE 0 /* the only type IOServiceOpen accepts */

/*
 * One row a selector: X(NAME, number, scalars in, scalars out, asynchronous).
 * Counts are minimums: a call with fewer is kIOReturnBadArgument, a call with more is accepted.
 * "asynchronous" is 1 when the call needs a completion (wake port and reference).
 * Rows 64 and above are dextlink's extensions; the real dext answers them kIOReturnUnsupported.
 */
#define DEXT_SELECTORS(X)                                                                          \
    X(GET_IDENTITY, 0, 0, 6, 0)                                                                    \
    X(CLAIM, 1, 0, 0, 0)                                                                           \
    X(TERMINATE, 2, 0, 0, 0)                                                                       \
    X(ALLOCATE_DMA_BUFFER, 3, 2, 6, 0)                                                             \
    X(FREE_DMA_BUFFER, 4, 0, 0, 0)                                                                 \
    X(REGISTER_DMA_REGION, 5, 3, 3, 0)                                                             \
    X(UNREGISTER_DMA_REGION, 6, 1, 0, 0)                                                           \
    X(PROBE_DMA_REGION, 7, 2, 1, 0)                                                                \
    X(CONFIG_READ, 8, 2, 1, 0)                                                                     \
    X(CONFIG_WRITE, 9, 3, 0, 0)                                                                    \
    X(GET_BAR_INFO, 10, 1, 3, 0)                                                                   \
    X(MMIO_READ, 11, 3, 1, 0)                                                                      \
    X(MMIO_WRITE, 12, 4, 0, 0)                                                                     \
    X(SETUP_INTERRUPTS, 13, 0, 1, 0)                                                               \
    X(CHECK_INTERRUPT, 14, 0, 4, 0)                                                                \
    X(WAIT_INTERRUPT, 15, 0, 0, 1)                                                                 \
    X(SET_IRQ_MASK, 16, 4, 0, 0)                                                                   \
    X(RESET_DEVICE, 17, 0, 0, 0)                                                                   \
    X(GET_CAPABILITIES, 64, 0, 6, 0)                                                               \
    X(GET_STATISTICS, 67, 0, 10, 0)                                                                \
    X(GET_DEVICE_STATE, 68, 0, 6, 0)                                                               \
    X(GET_CALL_COUNTS, 69, 1, 16, 0)                                                               \
    X(GET_BAR_RANGES, 72, 1, 9, 0)

enum dext_selector {
#define DEXT_SELECTOR_ENUM(name, number, in, out, async) DEXT_SEL_##name = number,
    DEXT_SELECTORS(DEXT_SELECTOR_ENUM)
#undef DEXT_SELECTOR_ENUM
};

/* Memory types for IOConnectMapMemory64. */
#define DEXT_MEMORY_DMA_BUFFER 0
#define DEXT_MEMORY_BAR(bar)   (1 + (bar)) /* bar 0..5, the BAR index, not the memory index */
#define DEXT_MEMORY_IRQ_STATE  7

#define DEXT_BAR_COUNT         6
#define DEXT_CONFIG_BYTES      4096

/* BAR types: the low bits of a BAR register. */
#define DEXT_BAR_TYPE_M32       0x00
#define DEXT_BAR_TYPE_IO        0x01
#define DEXT_BAR_TYPE_M64       0x04
#define DEXT_BAR_TYPE_M32PF     0x08
#define DEXT_BAR_TYPE_M64PF     0x0c
#define DEXT_BAR_IS_IO(type)    (((type)&0x1) != 0)
#define DEXT_BAR_IS_64BIT(type) (!DEXT_BAR_IS_IO(type) && ((type)&0x6) == 0x4)
#define DEXT_BAR_IS_PREFETCH(t) (!DEXT_BAR_IS_IO(t) && ((t)&0x8) != 0)

/* DMA limits of the real dext. */
#define DEXT_DMA_CHUNK_BYTES (UINT64_C(1536) * 1024 * 1024) /* 1.5 GiB */
#define DEXT_DMA_MAX_CHUNKS  128
#define DEXT_DMA_MAX_REGIONS 65536

/* Interrupts: vector v is bit v % 64 of word v / 64. */
#define DEXT_IRQ_WORDS       4
#define DEXT_IRQ_MAX_VECTORS 256

/* Memory type 7, shared by the dext and one client. Words little-endian, accessed atomically. */
#define DEXT_IRQ_STATE_BYTES 16384
struct dext_irq_state {
    uint64_t pending[DEXT_IRQ_WORDS]; /* 0x00: set by the dext, cleared by the client */
    uint64_t enabled[DEXT_IRQ_WORDS]; /* 0x20: written by the client */
};

/* GetCapabilities (ours), outputs in order: version, features, regions, aperture, granule, batch.
 */
#define DEXT_INTERFACE_VERSION  1
#define DEXT_FEATURE_STATISTICS (UINT64_C(1) << 0)
#define DEXT_FEATURE_STATE      (UINT64_C(1) << 1)

/* GetStatistics (ours): index of each output. Counts since the dext started; all clients together.
 */
enum dext_statistic {
    DEXT_STAT_LIVE_REGIONS = 0,
    DEXT_STAT_PEAK_REGIONS = 1,
    DEXT_STAT_LIVE_BYTES = 2,
    DEXT_STAT_PEAK_BYTES = 3,
    DEXT_STAT_CALLS = 4,
    DEXT_STAT_IRQS_RAISED = 5,
    DEXT_STAT_IRQS_DELIVERED = 6,
    DEXT_STAT_IRQS_DROPPED = 7,
    DEXT_STAT_FAULTS = 8,
    DEXT_STAT_CLAIMS = 9, /* clients that hold a claim now */
    DEXT_STAT_COUNT = 10,
};

/* GetDeviceState (ours), outputs in order: state, generation, link speed, width, last fault, 0. */
enum dext_device_state {
    DEXT_STATE_PRESENT = 0,
    DEXT_STATE_REMOVED = 1,
    DEXT_STATE_RESETTING = 2,
};

/* GetCallCounts (ours): calls of the selectors from the one given on, refused ones too; 0 for those
 * there are not. */
#define DEXT_CALL_COUNTS 16

/* GetBARRanges (ours): how many parts of the BAR are direct, then offset and bytes of each, 0 for
 * those there are not; ascending and apart, in units of 4096 bytes. The rest is trapped. */
#define DEXT_BAR_RANGES 4

#endif
