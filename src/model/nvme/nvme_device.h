/*
 * The NVMe controller's state, shared by its source files and nobody else.
 *
 * A command lives in a request: fetched into it, executed, and either answered at once or moved on
 * step by step, each step after one storage operation, until it is answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_NVME_DEVICE_H
#define DEXTLINK_MODEL_NVME_DEVICE_H

#include <bsd/sys/queue.h>

#include "model/config_space.h"
#include "model/model.h"
#include "model/msix.h"
#include "model/nvme/nvme_bad_blocks.h"
#include "model/nvme/nvme_poll.h"
#include "model/nvme/nvme_spec.h"

#define NVME_MAX_QUEUES     64   /* I/O queues of each kind */
#define NVME_MAX_ENTRIES    4096 /* of a queue */
#define NVME_MAX_NAMESPACES 8
#define NVME_PAGE_BYTES     4096u /* smallest memory page; unit of NVME_MDTS */
#define NVME_MDTS           5     /* 2^5 smallest pages */
#define NVME_TRANSFER_BYTES (NVME_PAGE_BYTES << NVME_MDTS)
#define NVME_SEGMENTS       (NVME_TRANSFER_BYTES / NVME_PAGE_BYTES + 1)
#define NVME_IO_REQUESTS    128
#define NVME_ADMIN_REQUESTS 8
#define NVME_REQUESTS       (NVME_IO_REQUESTS + NVME_ADMIN_REQUESTS + 1)
#define NVME_OWN_REQUEST    (NVME_REQUESTS - 1) /* the controller's own, for the shutdown flush */
#define NVME_ASYNC_LIMIT    4                   /* outstanding Asynchronous Event Requests */
#define NVME_EVENTS         16                  /* events that wait for a request */
#define NVME_ERROR_ENTRIES  64
#define NVME_TEMPERATURE    310 /* kelvin, always */
#define NVME_DSM_RANGES     256
#define NVME_FIRMWARE       "1.0"

#define NVME_BAR_BYTES      0x4000
#define NVME_DOORBELLS      1024 /* words of the page at NVME_REG_DOORBELLS */
#define NVME_MSIX_TABLE     0x2000
#define NVME_MSIX_PBA       0x3000

/* A handler's answer besides status codes: the request is answered later. */
#define NVME_LATER 0xffff

struct nvme_command {
    uint8_t opcode, flags;
    uint16_t cid;
    uint32_t nsid;
    uint64_t prp1, prp2;
    uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

/* The memory of a command's data, as its PRPs tell. */
struct nvme_data {
    uint32_t bytes;
    unsigned count;
    struct model_segment segments[NVME_SEGMENTS];
};

struct nvme_range {
    uint64_t first, end; /* blocks, end excluded */
};

struct nvme;
struct nvme_request;

/** Go on after a storage operation: result 0 or -errno. A status, or NVME_LATER after the next
 * operation was started. */
typedef uint16_t (*nvme_step_fn)(struct nvme *dev, struct nvme_request *request, int result);

enum nvme_request_state {
    NVME_REQUEST_FREE,
    NVME_REQUEST_BUSY,    /* being executed, or waiting for something in the controller */
    NVME_REQUEST_STORAGE, /* a storage operation is under way in the host */
    NVME_REQUEST_READY,   /* in the list of those whose step comes next */
    NVME_REQUEST_ORPHAN,  /* storage operation under way, but a reset took the command */
};

struct nvme_request {
    STAILQ_ENTRY(nvme_request) link; /* of the free or the ready list */
    enum nvme_request_state state;
    uint16_t sqid;
    struct nvme_command command;
    uint32_t answer;    /* dword 0 of the completion */
    uint64_t bad_lba;   /* for the error log */
    uint16_t bad_field; /* the same, as NVME_FIELD; NVME_FIELD_NONE: the status tells */
    nvme_step_fn step;
    int result;
    struct nvme_namespace *ns;
    struct nvme_data data;
    struct nvme_range range; /* what is being done */
    uint64_t position;       /* how far: next block, or next item */
    unsigned range_index, range_count;
    bool is_durable;
    uint8_t *buffer; /* NVME_TRANSFER_BYTES; of its own for ever: storage may be using it. Whole
                      * pages, as storage without a page cache takes them at once */
};

STAILQ_HEAD(nvme_request_list, nvme_request);

struct nvme_sq {
    bool exists;
    uint16_t cqid;
    uint64_t base;
    uint32_t entries, head, tail;
    unsigned in_flight;              /* requests taken and not answered */
    struct nvme_request *deleted_by; /* the Delete command that waits for them */
};

struct nvme_cq {
    bool exists, has_interrupt, phase;
    uint16_t vector;
    uint64_t base;
    uint32_t entries, head, tail;
    uint32_t reserved; /* entries promised to requests in flight */
    unsigned sq_count;
};

struct nvme_namespace {
    uint32_t nsid;
    uint64_t bytes;
    unsigned block_shift;
    uint8_t *memory;  /* NULL: storage of the host */
    unsigned storage; /* handle for host operations */
    bool is_read_only, is_uncached;
    bool is_formatting;
    uint32_t error_recovery;
    struct nvme_bad_blocks bad;
};

struct nvme_event {
    uint8_t type, info, log;
};

struct nvme_error_entry {
    uint64_t number, lba;
    uint32_t nsid;
    uint16_t sqid, cid, status, parameter;
};

struct nvme_features {
    uint32_t arbitration, power, write_cache, coalescing, atomicity, async_events;
    uint32_t queues; /* granted, both kinds, 0's based */
    uint16_t temperature_over, temperature_under;
    uint32_t vectors[NVME_MAX_QUEUES + 1]; /* coalescing disabled */
    uint64_t timestamp_ms, timestamp_set_ns;
    bool timestamp_is_set;
};

struct nvme_statistics {
    uint64_t read_units, written_units; /* of 512 bytes */
    uint64_t reads, writes;
    uint64_t media_errors, unsafe_shutdowns, power_cycles;
};

struct nvme {
    struct model model; /* first */
    struct config_space config;
    struct msix msix;
    uint8_t power_state;
    char serial[21];
    unsigned queues; /* I/O queues of each kind there may be */
    unsigned namespace_count;
    struct nvme_namespace namespaces[NVME_MAX_NAMESPACES];
    uint64_t created_ns;

    uint32_t intm, cc, csts, aqa;
    uint64_t asq, acq;
    uint32_t page_bytes;
    bool has_own_flush; /* the shutdown's flush is due or under way */

    uint32_t *doorbells; /* the page, shared with drivers; borrowed. Stride 4: tail, head, … */
    uint32_t doorbells_seen[NVME_DOORBELLS];
    bool is_decoding; /* doorbells reach the controller: D0 and memory decode on */
    bool is_master;   /* it may move data: bus mastering is on. Asked several times a command */
    struct nvme_poll poll;

    struct nvme_sq sq[NVME_MAX_QUEUES + 1];
    struct nvme_cq cq[NVME_MAX_QUEUES + 1];
    bool had_queues;     /* an I/O queue was created since the last reset */
    uint64_t rung[2];    /* bit a submission queue: there may be something to fetch */
    unsigned next_sq;    /* where the round robin goes on */
    uint64_t fire[2];    /* vectors to fire at the end of the op */
    uint64_t work_bytes; /* moved in this op */
    unsigned orphans;
    unsigned in_flight; /* requests taken and not answered, of all queues */

    struct nvme_request requests[NVME_REQUESTS];
    void *buffers; /* where those of the requests are */
    struct nvme_request_list free_io, free_admin, ready;
    uint32_t taken_ids[NVME_REQUESTS]; /* TAKEN_ID of the commands under way, 0 of others */

    struct nvme_features features;
    unsigned async_count;
    uint16_t async_cids[NVME_ASYNC_LIMIT];
    unsigned event_count;
    struct nvme_event events[NVME_EVENTS];
    unsigned masked_events; /* bit a type: its log has not been read yet */

    uint64_t error_count;
    struct nvme_error_entry errors[NVME_ERROR_ENTRIES]; /* entry n at n % NVME_ERROR_ENTRIES */
    uint32_t changed_namespaces;                        /* bit nsid - 1 */
    struct nvme_statistics statistics;
};

/* nvme.c */
uint64_t nvme_now(const struct nvme *dev);
/** Whether the controller may move data: ready, not failed, D0, bus master. */
bool nvme_is_running(const struct nvme *dev);
/** Have the poller look soon. */
void nvme_kick(struct nvme *dev);
void nvme_fail(struct nvme *dev);

/* nvme_registers.c */
uint64_t nvme_register_read(struct nvme *dev, uint64_t offset, unsigned width);
void nvme_register_write(struct nvme *dev, uint64_t offset, unsigned width, uint64_t value);
/** Registers and all that a controller-level reset takes back. */
void nvme_controller_reset(struct nvme *dev);
/** Go on with what waits for the last storage operation: enable, disable, shutdown. */
void nvme_settle(struct nvme *dev);

/* nvme_queue.c */
void nvme_queues_clear(struct nvme *dev);
void nvme_sq_open(struct nvme *dev, unsigned sqid, uint64_t base, uint32_t entries, unsigned cqid);
void nvme_sq_close(struct nvme *dev, unsigned sqid);
void nvme_cq_open(struct nvme *dev, unsigned cqid, uint64_t base, uint32_t entries);
/** Take a doorbell's value; false when it is invalid. The queue exists. */
bool nvme_sq_tail_write(struct nvme *dev, unsigned sqid, uint32_t value);
bool nvme_cq_head_write(struct nvme *dev, unsigned cqid, uint32_t value);
/** Show in PCI status what the interrupt pin would do. */
void nvme_pin_update(struct nvme *dev);
/** One bounded batch: continue requests, fetch commands, send interrupts. */
enum nvme_poll_found nvme_work(struct nvme *dev);
/** Answer a request and free it. status with or without flags. */
void nvme_request_complete(struct nvme *dev, struct nvme_request *request, uint16_t status);
/** Free a request without an answer. */
void nvme_request_retire(struct nvme *dev, struct nvme_request *request);
/** The entry itself; false when it could not be written, the controller has failed then. */
bool nvme_cq_post(struct nvme *dev, uint16_t sqid, uint16_t cid, uint32_t answer, uint16_t status);
bool nvme_cq_has_room(const struct nvme_cq *cq);
void nvme_request_ready(struct nvme *dev, struct nvme_request *request, int result);
/** Free every request; those in the host's hands become orphans. */
void nvme_requests_drop(struct nvme *dev);

/* nvme_doorbell.c; an index counts words from the start of the page */
/** Set to 0, as a queue that begins has it. */
void nvme_doorbell_clear(struct nvme *dev, unsigned index);
void nvme_doorbells_clear(struct nvme *dev);
/** Whether a doorbell that may have a queue was written. Any thread, without the device's lock. */
bool nvme_doorbells_peek(const struct nvme *dev);
/** Take what was written to them (to the rest of the page); whether anything was. */
bool nvme_doorbells_take(struct nvme *dev);
bool nvme_doorbells_take_strays(struct nvme *dev);
/** Memory decode goes on or off: what is written while it is off does not count. */
void nvme_doorbells_gate(struct nvme *dev, bool is_decoding);
/** A write that the host has seen, stored already. offset counts from the start of the BAR. */
void nvme_doorbells_written(struct nvme *dev, uint64_t offset, unsigned width);

/* nvme_prp.c */
/** Walk the PRPs of request's command for bytes of data. 0 or a status. */
uint16_t nvme_prp_map(struct nvme *dev, struct nvme_request *request, uint32_t bytes);
/** Copy between mapped memory and buffer. 0 or NVME_DATA_TRANSFER_ERROR. */
uint16_t nvme_data_read(struct nvme *dev, const struct nvme_data *data, void *buffer);
uint16_t nvme_data_write(struct nvme *dev, const struct nvme_data *data, const void *buffer);
/** Map and write bytes of buffer to the command's memory. */
uint16_t nvme_answer_write(struct nvme *dev, struct nvme_request *request, const void *buffer,
                           uint32_t bytes);

/* nvme_storage.c */
/** Start an operation on the bytes of blocks [first, first + count) of request->ns with
 * request->buffer; request->step gets its result. The caller returns NVME_LATER. */
void nvme_storage_start(struct nvme *dev, struct nvme_request *request,
                        enum model_storage_action action, bool is_durable, uint64_t first,
                        uint64_t count);
/** Where a block lies when the namespace is in memory, else NULL. */
uint8_t *nvme_storage_memory(const struct nvme_namespace *ns, uint64_t block);
/** Read the range of request to its memory without any waiting; false when that cannot be. */
bool nvme_storage_read_now(struct nvme *dev, const struct nvme_request *request);
/** Start a transfer between request's range, in a file, and the command's memory without a copy.
 * False: that cannot be done, nothing was started. */
bool nvme_storage_transfer_direct(struct nvme *dev, struct nvme_request *request,
                                  enum model_storage_action action, bool is_durable);
/** Blocks a zeroing operation may have. */
uint64_t nvme_storage_zero_blocks(const struct nvme_namespace *ns);
void nvme_storage_done(struct model *model, const struct model_storage_result *results,
                       unsigned count);
/** Status for a failed operation: reading or writing. */
uint16_t nvme_storage_status(struct nvme *dev, bool is_write, int result);

/* nvme_admin.c, nvme_identify.c, nvme_features.c, nvme_log.c */
uint16_t nvme_admin_execute(struct nvme *dev, struct nvme_request *request);
uint16_t nvme_identify(struct nvme *dev, struct nvme_request *request);
void nvme_features_reset(struct nvme *dev);
uint16_t nvme_features_get(struct nvme *dev, struct nvme_request *request);
uint16_t nvme_features_set(struct nvme *dev, struct nvme_request *request);
uint16_t nvme_log_get(struct nvme *dev, struct nvme_request *request);
/** Whether the controller knows this opcode. */
bool nvme_admin_is_known(uint8_t opcode);
bool nvme_io_is_known(uint8_t opcode);
/** An Invalid Field status, with the place of the field: NVME_FIELD. */
uint16_t nvme_field_refuse(struct nvme_request *request, uint16_t field);
/** Where in the command the error is, for the error log; NVME_FIELD_NONE: nowhere in particular. */
uint16_t nvme_field_of(const struct nvme_request *request, uint16_t status);
/** Remember a failed command. */
void nvme_error_log(struct nvme *dev, const struct nvme_error_entry *entry);
/** The bits of SMART's critical warning that hold. */
uint8_t nvme_critical_warning(const struct nvme *dev);

/* nvme_event.c */
uint16_t nvme_event_request(struct nvme *dev, struct nvme_request *request);
/** Whether a request for events with this id was taken back; it is answered then. */
bool nvme_event_abort(struct nvme *dev, uint16_t cid);
bool nvme_event_has_cid(const struct nvme *dev, uint16_t cid);
void nvme_event_post(struct nvme *dev, uint8_t type, uint8_t info, uint8_t log);
/** The log of this type was read: further events of the type may be sent. */
void nvme_event_unmask(struct nvme *dev, uint8_t type);
/** Answer requests while there are events and room in the completion queue. */
void nvme_events_send(struct nvme *dev);
void nvme_events_clear(struct nvme *dev);

/* nvme_io.c, nvme_erase.c */
uint16_t nvme_io_execute(struct nvme *dev, struct nvme_request *request);
/** The namespace of a command; NULL when there is none. */
struct nvme_namespace *nvme_namespace_find(struct nvme *dev, uint32_t nsid);
uint64_t nvme_namespace_blocks(const struct nvme_namespace *ns);
uint16_t nvme_flush(struct nvme *dev, struct nvme_request *request);
uint16_t nvme_write_zeroes(struct nvme *dev, struct nvme_request *request, bool is_durable);
uint16_t nvme_dsm(struct nvme *dev, struct nvme_request *request);
uint16_t nvme_format(struct nvme *dev, struct nvme_request *request);
/** Take [slba, slba + nlb] of dwords 10 to 12 into request->range; 0 or a status. */
uint16_t nvme_range_take(struct nvme *dev, struct nvme_request *request);

#endif
