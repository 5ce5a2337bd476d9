/*
 * An NVMe driver in user space, on the client library alone: a controller, its namespace 1, any
 * number of queue pairs. Each queue is for one thread at a time.
 *
 * Functions that return text return NULL when all is well, else one line that says what is not.
 * Little-endian hosts, as all that have this driver are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef EXAMPLES_NVME_DRIVER_H
#define EXAMPLES_NVME_DRIVER_H

#include <apple-dext-client.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { NVME_PAGE = 4096, NVME_TRANSFER_MAX = 128 << 10, NVME_DEPTH_MAX = 2047 };
enum { NVME_CAP = 0x00, NVME_CC = 0x14, NVME_CSTS = 0x1c }; /* registers */
enum { NVME_AQA = 0x24, NVME_ASQ = 0x28, NVME_ACQ = 0x30, NVME_DOORBELLS = 0x1000 };
enum { NVME_CREATE_SQ = 1, NVME_CREATE_CQ = 5, NVME_IDENTIFY = 6, NVME_SET_FEATURES = 9 };
enum { NVME_FLUSH = 0, NVME_WRITE = 1, NVME_READ = 2 };
enum { NVME_FUA = 1 << 30 }; /* in dw12 */

struct nvme_command { /* as it stands in a submission queue */
    uint8_t opcode, flags;
    uint16_t slot;
    uint32_t nsid;
    uint64_t reserved[2], prp1, prp2;
    uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct nvme_completion { /* as it stands in a completion queue */
    uint32_t result, reserved;
    uint16_t sq_head, sq_id;
    _Atomic uint32_t state; /* slot, phase bit, status; what the controller writes last */
};

struct nvme_done {
    unsigned slot;
    unsigned status; /* 0: success; else code (8 bits), its type (3), retry delay (2), More, DNR */
    uint32_t result;
};

struct nvme_options {
    unsigned queues;         /* besides the admin queue */
    unsigned depth;          /* commands under way in each, at most NVME_DEPTH_MAX */
    unsigned transfer_bytes; /* most of a command: pages, at most NVME_TRANSFER_MAX */
    bool has_interrupts;     /* wait for them when there is nothing to poll for */
    bool has_calls_only;     /* ring the doorbells by calls, do not map BAR 0 */
};

struct nvme_queue {
    struct nvme *nvme;
    unsigned id, entries, vector;
    unsigned tail, tail_rung;          /* of the submission queue; 2 x entries complete */
    unsigned head, head_unsaid, phase; /* of the completion queue */
    uint64_t irqs_seen;
    struct nvme_command *submissions;
    struct nvme_completion *completions;
    uint64_t *lists;
    uint8_t *data; /* transfer_bytes for each slot, 0 to depth - 1 */
};

struct nvme {
    struct nvme_options options;
    io_connect_t device;
    uint8_t bar;                /* memory index of BAR 0 */
    mach_vm_address_t bar_base; /* 0: not mapped */
    mach_vm_address_t memory;   /* of all queues, which the device sees at bus */
    uint64_t bus, cap, stride, blocks;
    uint32_t block_bytes, vectors;
    char model[41], serial[21];
    _Atomic(AppleDextInterruptNotify *) notify;
    pthread_mutex_t lock; /* of irqs */
    pthread_cond_t arrived;
    uint64_t irqs[256];        /* how often each vector was seen pending */
    struct nvme_queue *queues; /* 0: admin */
};

/** Take a claimed device: BAR 0, memory, interrupts. nvme_close in any case, before disconnect. */
const char *nvme_open(struct nvme *nvme, io_connect_t device, const struct nvme_options *options);

/** (Re)start the controller, whatever it was doing; nobody may be using a queue. */
const char *nvme_start(struct nvme *nvme);

/** Shut it down in good order: what was written is on the medium. */
const char *nvme_stop(struct nvme *nvme);

/** Disable it and give everything back. */
void nvme_close(struct nvme *nvme);

uint8_t *nvme_data(const struct nvme_queue *queue, unsigned slot);

/** Where the device sees what lies at a place of the driver's memory. */
uint64_t nvme_bus(const struct nvme *nvme, const volatile void *at);

/** Put a command into the queue, for nvme_ring. The slot (0 to depth - 1) must be free. */
void nvme_submit(struct nvme_queue *queue, unsigned slot, const struct nvme_command *command);

/** nvme_submit of a Read or Write between namespace 1 and the slot's data; flags go to dw12. */
void nvme_transfer(struct nvme_queue *queue, unsigned slot, uint8_t opcode, uint64_t block,
                   uint32_t bytes, uint32_t flags);

/** Tell the controller of everything submitted. */
void nvme_ring(struct nvme_queue *queue);

/** Completions there are, at most max. Does not wait. */
unsigned nvme_poll(struct nvme_queue *queue, struct nvme_done *done, unsigned max);

/** nvme_poll until there is one. 0: the controller is dead, was reset, or takes over 30 s. */
unsigned nvme_wait(struct nvme_queue *queue, struct nvme_done *done, unsigned max);

/** One command on an idle queue, through slot 0. Its status; -1: no completion. */
int nvme_run(struct nvme_queue *queue, const struct nvme_command *command, uint32_t *result);

/** Ones when the controller does not answer. */
uint64_t nvme_register(struct nvme *nvme, uint64_t offset, unsigned width);

#endif
