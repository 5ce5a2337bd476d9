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
    X(REGISTER_DMA_REGIONS, 65, 1, 1, 0)                                                           \
    X(UNREGISTER_DMA_REGIONS, 66, 0, 1, 0)                                                         \
    X(GET_STATISTICS, 67, 0, 10, 0)                                                                \
    X(GET_DEVICE_STATE, 68, 0, 6, 0)                                                               \
    X(GET_CALL_COUNTS, 69, 1, 16, 0)                                                               \
    X(READ_CALLS, 70, 1, 3, 0)                                                                     \
    X(LIST_DMA_REGIONS, 71, 1, 2, 0)                                                               \
    X(GET_BAR_RANGES, 72, 1, 9, 0)                                                                 \
    X(REGISTER_DMA_SEGMENTS, 74, 3, 1, 0)

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
    uint64_t life;                    /* 0x40, ours: see below; the real dext says nothing, 0 */
};
#define DEXT_IRQ_LIFE_LIVE  1
#define DEXT_IRQ_LIFE_ENDED 2 /* nothing more will be pending: calls tell why */

/* GetCapabilities (ours), outputs in order: version, features, regions, aperture, granule, batch.
 */
#define DEXT_INTERFACE_VERSION  1
#define DEXT_FEATURE_STATISTICS (UINT64_C(1) << 0)
#define DEXT_FEATURE_STATE      (UINT64_C(1) << 1)

/*
 * RegisterDMARegions (ours): flags, a structure of requests -> regions registered, a structure of
 * as many results. UnregisterDMARegions (ours): a structure of IOVAs, 64 bits each -> regions
 * ended, a structure of as many codes, 64 bits each. Codes are IOReturns in the low 32 bits.
 */
#define DEXT_DMA_MAX_BATCH  4096
#define DEXT_DMA_BATCH_EACH (UINT64_C(1) << 0) /* register what can be; else all or nothing */
struct dext_dma_request {
    uint64_t iova, address, bytes;
};
struct dext_dma_result {
    uint64_t status, bus_address, bytes; /* the latter two 0 but with success */
};

/* RegisterDMASegments (ours): inputs of RegisterDMARegion -> how many bus segments the region
 * became, a structure of as many of these, in the region's order. Room for one at least is asked
 * for; kIOReturnOverrun, and no region, where there is not enough. */
#define DEXT_DMA_MAX_SEGMENTS 4096
struct dext_bus_segment {
    uint64_t bus_address, bytes;
};

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

/*
 * ReadCalls (ours): the sequence number to begin at -> records that follow, the number to go on
 * with, how many in between were overwritten; and a structure of as many records as there are and
 * as fit. A number that is yet to come stands for the next call. Calls are numbered from 0 in the
 * order in which they ended; the last DEXT_CALLS_KEPT are kept. ReadCalls itself is not recorded.
 */
#define DEXT_CALLS_KEPT  1024
#define DEXT_CALLS_NEW   UINT64_MAX /* nothing that was, only what comes */
#define DEXT_CALL_INPUTS 4

enum dext_call_kind {
    DEXT_CALL_METHOD = 0, /* an external method; inputs: its scalars */
    DEXT_CALL_LOAD = 1,   /* a load that hit a trapped part of a BAR; memory type, offset, width */
    DEXT_CALL_STORE = 2,  /* a store; memory type, offset, width, value */
    DEXT_CALL_MAP = 3,    /* memory was mapped; its type */
};

struct dext_call_record {
    uint64_t sequence;
    uint64_t start_ns;                 /* of the host's monotonic clock */
    uint64_t duration_ns;              /* with the wait for other clients' calls */
    uint64_t inputs[DEXT_CALL_INPUTS]; /* the first; 0 for those that are hidden or not there */
    uint32_t selector;                 /* of a method, else 0 */
    uint32_t code;                     /* IOReturn */
    uint32_t client;                   /* number of the user client at this dext, from 1 */
    uint32_t process;                  /* whose it is; 0 unknown */
    uint8_t kind;                      /* enum dext_call_kind */
    uint8_t input_count;               /* as many as came, also above DEXT_CALL_INPUTS */
    uint8_t hidden;                    /* bit i: input i is an address in the client's process */
    uint8_t reserved[5];
};

/*
 * ListDMARegions (ours): the bus address to begin at -> segments that follow, the bus address to go
 * on with (0: that was the last); and a structure of as many segments as there are and as fit,
 * lowest bus address first. A region of several bus segments is that many of them. What is
 * registered or ended between two calls may be missed.
 */
#define DEXT_SEGMENTS_A_CALL 4096      /* at most: meanwhile nothing can be mapped */
#define DEXT_SEGMENT_BUFFER  (1u << 0) /* a client's DMA buffer: the dext's memory, no iova */

struct dext_dma_segment {
    uint64_t iova; /* what the client asked for; 0 for a buffer */
    uint64_t bus_address;
    uint64_t bytes;
    uint32_t client; /* as in dext_call_record */
    uint32_t flags;
};

/* GetBARRanges (ours): how many parts of the BAR are direct, then offset and bytes of each, 0 for
 * those there are not; ascending and apart, in units of 4096 bytes. The rest is trapped. */
#define DEXT_BAR_RANGES 4

#endif
