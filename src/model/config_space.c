/*
 * Configuration space: header, BARs, capability chains and masked access.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/config_space.h"

#include <string.h>

#include "abi/dext_abi.h"
#include "base/checked.h"
#include "model/config_registers.h"

#define FIRST_STANDARD 0x40
#define FIRST_EXTENDED 0x100
#define MAX_STANDARD   ((CONFIG_SPACE_CONVENTIONAL - FIRST_STANDARD) / 4)
#define MAX_EXTENDED   ((CONFIG_SPACE_BYTES - FIRST_EXTENDED) / 4)

static void store(uint8_t *bytes, unsigned offset, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

void config_space_set(struct config_space *config, unsigned offset, unsigned width, uint32_t value)
{
    store(config->value, offset, width, value);
}

void config_space_set_writable(struct config_space *config, unsigned offset, unsigned width,
                               uint32_t mask)
{
    store(config->writable, offset, width, mask);
}

void config_space_set_w1c(struct config_space *config, unsigned offset, unsigned width,
                          uint32_t mask)
{
    store(config->w1c, offset, width, mask);
}

void config_space_init(struct config_space *config, const struct config_identity *identity)
{
    memset(config, 0, sizeof(*config));
    config->next_free = FIRST_STANDARD;
    config->next_extended = FIRST_EXTENDED;

    config_space_set(config, CONFIG_VENDOR_ID, 2, identity->vendor_id);
    config_space_set(config, CONFIG_DEVICE_ID, 2, identity->device_id);
    config_space_set(config, CONFIG_REVISION, 1, identity->revision);
    config_space_set(config, CONFIG_CLASS, 1, identity->class_code);
    config_space_set(config, CONFIG_CLASS + 1, 2, identity->class_code >> 8);
    config_space_set(config, CONFIG_SUBSYSTEM_VENDOR, 2, identity->subsystem_vendor_id);
    config_space_set(config, CONFIG_SUBSYSTEM, 2, identity->subsystem_id);

    config_space_set_writable(config, CONFIG_COMMAND, 2,
                              CONFIG_COMMAND_IO | CONFIG_COMMAND_MEMORY | CONFIG_COMMAND_MASTER |
                                  CONFIG_COMMAND_PARITY | CONFIG_COMMAND_SERR |
                                  CONFIG_COMMAND_INTX_DISABLE);
    config_space_set_w1c(config, CONFIG_STATUS, 2, CONFIG_STATUS_ERRORS);
    config_space_set_writable(config, CONFIG_CACHE_LINE, 1, 0xff);
    config_space_set_writable(config, CONFIG_INTERRUPT_LINE, 1, 0xff);
}

void config_space_add_bar(struct config_space *config, unsigned bar, uint8_t type, uint64_t bytes)
{
    unsigned offset = CONFIG_BAR(bar);
    uint64_t low_bits = DEXT_BAR_IS_IO(type) ? 0x3 : 0xf;
    uint64_t mask = ~(bytes - 1) & ~low_bits;

    config_space_set(config, offset, 4, type);
    config_space_set_writable(config, offset, 4, (uint32_t)mask);
    if (DEXT_BAR_IS_64BIT(type))
        config_space_set_writable(config, offset + 4, 4, (uint32_t)(mask >> 32));
}

unsigned config_space_add_capability(struct config_space *config, uint8_t id, unsigned bytes)
{
    unsigned offset = config->next_free;
    if (bytes < 2 || !range_is_within(offset, bytes, CONFIG_SPACE_CONVENTIONAL))
        return 0;

    config_space_set(config, offset, 1, id);
    if (config->last_capability == 0) {
        config_space_set(config, CONFIG_CAPABILITY_POINTER, 1, offset);
        config->value[CONFIG_STATUS] |= CONFIG_STATUS_CAPABILITIES;
    } else {
        config_space_set(config, config->last_capability + 1, 1, offset);
    }
    config->last_capability = offset;
    config->next_free = (unsigned)align_up((uint64_t)offset + bytes, 4);
    return offset;
}

unsigned config_space_add_extended(struct config_space *config, uint16_t id, uint8_t version,
                                   unsigned bytes)
{
    unsigned offset = config->next_extended;
    if (config->is_conventional || bytes < 4 || !range_is_within(offset, bytes, CONFIG_SPACE_BYTES))
        return 0;

    config_space_set(config, offset, 4, id | (uint32_t)(version & 0xf) << 16);
    if (config->last_extended != 0)
        config_space_set(config, config->last_extended + 2, 2,
                         (config_space_get(config, config->last_extended + 2, 2) & 0xf) | offset
                                                                                              << 4);
    config->last_extended = offset;
    config->next_extended = (unsigned)align_up((uint64_t)offset + bytes, 4);
    return offset;
}

unsigned config_space_find(const struct config_space *config, uint8_t id)
{
    if ((config->value[CONFIG_STATUS] & CONFIG_STATUS_CAPABILITIES) == 0)
        return 0;
    unsigned offset = config->value[CONFIG_CAPABILITY_POINTER] & ~3u;
    for (unsigned seen = 0; seen < MAX_STANDARD && offset >= FIRST_STANDARD; seen++) {
        if (config->value[offset] == id)
            return offset;
        offset = config->value[offset + 1] & ~3u;
    }
    return 0;
}

unsigned config_space_find_extended(const struct config_space *config, uint16_t id)
{
    unsigned offset = FIRST_EXTENDED;
    if (config->is_conventional)
        return 0;
    for (unsigned seen = 0; seen < MAX_EXTENDED && offset >= FIRST_EXTENDED; seen++) {
        uint32_t header = config_space_get(config, offset, 4);
        if (header == 0)
            return 0;
        if ((header & 0xffff) == id)
            return offset;
        offset = header >> 20 & ~3u;
    }
    return 0;
}

void config_space_seal(struct config_space *config)
{
    memcpy(config->initial, config->value, sizeof(config->initial));
}

void config_space_reset(struct config_space *config)
{
    memcpy(config->value, config->initial, sizeof(config->value));
}

uint32_t config_space_read(const struct config_space *config, unsigned offset, unsigned width)
{
    uint32_t ones = (uint32_t)ones_of_width(width);

    if (config->answer == CONFIG_ANSWER_NONE)
        return ones;
    if (config->answer == CONFIG_ANSWER_RETRY) {
        /* Configuration request retry status, as a root complex with software visibility shows
         * it to a read that covers the vendor id. */
        if (offset == CONFIG_VENDOR_ID && width >= 2)
            return (ones & 0xffff0000u) | CONFIG_VENDOR_RETRY;
        return ones;
    }
    if (config->is_conventional && offset >= CONFIG_SPACE_CONVENTIONAL)
        return ones;
    return config_space_get(config, offset, width);
}

void config_space_write(struct config_space *config, unsigned offset, unsigned width,
                        uint32_t value)
{
    if (config->answer != CONFIG_ANSWER_NORMAL)
        return;
    for (unsigned i = 0; i < width; i++) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        uint8_t writable = config->writable[offset + i];
        uint8_t cleared = config->w1c[offset + i] & byte;
        uint8_t kept = config->value[offset + i] & (uint8_t)~writable;
        config->value[offset + i] = (kept | (byte & writable)) & (uint8_t)~cleared;
    }
}
