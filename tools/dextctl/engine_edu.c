/*
 * edu: copies go through its internal buffer of 4 KiB; one vector.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "edu.h"

#include "patience.h"

#define DMA_SOURCE    0x80
#define DMA_TARGET    0x88
#define DMA_COUNT     0x90
#define DMA_COMMAND   0x98
#define DMA_BUFFER    0x40000 /* where the device sees its own buffer */

#define DMA_RUN       0x01u
#define DMA_TO_MEMORY 0x02u
#define DMA_INTERRUPT 0x04u

#define DMA_SECONDS   5.0
#define FIRE_VALUE    0x1u

static void start(struct engine *engine, uint64_t source, uint64_t target, uint64_t bytes,
                  uint32_t command)
{
    engine_write64(engine, DMA_SOURCE, source);
    engine_write64(engine, DMA_TARGET, target);
    engine_write64(engine, DMA_COUNT, bytes);
    engine_write(engine, DMA_COMMAND, command | DMA_RUN);
}

static const char *finish(struct engine *engine)
{
    return engine_wait(engine, DMA_COMMAND, DMA_RUN, 0, patience(DMA_SECONDS))
               ? NULL
               : "its DMA engine did not finish in time";
}

const char *edu_pull(struct engine *engine, uint64_t bus_address, uint64_t bytes)
{
    start(engine, bus_address, DMA_BUFFER, bytes, 0);
    return finish(engine);
}

const char *edu_push(struct engine *engine, uint64_t bus_address, uint64_t bytes)
{
    start(engine, DMA_BUFFER, bus_address, bytes, DMA_TO_MEMORY);
    return finish(engine);
}

void edu_push_start(struct engine *engine, uint64_t bus_address, uint64_t bytes)
{
    start(engine, DMA_BUFFER, bus_address, bytes, DMA_TO_MEMORY | DMA_INTERRUPT);
}

static const char *copy(struct engine *engine, uint64_t source, uint64_t target, uint64_t bytes)
{
    const char *cause = NULL;
    while (bytes > 0 && !cause) {
        uint64_t piece = bytes < EDU_DMA_BUFFER_BYTES ? bytes : EDU_DMA_BUFFER_BYTES;
        cause = edu_pull(engine, source, piece);
        cause = cause ? cause : edu_push(engine, target, piece);
        source += piece;
        target += piece;
        bytes -= piece;
    }
    return cause;
}

static void fire(struct engine *engine, uint32_t vector)
{
    (void)vector;
    engine_write(engine, EDU_IRQ_RAISE, FIRE_VALUE);
}

static void acknowledge(struct engine *engine, uint32_t vector)
{
    (void)vector;
    engine_write(engine, EDU_IRQ_ACKNOWLEDGE, engine_read(engine, EDU_IRQ_STATUS));
}

const struct engine_ops engine_edu = {
    .name = "edu",
    .vendor_id = EDU_VENDOR_ID,
    .device_id = EDU_DEVICE_ID,
    .bar = 0,
    .copy = copy,
    .fire = fire,
    .acknowledge = acknowledge,
};
