/*
 * MSI-X of a model: table, pending bits, masks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "model/msix.h"

#include <string.h>

#include "base/checked.h"

bool msix_attach(struct msix *msix, const struct model_host *host, struct config_space *config,
                 unsigned base)
{
    memset(msix, 0, sizeof(*msix));
    if (!range_is_within(base, MSIX_BYTES, CONFIG_SPACE_CONVENTIONAL))
        return false;
    config_space_set_writable(config, base + MSIX_CONTROL, 2,
                              MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL);
    unsigned vectors = (config_space_get(config, base + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
    if (vectors > MSIX_MAX_VECTORS)
        return false;
    msix->host = host;
    msix->config = config;
    msix->capability = base;
    msix->vectors = vectors;
    msix_reset(msix);
    return true;
}

bool msix_init(struct msix *msix, const struct model_host *host, struct config_space *config,
               unsigned vectors, const struct msix_place *place)
{
    memset(msix, 0, sizeof(*msix));
    unsigned base = config_space_add_capability(config, CAPABILITY_MSIX, MSIX_BYTES);
    if (base == 0)
        return false;
    config_space_set(config, base + MSIX_CONTROL, 2, vectors - 1);
    config_space_set(config, base + MSIX_TABLE, 4, place->table_offset | place->table_bar);
    config_space_set(config, base + MSIX_PBA, 4, place->pba_offset | place->pba_bar);
    return msix_attach(msix, host, config, base);
}

void msix_reset(struct msix *msix)
{
    memset(msix->pending, 0, sizeof(msix->pending));
    memset(msix->table, 0, sizeof(msix->table));
    for (unsigned vector = 0; vector < MSIX_MAX_VECTORS; vector++)
        msix->table[vector].control = MSIX_ENTRY_MASKED;
}

static uint32_t control_of(const struct msix *msix)
{
    return config_space_get(msix->config, msix->capability + MSIX_CONTROL, 2);
}

__attribute__((hot)) bool msix_is_enabled(const struct msix *msix)
{
    return msix->capability != 0 && (control_of(msix) & MSIX_CONTROL_ENABLE) != 0;
}

__attribute__((hot)) enum message_result msix_fire(struct msix *msix, unsigned vector)
{
    if (msix->capability == 0 || vector >= msix->vectors)
        return MESSAGE_LOST;

    uint32_t control = control_of(msix);
    const struct msix_entry *entry = &msix->table[vector];
    if ((control & MSIX_CONTROL_ENABLE) == 0 || !message_may_be_sent(msix->config))
        return MESSAGE_LOST;
    if ((control & MSIX_CONTROL_MASK_ALL) != 0 || (entry->control & MSIX_ENTRY_MASKED) != 0) {
        msix->pending[vector / 64] |= UINT64_C(1) << vector % 64;
        return MESSAGE_PENDING;
    }
    msix->host->ops->message(msix->host->context, entry->address, entry->data);
    return MESSAGE_SENT;
}

static void send_if_ready(struct msix *msix, unsigned vector)
{
    uint64_t bit = UINT64_C(1) << vector % 64;

    if ((msix->pending[vector / 64] & bit) == 0)
        return;
    if (msix_fire(msix, vector) == MESSAGE_SENT)
        msix->pending[vector / 64] &= ~bit;
}

void msix_config_written(struct msix *msix, unsigned offset, unsigned width)
{
    if (!msix_is_enabled(msix))
        return;
    if (!message_touches(offset, width, msix->capability + MSIX_CONTROL, 2) &&
        !message_touches(offset, width, CONFIG_COMMAND, 2))
        return;
    for (unsigned vector = 0; vector < msix->vectors; vector++)
        send_if_ready(msix, vector);
}

uint64_t msix_table_bytes(const struct msix *msix)
{
    return (uint64_t)msix->vectors * MSIX_ENTRY_BYTES;
}

uint64_t msix_pba_bytes(const struct msix *msix)
{
    return align_up(msix->vectors, 64) / 8;
}

static bool access_is_allowed(uint64_t offset, unsigned width, uint64_t total)
{
    return (width == 4 || width == 8) && is_aligned(offset, width) &&
           range_is_within(offset, width, total);
}

/* The 32-bit word at index 0..3 of an entry. */
static uint32_t entry_word(const struct msix_entry *entry, unsigned index)
{
    switch (index) {
    case 0:
        return (uint32_t)entry->address;
    case 1:
        return (uint32_t)(entry->address >> 32);
    case 2:
        return entry->data;
    default:
        return entry->control;
    }
}

static void entry_set_word(struct msix_entry *entry, unsigned index, uint32_t value)
{
    switch (index) {
    case 0:
        entry->address = (entry->address & ~UINT64_C(0xffffffff)) | (value & ~3u);
        break;
    case 1:
        entry->address = (entry->address & 0xffffffff) | (uint64_t)value << 32;
        break;
    case 2:
        entry->data = value;
        break;
    default:
        entry->control = value & MSIX_ENTRY_MASKED; /* the rest is reserved, reads 0 */
        break;
    }
}

uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned width)
{
    if (!access_is_allowed(offset, width, msix_table_bytes(msix)))
        return ones_of_width(width);

    const struct msix_entry *entry = &msix->table[offset / MSIX_ENTRY_BYTES];
    unsigned index = (unsigned)(offset % MSIX_ENTRY_BYTES) / 4;
    uint64_t value = entry_word(entry, index);
    if (width == 8)
        value |= (uint64_t)entry_word(entry, index + 1) << 32;
    return value;
}

void msix_table_write(struct msix *msix, uint64_t offset, unsigned width, uint64_t value)
{
    if (!access_is_allowed(offset, width, msix_table_bytes(msix)))
        return;

    unsigned vector = (unsigned)(offset / MSIX_ENTRY_BYTES);
    unsigned index = (unsigned)(offset % MSIX_ENTRY_BYTES) / 4;
    entry_set_word(&msix->table[vector], index, (uint32_t)value);
    if (width == 8)
        entry_set_word(&msix->table[vector], index + 1, (uint32_t)(value >> 32));
    send_if_ready(msix, vector);
}

uint64_t msix_pba_read(const struct msix *msix, uint64_t offset, unsigned width)
{
    if (!access_is_allowed(offset, width, msix_pba_bytes(msix)))
        return ones_of_width(width);
    return msix->pending[offset / 8] >> (8 * (offset % 8)) & ones_of_width(width);
}
