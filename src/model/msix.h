/*
 * MSI-X of a model: the capability, the vector table and the pending bits in BAR memory, and what
 * firing a vector does (PCI Local Bus Specification 3.0, section 6.8.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_MSIX_H
#define DEXTLINK_MODEL_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "model/message.h"
#include "model/model.h"

#define MSIX_MAX_VECTORS  256 /* of what dextlink's models have; the specification allows 2048 */
#define MSIX_ENTRY_BYTES  16
#define MSIX_ENTRY_MASKED 1u /* in the vector control word */

struct msix_entry {
    uint64_t address;
    uint32_t data;
    uint32_t control;
};

/* Where table and pending bits lie. Both offsets are multiples of 8. */
struct msix_place {
    unsigned table_bar, pba_bar;
    uint32_t table_offset, pba_offset;
};

struct msix {
    const struct model_host *host; /* borrowed */
    struct config_space *config;   /* borrowed */
    unsigned capability;           /* offset, 0 = the device has no MSI-X */
    unsigned vectors;
    struct msix_entry table[MSIX_MAX_VECTORS];
    uint64_t pending[MSIX_MAX_VECTORS / 64];
};

/**
 * Add the capability and get ready. host and config are borrowed and outlive msix.
 * vectors: 1 … 256. False when the capability does not fit.
 */
bool msix_init(struct msix *msix, const struct model_host *host, struct config_space *config,
               unsigned vectors, const struct msix_place *place);

/**
 * The same for a capability that is there, at base: sets its write masks, takes the number of
 * vectors from it. False, with *msix as one without MSI-X, when it does not end inside the first
 * 256 bytes or has more vectors than MSIX_MAX_VECTORS; its masks are set in the second case.
 */
bool msix_attach(struct msix *msix, const struct model_host *host, struct config_space *config,
                 unsigned base);

/** As after power-on: every vector masked, nothing pending. config_space_reset does the rest. */
void msix_reset(struct msix *msix);

bool msix_is_enabled(const struct msix *msix);

enum message_result msix_fire(struct msix *msix, unsigned vector);

/** Call it from config_written: sends what became unmasked. */
void msix_config_written(struct msix *msix, unsigned offset, unsigned width);

/** Bytes of table and pending bits. */
uint64_t msix_table_bytes(const struct msix *msix);
uint64_t msix_pba_bytes(const struct msix *msix);

/**
 * Accesses to them; offset counts from their start and may be any, out of range reads ones. Only
 * naturally aligned widths 4 and 8, as the specification asks; others read ones and are ignored.
 * The pending bits are read-only. A table write that unmasks a pending vector sends it.
 */
uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned width);
void msix_table_write(struct msix *msix, uint64_t offset, unsigned width, uint64_t value);
uint64_t msix_pba_read(const struct msix *msix, uint64_t offset, unsigned width);

#endif
