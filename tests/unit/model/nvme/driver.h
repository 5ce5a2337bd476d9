/*
 * A small NVMe driver over the fake host, for the unit tests. Opcodes, status codes and offsets in
 * the tests are the specification's numbers, not the model's names.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TESTS_NVME_DRIVER_H
#define DEXTLINK_TESTS_NVME_DRIVER_H

#include "../fake_host.h"

#define DRIVER_QUEUES 4
#define DATA          (FAKE_MEMORY_START + 0x20000) /* bus address of free memory */
#define DATA_BYTES    0xc0000
#define NSID_ALL      0xffffffffu
/* Longer than the sleep of a controller that is ready. */
#define DRIVER_LOOK_NS 6000000

struct command {
    uint8_t opcode, flags;
    uint32_t nsid;
    uint64_t prp1, prp2;
    uint32_t dw10, dw11, dw12, dw13;
};

struct completion {
    uint32_t answer;
    uint16_t sqhd, sqid, cid;
    uint16_t status; /* type and code: 0x000 to 0x7ff */
    bool is_final;   /* do not retry */
};

struct queue {
    uint64_t sq, cq;
    uint32_t entries, tail, head;
    bool phase;
};

struct driver {
    struct fake_host fake;
    struct queue queues[DRIVER_QUEUES];
    uint16_t next_cid;
    bool is_mapped; /* doorbells are stores to the page, which the host does not see */
};

/** Make the device and enable it, admin queues of 32 entries. */
void driver_start(struct driver *driver, const char *const *options);
void driver_stop(struct driver *driver);
/** CC.EN as after a reset: forget the queues and enable. */
void driver_enable(struct driver *driver);
/** Create I/O queues number id of that many entries, vector id. */
void driver_create_queues(struct driver *driver, unsigned id, uint32_t entries);

/** Memory of the host at a bus address. */
uint8_t *driver_memory(struct driver *driver, uint64_t bus);

/** Write the entry and ring; the command's id. */
uint16_t driver_submit(struct driver *driver, unsigned queue, const struct command *command);
void driver_ring(struct driver *driver, unsigned index, uint32_t value);
/** The next completion of a queue, taken; false when there is none. */
bool driver_poll(struct driver *driver, unsigned queue, struct completion *out);
/** Submit, let the device work, expect one completion; its status. out may be NULL. */
uint16_t driver_run(struct driver *driver, unsigned queue, const struct command *command,
                    struct completion *out);
/** The same for an I/O command of queue 1 with its data at DATA. */
uint16_t driver_io(struct driver *driver, uint8_t opcode, uint64_t block, uint32_t blocks);
uint32_t driver_register(struct driver *driver, unsigned offset);
void driver_register_set(struct driver *driver, unsigned offset, uint32_t value);
/** Fill or check bytes at a bus address with a pattern of its own for each seed. */
void driver_pattern(struct driver *driver, uint64_t bus, size_t bytes, unsigned seed);
bool driver_matches(struct driver *driver, uint64_t bus, size_t bytes, unsigned seed);

#endif
