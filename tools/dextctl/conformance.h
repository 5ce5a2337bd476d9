/*
 * The conformance suite: tests of the dext's interface, each tied to a row of docs/dext.md, run
 * against whatever driver answers at an address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_DEXTCTL_CONFORMANCE_H
#define DEXTLINK_DEXTCTL_CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "session.h"

/* How far a run goes; each includes those before. */
enum level {
    LEVEL_READ_ONLY,
    LEVEL_CLAIMED,
    LEVEL_DMA,
    LEVEL_INTERRUPTS,
    LEVEL_RESET,
    LEVEL_TERMINATE,
    LEVEL_COUNT,
};

enum outcome {
    OUTCOME_OK,
    OUTCOME_FAILED,
    OUTCOME_KNOWN, /* a difference that the real dext is known to have */
    OUTCOME_SKIPPED,
};

struct conformance;

struct conformance_test {
    const char *name; /* stable: scripts and comparisons go by it */
    enum level level;
    const char *row;     /* of docs/dext.md */
    const char *expects; /* in words, without what differs from device to device */
    void (*run)(struct conformance *run);
    const char *known; /* what the real dext is known to do instead; NULL: nothing */
    uint32_t selector; /* for functions that serve several rows */
};

/* Tests of one kind, in the order in which they run. */
struct conformance_group {
    const struct conformance_test *tests;
    size_t count;
};

extern const struct conformance_group conformance_look;
extern const struct conformance_group conformance_counts;
extern const struct conformance_group conformance_config;
extern const struct conformance_group conformance_bar;
extern const struct conformance_group conformance_client;
extern const struct conformance_group conformance_dma;
extern const struct conformance_group conformance_batch;
extern const struct conformance_group conformance_records;
extern const struct conformance_group conformance_irq;
extern const struct conformance_group conformance_reset;

#define CONFORMANCE_CONNECTIONS 8
#define CONFORMANCE_TEXT_BYTES  320
#define CONFORMANCE_MEMORY      ((size_t)4 * 16384) /* bytes, for registering */
#define CONFORMANCE_HEADER      64                  /* bytes of config space */

/* Registers of a device whose use does no harm. */
struct conformance_registers {
    bool exist;
    uint8_t bar;
    uint8_t memory_index;
    uint64_t bytes; /* of the BAR */
    uint64_t read_offset;
    uint64_t write_offset;
    bool has_scratch; /* what is written at write_offset reads back, with these bits flipped: */
    uint32_t flips;
};

/* How long what must come is waited for: an interrupt, the end of a driver. Seconds. Where
 * something did not come it is shortened: the rest of the run need not wait for it as long. */
extern double conformance_patience;

/* A run on one device, and the test that runs now. */
struct conformance {
    struct session session; /* not claimed */
    AppleDextInstance instance;
    const struct engine_ops *ops; /* NULL: not a device that can be told to copy and fire */
    bool may_be_risky;            /* simulated, or the user says that it may take harm */
    struct conformance_registers registers;
    io_connect_t holder; /* shared by tests that need a claim and no more */
    bool has_header;
    uint8_t header[CONFORMANCE_HEADER]; /* config space when it was first claimed */
    void *mapping;                      /* memory lies in it; NULL until wanted */
    size_t mapping_bytes;
    uint8_t *memory;

    const struct conformance_test *test;
    io_connect_t opened[CONFORMANCE_CONNECTIONS]; /* closed when the test ends */
    size_t opened_count;
    enum outcome outcome;
    char seen[CONFORMANCE_TEXT_BYTES];
};

/**
 * Connect, without a claim. Prints one line on failure. *run stays where it is until
 * conformance_end.
 */
int conformance_begin(struct conformance *run, const char *address, bool device_is_safe);
void conformance_end(struct conformance *run);

/** Run one test; outcome and seen are set then. */
void conformance_run(struct conformance *run, const struct conformance_test *test);

/* ---- What tests are made of. Connections are IO_OBJECT_NULL when the test has failed by it. */

io_connect_t conformance_look_on(struct conformance *run); /* a client of its own, not claimed */
io_connect_t conformance_claim_own(struct conformance *run);
io_connect_t conformance_hold(struct conformance *run); /* the shared one */
void conformance_let_go(struct conformance *run);       /* of the shared one */
/** Close a connection of this test before its end. */
void conformance_leave(struct conformance *run, io_connect_t connection);

/** Memory of this process, page-aligned and written to; NULL when the test has failed by it. */
uint8_t *conformance_memory(struct conformance *run);

/** Map the registers of edu or testdev for its engine; false when the test is skipped by it. */
bool conformance_engine(struct conformance *run, struct engine *engine, struct session *session,
                        io_connect_t connection);

/* One call of the driver. */
struct conformance_call {
    uint32_t selector;
    uint32_t in_count;
    uint64_t in[16];
    uint32_t out_count; /* room, and then what came */
    uint64_t out[16];
    const void *in_structure; /* NULL: none; borrowed */
    size_t in_bytes;
    void *out_structure; /* NULL: none; borrowed */
    size_t out_bytes;    /* room, and then what came */
    kern_return_t code;
};

kern_return_t conformance_call(io_connect_t connection, struct conformance_call *call);

/** Call with the counts of the selector's row. The rest of out is poison. */
struct conformance_call conformance_ask(io_connect_t connection, uint32_t selector,
                                        const uint64_t *in);

/* A selector as docs/dext.md has it; without a name: no test calls it by its row. */
struct conformance_selector {
    const char *name;
    uint32_t in, out;
};
#define CONFORMANCE_SELECTORS 75
extern const struct conformance_selector conformance_selectors[CONFORMANCE_SELECTORS];

#define SEL_GET_IDENTITY      0u
#define SEL_CLAIM             1u
#define SEL_TERMINATE         2u
#define SEL_ALLOCATE_BUFFER   3u
#define SEL_FREE_BUFFER       4u
#define SEL_REGISTER_REGION   5u
#define SEL_UNREGISTER_REGION 6u
#define SEL_PROBE_REGION      7u
#define SEL_CONFIG_READ       8u
#define SEL_CONFIG_WRITE      9u
#define SEL_GET_BAR_INFO      10u
#define SEL_MMIO_READ         11u
#define SEL_MMIO_WRITE        12u
#define SEL_SETUP_INTERRUPTS  13u
#define SEL_CHECK_INTERRUPT   14u
#define SEL_WAIT_INTERRUPT    15u
#define SEL_SET_IRQ_MASK      16u
#define SEL_RESET_DEVICE      17u
/* Extensions: the real dext has none, and a driver may have some. */
#define SEL_EXTENSIONS           64u
#define SEL_REGISTER_REGIONS     65u
#define SEL_UNREGISTER_REGIONS   66u
#define SEL_READ_CALLS           70u
#define SEL_LIST_REGIONS         71u
#define SEL_GET_BAR_RANGES       72u
#define SEL_REGISTER_SEGMENTS    74u
#define CONFORMANCE_NO_EXTENSION "kIOReturnUnsupported: it has no extensions"

#define CONFORMANCE_IOVA         UINT64_C(0x10000000)
#define CONFORMANCE_NO_INDEX     UINT64_C(200) /* a memory index that no device has */

/* Verdicts: the first one that is not ok stands. Each returns whether the test may go on. */
bool want(struct conformance *run, bool is_so, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool want_code(struct conformance *run, kern_return_t code, kern_return_t wanted,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
/** Success, and as many outputs as the row of the selector; fewer are a known difference. */
bool want_reply(struct conformance *run, const struct conformance_call *call);
/** Whether the selector is there; false, and the test skipped, for an extension that is not. */
bool conformance_has(struct conformance *run, const struct conformance_call *call);
/** The same for a test whose known difference that is. */
bool conformance_extends(struct conformance *run, const struct conformance_call *call);
/** An extension that wants a claim, asked without one. */
void conformance_refuses_unclaimed(struct conformance *run, struct conformance_call *call);
void skip(struct conformance *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Whether the test may ask for what hardware might not survive; skips it otherwise. */
bool may_risk(struct conformance *run);
/** The real dext's behaviour was seen: test->known. */
void differs(struct conformance *run);

/** "kIOReturnNotOpen (0xe00002cd)". Returns text. */
#define CODE_TEXT_BYTES 64
const char *code_name(kern_return_t code, char text[CODE_TEXT_BYTES]);

/** Whether something came true while there was patience. */
bool conformance_eventually(bool (*is_true)(void *opaque), void *opaque);

/* ---- Waiting for an interrupt by the driver's own asynchronous call. */
struct conformance_wait;

struct conformance_wait *conformance_wait_create(void);
/** Ask for a completion; returns the driver's answer to the call. */
kern_return_t conformance_wait_arm(struct conformance_wait *wait, io_connect_t connection);
/** Completions so far, once there are that many or the patience is at its end. */
unsigned int conformance_wait_count(struct conformance_wait *wait, unsigned int wanted);
void conformance_wait_destroy(struct conformance_wait *wait);

/* ---- The report. */
struct conformance_report;

struct conformance_report *conformance_report_begin(const struct conformance *run, bool json,
                                                    enum level level, size_t planned);
void conformance_report_add(struct conformance_report *report, const struct conformance *run,
                            double ms);
/** Print what is left to print, and free. The number of tests that failed. */
unsigned int conformance_report_end(struct conformance_report *report);
/** In the order of a run, up to a level. */
void conformance_print_list(const struct conformance_group *const *groups, size_t count, bool json,
                            enum level level);
extern const char *const conformance_level_names[LEVEL_COUNT];

#endif
