/*
 * The test device's bus master: the engine that copies, fills and sums, in bounded steps from a
 * timer, and the single access that happens at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "model/config_capability.h"
#include "model/testdev_device.h"

#define COMMAND_OPERATION         0x00fu
#define COMMAND_IRQ               0x100u
#define COMMAND_LOCAL_SOURCE      0x200u
#define COMMAND_LOCAL_DESTINATION 0x400u
#define COMMAND_ALL               0x70fu

#define ACCESS_WIDTH              0x0ffu
#define ACCESS_WRITE              0x100u

#define STEP_BYTES                (UINT64_C(256) * 1024) /* at most this much a timer tick */
#define STEP_REQUESTS             64                     /* and at most this many requests */
#define LEAST_REQUEST             64

enum operation {
    OPERATION_COPY = 1,
    OPERATION_FILL = 2,
    OPERATION_CRC = 3,
    OPERATION_ABORT = 15,
};

enum copy_error {
    ERROR_NONE = 0,
    ERROR_READ = 1,
    ERROR_WRITE = 2,
    ERROR_MASTER = 3,
    ERROR_LOCAL = 4,
    ERROR_WRAP = 5,
    ERROR_COMMAND = 6,
    ERROR_REQUEST = 7,
};

static bool reads_source(uint32_t command)
{
    return (command & COMMAND_OPERATION) != OPERATION_FILL;
}

static bool writes_destination(uint32_t command)
{
    return (command & COMMAND_OPERATION) != OPERATION_CRC;
}

static void finish(struct testdev *dev, enum testdev_copy_status status, enum copy_error error)
{
    dev->regs.copy_status = status;
    dev->regs.copy_error = error;
    if (dev->regs.copy_began_ns != 0)
        dev->regs.copy_time_ns = testdev_now(dev) - dev->regs.copy_began_ns;
    config_set_transactions_pending(&dev->config, false);
    if ((dev->regs.job.command & COMMAND_IRQ) != 0)
        testdev_fire(dev, dev->regs.job.vector);
}

/* Where one end of a job lies has to make sense before anything moves. */
static enum copy_error check_end(const struct testdev *dev, uint64_t address, uint64_t length,
                                 bool is_local)
{
    if (!is_local)
        return range_wraps(address, length) ? ERROR_WRAP : ERROR_NONE;
    if (dev->aperture[0] == NULL || dev->aperture[1] == NULL)
        return ERROR_LOCAL;
    return range_is_within(address, length, dev->options.aperture) ? ERROR_NONE : ERROR_LOCAL;
}

static enum copy_error check_job(const struct testdev *dev, const struct testdev_copy_job *job)
{
    uint32_t operation = job->command & COMMAND_OPERATION;
    enum copy_error error = ERROR_NONE;

    if ((job->command & ~COMMAND_ALL) != 0 || operation < OPERATION_COPY ||
        operation > OPERATION_CRC)
        return ERROR_COMMAND;
    if (job->request_bytes < LEAST_REQUEST ||
        !width_is_valid(job->request_bytes, TESTDEV_BOUNCE_BYTES))
        return ERROR_REQUEST;
    if (reads_source(job->command))
        error =
            check_end(dev, job->source, job->length, (job->command & COMMAND_LOCAL_SOURCE) != 0);
    if (error == ERROR_NONE && writes_destination(job->command))
        error = check_end(dev, job->destination, job->length,
                          (job->command & COMMAND_LOCAL_DESTINATION) != 0);
    return error;
}

void testdev_copy_written(struct testdev *dev)
{
    struct testdev_registers *regs = &dev->regs;
    bool is_running = regs->copy_status == TESTDEV_COPY_RUNNING;

    if ((regs->copy.command & COMMAND_OPERATION) == OPERATION_ABORT) {
        if (is_running) {
            testdev_cancel(dev, TESTDEV_TIMER_COPY);
            finish(dev, TESTDEV_COPY_ABORTED, ERROR_NONE);
        }
        return;
    }
    if (is_running)
        return;

    regs->job = regs->copy;
    regs->copy_done = 0;
    regs->copy_fault = 0;
    regs->copy_began_ns = regs->copy_time_ns = 0;
    regs->copy_crc = 0;
    regs->copy_error = ERROR_NONE;
    enum copy_error error = check_job(dev, &regs->job);
    if (error != ERROR_NONE) {
        finish(dev, TESTDEV_COPY_FAILED, error);
        return;
    }
    regs->copy_status = TESTDEV_COPY_RUNNING;
    config_set_transactions_pending(&dev->config, true);
    testdev_arm(dev, TESTDEV_TIMER_COPY, testdev_now(dev) + dev->options.latency_ns);
}

void testdev_copy_resume(struct testdev *dev)
{
    if (dev->regs.copy_status == TESTDEV_COPY_RUNNING)
        testdev_arm(dev, TESTDEV_TIMER_COPY, testdev_now(dev) + dev->options.latency_ns);
}

/* Bytes of BAR 2 in one piece from offset on, and where they are. Checked: inside the aperture. */
static uint8_t *local_piece(struct testdev *dev, uint64_t offset, size_t *length)
{
    uint64_t window = dev->options.aperture / 2;
    uint64_t upper = window + TESTDEV_WINDOW_BYTES;
    uint64_t end = offset < window ? window : offset < upper ? upper : dev->options.aperture;

    if (*length > end - offset)
        *length = (size_t)(end - offset);
    if (offset < window)
        return dev->aperture[0] + offset;
    if (offset < upper)
        return dev->window + (offset - window);
    return dev->aperture[1] + (offset - upper);
}

static void local_move(struct testdev *dev, uint64_t offset, size_t length, bool is_write)
{
    uint8_t *bounce = dev->bounce;

    while (length != 0) {
        size_t piece = length;
        uint8_t *local = local_piece(dev, offset, &piece);
        if (is_write)
            memcpy(local, bounce, piece);
        else
            memcpy(bounce, local, piece);
        offset += piece;
        bounce += piece;
        length -= piece;
    }
}

static enum copy_error error_of(int rc, enum copy_error fault)
{
    return rc == 0 ? ERROR_NONE : rc == -EPERM ? ERROR_MASTER : fault;
}

static enum copy_error chunk_read(struct testdev *dev, uint64_t address, size_t length)
{
    const struct model_host *host = &dev->model.host;

    if ((dev->regs.job.command & COMMAND_LOCAL_SOURCE) != 0) {
        local_move(dev, address, length, false);
        return ERROR_NONE;
    }
    return error_of(host->ops->dma_read(host->context, address, dev->bounce, length), ERROR_READ);
}

static enum copy_error chunk_write(struct testdev *dev, uint64_t address, size_t length)
{
    const struct model_host *host = &dev->model.host;

    if ((dev->regs.job.command & COMMAND_LOCAL_DESTINATION) != 0) {
        local_move(dev, address, length, true);
        return ERROR_NONE;
    }
    return error_of(host->ops->dma_write(host->context, address, dev->bounce, length), ERROR_WRITE);
}

/* BAR 2 memory that a transfer may use where it lies; NULL when a bounce buffer must join it. */
static uint8_t *local_whole(struct testdev *dev, uint64_t offset, size_t length)
{
    size_t piece = length;
    uint8_t *local = local_piece(dev, offset, &piece);
    return piece == length ? local : NULL;
}

/* A chunk with nothing between source and destination. False: it was not begun, and goes through
 * the bounce buffer, which also finds out what is wrong with the source. */
static bool chunk_in_place(struct testdev *dev, size_t length, enum copy_error *error)
{
    const struct model_host *host = &dev->model.host;
    const struct testdev_copy_job *job = &dev->regs.job;
    uint64_t from = job->source + dev->regs.copy_done;
    uint64_t to = job->destination + dev->regs.copy_done;
    bool is_local_source = (job->command & COMMAND_LOCAL_SOURCE) != 0;
    bool is_local_destination = (job->command & COMMAND_LOCAL_DESTINATION) != 0;
    uint8_t *local = NULL;
    int rc;

    if (is_local_source || is_local_destination) {
        local = local_whole(dev, is_local_source ? from : to, length);
        if (local == NULL || (is_local_source && is_local_destination))
            return false;
    }
    dev->regs.copy_fault = is_local_destination ? from : to;
    if (is_local_destination)
        rc = host->ops->dma_read(host->context, from, local, length);
    else if (is_local_source)
        rc = host->ops->dma_write(host->context, to, local, length);
    else
        rc = host->ops->dma_copy(host->context, from, to, length);
    *error = error_of(rc, is_local_destination ? ERROR_READ : ERROR_WRITE);
    return rc != -ENOTSUP;
}

/* The pattern's bytes count from the start of the destination, not of the chunk. */
static void chunk_fill(struct testdev *dev, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned byte = (unsigned)((dev->regs.copy_done + i) % 8);
        dev->bounce[i] = (uint8_t)(dev->regs.job.pattern >> (8 * byte));
    }
}

/* CRC-32 as in Ethernet and zlib, four bits at a time. crc of nothing is 0. */
static uint32_t crc32_of(uint32_t crc, const uint8_t *bytes, size_t length)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };

    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* A request never crosses a multiple of its largest size, on either side, as on a real bus. */
static size_t chunk_length(const struct testdev_copy_job *job, uint64_t done, uint64_t budget)
{
    uint64_t request = job->request_bytes;
    uint64_t length = job->length - done;

    if (length > budget)
        length = budget;
    if (reads_source(job->command)) {
        uint64_t room = request - ((job->source + done) & (request - 1));
        length = length < room ? length : room;
    }
    if (writes_destination(job->command)) {
        uint64_t room = request - ((job->destination + done) & (request - 1));
        length = length < room ? length : room;
    }
    return (size_t)length;
}

static enum copy_error chunk(struct testdev *dev, size_t length)
{
    const struct testdev_copy_job *job = &dev->regs.job;
    uint64_t done = dev->regs.copy_done;
    enum copy_error error = ERROR_NONE;

    if ((job->command & COMMAND_OPERATION) == OPERATION_COPY && chunk_in_place(dev, length, &error))
        return error;
    if (reads_source(job->command)) {
        dev->regs.copy_fault = job->source + done;
        error = chunk_read(dev, job->source + done, length);
    } else {
        chunk_fill(dev, length);
    }
    if (error != ERROR_NONE)
        return error;
    if (!writes_destination(job->command)) {
        dev->regs.copy_crc = crc32_of(dev->regs.copy_crc, dev->bounce, length);
        return ERROR_NONE;
    }
    dev->regs.copy_fault = job->destination + done;
    return chunk_write(dev, job->destination + done, length);
}

void testdev_copy_tick(struct testdev *dev)
{
    struct testdev_registers *regs = &dev->regs;
    uint64_t budget = STEP_BYTES;

    if (regs->copy_status != TESTDEV_COPY_RUNNING)
        return;
    if (regs->copy_began_ns == 0)
        regs->copy_began_ns = testdev_now(dev);
    for (unsigned requests = 0;
         requests < STEP_REQUESTS && budget != 0 && regs->copy_done < regs->job.length;
         requests++) {
        size_t length = chunk_length(&regs->job, regs->copy_done, budget);
        enum copy_error error = chunk(dev, length);
        if (error != ERROR_NONE) {
            finish(dev, TESTDEV_COPY_FAILED, error);
            return;
        }
        regs->copy_done += length;
        budget -= length;
    }
    regs->copy_fault = 0;
    if (regs->copy_done == regs->job.length)
        finish(dev, TESTDEV_COPY_DONE, ERROR_NONE);
    else
        testdev_arm(dev, TESTDEV_TIMER_COPY, testdev_now(dev));
}

void testdev_access_written(struct testdev *dev)
{
    const struct model_host *host = &dev->model.host;
    struct testdev_registers *regs = &dev->regs;
    uint32_t width = regs->access_command & ACCESS_WIDTH;
    uint8_t bytes[8];
    int rc;

    if (!width_is_valid(width, 8) || (regs->access_command & ~(ACCESS_WIDTH | ACCESS_WRITE)) != 0) {
        regs->access_status = ERROR_COMMAND;
        return;
    }
    if (range_wraps(regs->access_address, width)) {
        regs->access_status = ERROR_WRAP;
        return;
    }
    if ((regs->access_command & ACCESS_WRITE) != 0) {
        testdev_bytes_write(bytes, width, regs->access_data);
        rc = host->ops->dma_write(host->context, regs->access_address, bytes, width);
        regs->access_status = error_of(rc, ERROR_WRITE);
        return;
    }
    memset(bytes, 0xff, sizeof(bytes)); /* what a refused read gives */
    rc = host->ops->dma_read(host->context, regs->access_address, bytes, width);
    regs->access_status = error_of(rc, ERROR_READ);
    regs->access_data = testdev_bytes_read(bytes, width);
}
