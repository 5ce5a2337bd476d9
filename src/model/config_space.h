/*
 * A PCI Express function's 4096 bytes of configuration space, with write masks and capability
 * chains (PCI Express Base Specification, chapter 7). Pure data: no locks, the owner serialises.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_CONFIG_SPACE_H
#define DEXTLINK_MODEL_CONFIG_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_SPACE_BYTES        4096
#define CONFIG_SPACE_CONVENTIONAL 256 /* what a conventional PCI function has of it */

/* How the function answers config accesses from the bus. Anything but NORMAL drops writes. */
enum config_answer {
    CONFIG_ANSWER_NORMAL = 0,
    CONFIG_ANSWER_RETRY, /* not ready after a reset: vendor id 0x0001, ones elsewhere */
    CONFIG_ANSWER_NONE,  /* dead: ones everywhere */
};

struct config_space {
    uint8_t value[CONFIG_SPACE_BYTES];
    uint8_t writable[CONFIG_SPACE_BYTES]; /* bits a config write stores */
    uint8_t w1c[CONFIG_SPACE_BYTES];      /* bits a written 1 clears */
    uint8_t initial[CONFIG_SPACE_BYTES];  /* what config_space_reset goes back to */
    unsigned last_capability;             /* offset of the last standard capability, 0 = none */
    unsigned next_free;                   /* where the next standard capability goes */
    unsigned last_extended;               /* offset of the last extended capability, 0 = none */
    unsigned next_extended;               /* where the next extended capability goes */
    enum config_answer answer;            /* set by the model; reset leaves it alone */
    bool is_conventional;                 /* 256 bytes only: what follows reads ones */
};

struct config_identity {
    uint16_t vendor_id;
    uint16_t device_id;
    uint8_t revision;
    uint32_t class_code; /* 24 bits: base, sub, interface */
    uint16_t subsystem_vendor_id;
    uint16_t subsystem_id;
};

/** Fill a type 0 header: ids, command register with its writable bits, status, interrupt pin 0. */
void config_space_init(struct config_space *config, const struct config_identity *identity);

/** Describe BAR bar (0..5): type as DEXT_BAR_TYPE_*, bytes a power of two >= 16 (>= 4 for I/O).
 * A 64-bit BAR takes bar + 1 too. Sizing writes then work as on hardware. */
void config_space_add_bar(struct config_space *config, unsigned bar, uint8_t type, uint64_t bytes);

/**
 * Append a standard capability of bytes (header included, 4-byte aligned placement), linked behind
 * the last; its body is zero and read-only until the caller says otherwise.
 * Returns its offset, 0 when it does not fit below 0x100.
 */
unsigned config_space_add_capability(struct config_space *config, uint8_t id, unsigned bytes);

/** The same for an extended capability (at 0x100 and up). 0 when it does not fit. */
unsigned config_space_add_extended(struct config_space *config, uint16_t id, uint8_t version,
                                   unsigned bytes);

/** Offset of the first capability with this id, 0 when there is none. Loops end. */
unsigned config_space_find(const struct config_space *config, uint8_t id);
unsigned config_space_find_extended(const struct config_space *config, uint16_t id);

/** Little-endian access for the model itself, past the write masks. width 1, 2 or 4. */
static inline uint32_t config_space_get(const struct config_space *config, unsigned offset,
                                        unsigned width)
{
    const uint8_t *at = &config->value[offset];

    /* Spelled out: each message and each DMA of a device asks for some of its registers. */
    switch (width) {
    case 1:
        return at[0];
    case 2:
        return at[0] | (uint32_t)at[1] << 8;
    default:
        return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    }
}
void config_space_set(struct config_space *config, unsigned offset, unsigned width, uint32_t value);

/** Make bits of [offset, offset + width) writable, or write-1-to-clear. */
void config_space_set_writable(struct config_space *config, unsigned offset, unsigned width,
                               uint32_t mask);
void config_space_set_w1c(struct config_space *config, unsigned offset, unsigned width,
                          uint32_t mask);

/** Remember the present content as what config_space_reset restores. Call at the end of create. */
void config_space_seal(struct config_space *config);
void config_space_reset(struct config_space *config);

/** Access from the bus. offset + width inside 4096, naturally aligned, width 1, 2 or 4 (checked by
 * the caller). Writes go through the masks. */
uint32_t config_space_read(const struct config_space *config, unsigned offset, unsigned width);
void config_space_write(struct config_space *config, unsigned offset, unsigned width,
                        uint32_t value);

#endif
