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

static void begin_on(const char *option)
{
    driver_start(&driver, (const char *const[]){option, NULL});
    driver_create_queues(&driver, 1, QUEUE_ENTRIES);
    next = 0;
}

static void begin(void)
{
    begin_on("size=4M");
}

/* The host takes the data itself, and tells when it has. */
static void begin_file(void)
{
    begin_on("drive=a");
    driver.fake.submits_direct = true;
}

/* The host has it at hand. */
static void begin_cached(void)
{
    begin_on("drive=a");
    driver.fake.reads_now = true;
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
    {"nvme-read-4k-file-cached", begin_cached, NULL, read_4k, end},
    {"nvme-read-4k-file", begin_file, NULL, read_4k, end},
    {"nvme-write-4k-file", begin_file, NULL, write_4k, end},
    {NULL, NULL, NULL, NULL, NULL},
};
