/*
 * A device model: registers in, effects out. A model has no file descriptor, thread, clock or log;
 * DMA, messages, time and memory arrive as host operations, so the same code runs behind the
 * software dext, in a unit test and under a fuzzer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_MODEL_H
#define DEXTLINK_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_space;

#define MODEL_BAR_COUNT  6
#define MODEL_MAX_RANGES 4 /* direct ranges a BAR may have */

/* Answers of ops->poll. */
#define MODEL_POLL_SPIN_NS UINT64_C(2000) /* too short to sleep: the host uses ops->peek */
#define MODEL_POLL_NEVER   UINT64_MAX     /* not before ops->poll_wake */

enum model_storage_action {
    MODEL_STORAGE_READ,
    MODEL_STORAGE_WRITE,
    MODEL_STORAGE_ZERO,  /* the range reads as zeros afterwards; space may be given back */
    MODEL_STORAGE_FLUSH, /* everything that was done before survives a power cut; no range */
};

/* How a storage is opened. */
#define MODEL_STORAGE_READ_ONLY 1u
#define MODEL_STORAGE_UNCACHED  2u /* not through the page cache of the host */

/* A piece of memory as the device addresses it. */
struct model_segment {
    uint64_t address;
    uint32_t bytes;
};

/* One operation on a storage. Those that have bytes in common, one of them to change them, are
 * carried out in the order of submission; of others any may be first. */
struct model_storage_request {
    unsigned storage; /* handle of storage_open */
    enum model_storage_action action;
    bool is_durable; /* done when it survives a power cut; a read: what it has read does */
    uint64_t offset, bytes;
    void *buffer; /* of bytes; borrowed until ops->storage_done, resets or not. NULL without data */
    const struct model_segment *segments; /* with storage_submit_direct; borrowed for the call */
    unsigned segment_count;
    unsigned tag; /* for storage_done; unique among the operations of the device under way */
};

/* How an operation ended. */
struct model_storage_result {
    unsigned tag;
    int result; /* 0; -EIO (also when less was there than asked for), -ENOSPC, or another -errno */
};

/* What a model may ask of the world. Every member is required. No member blocks for long, calls
 * back into the model before it returns, or may be called outside a model op of the same device. */
struct model_host_ops {
    /* Read length bytes (any length) of memory at a bus address into buffer.
     * 0, or -EFAULT when any byte lies outside live mappings or against their direction: buffer
     * then holds ones where memory could not be read; -EPERM when bus mastering is off. */
    int (*dma_read)(void *host, uint64_t bus_address, void *buffer, size_t length);

    /* Write length bytes. Same codes; bytes that cannot be written are dropped. The last word, of 8
     * bytes where it is aligned so, is seen by nobody before the rest: who polls for it finds it
     * all. */
    int (*dma_write)(void *host, uint64_t bus_address, const void *buffer, size_t length);

    /* Copy from one bus address to another without a copy between: what dma_write says about the
     * destination; -ENOTSUP, and nothing was written, where some of the source is not the host's to
     * reach so or not the device's to read: dma_read and dma_write do it, and say what is wrong. */
    int (*dma_copy)(void *host, uint64_t from, uint64_t to, size_t length);

    /* Send an MSI or MSI-X message: a memory write of data to address, as the device's message
     * capability or table tells. Never fails: a message nobody listens to is lost. */
    void (*message)(void *host, uint64_t address, uint32_t data);

    /* Monotonic time in ns. Starts anywhere, never goes back. */
    uint64_t (*now_ns)(void *host);

    /* Ask for ops->timer(model, timer) at deadline_ns (now_ns time base) or soon after. One
     * deadline a timer: arming again replaces it. timer < shape.timer_count. */
    void (*timer_arm)(void *host, unsigned timer, uint64_t deadline_ns);
    void (*timer_cancel)(void *host, unsigned timer);

    /* Open a file as storage, for this device alone; the host closes it after destroy. Only in
     * create. flags: MODEL_STORAGE_*. 0, *storage (a small handle) and *bytes, its size; -EBUSY
     * when somebody else has it; -errno of opening, -EINVAL for what is neither a file nor a block
     * device. A host without storage answers -ENOTSUP. UNCACHED: -ENOTBLK where the file system
     * has no way round its cache; -EDOM when the size is no multiple of what goes that way at a
     * time, and *bytes is that. */
    int (*storage_open)(void *host, const char *path, unsigned flags, unsigned *storage,
                        uint64_t *bytes);

    /* Start an operation; ops->storage_done follows, later, whatever happens to the device. The
     * range lies inside the size that storage_open told. */
    void (*storage_submit)(void *host, const struct model_storage_request *request);

    /* storage_submit of a read or write whose data goes to or comes from memory within the device's
     * reach, some time before it is done: request->segments, of request->bytes together, instead of
     * buffer. False, and nothing was started: some of it is not the host's to reach without a copy,
     * or bus mastering is off. Whoever unmaps that memory waits for the end of the operation. It
     * ends with -ECANCELED when bus mastering goes off, or a reset comes, before it is carried out;
     * one that is being carried out then holds that up. */
    bool (*storage_submit_direct)(void *host, const struct model_storage_request *request);

    /* Read from a storage straight to memory, count segments one after the other, if that can be
     * done at once: nothing of the storages is under way, the data is at hand, the memory is the
     * host's to reach without a copy, bus mastering is on. The range lies inside the storage.
     * False: not so, or it failed, and some of the memory may have been written; storage_submit and
     * dma_write do it all, and say what is wrong. */
    bool (*storage_read_now)(void *host, unsigned storage, uint64_t offset,
                             const struct model_segment *segments, unsigned count);

    /* Ask for ops->poll soon. */
    void (*poll_wake)(void *host);
};

/* Handed to create; ops and context outlive the model. */
struct model_host {
    const struct model_host_ops *ops;
    void *context;
};

/* Part of a BAR that is plain memory: the host gives it as one shared mapping to whoever maps the
 * BAR, and accesses to it never reach mmio_read and mmio_write. Multiples of 4096 bytes. */
struct model_range {
    uint64_t offset;
    uint64_t bytes;
};

struct model_bar {
    uint64_t bytes; /* power of two, 0 = not there (or the upper half of the BAR before) */
    uint8_t type;   /* low bits of the BAR register: DEXT_BAR_TYPE_* of abi/dext_abi.h */
    unsigned direct_count;
    struct model_range direct[MODEL_MAX_RANGES]; /* ascending, inside bytes, not overlapping */
};

/* What a model is, fixed from create to destroy. */
struct model_shape {
    struct model_bar bars[MODEL_BAR_COUNT];
    unsigned timer_count;
    unsigned storage_operations; /* most there may be under way; 0 for models without storage */
    bool has_flr;                /* ops->reset(MODEL_RESET_FUNCTION) is meaningful */
};

enum model_reset {
    MODEL_RESET_FUNCTION, /* function-level reset, asked for in Device Control */
    MODEL_RESET_POWER,    /* D3hot to D0 without No_Soft_Reset */
    MODEL_RESET_HOT,      /* secondary bus reset: everything, as after power-on */
};

/* One key=value of a --device specification. Both strings borrowed for the call. */
struct model_option {
    const char *key;
    const char *value; /* "" for a bare key */
};

struct model; /* each model embeds it as its first member */

/* One kind of device. The host calls every op of one device but peek under that device's lock:
 * never two at once. Ops must not block. */
struct model_ops {
    const char *name;    /* as in --device NAME,… */
    const char *summary; /* one line for people */
    const char *options; /* one line a key for people: "key=VALUE  meaning\n…"; "" when none */

    /* Build a device. options: count entries, addr, root and the host's own keys already taken out;
     * every key left must be known to the model.
     * 0 and *out; -EINVAL with *error a malloc'ed one-line text (caller frees) naming the option
     * and what it takes; -ENOMEM. On failure nothing is left behind. */
    int (*create)(const struct model_host *host, const struct model_option *options, size_t count,
                  struct model **out, char **error);

    /* Free the device. Takes a pointer that create gave. No timer fires afterwards, and no storage
     * operation is under way. */
    void (*destroy)(struct model *model);

    /* Called once after create when the shape has direct ranges: memory is where the host mapped
     * BAR bar's direct range number range, zero-filled, valid until destroy. Optional (NULL) for
     * models without direct ranges. */
    void (*attach_memory)(struct model *model, unsigned bar, unsigned range, void *memory);

    /* A store to direct memory that went through the host, which has carried it out: the BAR is
     * decoded, width 1, 2, 4 or 8, naturally aligned, offset from the start of the BAR. Stores of
     * those who have the range mapped are not told. Optional. */
    void (*direct_written)(struct model *model, unsigned bar, uint64_t offset, unsigned width);

    /* A register access that hits a trapped part of BAR bar. The host has checked: the BAR exists,
     * width is 1, 2, 4 or 8, offset + width lies inside it, offset is naturally aligned, memory (or
     * I/O) decode is on. Reads return the value in the low width bytes. A register that does not
     * take that width reads ones, and ignores writes, unless the device's documentation says
     * otherwise. */
    uint64_t (*mmio_read)(struct model *model, unsigned bar, uint64_t offset, unsigned width);
    void (*mmio_write)(struct model *model, unsigned bar, uint64_t offset, unsigned width,
                       uint64_t value);

    /* Config space was written: [offset, offset + width) already stored through the write masks
     * of model->config. For side effects (MSI enable, power state). The host itself sees writes
     * that ask for a reset (Initiate FLR, D3hot to D0 without No_Soft_Reset) and calls reset after
     * this. Optional. */
    void (*config_written)(struct model *model, unsigned offset, unsigned width);

    /* Watch direct memory and do what it asks for, a bounded batch. Called after create, and then
     * again and again as told. Returns how long it may take until the next call, in ns: 0 when
     * there is more to do now; up to MODEL_POLL_SPIN_NS the host does not sleep, and calls as soon
     * as peek says so; MODEL_POLL_NEVER waits for poll_wake. Between, it may be called when peek
     * says so. Not called once the device is removed. Optional. */
    uint64_t (*poll)(struct model *model);

    /* Whether poll would find something. Called WITHOUT the device's lock, beside any other op but
     * create, attach_memory and destroy: a few atomic loads, no effect. Required with poll. */
    bool (*peek)(const struct model *model);

    /* A timer's deadline passed. Optional when shape.timer_count is 0. */
    void (*timer)(struct model *model, unsigned timer);

    /* Storage operations are over, one or more at a time. What a read that failed was to fill is
     * of no use. Comes after a reset too, for operations from before it. Optional for models
     * without storage. */
    void (*storage_done)(struct model *model, const struct model_storage_result *results,
                         unsigned count);

    /* Go back to the state after create (config space included: the host saves and restores what
     * it owns). All timers are cancelled by the host before. Direct memory keeps its content. */
    void (*reset)(struct model *model, enum model_reset kind);
};

struct model {
    const struct model_ops *ops;
    struct model_host host;
    struct model_shape shape;
    struct config_space *config; /* owned by the model, never NULL after create */
};

/** The model named name, or NULL. Static storage. */
const struct model_ops *model_find(const char *name);

/** The index-th model of the table, NULL past the end; for listing. */
const struct model_ops *model_at(size_t index);

#endif
