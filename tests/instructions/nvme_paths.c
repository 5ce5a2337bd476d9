/*
 * Commands of the NVMe model, with the unit tests' driver and host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "paths.h"
#include "unit/model/nvme/driver.h"

enum { NVME_WRITE = 1, NVME_READ = 2, BLOCKS_4K = 8, QUEUE_ENTRIES = 64 };

static struct driver driver;
static uint64_t next;

static void begin(void)
{
    driver_start(&driver, (const char *const[]){"size=4M", NULL});
    driver_create_queues(&driver, 1, QUEUE_ENTRIES);
    next = 0;
}

static void end(void)
{
    driver_stop(&driver);
}

/* From the doorbell to the completion that the driver has taken. */
static void transfer(uint8_t opcode)
{
    next = (next + 5) % 128;
    must(driver_io(&driver, opcode, next * BLOCKS_4K, BLOCKS_4K) == 0, "an NVMe command");
}

static void read_4k(void)
{
    transfer(NVME_READ);
}

static void write_4k(void)
{
    transfer(NVME_WRITE);
}

const struct path nvme_paths[] = {
    {"nvme-read-4k", begin, NULL, read_4k, end},
    {"nvme-write-4k", begin, NULL, write_4k, end},
    {NULL, NULL, NULL, NULL, NULL},
};
