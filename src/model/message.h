/*
 * What MSI and MSI-X share: the outcome of firing a vector and the rule that a message is a memory
 * write of a bus master.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_MESSAGE_H
#define DEXTLINK_MODEL_MESSAGE_H

#include <stdbool.h>

#include "model/config_registers.h"
#include "model/config_space.h"

enum message_result {
    MESSAGE_SENT = 0,
    MESSAGE_PENDING = 1, /* masked: sent at unmask */
    MESSAGE_LOST = 2,    /* disabled, bus mastering off, or no such vector */
};

static inline bool message_may_be_sent(const struct config_space *config)
{
    return (config_space_get(config, CONFIG_COMMAND, 2) & CONFIG_COMMAND_MASTER) != 0;
}

/* Whether a write to [offset, offset + width) touched any byte of [start, start + bytes). */
static inline bool message_touches(unsigned offset, unsigned width, unsigned start, unsigned bytes)
{
    return offset < start + bytes && start < offset + width;
}

#endif
