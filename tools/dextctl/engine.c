/*
 * The table of devices with an engine, and access to their registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "engine.h"

#include <stddef.h>
#include <time.h>

#include "bar.h"
#include "output.h"

static const struct engine_ops *const engines[] = {&engine_edu, &engine_testdev};

const struct engine_ops *engine_find(uint16_t vendor_id, uint16_t device_id)
{
    for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++) {
        if (engines[i]->vendor_id == vendor_id && engines[i]->device_id == device_id) {
            return engines[i];
        }
    }
    return NULL;
}

const char *engine_names(void)
{
    return "edu and testdev";
}

int engine_open(struct engine *engine, const struct engine_ops *ops, const struct session *session)
{
    mach_vm_size_t size;
    uint8_t type;

    *engine = (struct engine){.ops = ops, .session = session};
    kern_return_t code =
        apple_dext_map_bar(session->connection, ops->bar, &engine->registers, &size, &type);
    return code == KERN_SUCCESS ? STATUS_OK
                                : session_failure(session, code, "cannot map BAR %u", ops->bar);
}

void engine_close(struct engine *engine)
{
    if (engine->registers) {
        apple_dext_unmap_bar(engine->session->connection, engine->ops->bar, engine->registers);
        engine->registers = 0;
    }
}

uint32_t engine_read(const struct engine *engine, uint64_t offset)
{
    return (uint32_t)bar_load(engine->registers + offset, 4);
}

void engine_write(const struct engine *engine, uint64_t offset, uint32_t value)
{
    bar_store(engine->registers + offset, 4, value);
}

void engine_write64(const struct engine *engine, uint64_t offset, uint64_t value)
{
    bar_store(engine->registers + offset, 8, value);
}

bool engine_wait(const struct engine *engine, uint64_t offset, uint32_t mask, uint32_t wanted,
                 double seconds)
{
    const struct timespec pause = {.tv_nsec = 50000};
    double deadline = now_ms() + seconds * 1e3;

    while ((engine_read(engine, offset) & mask) != wanted) {
        if (now_ms() > deadline) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}
