/*
 * Message-signalled interrupts of a model: the capability and what firing a vector does (PCI Local
 * Bus Specification 3.0, section 6.8.1). 64-bit addresses; masking is optional.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_MODEL_MSI_H
#define DEXTLINK_MODEL_MSI_H

#include <stdbool.h>

#include "model/message.h"
#include "model/model.h"

#define MSI_MAX_VECTORS 32

struct msi {
    const struct model_host *host; /* borrowed */
    struct config_space *config;   /* borrowed */
    unsigned capability;           /* offset, 0 = the device has no MSI */
    unsigned vectors;              /* a power of two */
    bool has_masking;
};

/**
 * Add the capability and get ready. host and config are borrowed and outlive msi.
 * vectors: 1, 2, 4 … 32. False when the capability does not fit.
 */
bool msi_init(struct msi *msi, const struct model_host *host, struct config_space *config,
              unsigned vectors, bool has_masking);

/** The write masks of an MSI capability that is there, of any layout, at base; none when it does
 * not end inside the first 256 bytes. msi_init has done it. */
void msi_mask(struct config_space *config, unsigned base);

bool msi_is_enabled(const struct msi *msi);

/** Messages software granted: 1 … vectors. */
unsigned msi_granted(const struct msi *msi);

/** Fire a vector. With fewer messages granted than the device has, vector wraps round. */
enum message_result msi_fire(struct msi *msi, unsigned vector);

/** Call it from config_written: sends what became unmasked. */
void msi_config_written(struct msi *msi, unsigned offset, unsigned width);

#endif
