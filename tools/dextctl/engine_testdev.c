/*
 * testdev (docs/testdev.md): copies from memory to memory in one go, fires any vector.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "engine.h"

#include "patience.h"

#include <stddef.h>

#define REG_FIRE             0x100 /* the vector */
#define REG_COPY_SOURCE      0x200
#define REG_COPY_DESTINATION 0x208
#define REG_COPY_LENGTH      0x210
#define REG_COPY_STATUS      0x228
#define REG_COPY_COMMAND     0x22c
#define REG_COPY_ERROR       0x240

#define OPERATION_COPY       1u

#define STATUS_RUNNING       1u
#define STATUS_DONE          2u
#define STATUS_ALL           0xffffffffu

#define COPY_SECONDS         30.0
#define POLL_SECONDS         0.01

static const char *error_text(uint32_t error)
{
    static const char *const texts[] = {
        "its copy engine failed without an error code",
        "its copy engine could not read the source",
        "its copy engine could not write the destination",
        "its copy engine found bus mastering off",
    };
    return error < sizeof(texts) / sizeof(*texts) ? texts[error]
                                                  : "its copy engine refused the command";
}

static const char *copy(struct engine *engine, uint64_t source, uint64_t target, uint64_t bytes)
{
    engine_write64(engine, REG_COPY_SOURCE, source);
    engine_write64(engine, REG_COPY_DESTINATION, target);
    engine_write64(engine, REG_COPY_LENGTH, bytes);
    engine_write(engine, REG_COPY_COMMAND, OPERATION_COPY);
    double waited = 0, longest = patience(COPY_SECONDS);
    while (engine_read(engine, REG_COPY_STATUS) == STATUS_RUNNING && waited < longest) {
        engine_wait(engine, REG_COPY_STATUS, STATUS_ALL, STATUS_DONE, POLL_SECONDS);
        waited += POLL_SECONDS;
    }
    uint32_t status = engine_read(engine, REG_COPY_STATUS);
    if (status == STATUS_DONE) {
        return NULL;
    }
    return status == STATUS_RUNNING ? "its copy engine did not finish in time"
                                    : error_text(engine_read(engine, REG_COPY_ERROR));
}

static void fire(struct engine *engine, uint32_t vector)
{
    engine_write(engine, REG_FIRE, vector);
}

/* A message is all there is: nothing stands until it is acknowledged. */
static void acknowledge(struct engine *engine, uint32_t vector)
{
    (void)engine;
    (void)vector;
}

const struct engine_ops engine_testdev = {
    .name = "testdev",
    .vendor_id = 0x1234,
    .device_id = 0x7e57,
    .bar = 0,
    .copy = copy,
    .fire = fire,
    .acknowledge = acknowledge,
};
